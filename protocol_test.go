package live

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

const protocolDir = "testdata/protocol"

// forms are the message forms of testdata/protocol by file name, without the newline.
func forms(t *testing.T, prefix string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(protocolDir, prefix+"*.json"))
	if err != nil || len(names) == 0 {
		t.Fatal("no files", err)
	}
	all := map[string]string{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSuffix(string(data), "\n")
		if strings.Contains(text, "\n") {
			t.Errorf("%s: a message is one line", name)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".json")] = text
	}
	return all
}

func TestProtocolPageShowsEachFormAndNoOther(t *testing.T) {
	page, err := os.ReadFile("docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	inside := false
	for line := range strings.SplitSeq(string(page), "\n") {
		switch {
		case line == "```json":
			inside = true
		case line == "```":
			inside = false
		case inside:
			shown = append(shown, line)
		}
	}
	files := forms(t, "")
	for name, text := range files {
		if !slices.Contains(shown, text) {
			t.Errorf("docs/protocol.md does not show %s.json: %s", name, text)
		}
	}
	for _, line := range shown {
		found := false
		for _, text := range files {
			found = found || text == line
		}
		if !found {
			t.Errorf("no file of %s has what docs/protocol.md shows: %s", protocolDir, line)
		}
	}
	if len(shown) != len(files) {
		t.Errorf("docs/protocol.md shows %d messages, %s has %d", len(shown), protocolDir, len(files))
	}
}

func raw(text string) json.RawMessage { return json.RawMessage(text) }

func TestClientsFormsAreRead(t *testing.T) {
	const (
		mutation = "01890a5d-ac96-774b-bcce-b302099a805"
		member   = mutation + "d"
		token    = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	)
	listed := wire.Message{Type: "subscribe", ID: 1, Router: "todos", Where: raw(`{"list_id":7,"done":false}`), Order: "-created_at"}
	resumed := listed
	resumed.Cursor = "4fk2m9qa.2sy"
	tagged := resumed
	tagged.Tag = "Jq3w-8Zx0aPk"
	want := map[string]wire.Message{
		"client-subscribe":         listed,
		"client-subscribe-resume":  resumed,
		"client-subscribe-tag":     tagged,
		"client-subscribe-channel": {Type: "subscribe", ID: 2, Channel: "chat:7", Cursor: "4fk2m9qa.2sy"},
		"client-unsubscribe":       {Type: "unsubscribe", ID: 1},
		"client-publish":           {Type: "publish", ID: 3, Channel: "chat:7", Data: raw(`{"text":"hello"}`)},
		"client-call-list":         {Type: "call", ID: 4, Router: "todos", Verb: "list", Where: raw(`{"done":false}`), Order: "-created_at"},
		"client-call-get":          {Type: "call", ID: 5, Router: "todos", Verb: "get", Key: "42"},
		"client-call-create":       {Type: "call", ID: 6, Router: "todos", Verb: "create", Data: raw(`{"title":"milk"}`), Mutation: mutation + "7"},
		"client-call-update":       {Type: "call", ID: 7, Router: "todos", Verb: "update", Key: "42", Version: raw("7"), Data: raw(`{"done":true}`), Mutation: mutation + "8"},
		"client-call-delete":       {Type: "call", ID: 8, Router: "todos", Verb: "delete", Key: "42", Version: raw("8"), Mutation: mutation + "9"},
		"client-ping":              {Type: "ping", ID: 9},

		"client-subscribe-window": {Type: "subscribe", ID: 1, Router: "todos", Order: "-created_at", Limit: 2},
		"client-subscribe-window-resume": {
			Type: "subscribe", ID: 1, Router: "todos", Order: "-created_at", Limit: 3, Cursor: "4fk2m9qa.2sy",
			Bound: []json.RawMessage{raw(`"2026-11-22T10:00:00Z"`), raw("61")},
		},
		"client-subscribe-count":   {Type: "subscribe", ID: 3, Router: "todos", Where: raw(`{"done":false}`), Count: true},
		"client-subscribe-include": {Type: "subscribe", ID: 1, Router: "orders", Order: "id", Include: []string{"owner", "lines", "tags"}},
		"client-call-verb":         {Type: "call", ID: 9, Router: "todos", Verb: "archive", Key: "42", Data: raw(`{"reason":"done"}`), Mutation: mutation + "a"},
		"client-call-create-bulk":  {Type: "call", ID: 10, Router: "todos", Verb: "create", Data: raw(`[{"title":"milk"},{"title":"eggs"}]`), Mutation: mutation + "b"},
		"client-call-update-bulk": {
			Type: "call", ID: 11, Router: "todos", Verb: "update", Mutation: mutation + "c",
			Data: raw(`[{"key":"42","version":8,"data":{"done":false}},{"key":"43","version":1,"data":{"done":true}}]`),
		},
		"client-call-update-base": {
			Type: "call", ID: 14, Router: "todos", Verb: "update", Key: "42", Version: raw("7"), Data: raw(`{"title":"oat milk"}`), Base: raw(`{"title":"milk"}`), Mutation: mutation + "e",
		},
		"client-call-delete-bulk": {
			Type: "call", ID: 12, Router: "todos", Verb: "delete", Mutation: mutation + "d",
			Data: raw(`[{"key":"42","version":9},{"key":"43","version":2}]`),
		},
		"client-call-retry": {Type: "call", ID: 6, Router: "todos", Verb: "create", Data: raw(`{"title":"milk"}`), Mutation: mutation + "7", Retry: "4fk2m9qa.2sy"},
		"client-call-lock": {
			Type: "call", ID: 17, Router: "presence", Verb: "lock", Mutation: mutation + "f",
			Data: raw(`{"member":"5f2a1c0e-7c1f-4a53-9a55-0b1f0d7a8f11","token":"kT3u0gq1n2XwzP7VhJ4y5s8c"}`),
		},
		"client-call-lock-handover": {
			Type: "call", ID: 18, Router: "presence", Verb: "handover", Mutation: "01890a5d-ac96-774b-bcce-b302099a8060",
			Data: raw(`{"member":"5f2a1c0e-7c1f-4a53-9a55-0b1f0d7a8f11","token":"kT3u0gq1n2XwzP7VhJ4y5s8c","to":"9c1d7b3a-2b60-4c0e-8f1a-6f0e2d4c8b75"}`),
		},
		"client-subscribe-presence":      {Type: "subscribe", ID: 7, Router: "articles", Key: "42", Presence: &wire.Presence{}},
		"client-subscribe-presence-keys": {Type: "subscribe", ID: 8, Router: "articles", Keys: []string{"41", "42"}, Presence: &wire.Presence{}},
		"client-subscribe-presence-member": {
			Type: "subscribe", ID: 7, Router: "articles", Key: "42", Presence: &wire.Presence{Member: member, Token: token, State: raw(`{"state":"viewing"}`)},
		},
		"client-subscribe-presence-channel": {
			Type: "subscribe", ID: 9, Channel: "chat:7", Presence: &wire.Presence{Member: member, Token: token, State: raw(`{"state":"typing"}`)},
		},
		"client-call-presence-set": {
			Type: "call", ID: 10, Router: "presence", Verb: "set", Mutation: mutation + "e",
			Data: raw(`{"member":"` + member + `","token":"` + token + `","state":{"state":"editing","field":"title"},"away":false}`),
		},
		"client-call-presence-leave": {
			Type: "call", ID: 11, Router: "presence", Verb: "leave", Mutation: mutation + "e", Data: raw(`{"member":"` + member + `","token":"` + token + `"}`),
		},
		"client-explain": {Type: "explain", ID: 13, Router: "todos", Where: raw(`{"done":false}`), Key: "42"},
	}
	files := forms(t, "client-")
	for name, text := range files {
		got, problem := wire.Parse([]byte(text), 32)
		if problem != nil {
			t.Errorf("%s is refused: %v", name, problem)
			continue
		}
		if a, b := members(t, got), members(t, want[name]); a != b {
			t.Errorf("%s is read as\n%s\nwant\n%s", name, a, b)
		}
		if _, _, problem := got.After(); problem != nil {
			t.Errorf("%s: %v", name, problem)
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files, %d expectations", len(files), len(want))
	}
}

func members(t *testing.T, m wire.Message) string {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestServersFormsAreWritten(t *testing.T) {
	const (
		created = `"mutation":"01890a5d-ac96-774b-bcce-b302099a8057"`
		row     = `{"key":"42","version":7,"fields":{"id":42,"list_id":7,"title":"milk","done":false}}`
		done    = `{"key":"42","version":8,"fields":{"id":42,"list_id":7,"title":"milk","done":true}}`
	)
	refused := wire.NewProblem(422, "invalid_value", `field "title": want a string, got the number 7`).Field("title", "want a string, got the number 7")
	conflict := wire.NewProblem(409, "conflict", "the object was changed by somebody else")
	conflict.Current = raw(`{"key":"42","version":9,"fields":{"id":42,"list_id":7,"title":"soy milk","done":false}}`)
	merge := wire.NewProblem(409, "conflict", "the row was changed by somebody else")
	merge.Current = raw(`{"key":"42","version":9,"fields":{"id":42,"list_id":7,"title":"soy milk","done":true}}`)
	merge.Changed = map[string]wire.FieldChange{"done": {Version: 8}, "title": {Version: 9, By: raw(`{"name":"Ben"}`)}}
	merge.Conflicts = []string{"title"}
	locked := wire.NewProblem(409, "locked", "Ben has the lock")
	locked.Current = raw(`{"key":"9c1d7b3a-2b60-4c0e-8f1a-6f0e2d4c8b75","version":1795341600120,"fields":{"id":"9c1d7b3a-2b60-4c0e-8f1a-6f0e2d4c8b75","on":"42","person":"u2","name":"Ben","info":{"color":"#06c"},"state":{"state":"editing","field":"title"},"away":false,"since":"2026-11-22T10:00:00Z","lock":"1795341600100000","wants":false}}`)
	change := func(offset, item string) *transport.Frame {
		return wire.Change("k3", "4fk2m9qa."+offset, nil, []byte(item))
	}
	const (
		second = `{"key":"61","version":1,"fields":{"id":61,"created_at":"2026-11-22T10:00:00Z"}}`
		first  = `{"key":"62","version":1,"fields":{"id":62,"created_at":"2026-11-22T11:00:00Z"}}`
	)
	yes, no, twelve := true, false, int64(12)
	var relations []byte
	relations = wire.AppendRelation(append(relations, `"owner":`...), "users", "", "", "owner_id", "id")
	relations = wire.AppendRelation(append(relations, `,"lines":`...), "lines", "", "order_id", "", "")
	relations = wire.AppendRelation(append(relations, `,"tags":`...), "tags", "order_tags", "order_id", "tag_id", "id")
	want := map[string]*transport.Frame{
		"server-snapshot-window": wire.Snapshot(wire.Listing{
			ID: 1, Query: "w3", Cursor: "4fk2m9qa.2sy", Order: "-created_at,id", More: &yes, Rows: []byte(first + "," + second),
		}),
		"server-snapshot-limit": wire.Snapshot(wire.Listing{
			ID: 1, Query: "w4", Cursor: "4fk2m9qa.2sy", Order: "id", Limit: 1, More: &yes, Rows: []byte(second),
		}),
		"server-snapshot-relations": wire.Snapshot(wire.Listing{
			ID: 1, Query: "r2", Cursor: "4fk2m9qa.2sy", Order: "id", Relations: relations,
			Rows: []byte(`{"key":"5","version":1,"fields":{"id":5,"owner_id":7}}`),
		}),
		"server-snapshot-count": wire.Snapshot(wire.Listing{ID: 3, Query: "n7", Cursor: "4fk2m9qa.2sy", Count: &twelve}),
		"server-change-window": wire.Change("w3", "4fk2m9qa.2t7", nil,
			[]byte(`{"op":"create","key":"63","version":1,"fields":{"id":63,"created_at":"2026-11-22T12:00:00Z"},"at":0}`),
			[]byte(`{"op":"leave","key":"61","version":1}`)),
		"server-change-fill": wire.Change("w3", "4fk2m9qa.2sy", &no,
			[]byte(`{"op":"enter","key":"60","version":1,"fields":{"id":60,"created_at":"2026-11-22T09:00:00Z"},"at":2}`)),
		"server-change-whole": wire.Whole("w3", "4fk2m9qa.2t9", false,
			[]byte(`{"op":"enter","key":"62","version":1,"fields":{"id":62,"created_at":"2026-11-22T11:00:00Z"},"at":0}`)),
		"server-count":       wire.Count("n7", "4fk2m9qa.2t8", 13),
		"server-result-data": wire.Result(9, wire.Answer{Cursor: "4fk2m9qa.2t9", Data: []byte(`{"archived":true}`)}),

		"server-hello":    wire.Hello("5f2a1c0e-7c1f-4a53-9a55-0b1f0d7a8f11"),
		"server-snapshot": wire.Snapshot(wire.Listing{ID: 1, Query: "k3", Cursor: "4fk2m9qa.2sy", Reason: "", Rows: []byte(row)}),
		"server-snapshot-tag": wire.Snapshot(wire.Listing{
			ID: 1, Query: "k3", Cursor: "4fk2m9qa.2sy", Tag: "Jq3w-8Zx0aPk", Order: "-created_at,id", Rows: []byte(row),
		}),
		"server-snapshot-presence": wire.Snapshot(wire.Listing{
			ID: 7, Query: "k9", Cursor: "4fk2m9qa.2sy", Tag: "Vb0c-1Yx4mNs",
			Rows: []byte(`{"key":"01890a5d-ac96-774b-bcce-b302099a805d","version":1795341600000,"fields":{"id":"01890a5d-ac96-774b-bcce-b302099a805d",` +
				`"version":1795341600000,"on":"42","person":"u1","name":"Ada","info":{"color":"#c00"},"state":{"state":"editing","field":"title"},` +
				`"away":false,"since":"2026-11-22T10:00:00Z","lock":"","wants":false}}`),
		}),
		"server-resumed": wire.Resumed(1, "k3", "4fk2m9qa.2sy"),
		"server-resync":  wire.Snapshot(wire.Listing{ID: 1, Query: "k3", Cursor: "4fk2m9qa.2sz", Reason: "history", Rows: []byte(row)}),
		"server-change-create": change("2t0", `{"op":"create","key":"43","version":1,"fields":{"id":43,"list_id":7,"title":"eggs","done":false},`+
			created+`}`),
		"server-change-enter":        change("2t1", `{"op":"enter","key":"44","version":3,"fields":{"id":44,"list_id":7,"title":"tea","done":false}}`),
		"server-change-update":       change("2t2", `{"op":"update","key":"42","version":8,"fields":{"title":"oat milk"}}`),
		"server-change-by":           change("2ta", `{"op":"update","key":"42","version":9,"fields":{"title":"soy milk"},"by":{"name":"Ben"}}`),
		"server-error-conflict-base": wire.Error(14, merge),
		"server-change-leave":        change("2t3", `{"op":"leave","key":"42","version":9}`),
		"server-change-delete":       change("2t4", `{"op":"delete","key":"43","version":2}`),
		"server-message":             wire.ChannelMessage("c5", "4fk2m9qa.2t5", []byte(`{"text":"hello"}`)),
		"server-cursor":              wire.Cursor("4fk2m9qa.2t6"),
		"server-result":              wire.Result(7, wire.Answer{Cursor: "4fk2m9qa.2t2", Row: []byte(done)}),
		"server-result-lock":         wire.Result(17, wire.Answer{Cursor: "4fk2m9qa.2tb", Data: []byte(`{"lock":"1795341600250000"}`)}),
		"server-error-locked":        wire.Error(17, locked),
		"server-result-list":         wire.Result(4, wire.Answer{Cursor: "4fk2m9qa.2t2", Listing: &wire.Listing{Rows: []byte(done)}}),
		"server-result-empty":        wire.Result(8, wire.Answer{Cursor: "4fk2m9qa.2t4"}),
		"server-result-unsent":       wire.Result(7, wire.Answer{Row: []byte(done), Unsent: true}),
		"server-error":               wire.Error(6, refused),
		"server-error-conflict":      wire.Error(7, conflict),
		"server-closed":              wire.Closed(1, wire.NewProblem(403, "forbidden", "you may no longer see these rows")),
		"server-reconnect":           wire.Reconnect(1200, nil),
		"server-reconnect-problem":   wire.Reconnect(1200, wire.NewProblem(408, "too_slow", "you do not take what you are sent")),
		"server-status":              wire.Status(true),
		"server-pong":                wire.Pong(9),
	}
	files := forms(t, "server-")
	for name, frame := range want {
		if string(frame.Data) != files[name] {
			t.Errorf("%s is written as\n%s\nwant\n%s", name, frame.Data, files[name])
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files, %d expectations", len(files), len(want))
	}
}

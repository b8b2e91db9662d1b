package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/transport/transporttest"
)

const mutation = "01890a5d-ac96-774b-bcce-b302099a8057"

// follow opens a WebSocket and subscribes with it.
func (b *bench) follow(subscription string) *follower {
	b.Helper()
	return follow(b.T, transporttest.WebSocket, b.server()+"/live/", subscription)
}

func TestVerbPublishesOnceWhoeverPublishes(t *testing.T) {
	const create = `"verb":"create","data":{"title":"x"}`
	const update = `"verb":"update","key":"1","version":4,"data":{"title":"x"}`
	const remove = `"verb":"delete","key":"1","version":4`
	for _, test := range []struct {
		name string
		set  func(*memos)
		call string
		want string
	}{
		{"create itself", func(*memos) {}, create, "create 3 M"},
		{"update itself", func(*memos) {}, update, "update 1 M"},
		{"delete itself", func(*memos) {}, remove, "delete 1 M"},
		{"create, Created by the func", func(m *memos) {
			store := m.Create
			m.Create = func(ctx context.Context, in memo) (memo, error) {
				now, _ := store(ctx, in)
				return now, m.Created(ctx, now)
			}
		}, create, "create 3 M"},
		{"create, Changed by the func", func(m *memos) {
			store := m.Create
			m.Create = func(ctx context.Context, in memo) (memo, error) {
				now, _ := store(ctx, in)
				return now, m.Changed(ctx, now)
			}
		}, create, "put 3 M"},
		{"update, Updated by the func", func(m *memos) {
			store := m.Update
			m.Update = func(ctx context.Context, was, now memo) (memo, error) {
				now, _ = store(ctx, was, now)
				return now, m.Updated(ctx, was, now)
			}
		}, update, "update 1 M"},
		{"update, Changed by the func", func(m *memos) {
			store := m.Update
			m.Update = func(ctx context.Context, was, now memo) (memo, error) {
				now, _ = store(ctx, was, now)
				return now, m.Changed(ctx, now)
			}
		}, update, "put 1 M"},
		{"delete, Deleted by the func", func(m *memos) {
			store := m.Delete
			m.Delete = func(ctx context.Context, was memo) error { return errors.Join(store(ctx, was), m.Deleted(ctx, was)) }
		}, remove, "delete 1 M"},
		{"delete that keeps the row", func(m *memos) {
			m.Delete = func(ctx context.Context, was memo) error {
				now := was
				now.OwnerID = 0
				return m.Updated(ctx, was, m.put(now))
			}
		}, remove, "update 1 M"},
		{"update of another row too", func(m *memos) {
			store := m.Update
			m.Update = func(ctx context.Context, was, now memo) (memo, error) {
				other, _ := m.get(2)
				if err := m.Changed(ctx, other); err != nil {
					return now, err
				}
				return store(ctx, was, now)
			}
		}, update, "put 2 M, update 1 M"},
		{"update that changes the key", func(m *memos) {
			m.Update = func(_ context.Context, _, now memo) (memo, error) {
				now.ID = 8
				return m.put(now), nil
			}
		}, update, "delete 1 M, create 8 M"},
		{"update that changes the key, by the func", func(m *memos) {
			m.Update = func(ctx context.Context, was, now memo) (memo, error) {
				now.ID = 8
				return m.put(now), m.Updated(ctx, was, now)
			}
		}, update, "delete 1 M, create 8 M"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := desk()
			test.set(m)
			b := newBench(t, live.Options{}, m)
			answer := b.say(`{"type":"call","id":5,"router":"memos",` + test.call + `,"mutation":"` + mutation + `"}`)[0]
			if !strings.HasPrefix(answer, `{"type":"result","id":5,"cursor":"`) {
				t.Errorf("answered %s\n%s", answer, b.log)
			}
			got := strings.ReplaceAll(strings.Join(b.spy.changes(t), ", "), mutation, "M")
			equal(t, "on the log", got, test.want)
		})
	}
}

func TestClientOfAWriteGetsItsMutationBack(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	f.say(`{"type":"call","id":2,"router":"memos","verb":"update","key":"1","version":4,"data":{"title":"soy"},"mutation":"` + mutation + `"}`)
	change := f.want("change")
	equal(t, "change", scrub(change.Raw), `{"type":"change","query":"Q","cursor":"C","changes":[{"op":"update","key":"1","version":5,`+
		`"fields":{"title":"soy","version":5,"loud":"SOY"},"mutation":"`+mutation+`"}]}`)
	if result := f.want("result"); result.ID != 2 || result.Cursor != change.Cursor || result.Row.Fields["title"] != "soy" {
		t.Errorf("result: %s", result.Raw)
	}
	f.say(`{"type":"call","id":3,"router":"memos","verb":"update","key":"1","version":5,"data":{},"mutation":"no uuid"}`)
	equal(t, "bad mutation", f.want("error").Raw, `{"type":"error","id":3,"problem":{"title":"Bad Request","status":400,"code":"malformed_message","detail":"mutation: want a UUID","errors":{"mutation":["want a UUID"]}}}`)
}

func TestRowWhoseKeyChangesGoesAndComes(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	was, _ := m.get(1)
	now := was
	now.ID = 8
	if err := m.Updated(t.Context(), was, now); err != nil {
		t.Fatal(err)
	}
	equal(t, "change", scrub(f.want("change").Raw), `{"type":"change","query":"Q","cursor":"C","changes":[{"op":"delete","key":"1","version":4},`+
		`{"op":"create","key":"8","version":4,"fields":{"id":8,"list_id":7,"title":"milk","note":"two","stars":3,"version":4,"loud":"MILK"}}]}`)
}

func TestPublishingBeforeRegisterFails(t *testing.T) {
	m := desk()
	ctx := t.Context()
	var p live.Publisher[memo] = &m.Router
	for name, err := range map[string]error{
		"Created": p.Created(ctx, memo{ID: 1}), "Updated": p.Updated(ctx, memo{ID: 1}, memo{ID: 1}),
		"Deleted": p.Deleted(ctx, memo{ID: 1}), "Changed": m.Changed(ctx, memo{ID: 1}),
	} {
		if err == nil || err.Error() != "live: the router is not registered: call hub.Register before publishing" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPublishingWhatHasNoJSONFails(t *testing.T) {
	type reading struct {
		ID    int64   `live:"id,key"`
		Value float64 `live:"value"`
	}
	r := &live.Router[reading]{
		Name: "readings", Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]reading, error) { return nil, nil },
	}
	b := newBench(t, live.Options{}, r)
	err := r.Created(t.Context(), reading{1, math.NaN()})
	if err == nil || err.Error() != "live: router readings: field Value: json: unsupported value: NaN" {
		t.Error(err)
	}
	if err := r.Updated(t.Context(), reading{1, math.NaN()}, reading{1, 1}); err == nil {
		t.Error("a row that was not a number is published")
	}
	if err := r.Created(t.Context(), reading{1, 1}); err != nil || len(b.spy.entries) != 1 {
		t.Error(err, b.spy.entries)
	}
}

// broken is a broker that takes nothing.
type broken struct{ broker.Broker }

func (broken) Append(context.Context, []byte) (broker.Position, error) {
	return broker.Position{}, errors.New("secret: the disk is full")
}

func TestBrokerThatFailsIsUnavailable(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{Broker: broken{newSpy()}}, m, &live.Channel{
		Name: "chat", Publish: func(_ context.Context, _ string, data json.RawMessage) (any, error) { return data, nil },
	})
	w := b.refused(503, "unavailable", "POST", "/live/memos", `{"title":"x"}`)
	answer := b.say(publish("chat", "1"))[0]
	equal(t, "publish", answer, `{"type":"error","id":2,"problem":`+strings.TrimSpace(w.Body.String())+`}`)
	if strings.Contains(w.Body.String()+answer, "secret") || strings.Count(b.log.String(), "secret: the disk is full") != 2 {
		t.Errorf("answered %s and %s, logged %s", w.Body, answer, b.log)
	}
	for _, err := range []error{m.Created(t.Context(), memo{ID: 1}), b.hub.Publish(t.Context(), "chat", 1)} {
		if err == nil || !strings.Contains(err.Error(), "secret: the disk is full") {
			t.Errorf("the application is told %v", err)
		}
	}
}

func TestComputedFieldsFollowTheRow(t *testing.T) {
	m := desk()
	m.Serializer.Computed["level"] = live.Computed[memo]{Of: func(row memo) any { return map[string]any{"high": row.Stars > 4, "<": "&"} }}
	b := newBench(t, live.Options{}, m)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	if row := f.want("snapshot").Rows[0]; row.Fields["loud"] != "MILK" || fmt.Sprint(row.Fields["level"]) != "map[<:& high:false]" {
		t.Errorf("in a list: %v", row.Fields)
	}
	was, _ := m.get(1)
	now := was
	now.Stars, now.Version = 4, 5
	publish := func() {
		t.Helper()
		if err := m.Updated(t.Context(), was, now); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	equal(t, "stays as it was", scrub(f.want("change").Raw), `{"type":"change","query":"Q","cursor":"C","changes":[{"op":"update","key":"1","version":5,"fields":{"stars":4,"version":5}}]}`)
	was, now.Stars, now.Version = now, 5, 6
	publish()
	equal(t, "changes with the row", scrub(f.want("change").Raw), `{"type":"change","query":"Q","cursor":"C","changes":[{"op":"update","key":"1","version":6,"fields":{"stars":5,"version":6,"level":{"<":"&","high":true}}}]}`)

	b.want(400, `{"title":"Bad Request","status":400,"code":"field_not_filterable","detail":"field \"loud\": it may not be filtered or ordered by","errors":{"loud":["it may not be filtered or ordered by"]}}`,
		"GET", "/live/memos?loud=MILK", "")
	b.want(422, `{"title":"Unprocessable Content","status":422,"code":"field_not_writable","detail":"field \"loud\": this field is computed","errors":{"loud":["this field is computed"]}}`,
		"POST", "/live/memos", `{"loud":"X"}`)

	m.Serializer.Computed["loud"] = live.Computed[memo]{} // nothing that is changed later counts
	b.want(200, "…", "GET", "/live/memos/1", "")
}

func TestComputedFieldThatFailsIsInternal(t *testing.T) {
	for name, f := range map[string]func(memo) any{
		"no JSON": func(memo) any { return make(chan int) },
		"a panic": func(memo) any { panic("oh") },
	} {
		m := desk()
		m.Serializer.Computed["bad"] = live.Computed[memo]{Of: f}
		b := newBench(t, live.Options{}, m)
		b.refused(500, "internal", "GET", "/live/memos", "")
		b.refused(500, "internal", "GET", "/live/memos/1", "")
		if b.log.String() == "" {
			t.Errorf("%s is not logged", name)
		}
	}
}

// whisper has a word of its own in each field, to find wherever it is said.
func whisper(id int64, title string) memo {
	return memo{ID: id, OwnerID: 770077, ListID: 7, Title: title, Secret: "hush-hush", Version: 1}
}

func TestWhatIsNotPublishedIsSaidNowhere(t *testing.T) {
	m := newMemos(whisper(1, "milk"))
	b := newBench(t, live.Options{}, m)
	const me = "770077"
	f := follow(t, transporttest.WebSocket, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos"}`, "Visitor", me)
	f.want("snapshot")
	ctx := context.WithValue(limit(t), visitorKey{}, int64(770077))
	var heard []string
	step := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		heard = append(heard, f.want("change").Raw)
	}
	step("created", m.Created(ctx, m.put(whisper(2, "tea"))))
	step("updated", m.Updated(ctx, whisper(2, "tea"), m.put(whisper(2, "soy"))))
	step("changed", m.Changed(ctx, m.put(whisper(2, "oat"))))
	step("deleted", m.Deleted(ctx, whisper(2, "oat")))
	for _, r := range [][]string{
		{"GET", "/live/memos", ""}, {"GET", "/live/memos?cursor=0", ""}, {"GET", "/live/memos/1", ""}, {"POST", "/live/memos", `{"title":"new"}`},
		{"PATCH", "/live/memos/1", `{"title":"new"}`}, {"PATCH", "/live/memos/1", `{"title":"old"}`}, // the second one conflicts
		{"POST", "/live/memos", `{"Secret":"x"}`}, {"POST", "/live/memos", `{"owner_id":1}`},
		{"GET", "/live/memos?owner_id=1", ""}, {"GET", "/live/memos?order=owner_id", ""}, {"GET", "/live/memos?owner_id__in=a", ""},
	} {
		w := b.ask(r[0], r[1], r[2], "Visitor", me, "If-Match", "1")
		header, _ := json.Marshal(w.Header())
		heard = append(heard, string(header)+strings.NewReplacer("Secret", "", "owner_id", "").Replace(w.Body.String()))
	}
	for _, text := range heard {
		for _, never := range []string{"hush", "new secret", "770077", "owner_id", "OwnerID", "Secret"} {
			if strings.Contains(text, never) {
				t.Errorf("%q is said in %s", never, text)
			}
		}
	}
	// On the log rights travel along, but nothing that was not declared.
	log := strings.Join(b.spy.entries, "\n")
	for _, never := range []string{"hush", "new secret", "Secret"} {
		if strings.Contains(log, never) {
			t.Errorf("%q is on the log: %s", never, log)
		}
	}
	if len(b.spy.entries) != 6 || !strings.Contains(log, `"owner_id":770077`) {
		t.Errorf("the log is not what this test thinks: %s", log)
	}
}

func TestFieldThatServesRightsOnlyDoesNotExist(t *testing.T) {
	b := newBench(t, live.Options{}, desk())
	for _, ask := range [][]string{
		{"GET", "/live/memos?FIELD=1", ""}, {"GET", "/live/memos?FIELD__gt=x", ""}, {"GET", "/live/memos?FIELD__isnull=7", ""},
		{"GET", "/live/memos?order=-FIELD", ""}, {"POST", "/live/memos", `{"FIELD":1}`}, {"POST", "/live/memos", `{"FIELD":null}`},
	} {
		answers := map[string]string{}
		for _, name := range []string{"owner_id", "Secret", "no_such"} {
			method, url, body := ask[0], strings.ReplaceAll(ask[1], "FIELD", name), strings.ReplaceAll(ask[2], "FIELD", name)
			w := b.refused(map[bool]int{true: 400, false: 422}[method == "GET"], "unknown_field", method, url, body)
			answers[strings.ReplaceAll(w.Body.String(), name, "FIELD")] = name
		}
		if len(answers) != 1 {
			t.Errorf("%s: the answers tell which fields exist: %v", ask, answers)
		}
	}
}

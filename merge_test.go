package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live"
)

// merged says a PATCH of memo 1 with a base.
func (b *bench) merged(status int, want, data, base string, version int, headers ...string) string {
	b.Helper()
	w := b.want(status, "…", "PATCH", "/live/memos/1?base="+url.QueryEscape(base), data, append(headers, "If-Match", strconv.Itoa(version))...)
	if got := w.Body.String(); !strings.Contains(got, want) {
		b.Errorf("%s on %s: got %s, want %s", data, base, got, want)
	}
	return w.Body.String()
}

func TestAWriteWithABaseMergesWhatIsDisjoint(t *testing.T) {
	b := edited(t, live.Options{}, public()) // title milk to oats, note two to six, versions 4 to 6
	b.merged(200, `"list_id":8,"title":"oats","note":"six","stars":3,"version":7`, `{"list_id":8}`, `{"list_id":7}`, 4, "Visitor", "3")
	equal(t, "published", strings.Join(b.spy.changes(t), ", "), "update 1, update 1, update 1")
	if last := b.spy.entries[len(b.spy.entries)-1]; !strings.Contains(last, `"changed":["list_id","version"]`) {
		t.Errorf("published %s", last)
	}
}

func TestAWriteWithABaseConflictsInWhatBothWrote(t *testing.T) {
	m := public()
	b := edited(t, live.Options{}, m)
	before := m.snapshot()
	b.merged(409, conflictHead+`,"current":`+oats+since4+`,"conflicts":["title"]}`, `{"title":"x","list_id":8}`, `{"title":"milk","list_id":7}`, 4)
	b.merged(409, `"conflicts":["note","title"]}`, `{"title":"x","note":"y"}`, `{"title":"milk","note":"two"}`, 4)
	b.merged(409, `"conflicts":["title"]}`, `{"title":"oats"}`, `{"title":"milk"}`, 4) // both wrote the same: he did not see that
	b.merged(409, `"conflicts":["list_id"]}`, `{"title":"x","list_id":8}`, `{"title":"oats"}`, 5)
	b.merged(409, `"conflicts":["list_id"]}`, `{"list_id":8}`, `{}`, 5) // no word of it
	equal(t, "rows", m.snapshot(), before)
	b.merged(200, `"title":"x"`, `{"title":"x","list_id":8}`, `{}`, 6) // the version is the present one
	b.refused(428, "version_required", "PATCH", "/live/memos/1?base="+url.QueryEscape(`{"title":"x"}`), `{"title":"y"}`)
}

func TestABaseIsCheckedBeforeAnythingIsDone(t *testing.T) {
	m := public()
	b := edited(t, live.Options{}, m)
	before := m.snapshot()
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for _, test := range []struct {
		status           int
		data, base, want string
	}{
		{400, `{"title":"x"}`, `[]`, `"detail":"base: want an object of fields, got an array"`},
		{400, `{"title":"x"}`, `null`, `base: want an object of fields`},
		{400, `{"title":"x"}`, `{`, `base: want an object of fields`},
		{400, `{"title":"x"}`, `{"title":"milk","note":"two"}`, `base: it has a field \"note\" that data has not`},
		{400, `{"title":"x"}`, `{"owner_id":1}`, `base: it has a field \"owner_id\" that data has not`},
		{400, `{"title":"x"}`, deep, `message_too_deep`},
		{422, `{"title":"x"}`, `{"title":7}`, `"errors":{"base.title":["want a string, got the number 7"]}`},
		{422, `{"stars":1}`, `{"stars":3}`, `"errors":{"stars":["this field cannot be written"]}`},
		{422, `{"owner_id":1}`, `{"owner_id":1}`, `"errors":{"owner_id":["no such field"]}`},
		{422, `{"title":1}`, `{"title":"milk"}`, `"errors":{"title":["want a string, got the number 1"]}`},
	} {
		b.merged(test.status, test.want, test.data, test.base, 4)
	}
	for _, message := range []string{
		`{"type":"call","id":5,"router":"memos","verb":"create","data":{"title":"x"},"base":{"title":""}}`,
		`{"type":"call","id":5,"router":"memos","verb":"delete","key":"1","version":6,"base":{}}`,
		`{"type":"subscribe","id":5,"router":"memos","base":{}}`,
	} {
		if answer := b.say(message)[0]; !strings.Contains(answer, `has no member \"base\" here`) {
			t.Errorf("%s: %s", message, answer)
		}
	}
	equal(t, "rows", m.snapshot(), before)
}

func TestABaseHasTheRightsOfAWrite(t *testing.T) {
	m := desk() // of visitor 1
	b := newBench(t, live.Options{Author: authors}, m)
	b.merged(404, `not_found`, `{"title":"x"}`, `{"title":"milk"}`, 4, "Visitor", "2")
	m.AllowRow = func(_ context.Context, verb string, _ memo) error { return live.ErrForbidden }
	b2 := newBench(t, live.Options{}, func() *memos { n := desk(); n.AllowRow = m.AllowRow; return n }())
	b2.merged(403, `forbidden`, `{"title":"x"}`, `{"title":"milk"}`, 3)
}

func TestBulkMerges(t *testing.T) {
	m := public()
	m.Tx = func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
	b := edited(t, live.Options{}, m)
	const second = `{"key":"2","version":9,"data":{"title":"y"}}`
	b.want(200, "…", "PATCH", "/live/memos", `[`+second+`,{"key":"1","version":4,"data":{"list_id":8},"base":{"list_id":7}}]`)
	equal(t, "call", scrub(b.say(bulkCall("update", `[{"key":"1","version":5,"data":{"note":"z"},"base":{"note":"two"}}]`))[0]),
		`{"type":"error","id":5,"problem":`+conflictHead+`,"errors":{"0":["the row was changed by somebody else"]},"current":`+
			`{"key":"1","version":7,"fields":{"id":1,"list_id":8,"title":"oats","note":"six","stars":3,"version":7,"loud":"OATS"}},`+
			`"changed":{"list_id":{"version":7,"by":{"name":"v1"}},"note":{"version":6,"by":{"name":"v6"}}},"conflicts":["note"]}}`)
	if answer := b.say(`{"type":"call","id":5,"router":"memos","verb":"update","data":[` + second + `],"base":{}}`)[0]; !strings.Contains(answer, "base: each row of data has its own") {
		t.Errorf("got %s", answer)
	}
	if answer := b.say(bulkCall("delete", `[{"key":"1","version":5,"base":{}}]`))[0]; !strings.Contains(answer, `a row has no member \"base\" here`) {
		t.Errorf("got %s", answer)
	}
}

// A merge that others overtake in the WHERE is tried again with the row as it is then, three times.
func TestAnOvertakenMergeIsTriedAgain(t *testing.T) {
	for overtaken, want := range map[int]string{0: "done", 3: "done", 4: "conflict"} {
		for name, call := range map[string]string{
			"one":  `{"type":"call","id":5,"router":"memos","verb":"update","key":"1","version":4,"data":{"title":"mine"},"base":{"title":"milk"}}`,
			"bulk": bulkCall("update", `[{"key":"1","version":4,"data":{"title":"mine"},"base":{"title":"milk"}}]`),
		} {
			t.Run(fmt.Sprint(name, overtaken), func(t *testing.T) {
				k := newBank()
				store, left := k.Update, overtaken
				k.Update = func(ctx context.Context, was, now memo) (memo, error) {
					if left--; left >= 0 {
						other := k.rows[1]
						other.Stars, other.Version = other.Stars+1, other.Version+1
						k.rows[1] = other
					}
					return store(ctx, was, now)
				}
				k.Tx = func(ctx context.Context, do func(context.Context) error) error {
					return do(context.WithValue(ctx, txKey{}, true))
				}
				b := newBench(t, live.Options{}, k)
				answer := b.say(call)[0]
				row := k.rows[1]
				switch {
				case want == "done" && (!strings.Contains(answer, `"type":"result"`) || row.Title != "mine" || row.Stars != 3+overtaken || row.Version != int64(5+overtaken)):
					t.Errorf("got %s, the row is %+v", answer, row)
				case want == "conflict" && (!strings.Contains(answer, `"code":"conflict"`) || !strings.Contains(answer, `"version":8`) || row.Title != "milk"):
					t.Errorf("got %s, the row is %+v", answer, row)
				}
				if n := strings.Count(strings.Join(k.steps, ", "), "get 1"); want == "done" && n != overtaken+1 {
					t.Errorf("read %d times: %v", n, k.steps)
				}
			})
		}
	}
}

// What is overtaken in the field that it writes is a conflict, whatever the version was when it began.
func TestAMergeThatIsOvertakenInItsField(t *testing.T) {
	m := public()
	store := m.Update
	m.Update = func(ctx context.Context, was, now memo) (memo, error) {
		if now.Title == "mine" {
			other, _ := m.get(1)
			other.Title, other.Version = "theirs", other.Version+1
			m.put(other)
		}
		return store(ctx, was, now)
	}
	b := newBench(t, live.Options{}, m)
	b.merged(409, `"conflicts":["title"]`, `{"title":"mine"}`, `{"title":"milk"}`, 4)
	if row, _ := m.get(1); row.Title != "theirs" {
		t.Errorf("the row is %+v", row)
	}
}

// loose is a model without a version, whose base is compared with what Get returned.
type loose struct {
	ID   int64           `live:"id,key"`
	Text string          `live:"text,write"`
	Due  time.Time       `live:"due,write"`
	More json.RawMessage `live:"more,write"`
	Tags []string        `live:"tags,write"`
}

func TestABaseOfAModelWithoutVersion(t *testing.T) {
	zone := time.FixedZone("", 2*60*60)
	fresh := loose{1, "a", time.Date(2026, 11, 22, 12, 0, 0, 0, zone), json.RawMessage(`{"a": 1, "b": 10000000000000001}`), []string{"x"}}
	row := fresh
	r := &live.Router[loose]{
		Name: "looses", Scope: live.Everyone,
		Get:    func(context.Context, live.Key) (loose, error) { return row, nil },
		Update: func(_ context.Context, _, now loose) (loose, error) { row = now; return row, nil },
	}
	b := newBench(t, live.Options{}, r)
	for _, test := range []struct {
		data, base string
		status     int
	}{
		{`{"text":"b"}`, `{"text":"a"}`, 200},
		{`{"text":"b"}`, `{"text":"z"}`, 409},
		{`{"text":"b","tags":[]}`, `{"text":"a"}`, 200}, // without a version there is none to differ
		{`{"due":"2027-01-01T00:00:00Z"}`, `{"due":"2026-11-22T10:00:00Z"}`, 200},
		{`{"due":"2027-01-01T00:00:00Z"}`, `{"due":"2026-11-22T10:00:01Z"}`, 409},
		{`{"more":1}`, `{"more":{"b":10000000000000001,"a":1}}`, 200},
		{`{"more":1}`, `{"more":{"b":10000000000000000,"a":1}}`, 409},
		{`{"more":1}`, `{"more":null}`, 409},
		{`{"tags":["y"]}`, `{"tags":[ "x" ]}`, 200},
		{`{"tags":["y"]}`, `{"tags":["x","x"]}`, 409},
	} {
		row = fresh
		b.want(test.status, "…", "PATCH", "/live/looses/1?base="+url.QueryEscape(test.base), test.data)
	}
}

// TestMerges lets writers change random fields of one row, each from what he saw last, over what others did meanwhile. A model holds
// what must come out: a field is what the last writer set who saw what it was, and nobody's accepted write is lost.
func TestMerges(t *testing.T) {
	seed := uint64(20261122)
	if text := os.Getenv("LIVE_TEST_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	for run := range uint64(8) {
		t.Run(fmt.Sprintf("seed %d", seed+run), func(t *testing.T) { mergeAtRandom(t, seed+run) })
	}
}

func mergeAtRandom(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	m := public()
	var mu sync.Mutex // one UPDATE at a time, as a database has it
	m.Update = func(_ context.Context, was, now memo) (memo, error) {
		mu.Lock()
		defer mu.Unlock()
		if present, err := m.get(was.ID); err != nil || present.Version != was.Version {
			return memo{}, live.ErrConflict
		}
		now.Version++
		return m.put(now), nil
	}
	b := newBench(t, live.Options{}, m)
	fields := func(row memo) map[string]any {
		return map[string]any{"title": row.Title, "note": row.Note, "list_id": row.ListID}
	}
	names := []string{"list_id", "note", "title"}
	const writers = 3
	seen := make([]memo, writers)
	for i := range seen {
		seen[i], _ = m.get(1)
	}
	merges, conflicts := 0, 0
	for step := range 300 {
		who := rnd.IntN(writers)
		if rnd.IntN(4) == 0 {
			seen[who], _ = m.get(1)
		}
		was, _ := m.get(1)
		data, base, expected, want := map[string]any{}, map[string]any{}, fields(was), []string{}
		for _, name := range names {
			if rnd.IntN(3) != 0 {
				continue
			}
			saw := fields(seen[who])[name]
			if data[name] = fmt.Sprint("w", step); name == "list_id" {
				data[name] = int64(step)
			}
			expected[name] = data[name]
			said := rnd.IntN(6) != 0
			if said {
				base[name] = saw
			}
			if was.Version != seen[who].Version && (!said || saw != fields(was)[name]) {
				want = append(want, name)
			}
		}
		body, _ := json.Marshal(data)
		of, _ := json.Marshal(base)
		w := b.ask("PATCH", "/live/memos/1?base="+url.QueryEscape(string(of)), string(body), "If-Match", strconv.FormatInt(seen[who].Version, 10))
		now, _ := m.get(1)
		var problem struct{ Conflicts []string }
		_ = json.Unmarshal(w.Body.Bytes(), &problem)
		switch {
		case len(want) > 0:
			conflicts++
			if w.Code != 409 || !slices.Equal(problem.Conflicts, want) || now != was {
				t.Fatalf("step %d: %s on %s of %+v, seen %+v: got %d %s, want a conflict in %v", step, body, of, was, seen[who], w.Code, w.Body, want)
			}
		case w.Code != 200 || !maps.Equal(fields(now), expected) || now.Version != was.Version+1:
			t.Fatalf("step %d: %s on %s of %+v, seen %+v: got %d %s, the row is %+v", step, body, of, was, seen[who], w.Code, w.Body, now)
		default:
			if was.Version != seen[who].Version {
				merges++
			}
			seen[who] = now
		}
	}
	if merges < 20 || conflicts < 20 {
		t.Errorf("%d merges and %d conflicts: the test does not try much", merges, conflicts)
	}
}

// TestMergesAtOnce lets many writers add to fields of one row at the same time: each says what he saw, and tries again with what he is told. No addition
// is lost, whoever overtakes whom.
func TestMergesAtOnce(t *testing.T) {
	m := public()
	var mu sync.Mutex
	m.Update = func(_ context.Context, was, now memo) (memo, error) {
		mu.Lock()
		defer mu.Unlock()
		if present, err := m.get(was.ID); err != nil || present.Version != was.Version {
			return memo{}, live.ErrConflict
		}
		now.Version++
		return m.put(now), nil
	}
	b := newBench(t, live.Options{}, m)
	const each = 30
	var all sync.WaitGroup
	for who := range 4 {
		all.Go(func() {
			field := []string{"title", "note"}[who%2]
			row, _ := m.get(1)
			value := func() string {
				if field == "title" {
					return row.Title
				}
				return row.Note
			}
			for added := 0; added < each; {
				body := fmt.Sprintf(`{%q:%q}`, field, value()+".")
				w := b.ask("PATCH", "/live/memos/1?base="+url.QueryEscape(fmt.Sprintf(`{%q:%q}`, field, value())), body, "If-Match", strconv.FormatInt(row.Version, 10))
				switch w.Code {
				case 200:
					added++
				case 409:
				default:
					t.Errorf("got %d %s", w.Code, w.Body)
					return
				}
				row, _ = m.get(1)
			}
		})
	}
	all.Wait()
	row, _ := m.get(1)
	equal(t, "title", row.Title, "milk"+strings.Repeat(".", 2*each))
	equal(t, "note", row.Note, "two"+strings.Repeat(".", 2*each))
}

package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

const (
	create  = `{"type":"call","id":6,"router":"memos","verb":"create","data":{"title":"tea"},"mutation":"` + mutation + `"}`
	another = "01890a5d-ac96-774b-bcce-b302099a8058"
)

// retry says of a message that it was sent before, at a cursor.
func retry(message, cursor string) string {
	return strings.TrimSuffix(message, "}") + `,"retry":"` + cursor + `"}`
}

// counting counts what a table is made to store.
func counting(m *memos) *atomic.Int64 {
	n := &atomic.Int64{}
	store, change, remove := m.Create, m.Update, m.Delete
	m.Create = func(ctx context.Context, in memo) (memo, error) { n.Add(1); return store(ctx, in) }
	m.Update = func(ctx context.Context, was, now memo) (memo, error) { n.Add(1); return change(ctx, was, now) }
	m.Delete = func(ctx context.Context, was memo) error { n.Add(1); return remove(ctx, was) }
	return n
}

// beside is a router over the same table, for another node.
func (m *memos) beside() *memos {
	n := newMemos()
	n.List, n.Get, n.Create, n.Update, n.Delete = m.List, m.Get, m.Create, m.Update, m.Delete
	return n
}

func head(t *testing.T, log broker.Broker) string {
	t.Helper()
	p, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p.String()
}

func TestWriteThatIsSentAgainIsDoneOnce(t *testing.T) {
	for name, call := range map[string]string{
		"create":  create,
		"update":  `{"type":"call","id":6,"router":"memos","verb":"update","key":"1","version":4,"data":{"title":"soy"},"mutation":"` + mutation + `"}`,
		"delete":  `{"type":"call","id":6,"router":"memos","verb":"delete","key":"1","version":4,"mutation":"` + mutation + `"}`,
		"publish": `{"type":"publish","id":6,"channel":"chat","data":{"a":1},"mutation":"` + mutation + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			m := desk()
			n := counting(m)
			chat := &live.Channel{Name: "chat", Publish: func(_ context.Context, _ string, data json.RawMessage) (any, error) {
				n.Add(1)
				return data, nil
			}}
			b := newBench(t, live.Options{Identity: byVisitor}, m, chat)
			start := head(t, b.spy)
			first := b.say(call)[0]
			if !strings.HasPrefix(first, `{"type":"result","id":6,"cursor":"`) {
				t.Fatalf("answered %s", first)
			}
			for _, again := range []string{call, retry(call, start), strings.ReplaceAll(call, `"data":{`, `"data":{ `), strings.ReplaceAll(call, mutation, strings.ToUpper(mutation))} {
				equal(t, again, b.say(again)[0], first)
			}
			if n.Load() != 1 || len(b.spy.entries) != 1 {
				t.Errorf("stored %d times, published %s", n.Load(), b.spy.entries)
			}
			for _, other := range []string{strings.Replace(call, `a":1`, `a":2`, 1), strings.Replace(call, `"title":"`, `"title":"x`, 1), strings.Replace(call, `"key":"1"`, `"key":"2"`, 1)} {
				if other != call && !strings.Contains(b.say(other)[0], `"mutation_reused"`) {
					t.Errorf("%s is answered %s", other, b.say(other)[0])
				}
			}
			w := b.ask("POST", "/live/", call, "Content-Type", "application/x-ndjson", "Visitor", "2")
			if n.Load() == 1 && name != "update" && name != "delete" { // somebody else's, whom the log has told of it
				if !strings.Contains(w.Body.String(), `"result"`) {
					t.Errorf("another caller: %s", w.Body)
				}
			}
		})
	}
}

func TestIdempotencyKeyOverHTTP(t *testing.T) {
	m := desk()
	n := counting(m)
	b := newBench(t, live.Options{}, m)
	first := b.want(201, "…", "POST", "/live/memos", `{"title":"tea"}`, "Idempotency-Key", mutation)
	again := b.want(201, strings.TrimSpace(first.Body.String()), "POST", "/live/memos", `{"title":"tea"}`, "Idempotency-Key", `"`+mutation+`"`)
	for _, name := range []string{"Location", "ETag", "Live-Cursor"} {
		equal(t, name, again.Header().Get(name), first.Header().Get(name))
	}
	b.refused(422, "mutation_reused", "POST", "/live/memos", `{"title":"coffee"}`, "Idempotency-Key", mutation)
	b.refused(400, "malformed_message", "POST", "/live/memos", `{"title":"tea"}`, "Idempotency-Key", "7")
	b.want(200, milk, "GET", "/live/memos/1", "", "Idempotency-Key", mutation)
	if n.Load() != 1 {
		t.Errorf("stored %d times", n.Load())
	}
}

func TestRepetitionWaitsForTheFirst(t *testing.T) {
	m := desk()
	n := counting(m)
	store := m.Create
	entered, release := make(chan struct{}, 9), make(chan struct{})
	m.Create = func(ctx context.Context, in memo) (memo, error) {
		entered <- struct{}{}
		<-release
		return store(ctx, in)
	}
	b := newBench(t, live.Options{}, m)
	answers := make(chan string, 9)
	var all sync.WaitGroup
	say := func() { all.Go(func() { answers <- b.say(create)[0] }) }
	say()
	<-entered
	for range 4 {
		say()
	}
	close(release)
	all.Wait()
	first := <-answers
	for range 4 {
		equal(t, "repetition", <-answers, first)
	}
	if n.Load() != 1 {
		t.Errorf("stored %d times", n.Load())
	}
}

func TestWriteThatFailedMayBeSentAgain(t *testing.T) {
	m := desk()
	var fail atomic.Int64
	store := m.Create
	m.Create = func(ctx context.Context, in memo) (memo, error) {
		switch fail.Add(1) {
		case 1:
			return memo{}, errors.New("the database")
		case 2:
			panic("the app")
		case 3:
			return memo{}, live.ErrForbidden
		}
		return store(ctx, in)
	}
	b := newBench(t, live.Options{}, m)
	for _, want := range []string{"internal", "internal", "forbidden", `"result"`, `"result"`} {
		if answer := b.say(create)[0]; !strings.Contains(answer, want) {
			t.Errorf("answered %s, want %s", answer, want)
		}
	}
	if fail.Load() != 4 {
		t.Errorf("ran %d times", fail.Load())
	}
}

// failing is a broker that takes nothing while it is told to.
type failing struct {
	*spy
	down atomic.Bool
}

func (f *failing) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if f.down.Load() {
		return broker.Position{}, errors.New("the log is down")
	}
	return f.spy.Append(ctx, data)
}

func TestWhatTheLogDidNotTakeIsMadeUpFor(t *testing.T) {
	for name, set := range map[string]func(m *memos){
		"by the verb": func(*memos) {},
		"by the func": func(m *memos) {
			store := m.Create
			m.Create = func(ctx context.Context, in memo) (memo, error) {
				row, _ := store(ctx, in)
				other, _ := m.get(1)
				return row, errors.Join(m.Created(ctx, row), m.Changed(ctx, other))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := desk()
			set(m)
			n := counting(m)
			log := &failing{spy: newSpy()}
			b := newBench(t, live.Options{Broker: log}, m)
			b.say(`{"type":"ping","id":1}`)
			log.down.Store(true)
			for range 2 {
				if answer := b.say(create)[0]; !strings.Contains(answer, `"unavailable"`) {
					t.Errorf("answered %s", answer)
				}
			}
			log.down.Store(false)
			answer := b.say(create)[0]
			if !strings.HasPrefix(answer, `{"type":"result","id":6,"cursor":"`) || !strings.Contains(answer, `"title":"tea"`) {
				t.Errorf("answered %s", answer)
			}
			equal(t, "once more", b.say(create)[0], answer)
			want := "create 3 " + mutation
			if name == "by the func" {
				want += ", put 1 " + mutation
			}
			equal(t, "on the log", strings.Join(log.changes(t), ", "), want)
			if n.Load() != 1 {
				t.Errorf("stored %d times", n.Load())
			}
		})
	}
}

func TestWriteThatAnotherNodeDidIsNotDoneAgain(t *testing.T) {
	log := memory.New(memory.Options{})
	m := desk()
	stored := counting(m)
	n := m.beside()
	var said atomic.Int64
	chat := func() *live.Channel {
		return &live.Channel{Name: "chat", Publish: func(_ context.Context, _ string, data json.RawMessage) (any, error) {
			said.Add(1)
			return data, nil
		}}
	}
	here, there := newBench(t, live.Options{Broker: log}, m, chat()), newBench(t, live.Options{Broker: log}, n, chat())
	start := head(t, log)
	there.say(`{"type":"subscribe","id":1,"router":"memos"}`) // which waits until the hub follows the log
	if answer := here.say(create)[0]; !strings.Contains(answer, `"result"`) {
		t.Fatal(answer)
	}
	again := there.say(retry(create, start))[0]
	if !strings.HasPrefix(again, `{"type":"result","id":6,"cursor":"`) || !strings.Contains(again, `"row":{"key":"3",`) {
		t.Errorf("create: %s", again)
	}
	remove := strings.Replace(`{"type":"call","id":7,"router":"memos","verb":"delete","key":"3","version":1,"mutation":"M"}`, "M", another, 1)
	here.say(remove)
	if again := there.say(retry(remove, start))[0]; !strings.HasPrefix(again, `{"type":"result","id":7,"cursor":"`) || strings.Contains(again, `"row"`) {
		t.Errorf("delete: %s", again)
	}
	publish := `{"type":"publish","id":8,"channel":"chat","data":1,"mutation":"01890a5d-ac96-774b-bcce-b302099a8059"}`
	here.say(publish)
	if again := there.say(retry(publish, start))[0]; !strings.HasPrefix(again, `{"type":"result","id":8,"cursor":"`) {
		t.Errorf("publish: %s", again)
	}
	if stored.Load() != 2 || said.Load() != 1 {
		t.Errorf("stored %d times, said %d times", stored.Load(), said.Load())
	}
	// What nobody did is done: this hub has followed the log since.
	fresh := strings.Replace(create, mutation, "01890a5d-ac96-774b-bcce-b302099a8060", 1)
	if answer := there.say(retry(fresh, start))[0]; !strings.Contains(answer, `"result"`) || stored.Load() != 3 {
		t.Errorf("a write that did not arrive: %s", answer)
	}
}

func TestOutcomeThatNobodyKnows(t *testing.T) {
	log := memory.New(memory.Options{})
	m := desk()
	stored := counting(m)
	before := head(t, log)
	if _, err := log.Append(t.Context(), []byte(`{"v":1}`)); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, live.Options{Broker: log, IdempotencyEntries: 2}, m)
	b.say(`{"type":"ping","id":1}`)
	start := head(t, log)
	unknown := func(cursor string) {
		t.Helper()
		if answer := b.say(retry(create, cursor))[0]; !strings.Contains(answer, `"status":409,"code":"unknown_outcome"`) {
			t.Errorf("since %s: %s", cursor, answer)
		}
	}
	unknown(before)    // before this hub began
	unknown("0")       // a client that has no cursor
	unknown("zzz.11")  // of another log
	for i := range 4 { // memory has room for two
		b.say(strings.Replace(create, mutation, strings.Replace(mutation, "8057", "810"+string(rune('0'+i)), 1), 1))
	}
	unknown(start)
	if stored.Load() != 4 {
		t.Errorf("stored %d times", stored.Load())
	}
	if answer := b.say(retry(create, head(t, log)))[0]; !strings.Contains(answer, `"result"`) {
		t.Errorf("sent first just now: %s", answer)
	}
	if _, err := log.Append(t.Context(), []byte("what is this")); err != nil {
		t.Fatal(err)
	}
	fresh := strings.Replace(create, mutation, another, 1)
	if answer := b.say(retry(fresh, start))[0]; !strings.Contains(answer, `"unknown_outcome"`) {
		t.Errorf("after an entry that nobody can read: %s", answer)
	}
	for message, code := range map[string]string{
		retry(create, "?"): "malformed_cursor",
		`{"type":"publish","id":6,"channel":"chat","data":1,"retry":"0"}`: "malformed_message",
		`{"type":"subscribe","id":6,"router":"memos","retry":"0"}`:        "malformed_message",
	} {
		if answer := b.say(message)[0]; !strings.Contains(answer, `"`+code+`"`) {
			t.Errorf("%s is answered %s", message, answer)
		}
	}
}

func TestWriteThatPublishesNothingIsKnownToOtherNodes(t *testing.T) {
	log := memory.New(memory.Options{})
	quiet := func(n *atomic.Int64) *memos {
		m := desk()
		m.Delete = func(context.Context, memo) error { n.Add(1); return nil }
		return m
	}
	var n atomic.Int64
	here, there := newBench(t, live.Options{Broker: log}, quiet(&n)), newBench(t, live.Options{Broker: log}, quiet(&n))
	here.serve, there.serve = suppressing(here), suppressing(there)
	there.say(`{"type":"subscribe","id":1,"router":"memos"}`) // which waits until the hub follows the log
	start := head(t, log)
	const remove = `{"type":"call","id":7,"router":"memos","verb":"delete","key":"1","version":4,"mutation":"` + mutation + `"}`
	equal(t, "first", here.say(remove)[0], `{"type":"result","id":7}`)
	equal(t, "again", here.say(remove)[0], `{"type":"result","id":7}`)
	if again := there.say(retry(remove, start))[0]; !strings.Contains(again, `"result"`) || n.Load() != 1 {
		t.Errorf("%s, done %d times", again, n.Load())
	}
}

// suppressing is a bench's hub behind a middleware that silences what is published.
func suppressing(b *bench) http.Handler {
	serve := b.serve
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve.ServeHTTP(w, r.WithContext(live.Suppress(r.Context())))
	})
}

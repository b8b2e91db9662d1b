package live_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
)

// tied is a desk of memos in a ledger's transactions, with the router's hook. Set changes what is registered.
func tied(t *testing.T, outbox bool, set ...func(m *memos, l *ledger)) (*bench, *memos, *ledger) {
	m, l := desk(), newLedger(t)
	m.Tx = func(ctx context.Context, do func(context.Context) error) error {
		return live.Tx(ctx, l.db, func(ctx context.Context, _ *sql.Tx) error { return do(ctx) })
	}
	store := m.Create
	m.Create = func(ctx context.Context, in memo) (memo, error) {
		tx, ok := live.TxOf(ctx, l.db)
		if !ok {
			return in, errors.New("no transaction")
		}
		in, err := store(ctx, in)
		return in, errors.Join(err, put(ctx, tx, in.Title))
	}
	o := live.Options{}
	if outbox {
		o.Outbox = l
	}
	for _, f := range set {
		f(m, l)
	}
	b := newBench(t, o, m)
	b.say(`{"type":"subscribe","id":1,"router":"memos"}`) // which waits until the hub follows the log
	l.relay = func(data []byte) { _, _ = b.spy.Append(context.Background(), data) }
	return b, m, l
}

const createTea = `{"type":"call","id":6,"router":"memos","verb":"create","data":{"title":"tea"},"mutation":"` + mutation + `"}`

func TestVerbInATxIsStoredInTheOutbox(t *testing.T) {
	bothWays(t, func(t *testing.T, outbox bool) {
		b, _, l := tied(t, outbox)
		answer := b.say(createTea)[0]
		if !strings.HasPrefix(answer, `{"type":"result","id":6,"cursor":"`) || !strings.Contains(answer, `"title":"tea"`) {
			t.Errorf("answered %s", answer)
		}
		b.wantTold("create memos 3 M")
		equal(t, "once more", b.say(createTea)[0], answer)
		b.wantTold("create memos 3 M")
		equal(t, "rows", l.holds(), "tea")
		want := "BEGIN, COMMIT"
		if outbox {
			want = "BEGIN, OUTBOX, COMMIT"
		}
		equal(t, "steps", strings.Join(l.steps, ", "), want)
	})
}

func TestEntryOfAVerbInTheOutboxSaysWhose(t *testing.T) {
	m, l := desk(), newLedger(t)
	m.Tx = func(ctx context.Context, do func(context.Context) error) error {
		return live.Tx(ctx, l.db, func(ctx context.Context, _ *sql.Tx) error { return do(ctx) })
	}
	for _, o := range []live.Options{{}, {Outbox: l}} {
		o.Identity = func(context.Context) string { return "ann" }
		m := &memos{Router: live.Router[memo]{Name: "memos", Scope: m.Scope, Get: m.Get, Create: m.Create, Tx: m.Tx}}
		b := newBench(t, o, m)
		l.relay = func(data []byte) { _, _ = b.spy.Append(context.Background(), data) }
		b.say(createTea)
		var e struct{ By, Mutation string }
		if err := json.Unmarshal([]byte(b.spy.entries[0]), &e); err != nil || e.By == "" || e.Mutation != "" {
			t.Errorf("%s, %v", b.spy.entries[0], err)
		}
	}
}

func TestVerbInATxThatFailsPublishesNothing(t *testing.T) {
	oh := errors.New("oh")
	for name, set := range map[string]func(m *memos, l *ledger){
		"After panics": func(m *memos, _ *ledger) { m.After = func(context.Context, *live.Write[memo]) { panic(oh) } },
		"Create fails": func(m *memos, _ *ledger) {
			m.Create = func(ctx context.Context, in memo) (memo, error) {
				return in, errors.Join(m.Created(ctx, memo{ID: 7, OwnerID: 1}), oh)
			}
		},
		"COMMIT fails": func(_ *memos, l *ledger) { l.failing("COMMIT", oh) },
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, outbox bool) {
				b, m, l := tied(t, outbox)
				set(m, l)
				if answer := b.say(createTea)[0]; !strings.Contains(answer, `"code":"internal"`) {
					t.Errorf("answered %s", answer)
				}
				b.wantTold()
				equal(t, "rows", l.holds(), "")
			})
		})
	}
}

// A hook that hides the error of a verb commits what savepoints in it have done.
func TestTxHookThatHidesTheError(t *testing.T) {
	oh := errors.New("oh")
	bothWays(t, func(t *testing.T, outbox bool) {
		b, m, l := tied(t, outbox, func(m *memos, l *ledger) {
			m.Tx = func(ctx context.Context, do func(context.Context) error) error {
				return live.Tx(ctx, l.db, func(ctx context.Context, _ *sql.Tx) error { _ = do(ctx); return nil })
			}
		})
		m.Create = func(ctx context.Context, in memo) (memo, error) {
			return in, errors.Join(m.Created(ctx, memo{ID: 7, OwnerID: 1}), live.Tx(ctx, l.db, func(ctx context.Context, tx *sql.Tx) error {
				return errors.Join(put(ctx, tx, "8"), m.Created(ctx, memo{ID: 8, OwnerID: 1}))
			}), oh)
		}
		if answer := b.say(createTea)[0]; !strings.Contains(answer, `"code":"internal"`) {
			t.Errorf("answered %s", answer)
		}
		b.wantTold("create memos 8 M")
		equal(t, "rows", l.holds(), "8")
	})
}

func TestTxHookThatRunsAgain(t *testing.T) {
	bothWays(t, func(t *testing.T, outbox bool) {
		b, _, l := tied(t, outbox, func(m *memos, _ *ledger) {
			hook := m.Tx
			m.Tx = func(ctx context.Context, do func(context.Context) error) error {
				if err := hook(ctx, do); err == nil {
					return errors.New("did not fail")
				}
				return hook(ctx, do)
			}
		})
		l.fail = func(statement string) error {
			if statement == "COMMIT" {
				l.fail = func(string) error { return nil }
				return errors.New("could not serialize access")
			}
			return nil
		}
		b.say(createTea)
		b.wantTold("create memos 4 M") // for the desk itself knows no transactions
		equal(t, "rows", l.holds(), "tea")
	})
}

// Whatever context the hook begins its transaction with.
func TestTxHookWithAContextOfItsOwn(t *testing.T) {
	bothWays(t, func(t *testing.T, outbox bool) {
		b, _, _ := tied(t, outbox, func(m *memos, l *ledger) {
			m.Scope = live.Everyone
			m.Tx = func(_ context.Context, do func(context.Context) error) error {
				return live.Tx(context.Background(), l.db, func(ctx context.Context, _ *sql.Tx) error { return do(ctx) })
			}
		})
		if answer := b.say(createTea)[0]; !strings.Contains(answer, `"cursor":"`) {
			t.Errorf("answered %s", answer)
		}
		b.wantTold("create memos 3 M")
	})
}

// A verb's func may have a transaction of its own: what it tells there is told once, with the mutation.
func TestTxInAVerbsFunc(t *testing.T) {
	bothWays(t, func(t *testing.T, outbox bool) {
		b, m, l := tied(t, outbox, func(m *memos, _ *ledger) { m.Tx = nil })
		store := m.Update
		m.Update = func(ctx context.Context, was, now memo) (memo, error) {
			err := live.Tx(ctx, l.db, func(ctx context.Context, tx *sql.Tx) error {
				now, _ = store(ctx, was, now)
				return errors.Join(put(ctx, tx, now.Title), m.Updated(ctx, was, now))
			})
			return now, err
		}
		answer := b.say(`{"type":"call","id":5,"router":"memos","verb":"update","key":"1","version":4,"data":{"title":"x"},"mutation":"` + mutation + `"}`)[0]
		if !strings.HasPrefix(answer, `{"type":"result","id":5,"cursor":"`) {
			t.Errorf("answered %s", answer)
		}
		b.wantTold("update memos 1 M")
		// What it has committed is published though the verb then fails.
		m.After = func(context.Context, *live.Write[memo]) { panic("oh") }
		b.say(`{"type":"call","id":5,"router":"memos","verb":"update","key":"1","version":5,"data":{"title":"y"}}`)
		b.wantTold("update memos 1 M", "update memos 1")
		equal(t, "rows", l.holds(), "x y")
	})
}

func TestResultComesBehindTheChangeThatTheOutboxBrings(t *testing.T) {
	b, _, l := tied(t, true)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	held := make(chan []byte, 1)
	l.relay = func(data []byte) { held <- data }
	f.say(createTea)
	data := <-held // the verb has committed, or is about to
	if _, err := b.spy.Append(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	change := f.want("change")
	if !strings.Contains(change.Raw, mutation) {
		t.Error(change.Raw)
	}
	if _, err := b.spy.Append(t.Context(), data); err != nil { // a relay may send it twice
		t.Fatal(err)
	}
	for m := f.next(); m.Type != "result"; m = f.next() {
		if m.Type != "change" {
			t.Fatal(m.Raw)
		}
	}
}

// A relay that does not come holds up an answer for a moment only. The log is told nothing else of the write, for the outbox will tell.
func TestAnswerDoesNotWaitLongForTheOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, l := tied(t, true)
		var mu sync.Mutex
		var late []byte
		l.relay = func(data []byte) { mu.Lock(); late = data; mu.Unlock() }
		began := time.Now()
		answer := b.say(createTea)[0]
		if !strings.HasPrefix(answer, `{"type":"result","id":6,"row":{"key":"3"`) || !strings.HasSuffix(answer, `,"unsent":true}`) {
			t.Errorf("answered %s", answer)
		}
		if took := time.Since(began); took < time.Second || took > 2*time.Second {
			t.Errorf("took %s", took)
		}
		b.wantTold()
		equal(t, "again", b.say(createTea)[0], answer)
		mu.Lock()
		defer mu.Unlock()
		if _, err := b.spy.Append(t.Context(), late); err != nil {
			t.Fatal(err)
		}
		b.wantTold("create memos 3 M")
		synctest.Wait()
		if now := b.say(createTea)[0]; !strings.HasPrefix(now, `{"type":"result","id":6,"cursor":"`+head(t, b.spy)+`","row":`) || strings.Contains(now, "unsent") {
			t.Errorf("when it is on the log: %s", now)
		}
		_ = b.hub.Shutdown(t.Context())
		l.db.Close()
	})
}

// Another node learns of a write from the outbox's entry.
func TestWriteInAnOutboxIsKnownToOtherNodes(t *testing.T) {
	b, m, _ := tied(t, true)
	n := m.beside()
	there := newBench(t, live.Options{Broker: b.spy}, n)
	there.say(`{"type":"subscribe","id":1,"router":"memos"}`) // which waits until the hub follows the log
	start := head(t, b.spy)
	b.say(createTea)
	if again := there.say(retry(createTea, start))[0]; !strings.Contains(again, `"row":{"key":"3",`) {
		t.Errorf("answered %s", again)
	}
	b.wantTold("create memos 3 M")
}

// draining is a ledger of which a process died between its COMMIT and the relay: what it stored comes on the log when Drain is called.
type draining struct {
	*ledger
	drain func() error
}

// Drain is that of broker.Drainer.
func (d draining) Drain(context.Context) error { return d.drain() }

// A node that died had stored a write that waits in the outbox: said again elsewhere it is not done twice.
func TestRetryWaitsForWhatIsInTheOutbox(t *testing.T) {
	b, m, l := tied(t, true)
	var left []byte
	l.relay = func(data []byte) { left = data }
	failure := errors.New("the outbox cannot be read")
	n := m.beside()
	n.Tx = m.Tx
	stored := counting(n)
	there := newBench(t, live.Options{Broker: b.spy, Outbox: draining{l, func() error {
		if failure == nil {
			_, err := b.spy.Append(context.Background(), left)
			return err
		}
		return failure
	}}}, n)
	there.say(`{"type":"subscribe","id":1,"router":"memos"}`) // which waits until the hub follows the log
	start := head(t, b.spy)
	b.say(createTea)
	if again := there.say(retry(createTea, start))[0]; !strings.Contains(again, `"code":"unavailable"`) {
		t.Errorf("while nobody can know it is answered %s", again)
	}
	failure = nil
	if again := there.say(retry(createTea, start))[0]; !strings.Contains(again, `"row":{"key":"3",`) {
		t.Errorf("answered %s", again)
	}
	if n := stored.Load(); n != 0 {
		t.Errorf("it was stored there, %d times", n)
	}
}

// A func may go on after its verb was answered. Nobody waits for what it then stores.
func TestNobodyWaitsForWhatIsStoredAfterTheAnswer(t *testing.T) {
	b, m, l := tied(t, true, func(m *memos, _ *ledger) { m.Tx = nil })
	answered, stored := make(chan struct{}), make(chan error, 1)
	m.Create = func(ctx context.Context, in memo) (memo, error) {
		go func() {
			<-answered
			stored <- live.Tx(context.WithoutCancel(ctx), l.db, func(ctx context.Context, tx *sql.Tx) error {
				return errors.Join(put(ctx, tx, "later"), m.Created(ctx, memo{ID: 9, OwnerID: 1}))
			})
		}()
		return memo{ID: 3, OwnerID: 1, Title: in.Title}, nil
	}
	b.say(createTea)
	close(answered)
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	b.wantTold("create memos 3 M", "create memos 9 M")
	if n := live.Expected(b.hub); n != 0 {
		t.Errorf("%d entries are waited for", n)
	}
}

// What a verb published outside of its transaction is on the log; what it stored is not yet. No position tells when all is there.
func TestAnswerOfWhatIsPartlyOnTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m, l := tied(t, true, func(m *memos, _ *ledger) { m.Tx = nil })
		m.Create = func(ctx context.Context, in memo) (memo, error) {
			in.ID, in.OwnerID = 3, 1
			return in, live.Tx(ctx, l.db, func(ctx context.Context, tx *sql.Tx) error {
				return errors.Join(put(ctx, tx, "tea"), m.Created(ctx, memo{ID: 9, OwnerID: 1}))
			})
		}
		l.relay = func([]byte) {}
		answer := b.say(createTea)[0]
		b.wantTold("create memos 3 M")
		if strings.Contains(answer, `"cursor"`) || !strings.HasSuffix(answer, `,"unsent":true}`) {
			t.Errorf("answered %s", answer)
		}
		_ = b.hub.Shutdown(t.Context())
		l.db.Close()
	})
}

// A client that is gone while its write waits for the outbox does not keep the hub waiting. Said again, here or at another node, the write is not
// done again.
func TestWriteIsSaidAgainWhileTheOutboxIsSlow(t *testing.T) {
	b, m, l := tied(t, true)
	there := newBench(t, live.Options{Broker: b.spy}, m.beside())
	there.say(`{"type":"subscribe","id":1,"router":"memos"}`) // which waits until the hub follows the log
	start := head(t, b.spy)
	stored := make(chan []byte, 1)
	l.relay = func(data []byte) { stored <- data }
	ctx, hangUp := context.WithCancel(t.Context())
	first := make(chan struct{})
	go func() {
		defer close(first)
		r := httptest.NewRequest("POST", "/live/", strings.NewReader(createTea)).WithContext(ctx)
		r.Header.Set("Content-Type", "application/x-ndjson")
		b.serve.ServeHTTP(httptest.NewRecorder(), r)
	}()
	data := <-stored
	for live.Expected(b.hub) == 0 { // the relay is told before COMMIT has returned
		runtime.Gosched()
	}
	hangUp()
	<-first
	if again := b.say(retry(createTea, start))[0]; !strings.Contains(again, `"row":{"key":"3"`) {
		t.Errorf("said again: %s", again)
	}
	if _, err := b.spy.Append(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	if err := live.CatchUp(t.Context(), b.hub); err != nil { // before that it knows what it said: that it is not on the log yet
		t.Fatal(err)
	}
	for _, node := range []*bench{there, b} {
		if again := node.say(retry(createTea, start))[0]; !strings.HasPrefix(again, `{"type":"result","id":6,"cursor":"`+head(t, b.spy)+`","row":{"key":"3"`) {
			t.Errorf("when it is on the log: %s", again)
		}
	}
	equal(t, "rows", l.holds(), "tea")
	b.wantTold("create memos 3 M")
	if n := live.Expected(b.hub); n != 0 {
		t.Errorf("%d entries are waited for", n)
	}
}

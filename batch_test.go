package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
)

// told is what each entry on the log holds, as "create memos 3, message chat": an entry is an element.
func (s *spy) told(t *testing.T) []string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []string{}
	for _, data := range s.entries {
		var entry struct {
			Changes  []struct{ Op, Router, Key, Mutation string }
			Messages []struct {
				Channel string
				Data    json.RawMessage
			}
		}
		if err := json.Unmarshal([]byte(data), &entry); err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, c := range entry.Changes {
			parts = append(parts, strings.TrimSpace(c.Op+" "+c.Router+" "+c.Key+" "+oneOf(c.Mutation)))
		}
		for _, m := range entry.Messages {
			parts = append(parts, m.Channel+" "+string(m.Data))
		}
		all = append(all, strings.Join(parts, ", "))
	}
	return all
}

// wantTold compares what is on the log.
func (b *bench) wantTold(want ...string) {
	b.Helper()
	equal(b.T, "on the log", strings.Join(b.spy.told(b.T), "\n"), strings.Join(want, "\n"))
}

// marksOf is a router of marks that has only a list.
func marksOf(name string) *live.Router[mark] {
	return &live.Router[mark]{
		Name: name, Scope: live.Everyone,
		List: func(context.Context, live.Query) ([]mark, error) { return nil, nil },
	}
}

func TestBatchIsOneEntry(t *testing.T) {
	red, blue := marksOf("red"), marksOf("blue")
	b := newBench(t, live.Options{}, red, blue, &live.Channel{Name: "chat", Subscribe: anyone})
	f := b.follow("")
	for i, subscription := range []string{`"router":"red"`, `"router":"blue"`, `"channel":"chat"`} {
		f.say(fmt.Sprintf(`{"type":"subscribe","id":%d,%s}`, i+1, subscription))
		f.want("snapshot")
	}
	err := b.hub.Batch(t.Context(), func(ctx context.Context) error {
		return errors.Join(
			red.Created(ctx, mark{1, "a"}), blue.Created(ctx, mark{1, "x"}), b.hub.Publish(ctx, "chat", "one"),
			b.hub.Batch(ctx, func(ctx context.Context) error {
				return errors.Join(red.Updated(ctx, mark{1, "a"}, mark{1, "b"}), b.hub.Publish(ctx, "chat", "two"))
			}),
			red.Created(ctx, mark{2, "c"}), blue.Deleted(ctx, mark{1, "x"}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.wantTold(`create red 1, create blue 1, update red 1, create red 2, delete blue 1, chat "one", chat "two"`)
	got := map[string]bool{}
	for range 3 { // in any order of the three, each once
		got[scrub(f.next().Raw)] = true
	}
	for _, want := range []string{
		`{"type":"change","query":"Q","cursor":"C","changes":[{"op":"create","key":"1","version":V,"fields":{"id":1,"text":"a"}},{"op":"update","key":"1","version":V,"fields":{"text":"b"}},` +
			`{"op":"create","key":"2","version":V,"fields":{"id":2,"text":"c"}}]}`,
		`{"type":"change","query":"Q","cursor":"C","changes":[{"op":"create","key":"1","version":V,"fields":{"id":1,"text":"x"}},{"op":"delete","key":"1","version":V}]}`,
		`{"type":"message","query":"Q","cursor":"C","messages":["one","two"]}`,
	} {
		found := false
		for raw := range got {
			found = found || rowVersion.ReplaceAllString(raw, `"version":V`) == want
		}
		if !found {
			t.Errorf("not told\n%s\nbut %v", want, got)
		}
	}
}

func TestBatchThatFailsPublishesNothing(t *testing.T) {
	red := marksOf("red")
	b := newBench(t, live.Options{}, red, &live.Channel{Name: "chat"})
	oh := errors.New("oh")
	var late context.Context
	err := b.hub.Batch(t.Context(), func(ctx context.Context) error {
		late = ctx
		return errors.Join(red.Created(ctx, mark{1, "a"}), b.hub.Publish(ctx, "chat", 1), oh)
	})
	if !errors.Is(err, oh) {
		t.Errorf("the error is %v", err)
	}
	func() {
		defer func() {
			if p := recover(); p != oh {
				t.Errorf("the panic is %v", p)
			}
		}()
		_ = b.hub.Batch(t.Context(), func(ctx context.Context) error {
			_ = red.Created(ctx, mark{2, "a"})
			panic(oh)
		})
	}()
	b.wantTold()
	if err := b.hub.Batch(t.Context(), func(context.Context) error { return nil }); err != nil || len(b.spy.told(t)) != 0 {
		t.Errorf("a batch of nothing: %v, %v", err, b.spy.told(t))
	}
	// One inside of another is dropped for itself, and what comes with its ctx later belongs to the outer.
	err = b.hub.Batch(t.Context(), func(ctx context.Context) error {
		var inner context.Context
		failed := b.hub.Batch(ctx, func(ctx context.Context) error {
			inner = ctx
			return errors.Join(red.Created(ctx, mark{3, "a"}), oh)
		})
		if !errors.Is(failed, oh) {
			t.Errorf("inside: %v", failed)
		}
		return errors.Join(red.Created(ctx, mark{4, "a"}), red.Created(inner, mark{5, "a"}))
	})
	if err != nil {
		t.Error(err)
	}
	b.wantTold("create red 4, create red 5")
	if err := red.Created(late, mark{6, "a"}); err != nil {
		t.Error(err)
	}
	b.wantTold("create red 4, create red 5", "create red 6")
}

func TestBatchOfAnEndedCtxIsOneOfItsOwn(t *testing.T) {
	red := marksOf("red")
	b := newBench(t, live.Options{}, red)
	var late context.Context
	publish := func(ctx context.Context, id int64) error { return red.Created(ctx, mark{id, "a"}) }
	err := b.hub.Batch(t.Context(), func(ctx context.Context) error { late = ctx; return publish(ctx, 1) })
	if err != nil {
		t.Fatal(err)
	}
	err = b.hub.Batch(late, func(ctx context.Context) error {
		return errors.Join(publish(ctx, 2), publish(late, 3), publish(ctx, 4))
	})
	if err != nil {
		t.Fatal(err)
	}
	b.wantTold("create red 1", "create red 3", "create red 2, create red 4")
}

func TestBatchBelongsToOneHub(t *testing.T) {
	red, blue := marksOf("red"), marksOf("blue")
	b, other := newBench(t, live.Options{}, red), newBench(t, live.Options{}, blue)
	err := b.hub.Batch(t.Context(), func(ctx context.Context) error {
		if err := errors.Join(red.Created(ctx, mark{1, "a"}), blue.Created(ctx, mark{2, "a"})); err != nil {
			return err
		}
		other.wantTold("create blue 2")
		b.wantTold()
		return other.hub.Batch(ctx, func(ctx context.Context) error {
			err := errors.Join(red.Created(ctx, mark{3, "a"}), blue.Created(ctx, mark{4, "a"}))
			other.wantTold("create blue 2")
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.wantTold("create red 1, create red 3")
	other.wantTold("create blue 2", "create blue 4")
}

func TestBatchOutlivesItsCaller(t *testing.T) {
	red := marksOf("red")
	b := newBench(t, live.Options{}, red)
	ctx, cancel := context.WithCancel(t.Context())
	err := b.hub.Batch(ctx, func(ctx context.Context) error {
		err := red.Created(ctx, mark{1, "a"})
		cancel() // the row is committed, and its client went away
		return err
	})
	if err != nil {
		t.Error(err)
	}
	b.wantTold("create red 1")
}

func TestBatchTakesFromSeveralGoroutines(t *testing.T) {
	red := marksOf("red")
	b := newBench(t, live.Options{}, red, &live.Channel{Name: "chat"})
	const n = 50
	err := b.hub.Batch(t.Context(), func(ctx context.Context) error {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if err := errors.Join(red.Changed(ctx, mark{int64(i), "a"}), b.hub.Publish(ctx, "chat", i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return nil
	})
	if got := b.spy.told(t); err != nil || len(got) != 1 || strings.Count(got[0], "put red") != n || strings.Count(got[0], "chat") != n {
		t.Errorf("%v %v", err, got)
	}
}

// narrow is a broker that takes small entries only, and refuses the rest as an in-memory one would.
type narrow struct {
	*spy
	limit int
}

func (n narrow) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if len(data) > n.limit {
		return broker.Position{}, fmt.Errorf("%d bytes: %w", len(data), broker.ErrTooLarge)
	}
	return n.spy.Append(ctx, data)
}

func TestBatchThatIsTooLargeIsSplitInOrder(t *testing.T) {
	red := marksOf("red")
	narrow := narrow{newSpy(), 250}
	b := newBench(t, live.Options{Broker: narrow}, red, &live.Channel{Name: "chat"})
	b.spy = narrow.spy
	fill := func(texts ...string) error {
		return b.hub.Batch(t.Context(), func(ctx context.Context) error {
			var err error
			for i, text := range texts {
				err = errors.Join(err, red.Created(ctx, mark{int64(i), text}), b.hub.Publish(ctx, "chat", i))
			}
			return err
		})
	}
	if err := fill("a", "b", "c", "d", "e"); err != nil {
		t.Fatal(err)
	}
	got := b.spy.told(t)
	equal(t, "all of it", strings.Join(got, ", "), "create red 0, create red 1, create red 2, create red 3, create red 4, chat 0, chat 1, chat 2, chat 3, chat 4")
	if len(got) < 3 || len(got) > 8 {
		t.Errorf("in %d entries: %v", len(got), got)
	}
	// What is too large by itself is left out, not what stands behind it.
	b.spy.entries = nil
	if err := fill("a", strings.Repeat("x", 300), "c"); !errors.Is(err, broker.ErrTooLarge) {
		t.Errorf("the application is told %v", err)
	}
	equal(t, "the others", strings.Join(b.spy.told(t), ", "), "create red 0, create red 2, chat 0, chat 1, chat 2")
}

// oneOf calls the mutations M that differ in their last digit.
func oneOf(id string) string {
	if strings.HasPrefix(id, mutation[:35]) {
		return "M"
	}
	return id
}

func TestVerbsPublishOneEntry(t *testing.T) {
	for name, fail := range map[string]error{"succeeds": nil, "fails": errors.New("oh")} {
		t.Run(name, func(t *testing.T) {
			m, red := desk(), marksOf("red")
			var b *bench
			more := func(ctx context.Context) error {
				return errors.Join(red.Created(ctx, mark{1, "a"}), b.hub.Publish(ctx, "chat", 1), fail)
			}
			store := m.Create
			m.Create = func(ctx context.Context, in memo) (memo, error) {
				now, _ := store(ctx, in)
				return now, errors.Join(m.Created(ctx, now), more(ctx))
			}
			m.Update = func(ctx context.Context, _, now memo) (memo, error) { return now, more(ctx) }
			m.Delete = func(ctx context.Context, _ memo) error { return more(ctx) }
			get := m.Get
			m.Get = func(ctx context.Context, k live.Key) (memo, error) {
				row, err := get(ctx, k)
				return row, errors.Join(err, b.hub.Publish(ctx, "chat", 0))
			}
			b = newBench(t, live.Options{}, m, red, &live.Channel{Name: "chat", Publish: func(ctx context.Context, _ string, data json.RawMessage) (any, error) {
				return data, more(ctx)
			}})
			var want []string
			for i, call := range [][2]string{
				{`"type":"call","router":"memos","verb":"create","data":{"title":"x"}`, "create memos 3 M, create red 1 M, chat 1"},
				{`"type":"call","router":"memos","verb":"update","key":"1","version":4,"data":{"title":"x"}`, "create red 1 M, update memos 1 M, chat 0, chat 1"},
				{`"type":"call","router":"memos","verb":"delete","key":"1","version":4`, "create red 1 M, delete memos 1 M, chat 0, chat 1"},
				{`"type":"publish","channel":"chat","data":9`, "create red 1 M, chat 1, chat 9"},
			} {
				message := `{"id":5,` + call[0] + `,"mutation":"` + mutation[:35] + strconv.Itoa(i) + `"}`
				kind := "error"
				if fail == nil {
					kind = "result"
					want = append(want, call[1])
				}
				if answer := b.say(message)[0]; !strings.Contains(answer, `"type":"`+kind+`"`) {
					t.Errorf("%s: %s", message, answer)
				}
			}
			b.wantTold(want...)
		})
	}
}

func TestVerbsCtxPublishesDirectlyWhenItIsOver(t *testing.T) {
	m := desk()
	var late context.Context
	m.Create = func(ctx context.Context, in memo) (memo, error) {
		late = ctx
		return m.put(in), nil
	}
	b := newBench(t, live.Options{}, m)
	b.say(`{"type":"call","id":5,"router":"memos","verb":"create","data":{},"mutation":"` + mutation + `"}`)
	if err := m.Changed(context.WithoutCancel(late), memo{ID: 1}); err != nil {
		t.Fatal(err)
	}
	b.wantTold("create memos 3 M", "put memos 1 M")
}

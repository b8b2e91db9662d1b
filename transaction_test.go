package live_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

type txKey struct{}

// bank is a desk of memos with transactions: Tx restores the rows when what it runs fails, and each func notes whether it ran in
// one.
type bank struct {
	*memos
	steps []string
}

func newBank() *bank {
	k := &bank{memos: desk()}
	m := k.memos
	m.Tx = k.run
	scope, get, create, update, remove := m.Scope, m.Get, m.Create, m.Update, m.Delete
	m.Scope = func(ctx context.Context) (where.Where, error) { k.step(ctx, "scope"); return scope(ctx) }
	m.Get = func(ctx context.Context, key live.Key) (memo, error) {
		k.step(ctx, "get "+string(key))
		return get(ctx, key)
	}
	m.Create = func(ctx context.Context, in memo) (memo, error) { k.step(ctx, "create"); return create(ctx, in) }
	m.Update = func(ctx context.Context, was, now memo) (memo, error) {
		k.step(ctx, "update")
		return update(ctx, was, now)
	}
	m.Delete = func(ctx context.Context, was memo) error { k.step(ctx, "delete"); return remove(ctx, was) }
	m.Before = func(ctx context.Context, w *live.Write[memo]) error { k.step(ctx, "before "+w.Verb); return nil }
	m.Validate = func(ctx context.Context, _ *memo, _ memo) error { k.step(ctx, "validate"); return nil }
	m.After = func(ctx context.Context, w *live.Write[memo]) { k.step(ctx, "after "+w.Verb) }
	m.AllowRow = func(ctx context.Context, verb string, _ memo) error { k.step(ctx, "allow row "+verb); return nil }
	return k
}

func (k *bank) step(ctx context.Context, what string) {
	if ctx.Value(txKey{}) == nil {
		what += " outside"
	}
	k.steps = append(k.steps, what)
}

// run is the application's transaction.
func (k *bank) run(ctx context.Context, do func(context.Context) error) error {
	k.steps = append(k.steps, "begin")
	before := maps.Clone(k.rows)
	if err := do(context.WithValue(ctx, txKey{}, true)); err != nil {
		k.rows = before
		k.steps = append(k.steps, "rollback")
		return err
	}
	k.steps = append(k.steps, "commit")
	return nil
}

const (
	createMemo = `{"type":"call","id":5,"router":"memos","verb":"create","data":{"title":"x"}}`
	updateMemo = `{"type":"call","id":5,"router":"memos","verb":"update","key":"1","version":4,"data":{"title":"x"}}`
	deleteMemo = `{"type":"call","id":5,"router":"memos","verb":"delete","key":"1","version":4}`
)

func TestVerbsRunInTheTransactionAndPublishAfterIt(t *testing.T) {
	for message, want := range map[string][2]string{
		createMemo: {"begin, scope, before create, validate, create, after create, commit", "create memos 3"},
		updateMemo: {"begin, scope, get 1, allow row update, before update, validate, update, after update, commit", "update memos 1"},
		deleteMemo: {"begin, scope, get 1, allow row delete, before delete, delete, after delete, commit", "delete memos 1"},
	} {
		k := newBank()
		b := newBench(t, live.Options{}, k)
		if answer := b.say(message)[0]; !strings.HasPrefix(answer, `{"type":"result","id":5,"cursor":"`) {
			t.Errorf("%s: %s %s", message, answer, b.log)
		}
		equal(t, message, strings.Join(k.steps, ", "), want[0])
		b.wantTold(want[1])
	}
}

func TestNothingIsPublishedBeforeTheCommit(t *testing.T) {
	k := newBank()
	var b *bench
	k.Tx = func(ctx context.Context, do func(context.Context) error) error {
		err := k.run(ctx, do)
		b.wantTold()
		return err
	}
	b = newBench(t, live.Options{}, k)
	b.say(createMemo)
	b.wantTold("create memos 3")
}

// failures are what can go wrong in a transaction: each undoes it.
func failures(fail func() error) map[string]func(*bank) {
	return map[string]func(*bank){
		"Before":   func(k *bank) { k.Before = func(context.Context, *live.Write[memo]) error { return fail() } },
		"Validate": func(k *bank) { k.Validate = func(context.Context, *memo, memo) error { return fail() } },
		"AllowRow": func(k *bank) { k.AllowRow = func(context.Context, string, memo) error { return fail() } },
		"Update": func(k *bank) {
			update := k.Update
			k.Update = func(ctx context.Context, was, now memo) (memo, error) {
				now, err := update(ctx, was, now)
				return now, errors.Join(err, k.Changed(ctx, now), fail())
			}
		},
		"After": func(k *bank) {
			k.After = func(ctx context.Context, w *live.Write[memo]) {
				_ = k.Changed(ctx, *w.Now)
				panic(fail())
			}
		},
	}
}

func TestTransactionIsUndoneWhenAnythingFails(t *testing.T) {
	for how, fail := range map[string]func() error{
		"error": func() error { return errors.New("oh") },
		"panic": func() error { panic("oh") },
	} {
		for what, set := range failures(fail) {
			for hidden, tx := range map[string]func(*bank){
				"": func(*bank) {},
				" that is hid": func(k *bank) {
					k.Tx = func(ctx context.Context, do func(context.Context) error) error { _ = k.run(ctx, do); return nil }
				},
			} {
				t.Run(what+" "+how+hidden, func(t *testing.T) {
					k := newBank()
					set(k)
					tx(k)
					b := newBench(t, live.Options{}, k)
					before := k.snapshot()
					b.refused(500, "internal", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")
					equal(t, "last step", k.steps[len(k.steps)-1], "rollback")
					equal(t, "rows", k.snapshot(), before)
					if b.say(updateMemo); !strings.Contains(b.log.String(), "oh") {
						t.Errorf("not logged: %s", b.log)
					}
					b.wantTold()
				})
			}
		}
	}
}

func TestTransactionThatDoesNotCommit(t *testing.T) {
	taken := &live.Error{Code: "taken", Status: 409}
	for name, test := range map[string]struct {
		tx   func(k *bank, ctx context.Context, do func(context.Context) error) error
		code string
		log  string
	}{
		"an error of the commit": {func(k *bank, ctx context.Context, do func(context.Context) error) error {
			return errors.Join(k.run(ctx, do), taken)
		}, "taken", ""},
		"nothing called": {func(*bank, context.Context, func(context.Context) error) error { return nil }, "internal",
			"Tx returned without calling what it was given"},
		"a panic": {func(k *bank, ctx context.Context, do func(context.Context) error) error {
			_ = k.run(ctx, do)
			panic("oh")
		}, "internal", "oh"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newBank()
			k.Tx = func(ctx context.Context, do func(context.Context) error) error { return test.tx(k, ctx, do) }
			b := newBench(t, live.Options{}, k)
			if answer := b.say(createMemo)[0]; !strings.Contains(answer, `"code":"`+test.code+`"`) {
				t.Error(answer)
			}
			if !strings.Contains(b.log.String(), test.log) {
				t.Errorf("logged %s", b.log)
			}
			b.wantTold()
		})
	}
}

func TestTransactionMayRunAgain(t *testing.T) {
	serialization := errors.New("could not serialize access")
	for name, first := range map[string]error{"after an error": serialization, "after an error of the commit": nil} {
		t.Run(name, func(t *testing.T) {
			k := newBank()
			red := marksOf("red")
			runs := 0
			var late context.Context
			create := k.Create
			k.Create = func(ctx context.Context, in memo) (memo, error) {
				if runs++; runs == 1 {
					late = context.WithoutCancel(ctx)
				}
				err := red.Created(ctx, mark{int64(runs), "a"})
				if runs == 1 {
					return in, errors.Join(err, k.Created(ctx, memo{ID: 77}), first)
				}
				in, _ = create(ctx, in)
				return in, err
			}
			k.Tx = func(ctx context.Context, do func(context.Context) error) error {
				if err := k.run(ctx, do); !errors.Is(err, first) {
					t.Errorf("the first run: %v", err)
				}
				return k.run(ctx, do)
			}
			b := newBench(t, live.Options{}, k, red)
			b.want(201, "…", "POST", "/live/memos", `{"title":"x"}`)
			b.wantTold("create red 2, create memos 3")
			if err := red.Created(late, mark{9, "a"}); err != nil {
				t.Error(err)
			}
			b.wantTold("create red 2, create memos 3", "create red 9")
		})
	}
}

func TestTransactionWithAContextOfItsOwn(t *testing.T) {
	k := newBank()
	k.Scope = live.Everyone
	red := marksOf("red")
	k.Tx = func(_ context.Context, do func(context.Context) error) error { return do(context.Background()) }
	k.After = func(ctx context.Context, _ *live.Write[memo]) { _ = red.Created(ctx, mark{1, "a"}) }
	b := newBench(t, live.Options{}, k, red)
	b.want(201, "…", "POST", "/live/memos", `{"title":"x"}`)
	b.wantTold("create memos 3, create red 1")
}

func TestConflictInATransactionIsAnsweredWithTheRowOutsideOfIt(t *testing.T) {
	k := newBank()
	k.Update = func(_ context.Context, was, now memo) (memo, error) {
		k.put(memo{ID: 1, OwnerID: 1, Title: "undone", Version: 99})
		return now, live.ErrConflict
	}
	b := newBench(t, live.Options{}, k)
	b.want(409, `{"title":"Conflict","status":409,"code":"conflict","detail":"the row was changed by somebody else","current":`+milk+`}`,
		"PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4")
	if i := slices.Index(k.steps, "rollback"); i < 0 || !slices.Contains(k.steps[i:], "get 1 outside") {
		t.Errorf("steps: %v", k.steps)
	}
	b.wantTold()
}

func TestBatchAroundATransaction(t *testing.T) {
	k := newBank()
	b := newBench(t, live.Options{}, k)
	err := b.hub.Batch(t.Context(), func(ctx context.Context) error {
		return k.run(ctx, func(ctx context.Context) error {
			err := k.Created(ctx, k.put(memo{OwnerID: 1}))
			b.wantTold()
			return err
		})
	})
	if err != nil {
		t.Error(err)
	}
	b.wantTold("create memos 3")
}

package live_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

func TestTransactionOfAnAdapter(t *testing.T) {
	b, red, l := newTxBench(t, true)
	told := func(ctx context.Context, id int64) {
		t.Helper()
		if err := red.Created(ctx, mark{id, "a"}); err != nil {
			t.Error(err)
		}
	}
	ctx, whole := live.Begin(t.Context())
	told(ctx, 1)
	told(whole.In(t.Context()), 2)
	inner, part := live.Begin(ctx)
	told(inner, 3)
	if err := part.Store(ctx, nil); err != nil { // the whole one does
		t.Error(err)
	}
	if err := part.Commit(ctx); err != nil {
		t.Error(err)
	}
	inner, part = live.Begin(whole.In(t.Context()))
	told(inner, 4)
	deeper, _ := live.Begin(inner)
	told(deeper, 5)
	part.Rollback()
	told(deeper, 6) // after its end: of what is around it
	inner, _ = live.Begin(ctx)
	told(inner, 7)
	deeper, _ = live.Begin(inner) // open savepoints end with the transaction
	told(deeper, 8)
	told(live.Outside(deeper), 9)
	b.wantTold("create red 9")
	tx, err := l.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Store(ctx, tx); err != nil {
		t.Fatal(err)
	}
	told(ctx, 10) // too late for the transaction, and not lost
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	stored := "create red 1, create red 2, create red 3, create red 6, create red 7, create red 8"
	b.wantTold("create red 9", stored)
	for range 2 { // the second does nothing
		if err := whole.Commit(ctx); err != nil {
			t.Error(err)
		}
		whole.Rollback()
	}
	if l.wakes != 1 {
		t.Errorf("the outbox was woken %d times", l.wakes)
	}
	told(deeper, 11)
	b.wantTold("create red 9", stored, "create red 10", "create red 11")
}

// A part that ends after the whole was rolled back is rolled back with it.
func TestPartDoesNotOutliveTheTransaction(t *testing.T) {
	b, red, _ := newTxBench(t, false)
	ctx, whole := live.Begin(t.Context())
	inner, part := live.Begin(ctx)
	if err := b.hub.Batch(inner, func(ctx context.Context) error {
		err := red.Created(ctx, mark{1, "a"})
		whole.Rollback()
		return err
	}); err != nil {
		t.Error(err)
	}
	if err := part.Commit(ctx); err != nil {
		t.Error(err)
	}
	b.wantTold()
}

func TestTransactionIsSafeForConcurrentUse(t *testing.T) {
	b, red, l := newTxBench(t, true)
	err := live.Tx(t.Context(), l.db, func(ctx context.Context, tx *sql.Tx) error {
		var all sync.WaitGroup
		for i := range int64(20) {
			all.Go(func() {
				inner, part := live.Begin(ctx)
				_ = red.Created(inner, mark{2 * i, "a"})
				_ = red.Created(ctx, mark{2*i + 1, "a"})
				if i%2 == 0 {
					_ = part.Commit(ctx)
				} else {
					part.Rollback()
				}
			})
		}
		all.Wait()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if n := len(b.spy.changes(t)); n != 30 || len(b.spy.told(t)) != 1 {
		t.Errorf("%d changes: %v", n, b.spy.told(t))
	}
}

// nesting makes random transactions, savepoints and batches, and knows what is to be on the log.
type nesting struct {
	*rand.Rand
	t    *testing.T
	b    *bench
	red  *live.Router[mark]
	l    *ledger
	next int64
	want []string // the entries
}

var errNesting = errors.New("undo")

// do runs some steps in a context that is in a Tx or a batch or both, and returns what they would publish if all around
// succeeds, and what if what is around, up to the Tx, fails.
func (n *nesting) do(ctx context.Context, depth int) (all, firm []int64) {
	for range n.IntN(4) {
		switch tx, _ := live.TxOf(ctx, n.l.db); {
		case depth > 4 || n.IntN(3) == 0:
			n.next++
			if tx != nil {
				if err := put(ctx, tx, fmt.Sprint(n.next)); err != nil {
					n.t.Error(err)
				}
			}
			if err := n.red.Created(ctx, mark{n.next, "a"}); err != nil {
				n.t.Error(err)
			}
			all = append(all, n.next)
		case n.IntN(2) == 0:
			inside := n.inBatch(ctx, depth)
			all, firm = append(all, inside.all...), append(firm, inside.firm...)
		default:
			inside := n.inTx(ctx, depth)
			all, firm = append(all, inside...), append(firm, inside...)
		}
	}
	return all, firm
}

// kept is what is to be published: all, or what stands though the batch fails.
type kept struct{ all, firm []int64 }

// fail ends what runs in one of the ways in which it can fail, or not.
func (n *nesting) fail() error {
	switch n.IntN(6) {
	case 0:
		return errNesting
	case 1:
		panic(errNesting)
	}
	return nil
}

func survive(do func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errNesting
		}
	}()
	return do()
}

func (n *nesting) inBatch(ctx context.Context, depth int) (out kept) {
	err := survive(func() error {
		return n.b.hub.Batch(ctx, func(ctx context.Context) error {
			out.all, out.firm = n.do(ctx, depth+1)
			return n.fail()
		})
	})
	if err != nil {
		out.all = out.firm
	}
	return out
}

func (n *nesting) inTx(ctx context.Context, depth int) (all []int64) {
	err := survive(func() error {
		return live.Tx(ctx, n.l.db, func(ctx context.Context, _ *sql.Tx) error {
			all, _ = n.do(ctx, depth+1)
			return n.fail()
		})
	})
	if err != nil {
		return nil
	}
	return all
}

func entryOf(ids []int64) string {
	var parts []string
	for _, id := range ids {
		parts = append(parts, fmt.Sprintf("create red %d", id))
	}
	return strings.Join(parts, ", ")
}

func TestOnTheLogIsWhatHasCommitted(t *testing.T) {
	for _, outbox := range []bool{false, true} {
		for seed := range uint64(300) {
			b, red, l := newTxBench(t, outbox)
			n := &nesting{Rand: rand.New(rand.NewPCG(seed, 1)), t: t, b: b, red: red, l: l}
			var told []int64
			for range 4 {
				var ids []int64
				// With an outbox a Tx in a batch is an entry of its own, so it stands here at the outermost place only.
				if outbox || n.IntN(2) == 0 {
					ids = n.inTx(t.Context(), 0)
					told = append(told, ids...)
				} else {
					ids = n.inBatch(t.Context(), 0).all
				}
				if len(ids) > 0 {
					n.want = append(n.want, entryOf(ids))
				}
			}
			if got := b.spy.told(t); !slices.Equal(got, n.want) {
				t.Fatalf("seed %d, outbox %t: on the log\n%s\nwant\n%s", seed, outbox, strings.Join(got, "\n"), strings.Join(n.want, "\n"))
			}
			rows := strings.Fields(l.holds()) // and those that a Batch that failed in a Tx has stored, which stand
			for _, id := range told {
				if !slices.Contains(rows, fmt.Sprint(id)) {
					t.Fatalf("seed %d, outbox %t: %d was told and not committed", seed, outbox, id)
				}
			}
			_ = b.hub.Shutdown(context.Background())
		}
	}
}

func TestModelIsAllRoutersOfAType(t *testing.T) {
	red, blue, m := marksOf("red"), marksOf("blue"), desk()
	b := newBench(t, live.Options{}, red, m, blue)
	all, ok := b.hub.Model(mark{})
	if !ok {
		t.Fatal("no routers")
	}
	one, ok := b.hub.Model((*memo)(nil))
	if !ok {
		t.Fatal("no router")
	}
	row := memo{ID: 1, OwnerID: 1}
	if err := errors.Join(
		all.Created(t.Context(), mark{1, "a"}), all.Updated(t.Context(), &mark{1, "a"}, mark{1, "b"}),
		all.Changed(t.Context(), &mark{1, "c"}), all.Deleted(t.Context(), mark{1, "c"}),
		all.ChangedWhere(t.Context(), where.Eq("id", 1)), one.Changed(t.Context(), &row),
	); err != nil {
		t.Error(err)
	}
	b.wantTold("create blue 1, create red 1", "update blue 1, update red 1", "put blue 1, put red 1", "delete blue 1, delete red 1",
		"where blue, where red", "put memos 1")
	for what, err := range map[string]error{
		"nil":               all.Changed(t.Context(), (*mark)(nil)),
		"of another type":   all.Updated(t.Context(), mark{}, memo{}),
		"nothing":           one.Deleted(t.Context(), nil),
		"an unknown field":  all.ChangedWhere(t.Context(), where.Eq("nope", 1)),
		"was nil":           one.Updated(t.Context(), (*memo)(nil), row),
		"created of a text": one.Created(t.Context(), "row"),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "live: router ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, row := range []any{nil, 7, &[]mark{}} {
		none, ok := b.hub.Model(row)
		if err := errors.Join(none.Created(t.Context(), row), none.ChangedWhere(t.Context(), where.Where{})); ok || err != nil {
			t.Errorf("%T: %t, %v", row, ok, err)
		}
	}
}

// What one router cannot publish does not keep the others from it.
func TestModelPublishesOnTheRoutersThatCan(t *testing.T) {
	red, blue := marksOf("red"), marksOf("blue")
	oh := errors.New("oh")
	blue.Touches = []live.Toucher[mark]{live.Parent(red, func(mark) live.Key { return "7" })}
	red.List = func(context.Context, live.Query) ([]mark, error) { return nil, oh }
	b := newBench(t, live.Options{}, red, blue)
	all, _ := b.hub.Model(mark{})
	if err := all.Created(t.Context(), mark{1, "a"}); !errors.Is(err, oh) {
		t.Errorf("the error is %v", err)
	}
	b.wantTold("create blue 1, create red 1")
}

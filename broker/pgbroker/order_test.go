package pgbroker

import (
	"fmt"
	"slices"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/where/wheretest/postgres"
)

// TestOpenTransactionDelays holds a transaction open that wrote an entry, while others are appended. A reader that goes by the
// numbers alone, which is what does not do, loses that entry.
func TestOpenTransactionDelays(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	b := New(pool, ownLog(unbounded))
	first := appended(t, b, "before")[0]
	r := follow(t, b, first)

	naive, last := []string(nil), int64(0)
	readNaively := func() {
		rows, err := pool.Query(t.Context(), b.names.fill(`SELECT seq, convert_from(data, 'UTF8') FROM {log} WHERE seq > $1 ORDER BY seq`), last)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var data string
			if err := rows.Scan(&last, &data); err != nil {
				t.Fatal(err)
			}
			naive = append(naive, data)
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	}

	slow := begin(t, pool)
	if err := b.AppendTx(t.Context(), Execer(slow), []byte("slow 1")); err != nil {
		t.Fatal(err)
	}
	at := appended(t, b, "quick 1", "quick 2")
	readNaively()
	if h := head(t, b); h != first {
		t.Errorf("Head is %v while an older transaction is open, want %v", h, first)
	}
	own := follow(t, b, at[1]) // its place in the order is known before it can be read
	if err := b.AppendTx(t.Context(), Execer(slow), []byte("slow 2")); err != nil {
		t.Fatal(err)
	}
	at = append(at, appended(t, b, "quick 3")...)
	select {
	case got := <-r.news:
		t.Fatalf("%q came before the older transaction ended", got)
	case err := <-r.done:
		t.Fatal(err)
	default:
	}
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"slow 1", "slow 2", "quick 1", "quick 2", "quick 3"}
	r.gets(want...)
	own.gets("quick 3")
	if h := head(t, b); h != at[2] {
		t.Errorf("Head is %v after all ended, want %v", h, at[2])
	}
	if got := held(t, b); !slices.Equal(got, append([]string{"before"}, want...)) {
		t.Errorf("read from the beginning it is %q", got)
	}
	readNaively()
	if slices.Contains(naive, "slow 1") {
		t.Errorf("a reader by numbers has %q: this test does not show what it is to show", naive)
	}
}

// TestTransactionOfSomebodyElse holds a transaction open that has nothing to do with the log, and rolls it back: nothing notifies of its end.
func TestTransactionOfSomebodyElse(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	b := New(pool, ownLog(unbounded))
	r := follow(t, b, head(t, b))
	for i, end := range []string{"ROLLBACK", "COMMIT"} {
		other := begin(t, pool)
		if _, err := other.Exec(t.Context(), fmt.Sprintf("CREATE TABLE other%d (id int)", i)); err != nil {
			t.Fatal(err)
		}
		before := head(t, b)
		appended(t, b, end)
		if h := head(t, b); h != before {
			t.Errorf("Head moved to %v under an open transaction", h)
		}
		if _, err := other.Exec(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		r.gets(end)
	}
	// One that was prepared holds its id until somebody ends it.
	other := begin(t, pool)
	for _, sql := range []string{"CREATE TABLE prepared (id int)", "PREPARE TRANSACTION 'forgotten'"} {
		if _, err := other.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	before := head(t, b)
	appended(t, b, "late")
	if h := head(t, b); h != before {
		t.Errorf("Head moved to %v under a prepared transaction", h)
	}
	execute(t, b, "ROLLBACK PREPARED 'forgotten'")
	r.gets("late")
}

// TestReadersDelayNothing holds transactions open that only read.
func TestReadersDelayNothing(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	b := New(pool, ownLog(unbounded))
	appended(t, b, "one")
	dump := begin(t, pool)
	if _, err := dump.Exec(t.Context(), "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY"); err != nil {
		t.Fatal(err)
	}
	if _, err := dump.Exec(t.Context(), b.names.fill("SELECT * FROM {log}")); err != nil {
		t.Fatal(err)
	}
	at := appended(t, b, "two")
	if h := head(t, b); h != at[0] {
		t.Errorf("Head is %v, want %v", h, at[0])
	}
}

// TestManyTransactionsAtOnce lets transactions of several entries overlap in every way, some of them rolled back, and reads beside them.
func TestManyTransactionsAtOnce(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL()+"&pool_max_conns=20")
	b := New(pool, ownLog(unbounded))
	r := follow(t, b, head(t, b))
	const writers, rounds = 8, 25
	wrote := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := range rounds {
				if err := writeInTurns(t, b, fmt.Sprintf("%d/%d", w, i), i%5 == 4); err != nil {
					wrote <- err
					return
				}
			}
			wrote <- nil
		}()
	}
	next := make([]int, writers) // round of each writer
	for range writers * (rounds - rounds/5) {
		var first string
		select {
		case first = <-r.news:
		case err := <-r.done:
			t.Fatal(err)
		}
		var w, i, k int
		if _, err := fmt.Sscanf(first, "%d/%d:%d", &w, &i, &k); err != nil || k != 0 || i != next[w] || i%5 == 4 {
			t.Fatalf("%q came, want the first of round %d of writer %d: %v", first, next[w], w, err)
		}
		if next[w]++; next[w]%5 == 4 {
			next[w]++ // was rolled back
		}
		r.gets(fmt.Sprintf("%d/%d:1", w, i), fmt.Sprintf("%d/%d:2", w, i))
	}
	for range writers {
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
	}
	appended(t, b, "end")
	r.gets("end")
}

// writeInTurns writes three entries in a transaction.
func writeInTurns(t *testing.T, b *Broker, name string, undo bool) error {
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		return err
	}
	for i := range 3 {
		if err := b.AppendTx(t.Context(), Execer(tx), fmt.Appendf(nil, "%s:%d", name, i)); err != nil {
			return err
		}
	}
	if undo {
		return tx.Rollback(t.Context())
	}
	return tx.Commit(t.Context())
}

// TestPositionsAreNeverGuessed looks for what a cursor that was made up, or came from another branch of history, would meet.
func TestPositionsAreNeverGuessed(t *testing.T) {
	server := postgres.New(t)
	b := New(newPool(t, server.URL()), ownLog(unbounded))
	at := appended(t, b, "one", "two", "three")
	for _, p := range []broker.Position{
		{Epoch: at[1].Epoch, Major: at[1].Major, Minor: at[1].Minor + 1},
		{Epoch: at[1].Epoch, Major: at[1].Major, Minor: at[1].Minor - 1},
		{Epoch: at[1].Epoch, Major: at[1].Major, Minor: 0},
		{Epoch: at[1].Epoch, Major: at[1].Major, Minor: 1<<64 - 1},
		{Epoch: at[1].Epoch, Major: 1<<64 - 1},
		{Epoch: at[1].Epoch + 1, Major: at[1].Major, Minor: at[1].Minor},
		{Epoch: 1<<64 - 1, Major: at[1].Major, Minor: at[1].Minor},
		{Epoch: 0, Major: at[1].Major, Minor: at[1].Minor},
	} {
		follow(t, b, p).expires()
	}
	follow(t, b, at[1]).gets("three")
}

package pgbroker

import (
	"strings"
	"sync"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/where/wheretest/postgres"
)

// TestDestroyed does to the tables what a broker never does, under a follower that waits at the end, one at an older entry and one that
// was given nothing. Nothing may be passed over in silence.
func TestDestroyed(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	const unseen = `SET session_replication_role = replica; ` // no trigger runs
	for _, c := range []struct {
		name, sql string
		// goesOn says that who has seen the newest entry has lost nothing.
		goesOn bool
	}{
		{name: "truncated", sql: `TRUNCATE {log}`},
		{name: "truncated with its meta table", sql: `TRUNCATE {log}, {meta}`},
		{name: "dropped", sql: `DROP TABLE {log}, {meta} CASCADE`},
		{name: "meta row deleted", sql: `DELETE FROM {meta}`},
		{name: "all deleted", sql: `DELETE FROM {log}`, goesOn: true},
		{name: "some deleted", sql: `DELETE FROM {log} WHERE data = 'two'`, goesOn: true},
		{name: "newest deleted, and no trigger", sql: unseen + `DELETE FROM {log} WHERE data = 'three'; RESET session_replication_role`},
		{name: "all deleted, and no trigger", sql: unseen + `DELETE FROM {log}; RESET session_replication_role`},
		{name: "restored from another server", sql: `INSERT INTO {log} (xid, data) VALUES ('1000000', 'theirs')`},
		{name: "restored and trimmed", sql: `UPDATE {meta} SET trimmed_xid = '1000000'`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := New(pool, ownLog(unbounded))
			at := appended(t, b, "one", "two", "three")
			old := head(t, b)
			waits, other := follow(t, b, at[2]), follow(t, New(pool, b.options), old)
			execute(t, b, c.sql)
			// Before the next entry, or after it: who does not look meanwhile must be told too.
			if !c.goesOn {
				waits.expires()
				other.expires()
			}
			appended(t, b, "four")
			follow(t, b, at[0]).expires()
			if c.goesOn {
				waits.gets("four")
				other.gets("four")
				follow(t, b, at[2]).gets("four")
			} else {
				follow(t, New(pool, b.options), at[2]).expires()
				if h := head(t, b); h.Epoch == old.Epoch {
					t.Error("the epoch is the old one")
				}
			}
			fresh := follow(t, b, broker.Position{})
			for got := ""; got != "four"; {
				select {
				case got = <-fresh.news:
				case err := <-fresh.done:
					t.Fatal(err)
				}
				if got == "theirs" || c.goesOn && got == "one" {
					t.Errorf("%q came", got)
				}
			}
		})
	}
}

// TestDeletedBeforeItCouldBeRead deletes an entry while an older transaction is open: an entry that comes before it may still come.
func TestDeletedBeforeItCouldBeRead(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	b := New(pool, ownLog(unbounded))
	at := appended(t, b, "one")
	slow := begin(t, pool)
	if err := b.AppendTx(t.Context(), Execer(slow), []byte("slow")); err != nil {
		t.Fatal(err)
	}
	appended(t, b, "quick")
	execute(t, b, `DELETE FROM {log} WHERE data = 'quick'`)
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	follow(t, b, at[0]).expires()
	follow(t, b, broker.Position{}).gets("one", "slow")
}

// TestRunsBackwards takes away entries that two instances have seen, as a fail-over to a replica that lagged does: they make one
// new epoch, not two, and one that has seen only what is left is told as well.
func TestRunsBackwards(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	o := ownLog(unbounded)
	b := New(pool, o)
	at := appended(t, b, "kept", "lost", "lost")
	var instances []*Broker
	for range 8 {
		i := New(pool, o)
		head(t, i)
		instances = append(instances, i)
	}
	left := New(pool, o)
	r := follow(t, left, broker.Position{Epoch: at[0].Epoch})
	r.gets("kept", "lost", "lost")
	execute(t, b, `SET session_replication_role = replica; DELETE FROM {log} WHERE data = 'lost'; RESET session_replication_role`)
	epochs := map[uint64]bool{}
	var mu sync.Mutex
	var running sync.WaitGroup
	for _, i := range instances {
		running.Go(func() {
			p, err := i.Head(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			epochs[p.Epoch] = true
		})
	}
	running.Wait()
	if len(epochs) != 1 || epochs[at[0].Epoch] {
		t.Errorf("the epochs after %d are %v, want one that is new", at[0].Epoch, epochs)
	}
	r.expires()
	follow(t, New(pool, o), at[0]).expires() // of the old epoch
	follow(t, b, broker.Position{}).gets("kept")
}

// TestCommittedInACrash kills the server: what it had committed is still there, and the epoch is the same.
func TestCommittedInACrash(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL())
	b := New(pool, ownLog(unbounded))
	at := appended(t, b, "one", "two", "three")
	server.Kill()
	server.Start()
	eventually(t, "the server answers", func() bool { _, err := b.Head(t.Context()); return err == nil })
	if h := head(t, b); h != at[2] {
		t.Errorf("after a crash Head is %v, want %v", h, at[2])
	}
	r := follow(t, b, at[0])
	r.gets("two", "three")
	appended(t, b, "four")
	r.gets("four")
}

// TestTables looks at how the tables come to be.
func TestTables(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.URL()+"&pool_max_conns=20")

	t.Run("at once", func(t *testing.T) {
		for range 5 {
			o := ownLog(unbounded)
			var running sync.WaitGroup
			for range 8 {
				running.Go(func() {
					if _, err := New(pool, o).Append(t.Context(), []byte("x")); err != nil {
						t.Error(err)
					}
				})
			}
			running.Wait()
			if got := held(t, New(pool, o)); len(got) != 8 {
				t.Errorf("there are %d entries, want 8", len(got))
			}
		}
	})
	t.Run("by migration", func(t *testing.T) {
		o := ownLog(unbounded)
		o.NoCreate, o.Schema = true, `own "schema`
		execute(t, New(pool, o), `CREATE SCHEMA "own ""schema"`)
		for _, call := range []func(b *Broker) error{
			func(b *Broker) error { _, err := b.Append(t.Context(), nil); return err },
			func(b *Broker) error { _, err := b.Head(t.Context()); return err },
			func(b *Broker) error { return b.Follow(t.Context(), broker.Position{}, nil) },
			func(b *Broker) error { return b.AppendTx(t.Context(), nil, nil) },
		} {
			if err := call(New(pool, o)); err == nil || !strings.Contains(err.Error(), "pgbroker.Migration") {
				t.Errorf("without tables it says %v", err)
			}
		}
		b := New(pool, o)
		execute(t, b, Migration(o))
		at := appended(t, b, "one")
		execute(t, b, Migration(o)) // again: nothing is lost
		appended(t, b, "two")
		follow(t, b, at[0]).gets("two")
	})
	t.Run("names", func(t *testing.T) {
		for _, o := range []Options{{Table: strings.Repeat("x", 51)}, {Table: "a$b"}, {Schema: "a$b"}, {Schema: strings.Repeat("x", 64)}} {
			b := New(pool, o)
			if _, err := b.Append(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "Options.") {
				t.Errorf("%+v: Append says %v", o, err)
			}
			if _, err := b.Head(t.Context()); err == nil || !strings.Contains(err.Error(), "Options.") {
				t.Errorf("%+v: Head says %v", o, err)
			}
			if err := b.AppendTx(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "Options.") {
				t.Errorf("%+v: AppendTx says %v", o, err)
			}
		}
	})
}

package pgbroker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/brokertest"
	"github.com/swampline/live/where/wheretest/postgres"
)

// TestPgBouncer runs the suite by way of PgBouncer, with a way around it for LISTEN.
func TestPgBouncer(t *testing.T) {
	server := postgres.New(t)
	pool := newPool(t, server.Bouncer("transaction"))
	listen, err := pgx.ParseConfig(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	o := unbounded
	o.Listen = listen
	h := harness(server, pool, o)
	h.Many = 2000
	h.Away = nil // PgBouncer waits for the server in our place: TestPaused has that
	h.Restart = func(t testing.TB, b broker.Broker) {
		server.Restart()
		eventually(t, "the server answers", func() bool { _, err := b.Head(context.WithoutCancel(t.Context())); return err == nil })
	}
	brokertest.Run(t, h)
}

// TestPgBouncerAlone does by way of PgBouncer what the suite does not, and LISTEN too: there nothing arrives, and followers poll.
func TestPgBouncerAlone(t *testing.T) {
	server := postgres.New(t)
	at := server.Bouncer("transaction")
	pool, other := newPool(t, at+"&default_query_exec_mode=exec"), newPool(t, at)
	o := ownLog(Options{MaxEntries: 50})
	b := New(pool, o)
	r := follow(t, New(other, o), head(t, b))
	undo := errors.New("undo")
	for i := range 30 {
		data := fmt.Sprint(i)
		err := Tx(t.Context(), pool, func(ctx context.Context, tx pgx.Tx) error {
			if err := b.AppendTx(ctx, Execer(tx), []byte(data)); err != nil {
				return err
			}
			err := Tx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
				return errors.Join(undo, b.AppendTx(ctx, Execer(tx), []byte("undone")))
			})
			if err.Error() != undo.Error() {
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		appended(t, b, "and")
		r.gets(data, "and")
	}
	appended(t, b, numbers(0, 50)...)
	for end := time.Now().Add(30 * time.Second); len(held(t, b)) > 53; trimmed(t, b) { // the follower's broker may be at it, with an older bound
		if time.Now().After(end) {
			t.Fatalf("%d entries are held", len(held(t, b)))
		}
	}
}

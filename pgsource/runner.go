package pgsource

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// lockClass is the first half of the advisory locks: that of the migration, whose second half is 0, and that of the runner, whose
// second half is the capture table's oid.
const lockClass = 0x6c697665

// Run publishes what is captured until ctx ends, and returns nil then. Where other processes run a source of the same Schema it
// waits for its turn. It tries again when the database or the broker cannot be reached, and writes that to the log. Its error is a mistake in
// the declaration, such as a column that is missing, or a connection for the runner that cannot keep its lock ([Options.Listen]).
//
// Funcs of the routers that it calls, to load nested rows or parents, are given its ctx: they must see all rows.
func (s *Source) Run(ctx context.Context) error {
	const most = 5 * time.Second
	pause := 100 * time.Millisecond
	for {
		began := time.Now()
		err := s.run(ctx)
		var mistake *declarationError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &mistake):
			return err
		case time.Since(began) > time.Minute:
			pause = 100 * time.Millisecond
		}
		s.options.Logger.WarnContext(ctx, "live: pgsource: changes are not published for now", "err", err, "again", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, most)
	}
}

// run works with one connection, until it breaks.
func (s *Source) run(ctx context.Context) error {
	if err := s.Install(ctx); err != nil {
		return err
	}
	r := &runner{Source: s}
	if err := r.connect(ctx); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = r.conn.Close(ctx) // it may be broken, and the lock ends with it
	}()
	if err := r.lock(ctx); err != nil {
		return err
	}
	for {
		r.woken = false
		if err := r.drain(ctx); err != nil {
			return err
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// runner is a source at work, on one connection, which holds the lock: when it is lost nothing more is read.
type runner struct {
	*Source
	conn  *pgx.Conn
	woken bool
	types map[string]types // by router
}

// patience bounds a statement, so that a connection whose other end has vanished is given up.
const patience = time.Minute

func (r *runner) exec(ctx context.Context, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := r.conn.Exec(ctx, sql, args...)
	return err
}

// connect makes the runner's connection, which the server is to give up soon when this machine vanishes, for the lock is on it.
func (r *runner) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pool := r.pool.Config()
	config := r.options.Listen
	if config == nil {
		config = pool.ConnConfig
	}
	config = config.Copy()
	config.OnNotification = nil
	config.Config.OnNotification = r.notified
	var err error
	if r.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		return err
	}
	if pool.AfterConnect != nil {
		err = pool.AfterConnect(ctx, r.conn)
	}
	if err == nil {
		err = r.keepsSession(ctx, config)
	}
	if err == nil {
		_, err = r.conn.Exec(ctx, "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; LISTEN "+
			quote(r.channel()), pgx.QueryExecModeSimpleProtocol)
	}
	if err == nil {
		err = r.describe(ctx)
	}
	if err != nil {
		_ = r.conn.Close(ctx)
	}
	return err
}

// describe learns the columns' types: of a domain, what it is made of.
func (r *runner) describe(ctx context.Context) error {
	r.types = map[string]types{}
	for _, t := range r.tables {
		statement, err := r.conn.PgConn().Prepare(ctx, "", "SELECT "+t.columnList()+" FROM "+t.name, nil)
		if err != nil {
			return fmt.Errorf("router %s: %w", t.router, err)
		}
		of := types{known: r.conn.TypeMap()}
		for _, f := range statement.Fields {
			of.oids = append(of.oids, f.DataTypeOID)
		}
		r.types[t.router] = of
	}
	return nil
}

// turn is how often a runner that waits asks whether it is its turn, at least: the one before may have ended just now, and its connection a little later.
const turn = time.Second

// lock waits until no other runner has the lock. It asks again and again: a statement that waits would keep VACUUM from its work.
func (r *runner) lock(ctx context.Context) error {
	for {
		var mine bool
		asking, cancel := context.WithTimeout(ctx, patience)
		err := r.conn.QueryRow(asking, `SELECT pg_try_advisory_lock($1, $2::regclass::oid::int8::bit(32)::int4)`, lockClass, r.changes()).Scan(&mine)
		cancel()
		if err != nil || mine {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(r.options.Poll, turn)):
		}
	}
}

// wait returns when something was written, or when it is time to look.
func (r *runner) wait(ctx context.Context) error {
	if r.woken {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, r.options.Poll)
	defer cancel()
	err := r.conn.PgConn().WaitForNotification(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil && !r.conn.IsClosed() {
		return nil
	}
	return err
}

// query is the cursor over all that is committed: transactions in the order of their last entries, each with its entries together.
func (s *Source) query() string {
	var routers []string
	for _, t := range s.tables {
		routers = append(routers, literal(t.router))
	}
	return `DECLARE live_pgsource NO SCROLL CURSOR WITH HOLD FOR
		SELECT seq, xid::text, router, op, was::text, now::text FROM (
			SELECT *, max(seq) OVER (PARTITION BY xid) AS last FROM ` + s.changes() + ` WHERE router IN (` + strings.Join(routers, ", ") + `)
		) e ORDER BY last, seq`
}

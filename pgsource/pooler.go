package pgsource

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// looks is how often a pooler is asked for the same session twice. One look shows it unless others take sessions at the same moment.
const looks = 10

// keepsSession refuses a connection whose transactions are not all of one session of PostgreSQL, as those of PgBouncer in transaction mode. There
// the lock would be some other client's as well: two runners would have it, or, after one has died, none would get it. And nobody would be woken.
func (r *runner) keepsSession(ctx context.Context, config *pgx.ConnConfig) error {
	mine, err := backend(ctx, r.conn)
	if err != nil || mine == r.conn.PgConn().PID() {
		return err // a pooler makes up the number that it tells who connects
	}
	brief, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	other, err := pgx.ConnectConfig(brief, config)
	if err != nil {
		return nil // a pooler that keeps sessions may have none left
	}
	defer func() { _ = other.Close(context.WithoutCancel(brief)) }() // it has served its purpose
	for range looks {
		shared, err := r.shares(ctx, brief, other)
		if err != nil {
			return err
		}
		if shared {
			return wrong("the runner's connection is by way of a pooler that gives each transaction another session, as PgBouncer in transaction mode: " +
				"its lock and LISTEN are nothing worth there: let Options.Listen be an address of PostgreSQL itself, or of a pooler that keeps sessions")
		}
	}
	return nil
}

// shares reports whether the runner's session is found in a transaction of another connection, or has changed while that was open.
func (r *runner) shares(ctx, brief context.Context, other *pgx.Conn) (bool, error) {
	before, err := backend(ctx, r.conn)
	if err != nil {
		return false, err
	}
	tx, err := other.Begin(brief)
	if err != nil {
		return false, nil // it says nothing of the runner's
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(brief)) }() // or it ends with its connection
	theirs, err := backend(brief, other)
	if err != nil || theirs == before {
		return err == nil, nil
	}
	after, err := backend(ctx, r.conn)
	return after == theirs || after != before, err
}

// backend returns the process of the server that a statement is run by.
func backend(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid, err
}

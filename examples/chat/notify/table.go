package notify

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

const columns = "id, person, kind, topic, item, title, body, link, read, created_at, version"

// queryer is a *sql.DB or a *sql.Tx.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// in returns the transaction of ctx, or the database outside of one.
func (c *Center) in(ctx context.Context) queryer {
	if tx, ok := live.TxOf(ctx, c.db); ok {
		return tx
	}
	return c.db
}

func (c *Center) tx(ctx context.Context, do func(ctx context.Context) error) error {
	return live.Tx(ctx, c.db, func(ctx context.Context, _ *sql.Tx) error { return do(ctx) })
}

// query returns the notifications that a statement returns.
func (c *Center) query(ctx context.Context, query string, args ...any) ([]Notification, error) {
	rows, err := c.in(ctx).QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Notification
	for rows.Next() {
		var n Notification
		if err := rows.Scan(&n.ID, &n.Person, &n.Kind, &n.Topic, &n.Item, &n.Title, &n.Body, &n.Link, &n.Read, (*storedTime)(&n.CreatedAt), &n.Version); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, rows.Err()
}

// storedTime is a time.Time as where.FormatTime writes it.
type storedTime time.Time

func (t *storedTime) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("a time is stored as %T, want text", value)
	}
	parsed, err := where.ParseTime(text)
	*t = storedTime(parsed)
	return err
}

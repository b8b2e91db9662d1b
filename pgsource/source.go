package pgsource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/swampline/live"
)

// Options configure a Source. The zero value is right for one application in a database.
type Options struct {
	// Schema is where the capture table and the functions are. It is created when it is missing. Sources of different applications
	// in one database need one each. Empty means "live".
	Schema string

	// NoCreate says that Migration is run by somebody else. Run then fails when what it needs is not there, or is of another
	// declaration.
	NoCreate bool

	// MaxRows is how many rows of a statement are captured one by one; of more, subscribers are sent a new list. Zero means 1000.
	MaxRows int

	// Listen is how the runner's own connection is made, which must be one to PostgreSQL itself or to a pooler that keeps
	// sessions. Nil means as the pool's are.
	Listen *pgx.ConnConfig

	// Poll is how long the runner waits when nobody wakes it, and how often one that waits for its turn looks, at least once a second. Zero means 1 s.
	Poll time.Duration

	// Logger gets what could not be published as it was, and why the runner could not work. Nil means slog.Default().
	Logger *slog.Logger
}

// Source is what some routers' tables are captured by. New makes one. Its methods may be called by any goroutine.
type Source struct {
	pool    *pgxpool.Pool
	options Options
	tables  []*table
	byName  map[string]*table
	hub     *live.Hub
}

// New returns a source for tables, whose routers are all registered with one hub. It does not ask the database: Install and Run
// do. An error is a mistake in the declaration, and says how to mend it.
func New(pool *pgxpool.Pool, o Options, tables ...Captured) (*Source, error) {
	o.Schema = cmp.Or(o.Schema, "live")
	o.MaxRows = cmp.Or(max(o.MaxRows, 0), 1000)
	o.Poll = cmp.Or(max(o.Poll, 0), time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Source{pool: pool, options: o, byName: map[string]*table{}}
	if len(o.Schema) > longestName {
		return nil, fmt.Errorf("pgsource: the schema %q is longer than PostgreSQL's names may be: choose a shorter one", o.Schema)
	}
	for _, c := range tables {
		t, err := c.prepare()
		switch {
		case err != nil:
			return nil, fmt.Errorf("pgsource: %w", err)
		case s.byName[t.router] != nil:
			return nil, fmt.Errorf("pgsource: router %s: it is captured twice: its rows are those of one table", t.router)
		case s.hub != nil && s.hub != t.hub:
			return nil, fmt.Errorf("pgsource: router %s: it belongs to another hub than the routers before: make a Source for each, with an own Schema", t.router)
		}
		s.hub, s.byName[t.router] = t.hub, t
		s.tables = append(s.tables, t)
	}
	if len(s.tables) == 0 {
		return nil, errors.New("pgsource: there are no tables: name them with pgsource.Table")
	}
	return s, nil
}

// PublishedSQL makes a transaction one whose changes are not captured, because whoever runs it publishes them himself.
const PublishedSQL = "SET LOCAL live.published = 'on'"

// Published says that what the transaction changes, from now on, is published by the caller: the triggers write nothing. It ends with the
// transaction, or with a savepoint from before that is rolled back to. An error is that of the database.
func Published(ctx context.Context, tx interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}) error {
	_, err := tx.Exec(ctx, PublishedSQL)
	return err
}

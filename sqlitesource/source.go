package sqlitesource

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"github.com/swampline/live"
)

// Options configure a Source. The zero value is right for most.
type Options struct {
	// MaxRows is how many changed rows of a router are loaded anew at once; of more, subscribers are sent a new list. Zero means 1000.
	MaxRows int
	// Logger gets what could not be published as it was. Nil means slog.Default().
	Logger *slog.Logger
}

// Source is where connections note what they change. New makes one. Its methods may be called by any goroutine.
type Source struct {
	options Options

	tables atomic.Pointer[map[string]*table] // by folded name; the map is replaced, never changed

	capturing sync.Mutex // held by Capture, which uses connections

	mu    sync.Mutex
	hub   *live.Hub
	queue changes
	woken chan struct{} // holds one element when the queue is not empty
}

// New returns a source that captures nothing yet.
func New(o Options) *Source {
	o.MaxRows = cmp.Or(max(o.MaxRows, 0), 1000)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Source{options: o, queue: changes{}, woken: make(chan struct{}, 1)}
	s.tables.Store(&map[string]*table{})
	return s
}

// Open opens a database as sql.Open("sqlite", dsn) does, whose connections the source listens to.
func (s *Source) Open(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(s.Connector(c)), nil
}

// Connector makes a connector for sql.OpenDB of one whose connections are those of modernc.org/sqlite. Connect fails when they are
// others.
func (s *Source) Connector(c driver.Connector) driver.Connector { return connector{c, s} }

type connector struct {
	driver.Connector
	source *Source
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	known, ok := inner.(innerConn)
	if !ok {
		_ = inner.Close()
		return nil, fmt.Errorf("sqlitesource: the connector makes a %T, which has not the hooks of modernc.org/sqlite", inner)
	}
	return c.source.listen(known), nil
}

// Capture adds tables, whose routers are all registered with one hub. It may be called once the tables exist, and before Run. An error is a mistake in
// the declaration, and says how to mend it, or db's. Nothing is added then.
func (s *Source) Capture(ctx context.Context, db *sql.DB, tables ...Captured) error {
	s.capturing.Lock()
	defer s.capturing.Unlock()
	s.mu.Lock()
	hub := s.hub
	s.mu.Unlock()
	all := maps.Clone(*s.tables.Load())
	for _, c := range tables {
		t, err := c.prepare()
		if err != nil {
			return fmt.Errorf("sqlitesource: %w", err)
		}
		for _, known := range all {
			if known.router == t.router {
				return fmt.Errorf("sqlitesource: router %s: it is captured twice: its rows are those of one table", t.router)
			}
		}
		if all[t.folded()] != nil {
			return fmt.Errorf("sqlitesource: router %s: the table %q is captured for router %s already: let that one's rows touch this router's with live.Parent", t.router, t.name, all[t.folded()].router)
		}
		if hub != nil && hub != t.hub {
			return fmt.Errorf("sqlitesource: router %s: it belongs to another hub than the routers before: make a Source for each", t.router)
		}
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		err = t.check(ctx, conn)
		_ = conn.Close() // it goes back to the pool
		if err != nil {
			return fmt.Errorf("sqlitesource: router %s: %w", t.router, err)
		}
		hub, all[t.folded()] = t.hub, t
	}
	s.mu.Lock()
	s.hub = hub
	s.mu.Unlock()
	s.tables.Store(&all)
	return nil
}

// Run publishes what is captured until ctx ends, and returns nil then. It tries again when the broker or the database cannot be
// reached.
func (s *Source) Run(ctx context.Context) error {
	const first, most = 50 * time.Millisecond, 5 * time.Second
	pause := first
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.woken:
		}
		some := s.take()
		err := s.publish(ctx, some)
		if err == nil {
			pause = first
			continue
		}
		s.hand(some)
		if ctx.Err() != nil {
			return nil
		}
		s.options.Logger.WarnContext(ctx, "live: sqlitesource: changes are not published for now", "err", err, "again", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, most)
	}
}

// hand puts changes into the queue.
func (s *Source) hand(c changes) {
	if len(c) == 0 {
		return
	}
	s.mu.Lock()
	s.queue.add(c, s.options.MaxRows)
	s.mu.Unlock()
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (s *Source) take() changes {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.queue
	s.queue = changes{}
	return c
}

// publish puts changes on the log, as one batch.
func (s *Source) publish(ctx context.Context, c changes) error {
	s.mu.Lock()
	hub := s.hub
	s.mu.Unlock()
	if len(c) == 0 {
		return nil
	}
	return hub.Batch(ctx, func(ctx context.Context) error {
		for t, keys := range c {
			if keys.all {
				if err := t.bulk(ctx); err != nil {
					return err
				}
				continue
			}
			err := guard(func() error { return t.changedID(ctx, keys.order) })
			if err == nil {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.options.Logger.ErrorContext(ctx, "live: sqlitesource: rows cannot be loaded anew: subscribers read anew", "router", t.router, "err", err)
			if err := t.bulk(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

type publishedKey struct{}

// Published returns a context for statements whose changes the caller publishes himself: they are not captured.
func Published(ctx context.Context) context.Context {
	return context.WithValue(ctx, publishedKey{}, true)
}

func published(ctx context.Context) bool { return ctx.Value(publishedKey{}) != nil }

package pgbroker

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// company is what the follows of one broker share: one connection that listens, and one goroutine that trims. Both are there from when
// the first follow has to wait until the last ends, which waits for them.
type company struct {
	b *Broker

	mu      sync.Mutex
	members int
	end     func()        // ends the goroutines, and returns when they have ended
	changed chan struct{} // closed and replaced when there may be something to read
}

func (c *company) init(b *Broker) {
	c.b = b
	c.changed = make(chan struct{})
}

// news returns a channel that is closed when there may be something new to read.
func (c *company) news() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// wake lets all follows look.
func (c *company) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.members > 0 {
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// present reports whether somebody follows.
func (c *company) present() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members > 0
}

func (c *company) join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.members++; c.members > 1 {
		return
	}
	// No follow's own context: the others stay when it ends.
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.b.trimmer.run(ctx) })
	if !c.b.options.NoNotify {
		running.Go(func() { c.listen(ctx) })
	}
	c.end = func() { cancel(); running.Wait() }
}

func (c *company) leave() {
	c.mu.Lock()
	c.members--
	var end func()
	if c.members == 0 {
		end = c.end
	}
	c.mu.Unlock()
	if end != nil {
		end()
	}
}

// checkEvery is when a connection that was silent is asked whether it still lives.
const checkEvery = 30 * time.Second

// listen wakes the follows at each notification, until ctx ends.
func (c *company) listen(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		conn, err := c.connect(ctx)
		if err == nil {
			failures = 0
			c.wake() // for what was missed
			err = c.hear(ctx, conn)
			quit(conn)
		}
		if ctx.Err() != nil {
			return
		}
		if failures++; failures == 1 {
			c.b.options.Logger.Warn("pgbroker: no notifications come; polling until they do", "error", err)
		}
		sleep(ctx, min(5*time.Second, 50*time.Millisecond<<min(failures, 10)))
	}
}

// connect returns a connection that listens.
func (c *company) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.b.options.Timeout)
	defer cancel()
	var conn *pgx.Conn
	if config := c.b.options.Listen; config != nil {
		var err error
		if conn, err = pgx.ConnectConfig(ctx, config.Copy()); err != nil {
			return nil, err
		}
	} else {
		pooled, err := c.b.pool.Acquire(ctx) // so that all that the pool does with a new connection is done
		if err != nil {
			return nil, err
		}
		conn = pooled.Hijack()
	}
	if _, err := conn.Exec(ctx, c.b.names.fill("LISTEN {channel}")); err != nil {
		quit(conn)
		return nil, err
	}
	return conn, nil
}

// hear wakes the follows at each notification until the connection fails or ctx ends.
func (c *company) hear(ctx context.Context, conn *pgx.Conn) error {
	for {
		silence, cancel := context.WithTimeout(ctx, checkEvery)
		_, err := conn.WaitForNotification(silence)
		silent := silence.Err() != nil
		cancel()
		switch {
		case err == nil:
			c.wake()
		case ctx.Err() != nil || !silent:
			return err
		default:
			alive, cancel := context.WithTimeout(ctx, c.b.options.Timeout)
			err := conn.Ping(alive)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

// quit closes a connection, without waiting for a server that does not answer.
func quit(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = conn.Close(ctx) // it is given up, whatever the server says to that
}

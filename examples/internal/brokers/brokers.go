// Package brokers is what the examples have for -broker: several processes that share a log are one application, and each tells its browsers what
// any of them changed.
package brokers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/natsbroker"
	"github.com/swampline/live/broker/pgbroker"
	"github.com/swampline/live/broker/redisbroker"
	"github.com/swampline/live/outbox"
)

// Forms are the forms of -broker, but for none.
const Forms = "redis://host:6379, rediss://host:6379, nats://host:4222 or postgres://user@host/database"

// Shared is what a hub writes to and follows. Both are nil without -broker: the hub then has a log in memory.
type Shared struct {
	Broker broker.Broker
	Outbox broker.TxAppender
	Close  func()
}

// Open connects to the log at an address, where name, in lower case, is that of the example. Nobody need be there yet: until then pages say that
// changes come late, and nothing is lost, because a change waits in an outbox, a table beside the rows of db, SQLite's, which commits with them. Empty is the
// memory of this process.
func Open(ctx context.Context, address, name string, db *sql.DB, logger *slog.Logger) (Shared, error) {
	if address == "" {
		return Shared{Close: func() {}}, nil
	}
	log, disconnect, err := connect(ctx, address, name, logger)
	if err != nil {
		return Shared{}, err
	}
	// One process at a time brings what is in the outbox to the log. When it is killed another one takes over after Lease.
	box := outbox.New(db, log, outbox.Options{Dialect: outbox.SQLite, Poll: 50 * time.Millisecond, Lease: 3 * time.Second, Logger: logger})
	if err := box.Migrate(ctx); err != nil {
		disconnect()
		return Shared{}, fmt.Errorf("the outbox: %w", err)
	}
	// It goes on while the hub says goodbye, and longer than ctx for that.
	relaying, stop := context.WithCancel(context.WithoutCancel(ctx))
	var relay sync.WaitGroup
	relay.Go(func() { _ = box.Run(relaying) }) // its error is that of the context
	return Shared{Broker: log, Outbox: box, Close: func() {
		stop()
		relay.Wait()
		disconnect()
	}}, nil
}

// connect returns the broker at an address, and what ends its connections.
func connect(ctx context.Context, address, name string, logger *slog.Logger) (broker.Broker, func(), error) {
	scheme, _, found := strings.Cut(address, "://")
	if !found {
		scheme = ""
	}
	switch scheme {
	case "redis", "rediss":
		options, err := redis.ParseURL(address)
		if err != nil {
			return nil, nil, fmt.Errorf("-broker: %w", err)
		}
		client := redis.NewClient(options)
		log, err := redisbroker.New(client, redisbroker.Options{Name: name})
		return log, func() { client.Close() }, err
	case "nats":
		conn, err := nats.Connect(address, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(time.Second))
		if err != nil {
			return nil, nil, fmt.Errorf("-broker: %w", err)
		}
		js, err := jetstream.New(conn)
		if err != nil {
			conn.Close()
			return nil, nil, fmt.Errorf("-broker: %w", err)
		}
		return natsbroker.New(js, natsbroker.Options{Stream: strings.ToUpper(name), Subject: name + ".log"}), conn.Close, nil
	case "postgres", "postgresql":
		pool, err := pgxpool.New(ctx, address)
		if err != nil {
			return nil, nil, fmt.Errorf("-broker: %w", err)
		}
		return pgbroker.New(pool, pgbroker.Options{Table: name + "_log", Logger: logger}), pool.Close, nil
	}
	return nil, nil, errors.New("-broker names no log that is known: want " + Forms) // and does not repeat what may hold a password
}

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/broker/natsbroker"
	"github.com/swampline/live/broker/natsbroker/natstest"
	"github.com/swampline/live/broker/pgbroker"
	"github.com/swampline/live/broker/redisbroker"
	"github.com/swampline/live/broker/redisbroker/redistest"
	"github.com/swampline/live/where/wheretest/postgres"
)

// engine is a server that carries logs, and what was measured of it.
type engine struct {
	name, title string
	results     []result // of each of the measurements
	// open makes a new log, with default options.
	open func(ctx context.Context) (*sharedLog, error)
}

// sharedLog is one log and the connections to it.
type sharedLog struct {
	// node returns a broker on the log with a connection of its own, as another process has it.
	node func() (broker.Broker, error)
	// drop removes what the server holds of it.
	drop   func(ctx context.Context) error
	closed []func()
}

// two returns the brokers of two nodes.
func (l *sharedLog) two() (a, b broker.Broker, err error) {
	if a, err = l.node(); err == nil {
		b, err = l.node()
	}
	return a, b, err
}

func (l *sharedLog) close(ctx context.Context) error {
	err := l.drop(ctx)
	for _, c := range l.closed {
		c()
	}
	return err
}

// engine returns an engine by its name, whose server runs.
func (s *servers) engine(name string) (*engine, error) {
	e := &engine{name: name, results: make([]result, len(measurements))}
	return e, s.start(func() {
		switch name {
		case "memory":
			e.title, e.open = "memory", openMemory
		case "redis":
			url := *redisURL
			if url == "" {
				url = redistest.Start(s, "--appendfsync", "everysec").URL()
			}
			e.title, e.open = "Redis", func(context.Context) (*sharedLog, error) { return openRedis(url) }
		case "nats":
			urls := []string{*natsURL}
			if urls[0] == "" {
				urls[0] = natstest.StartProcess(s).URL()
			}
			e.title, e.open = "NATS", func(context.Context) (*sharedLog, error) { return openNATS(urls, 1) }
		case "nats3":
			urls := natstest.URLs(natstest.ProcessCluster(s, 3))
			e.title, e.open = "NATS, 3 replicas", func(context.Context) (*sharedLog, error) { return openNATS(urls, 3) }
		case "postgres":
			url := *postgresURL
			if url == "" {
				url = postgres.NewWith(s, "fsync=on", "autovacuum=on").URL()
			}
			e.title, e.open = "PostgreSQL", func(ctx context.Context) (*sharedLog, error) { return openPostgres(ctx, url) }
		default:
			s.Fatalf("no engine is called so")
		}
	})
}

func openMemory(context.Context) (*sharedLog, error) {
	b := memory.New(memory.Options{})
	return &sharedLog{node: func() (broker.Broker, error) { return b, nil }, drop: func(context.Context) error { return nil }}, nil
}

// fresh returns a name that nobody has.
func fresh() string { return "live_bench_" + strings.ToLower(rand.Text()) }

func openRedis(url string) (*sharedLog, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	name, l := fresh(), &sharedLog{}
	l.node = func() (broker.Broker, error) {
		c := redis.NewClient(o)
		l.closed = append(l.closed, func() { _ = c.Close() }) // nothing is under way
		return redisbroker.New(c, redisbroker.Options{Name: name})
	}
	l.drop = func(ctx context.Context) error {
		c := redis.NewClient(o)
		defer c.Close()
		return c.Del(ctx, "{"+name+"}:log", "{"+name+"}:meta").Err()
	}
	return l, nil
}

func openNATS(urls []string, replicas int) (*sharedLog, error) {
	connect := func() (*nats.Conn, jetstream.JetStream, error) {
		nc, err := nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1))
		if err != nil {
			return nil, nil, err
		}
		js, err := jetstream.New(nc)
		return nc, js, err
	}
	name, l := fresh(), &sharedLog{}
	l.node = func() (broker.Broker, error) {
		nc, js, err := connect()
		if err != nil {
			return nil, err
		}
		l.closed = append(l.closed, nc.Close)
		return natsbroker.New(js, natsbroker.Options{Stream: name, Subject: name, Replicas: replicas}), nil
	}
	l.drop = func(ctx context.Context) error {
		nc, js, err := connect()
		if err != nil {
			return err
		}
		defer nc.Close()
		return js.DeleteStream(ctx, name)
	}
	return l, nil
}

func openPostgres(ctx context.Context, url string) (*sharedLog, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 20 // one for each of the 16 writers, and some
	name, l := fresh(), &sharedLog{}
	connect := func() (*pgxpool.Pool, error) { return pgxpool.NewWithConfig(ctx, config.Copy()) }
	l.node = func() (broker.Broker, error) {
		pool, err := connect()
		if err != nil {
			return nil, err
		}
		l.closed = append(l.closed, pool.Close)
		return pgbroker.New(pool, pgbroker.Options{Table: name, Logger: slog.New(slog.DiscardHandler)}), nil
	}
	l.drop = func(ctx context.Context) error {
		pool, err := connect()
		if err != nil {
			return err
		}
		defer pool.Close()
		_, err = pool.Exec(ctx, fmt.Sprintf("DROP TABLE %s, %s_meta CASCADE; DROP FUNCTION %s_forget", name, name, name))
		return err
	}
	return l, nil
}

package nodes

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/natsbroker"
	"github.com/swampline/live/broker/natsbroker/natstest"
	"github.com/swampline/live/broker/pgbroker"
	"github.com/swampline/live/broker/redisbroker"
	"github.com/swampline/live/broker/redisbroker/redistest"
	"github.com/swampline/live/where/wheretest/postgres"
)

// engine is a server that keeps the log. It keeps its data when it is stopped.
type engine struct {
	url         string
	log         broker.Broker // the same that the application has
	stop, start func()
}

// engines start each that there is.
var engines = map[string]func(t *testing.T) engine{
	"redis": func(t *testing.T) engine {
		s := redistest.Start(t)
		log, err := redisbroker.New(s.Client(), redisbroker.Options{Name: "todo"})
		if err != nil {
			t.Fatal(err)
		}
		return engine{s.URL(), log, s.Kill, s.Restart}
	},
	"nats": func(t *testing.T) engine {
		s := natstest.Start(t)
		log := natsbroker.New(natstest.Connect(t, s.URL()), natsbroker.Options{Stream: "TODO", Subject: "todo.log"})
		return engine{s.URL(), log, s.Stop, func() { s.Start(t) }}
	},
	"postgres": func(t *testing.T) engine {
		s := postgres.New(t)
		pool, err := pgxpool.New(t.Context(), s.URL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return engine{s.URL(), pgbroker.New(pool, pgbroker.Options{Table: "todo_log"}), s.Kill, s.Start}
	},
}

// Live is the library as an application would use it, behind net/http. See package server for how it is controlled.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/bench/internal/server"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/transport/pusher"
)

var (
	source  = flag.String("source", "shared", "what the clients follow: channel; pusher, a channel, by Pusher's protocol; shared, a router's rows by one filter that all have; own, by a filter for each client")
	keys    = flag.Int("keys", 10_000, "rows of the source own: one a client")
	query   = flag.Duration("query", 0, "how long the database takes for a list")
	flows   = flag.Bool("flow", false, "count deliveries with an Observer, for the command flow")
	history = flag.Int("history", 0, "HistoryEntries, zero for the default; with it the broker keeps no more either")
)

func main() {
	o := server.Parse()
	var wrong atomic.Pointer[string]
	options := live.Options{Logger: slog.New(first{slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}), &wrong})}
	limitHistory(&options, *history)
	var flow *server.Flow
	if *flows {
		flow = server.NewFlow()
		options.Observer = counting{flow}
	}
	hub := live.New(options)
	rows := newTable(*keys, *query)
	router := &live.Router[row]{Name: "rows", Scope: live.Everyone, List: rows.list}
	hub.Register(router, &live.Channel{Name: "c", Subscribe: func(context.Context, string) error { return nil }})

	mux := http.NewServeMux()
	mux.Handle("/live/", hub)
	if *source == "pusher" {
		mux.Handle("/app/", pusher.New(hub, pusher.Options{Apps: []pusher.App{{ID: "1", Key: "key", Secret: "secret"}}}))
	}
	l := o.Listen()
	go func() { log.Fatal(http.Serve(l, mux)) }()

	server.Run(ready(l.Addr().String(), o.Transport), func(n, key int) {
		if err := publish(hub, router, rows, n, key, o.Size); err != nil {
			log.Fatal(err)
		}
	}, flow, func(s *server.Stats) {
		await(hub, options.Broker)
		s.Lists = rows.lists.Load()
		if e := wrong.Load(); e != nil {
			s.Error = *e
		}
	})
}

// await waits until the hub has followed a log that forgets: one that falls behind further than that has nothing to tell clients of.
func await(hub *live.Hub, b broker.Broker) {
	if b == nil {
		return
	}
	for {
		head, err := b.Head(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		if hub.Stats().Position == head.String() {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// subscribes are what the clients ask for.
var subscribes = map[string]string{
	"channel": `"channel":"c"`,
	"shared":  `"router":"rows","where":{"list":0}`,
	"own":     `"router":"rows","where":{"list":{key}}`,
}

func ready(address, transport string) server.Ready {
	if *source == "pusher" { // there is no coming again: a client that was away has missed what was said
		return server.Ready{
			Address: address,
			First: server.Visit{
				Path: "/app/key?protocol=7&client=js&version=8.6.0&flash=false",
				Say:  `{"event":"pusher:subscribe","data":{"auth":"","channel":"c"}}`, Sign: "pusher_internal:subscription_succeeded",
			},
			Number: `\"n\":`, // the data is JSON in a string
		}
	}
	what := subscribes[*source]
	if what == "" {
		log.Fatalf("there is no source %q", *source)
	}
	path, tag := "/live/", `,"tag":"{tag}"`
	if *source == "channel" {
		tag = ""
	}
	if transport == "longpoll" {
		path += "?wait=60"
	}
	return server.Ready{
		Address: address,
		First:   server.Visit{Path: path, Say: `{"type":"subscribe","id":1,` + what + `}`, Sign: `"snapshot"`},
		Again:   &server.Visit{Path: path, Say: `{"type":"subscribe","id":1,` + what + `,"cursor":"{cursor}"` + tag + `}`, Sign: `"resumed"`},
		Anew:    `"resync"`,
	}
}

// publish says something to those who follow the source.
func publish(hub *live.Hub, router *live.Router[row], rows *table, n, key, size int) error {
	ctx := context.Background()
	if *source == "channel" || *source == "pusher" {
		return hub.Publish(ctx, "c", json.RawMessage(server.Message(n, size)))
	}
	if (*source == "own") != (key >= 0) {
		return fmt.Errorf("the source %s is told of a message for %d", *source, key)
	}
	was, now := rows.change(int64(max(0, key)), n, server.Text(n, size-len(`{"n":,"text":""}`)-digits(n)))
	return router.Updated(ctx, was, now)
}

func digits(n int) (count int) {
	for ; n > 0; n /= 10 {
		count++
	}
	return count
}

// first keeps the first warning or error, besides printing it.
type first struct {
	slog.Handler
	wrong *atomic.Pointer[string]
}

func (h first) Handle(ctx context.Context, r slog.Record) error {
	message := r.Message
	h.wrong.CompareAndSwap(nil, &message)
	return h.Handler.Handle(ctx, r)
}

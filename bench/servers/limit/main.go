// Limit is the least that a server can do to send a message to many: no library, one write of ready bytes for each delivery. With -batch the
// messages that wait for a connection leave in one write.
//
// It is no server that anybody should run: a connection that reads nothing holds up the others, and nobody reads what clients send. See
// package server for how it is controlled.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strconv"

	"github.com/swampline/live/bench/internal/server"
)

var (
	batch = flag.Bool("batch", false, "let the messages that wait for a connection leave in one write")
	keep  = flag.Int("keep", 128, "messages that are kept for who comes again")
)

func main() {
	o := server.Parse()
	form, ok := forms[o.Transport]
	if !ok {
		log.Fatalf("there is no transport %q here", o.Transport)
	}
	flow := server.NewFlow()
	shards := make([]*shard, runtime.GOMAXPROCS(0))
	for i := range shards {
		shards[i] = newShard(form, flow)
		go shards[i].run()
	}
	l := o.Listen()
	if o.Transport == "longpoll" {
		go polls(l, shards)
	} else {
		go func() { log.Fatal(http.Serve(l, streams{form, shards})) }()
	}
	server.Run(server.Ready{
		Address: l.Addr().String(),
		First:   server.Visit{Path: "/?key={key}"},
		Again:   &server.Visit{Path: "/?key={key}&last={last}"},
	}, func(n, key int) {
		m := message{n: n, key: key, data: form.encode(server.Message(n, o.Size))}
		if key >= 0 {
			shards[key%len(shards)].in <- input{message: m}
			return
		}
		for _, s := range shards {
			s.in <- input{message: m}
		}
	}, flow, nil)
}

// streams serves WebSockets and event streams: it answers the handshake by hand, and leaves the connection to a shard.
type streams struct {
	form   form
	shards []*shard
}

func (s streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, last := visit(r.URL.Query().Get)
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(c, s.form.answer(r)); err != nil {
		_ = c.Close()
		return
	}
	s.shards[key%len(s.shards)].in <- input{conn: c, key: key, last: last}
}

// visit returns who comes, and what he has: -1 if he comes for the first time.
func visit(get func(string) string) (key, last int) {
	key, _ = strconv.Atoi(get("key"))
	last, err := strconv.Atoi(get("last"))
	if err != nil {
		last = -1
	}
	return key, last
}

// message is one that is ready to be written.
type message struct {
	n, key int
	data   []byte
}

// input is a message or, with conn, one who comes.
type input struct {
	message
	conn      net.Conn
	key, last int
}

// Package server is the form of the servers that bench/fanout compares, and what those in Go have in common.
//
// A server is a program that sends numbered messages to connected clients. Fanout starts it, connects its clients, and controls it through
// the standard input and output, a line at a time, so a server can be written in any language.
//
// # Flags
//
//	-transport websocket   or sse, longpoll: what the clients speak. A server refuses what it cannot do.
//	-size 128              bytes of the JSON of a message, see Message
//	-portable              hide the TCP connection from the library, so that it takes the path that it has for TLS and other systems.
//	                       A server may not know it.
//
// Others are a server's own: the table of servers in bench/fanout says what it is started with. The number of cores comes as
// GOMAXPROCS in the environment. The server listens on a free port of 127.0.0.1.
//
// # The first line
//
// The first line that it prints is a Ready in JSON, which says where it is and how a client connects:
//
//	{"address":"127.0.0.1:40123","first":{"path":"/ws"}}
//	{"address":"127.0.0.1:40123","first":{"path":"/live/","say":"{\"type\":\"subscribe\",…}","sign":"\"snapshot\""}}
//
// A client connects to first.path: for a WebSocket with an upgrade, for SSE with a GET, or, if there is something to say, a POST that has it as its body; for
// long-poll the same, with one request after the other on one connection, of which the first is answered at once. On a WebSocket it says first.say, if that is not empty, after the handshake. It follows from when a message came that contains first.sign, or, if that is
// empty, from when the handshake was answered with 101 or 200. What comes before counts for nothing, and neither does a message with the sign.
//
// A client that was there before, or asks for the next poll, does the same with again, if that is there. In path, say and sign these are replaced:
//
//	{key}      the client's number, from 0
//	{last}     the number of the last message that it has, 0 for none
//	{cursor}   the last that stood behind "cursor":" in what it was sent, up to the next quote, unless that is less, as a text, than the one before; and of
//	           {tag} the last behind "tag":"
//
// A message that contains anew, if there is one, tells the client that messages were left out for it; what is missing before it is counted as told, and not as
// lost.
//
// Everything else of WebSocket, SSE and HTTP/1.1 is the generator's: pings are answered with pongs, comments and other events are ignored, chunks are put together. A message may come in a frame or event of its
// own or with others, since clients look for "n": in what comes, or for what is named number, and take the number behind it. A server sends each number to each client once and in
// order; what is missing, doubled or in the wrong order is counted, and reported beside the figures.
//
// # Commands
//
// Then each line on the standard input is a command:
//
//	publish 17 32          send the messages 17 to 48 to everybody, one after the other, as separate messages. No answer
//	publish 17 32 10000    the same, but each goes only to the client whose key is Key(n, 10000). Only of servers that are asked to
//	flow 17 1000 3000      publish by itself, from message 17 on, to 1000 clients, for 3000 milliseconds: the next message when the last was written to all.
//	                       Answer with a line of Flowed in JSON. Only of servers that have a Flow
//	stats                  answer with a line of Stats in JSON, after a garbage collection
//	profile cpu FILE       write a CPU profile to FILE from now on, until the next command profile. Answer {} or {"error":"…"}
//	profile off            end that
//	profile heap FILE      write a heap profile, after a garbage collection
//
// The server ends when its standard input does: it is never left behind. What it prints on standard error is shown to whoever runs fanout.
package server

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"
)

// Ready is what a server says first.
type Ready struct {
	// Address is host and port.
	Address string `json:"address"`
	// First is how a client comes for the first time.
	First Visit `json:"first"`
	// Again is how it comes back, or polls on, with what it has. Nil: as for the first time.
	Again *Visit `json:"again,omitempty"`
	// Anew is in a message which says that others were left out.
	Anew string `json:"anew,omitempty"`
	// Number is what stands before a message's number. Empty means "n": with its quotes.
	Number string `json:"number,omitempty"`
}

// Visit is how a client connects: see the package's comment.
type Visit struct {
	Path string `json:"path"`
	Say  string `json:"say,omitempty"`
	Sign string `json:"sign,omitempty"`
}

// Stats is what a server knows of itself. A field that it does not know is zero.
type Stats struct {
	// Memory is what the heap's spans and the stacks take, in bytes. Zero: the generator takes the resident set size.
	Memory uint64 `json:"memory"`
	// Live is what is reachable on the heap, and the stacks, in bytes.
	Live       uint64 `json:"live"`
	Goroutines int    `json:"goroutines"`
	// Allocations is how many there were since the server began.
	Allocations uint64 `json:"allocations"`
	// Lists is how often the database was asked for a list.
	Lists int64 `json:"lists"`
	// Error is the first thing that went wrong.
	Error string `json:"error,omitempty"`
}

// Options are the flags that every server has.
type Options struct {
	Transport string
	Size      int
	Portable  bool
}

// Parse parses the flags; those of the server's own must have been defined before.
func Parse() Options {
	var o Options
	flag.StringVar(&o.Transport, "transport", "websocket", "what the clients speak: websocket, sse or longpoll")
	flag.IntVar(&o.Size, "size", 128, "bytes of a message's JSON")
	flag.BoolVar(&o.Portable, "portable", false, "hide the TCP connection from the library")
	flag.Parse()
	return o
}

// Listen listens on a free port.
func (o Options) Listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if o.Portable {
		return hiding{l}
	}
	return l
}

// hiding is a listener whose connections have no system call of their own, as those of TLS have none.
type hiding struct{ net.Listener }

func (l hiding) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hidden{c}, nil
}

type hidden struct{ net.Conn }

// Run says that the server is ready and does what it is told until the standard input ends; then it ends the process. Publish sends message
// number n to everybody, or, if key is not negative, to the client of that key: it is called by one goroutine. Flow is told of each delivery, and stats adds what
// only the server knows; both may be nil.
func Run(r Ready, publish func(n, key int), flow *Flow, stats func(*Stats)) {
	say(r)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var first, count, keys, lasts int
		words := strings.Fields(in.Text())
		switch {
		case len(words) > 2 && words[0] == "publish":
			if n, _ := fmt.Sscan(strings.Join(words[1:], " "), &first, &count, &keys); n < 2 {
				log.Fatalf("the command %q has no numbers", in.Text())
			}
			for n := first; n < first+count; n++ {
				publish(n, Key(n, keys))
			}
		case len(words) == 4 && words[0] == "flow" && flow != nil:
			if _, err := fmt.Sscan(strings.Join(words[1:], " "), &first, &count, &lasts); err != nil {
				log.Fatalf("the command %q: %v", in.Text(), err)
			}
			say(flow.run(first, count, time.Duration(lasts)*time.Millisecond, func(n int) { publish(n, -1) }))
		case len(words) == 1 && words[0] == "stats":
			say(measure(stats))
		case len(words) > 1 && words[0] == "profile":
			say(profile(words[1:]))
		default:
			log.Fatalf("there is no command %q", in.Text())
		}
	}
	os.Exit(0)
}

func say(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", line)
}

func measure(more func(*Stats)) Stats {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := Stats{Memory: m.HeapInuse + m.StackInuse, Live: m.HeapAlloc + m.StackInuse, Goroutines: runtime.NumGoroutine(), Allocations: m.Mallocs}
	if more != nil {
		more(&s)
	}
	return s
}

// running is the file of the CPU profile that is being written.
var running *os.File

func profile(words []string) (answer struct {
	Error string `json:"error,omitempty"`
}) {
	if running != nil {
		pprof.StopCPUProfile()
		_ = running.Close()
		running = nil
	}
	if words[0] == "off" {
		return answer
	}
	err := fmt.Errorf("there is no profile %q", words)
	if len(words) == 2 {
		switch words[0] {
		case "cpu":
			if running, err = os.Create(words[1]); err == nil {
				err = pprof.StartCPUProfile(running)
			}
		case "heap":
			err = heap(words[1])
		}
	}
	if err != nil {
		answer.Error = err.Error()
	}
	return answer
}

func heap(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	runtime.GC()
	if err := pprof.WriteHeapProfile(f); err != nil {
		return err
	}
	return f.Close()
}

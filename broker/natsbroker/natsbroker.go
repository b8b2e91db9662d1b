// Package natsbroker is a broker on NATS JetStream: the log of an application that runs on several machines and has, or wants, a
// NATS server.
//
// The log is one stream of one subject. Append publishes a message and waits until the stream has it; Follow reads the stream
// through a consumer of its own, from a sequence on, and looks at every sequence itself. The broker starts nothing and holds
// nothing that needs closing: the connection is the application's.
//
// # What it promises
//
// What package broker says, across restarts of the server, changes of its leader and losses of the connection. Beside that:
//
//   - An Append whose acknowledgement was lost publishes again with the same message id, and the server drops the copy.
//   - A position names an entry exactly: Position.Major is its sequence in the stream, Position.Minor 32 bits of its message id.
//   - The epoch is the last token of the stream's subject, for instance live.log.2x0k3m9q5d. A stream that was deleted and
//     made again has another one. So does one that turned out to have lost what a Broker had seen in it: that Broker gives the
//     stream the subject of the next epoch, and from then on the server itself refuses what is published to the last one, by
//     whomever.
//   - Operators must give the application the right to publish below Options.Subject, to read, create and update the stream,
//     and to make consumers on it.
//
// # When to choose it
//
// When NATS is there already, or when the log itself must survive the loss of a machine without anybody's doing: with
// Options.Replicas 3 on three servers an entry is acknowledged when two of them have it. When the leader dies the others elect
// a new one within 6 to 8 seconds, and at once when it is stopped in good order. Until then Append waits, within its context's
// deadline (give it more than those seconds, or let the hub queue what is unsent), and followers hear nothing; nothing is lost
// or doubled.
//
// # Limits
//
//   - A server writes an acknowledged message to the operating system, and syncs it to the disk every two minutes unless its
//     sync_interval says otherwise (sync_interval: always costs most of the speed). One replica that loses its power, rather
//     than its process, therefore loses acknowledged entries; so do three that lose it together. The broker finds that out and
//     begins a new epoch: clients are resynced, and nobody silently misses a change.
//   - An entry and its headers must fit into the server's max_payload, 1 MiB unless configured. See Options.MaxEntryBytes.
//   - A log that has forgotten all its entries knows the sequence of the newest but not its message id. A Broker that was made
//     after that says position Minor zero where one that had seen the entry says its own: a client that moves between the two
//     is resynced, once, although it missed nothing.
package natsbroker

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/swampline/live/broker"
)

// Options say which stream is the log, and bound it. The limits (Replicas, MaxBytes, MaxEntries, MaxAge) are those with which a
// missing stream is made; a stream that exists keeps its own, since they are its operator's to change. In each of the bounds
// zero means the default and a negative value means no bound.
type Options struct {
	// Stream is the name of the stream; the default is LIVE. Applications that share a server need different ones.
	Stream string
	// Subject is what the stream's subject begins with; the default is live.log. The epoch follows as one more token. A
	// stream that exists and was made by somebody else must have one subject: this, or this followed by ".>" or ".*". It
	// is given the subject of an epoch on first use, and what it holds by then is no part of the log.
	Subject string
	// Replicas is how many servers of a cluster hold the stream: 1, the default, 3 or 5.
	Replicas int
	// MaxBytes bounds the size of the stream, in bytes with what the server adds to each entry; the default is 256 MiB. A
	// server that limits an account's storage reserves this much.
	MaxBytes int64
	// MaxEntries bounds the number of entries that are held; the default is 1,000,000.
	MaxEntries int64
	// MaxAge bounds how long after its Append an entry is held; the default is one hour. Less than 100 ms is raised to
	// that, the least that the server takes.
	MaxAge time.Duration
	// MaxEntryBytes bounds the size of one entry, in bytes; the default is 1 MiB. The server's max_payload, less 256 bytes
	// for headers, bounds it as well, and that is 1 MiB less 256 bytes on a server as it comes. Negative: only the server's.
	MaxEntryBytes int
	// Timeout is how long Append waits for the server when its context has no deadline, and how long the beginning of a
	// Follow, and Head, wait for it in any case; the default is 5 seconds.
	Timeout time.Duration
}

// overhead is more than what goes to the server with an entry's data: a header with the message id.
const overhead = 256

// Broker is a broker.Broker on a stream. Make one with New; the zero Broker is not usable. Its methods may be called from
// several goroutines at once, and any number of Brokers, in any number of processes, may use one stream.
type Broker struct {
	js  jetstream.JetStream
	o   Options
	bad error // what is wrong with the options; every call returns it

	// life is what was last found out about the stream, nil when that must be found out anew.
	life atomic.Pointer[life]
	turn chan struct{} // taken by the one goroutine that changes the stream

	mu sync.Mutex
	// newest is the newest position of life's epoch that this broker itself saw: in an acknowledgement, at the head, or
	// delivered. It is never taken from a caller, whose cursor may be forged.
	newest broker.Position
}

var _ broker.Broker = (*Broker)(nil)

// New returns a broker on the stream that the options name. It does not talk to the server, which need not be there yet: the
// stream is looked up, and made when it is missing, on first use. The connection behind js should reconnect for ever
// (nats.MaxReconnects(-1)); when the connection is closed the broker is of no more use. A mistake in the options is what every
// method then returns.
func New(js jetstream.JetStream, o Options) *Broker {
	o.Stream = cmp.Or(o.Stream, "LIVE")
	o.Subject = cmp.Or(o.Subject, "live.log")
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.MaxBytes = bound(o.MaxBytes, 256<<20)
	o.MaxEntries = bound(o.MaxEntries, 1_000_000)
	if o.MaxAge = bound(o.MaxAge, time.Hour); o.MaxAge < 0 {
		o.MaxAge = 0 // to the server, no bound
	} else {
		o.MaxAge = max(o.MaxAge, 100*time.Millisecond)
	}
	o.MaxEntryBytes = bound(o.MaxEntryBytes, 1<<20)
	o.Timeout = cmp.Or(max(o.Timeout, 0), 5*time.Second)
	return &Broker{js: js, o: o, bad: o.check(js), turn: make(chan struct{}, 1)}
}

// bound returns what an option means: its default for zero, -1 for "no bound".
func bound[T int | int64 | time.Duration](v, def T) T {
	return max(cmp.Or(v, def), -1)
}

// check returns what is wrong with the options, in words that tell how to mend it.
func (o Options) check(js jetstream.JetStream) error {
	switch {
	case js == nil:
		return fmt.Errorf("natsbroker: New was given no JetStream; make one with jetstream.New(connection)")
	case strings.ContainsAny(o.Stream, " .*>/\\\t\r\n"):
		return fmt.Errorf("natsbroker: Options.Stream is %q; a stream's name has no spaces, dots, slashes, * or >", o.Stream)
	case strings.ContainsAny(o.Subject, " *>\t\r\n") || strings.HasPrefix(o.Subject, ".") ||
		strings.HasSuffix(o.Subject, ".") || strings.Contains(o.Subject, ".."):
		return fmt.Errorf("natsbroker: Options.Subject is %q; want words with dots between them, without wildcards", o.Subject)
	case o.Replicas < 1 || o.Replicas > 5:
		return fmt.Errorf("natsbroker: Options.Replicas is %d; want 1 to 5", o.Replicas)
	}
	return nil
}

// seen returns the newest position of the present epoch that this broker saw.
func (b *Broker) seen() broker.Position {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest
}

// see notes a position that the server told.
func (b *Broker) see(p broker.Position) {
	l := b.life.Load()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case p.Epoch == b.newest.Epoch:
		if p.After(b.newest) {
			b.newest = p
		}
	case l == nil || l.epoch == p.Epoch: // an acknowledgement from an epoch that has ended comes too late to count
		b.newest = p
	}
}

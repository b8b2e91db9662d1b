// Package redisbroker keeps the log of live in Redis: one stream that the hubs of all processes append to and follow.
//
// Choose it when Redis is there already and the application runs as several processes. An entry costs one round trip to append
// and one to follow; a hub holds one connection of the client's pool for as long as it follows. It needs Redis 7.0 or newer, or
// Valkey: one server, a primary with replicas behind Sentinel, or a cluster, in which both keys of a log lie in one slot. A
// redis.Ring is not supported: when a shard goes it moves the log to another one. The application makes the client, and closes it.
//
// # What it promises
//
// All of broker.Broker. Positions are dense, and each has a random word besides, so that a position which was given out by a server
// that then lost it is never taken for another. A log that lost entries which this process knows of (an emptied restart,
// FLUSHALL, an evicted or deleted key, a replica that lagged and was promoted, the last second of an append-only file) begins a
// new epoch: whoever comes with a position of the old one is told broker.ErrExpired, and nobody goes on over a gap. While the
// server is away calls fail in time, and nothing else is lost. Append is never tried again by itself once it may have been
// carried out.
//
// # Its limits
//
// Redis acknowledges before it has written or replicated. With appendonly yes and appendfsync everysec, a server that crashes with
// its machine loses up to a second of entries; without appendonly a restart loses those since the last snapshot, or all; a
// promoted replica loses what had not reached it. Clients are then resynced, but an entry that was lost is not in the log. An
// application that cannot have that keeps the entries in its database, in an outbox, until they are in the log. A primary that
// was cut off and still takes writes (see min-replicas-to-write) has a log of its own until it is demoted, and then the same
// happens.
//
// maxmemory-policy must be noeviction, the default: then a full server refuses to append, with its error, and goes on when there is
// room. With any allkeys policy Redis throws the log away like a cached value, and all clients are resynced each time. The keys
// never expire, so the volatile policies leave them alone. The log takes up to Options.MaxEntries times the size of an entry in
// the server's memory, and about 60 bytes more for each.
package redisbroker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/swampline/live/broker"
)

// Options say where the log is and bound it. Processes that share a log should have the same.
type Options struct {
	// Name is what the keys begin with: {name}:log is the stream and {name}:meta a hash beside it; zero means "live".
	// Applications that share a server need different names. It must not contain braces.
	Name string
	// MaxEntries bounds the number of entries that are held; zero means 100,000, a negative value no bound. Trimming comes in
	// steps, so up to a 64th more may be there.
	MaxEntries int
	// MaxAge bounds how long an entry is held, by the server's clock; zero means one hour, a negative value no bound. It is the
	// next Append that trims, in steps, so an entry may stay a 64th longer, or until somebody appends.
	MaxAge time.Duration
	// MaxEntryBytes bounds the size of one entry, in bytes; zero means 1 MiB, a negative value no bound but the server's (512 MB).
	MaxEntryBytes int
	// Timeout bounds a call of Append or Head whose context has no deadline, and how long Follow waits for a server that does
	// not answer before it fails; zero means 5 seconds.
	Timeout time.Duration
}

// Broker is a broker.Broker in Redis. Make one with New; the zero Broker is not usable. Its methods may be called from several
// goroutines at once. It has nothing to close.
type Broker struct {
	client        redis.UniversalClient
	log, meta     string // the keys
	maxEntries    int    // 0: no bound
	maxEntryBytes int    // negative: no bound
	maxAge        time.Duration
	timeout       time.Duration
	newest        newest

	head, append, after script
}

var _ broker.Broker = (*Broker)(nil)

// New returns a broker on a log that need not be there yet, at a server that need not be reached yet. It is an error when the
// client is a redis.Ring, or when the name has braces in it.
func New(client redis.UniversalClient, o Options) (*Broker, error) {
	if _, ring := client.(*redis.Ring); ring || client == nil {
		return nil, fmt.Errorf("redisbroker: a %T cannot carry the log: give it a *redis.Client or a *redis.ClusterClient", client)
	}
	name := cmp.Or(o.Name, "live")
	if strings.ContainsAny(name, "{}") {
		return nil, fmt.Errorf("redisbroker: Options.Name is %q: leave out the braces, in which the keys put it already", name)
	}
	return &Broker{
		client:        client,
		log:           "{" + name + "}:log",
		meta:          "{" + name + "}:meta",
		maxEntries:    max(cmp.Or(o.MaxEntries, 100_000), 0),
		maxAge:        max(cmp.Or(o.MaxAge, time.Hour), 0),
		maxEntryBytes: cmp.Or(o.MaxEntryBytes, 1<<20),
		timeout:       cmp.Or(o.Timeout, 5*time.Second),
		head:          newScript(headLua),
		append:        newScript(appendLua),
		after:         newScript(afterLua),
	}, nil
}

// Append adds data to the log and returns its position: offsets start at 1 in an epoch and are dense, in Position.Major;
// Position.Minor is a random word. Data larger than Options.MaxEntryBytes is refused with an error that wraps
// broker.ErrTooLarge. Any other error is the context's or the client's, and the entry may then be in the log. What the server certainly
// did not run (it could not be reached, it was loading its data) is tried again for less than a second.
func (b *Broker) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if err := ctx.Err(); err != nil {
		return broker.Position{}, err
	}
	if b.maxEntryBytes >= 0 && len(data) > b.maxEntryBytes {
		return broker.Position{}, fmt.Errorf("%w: %d bytes, at most %d", broker.ErrTooLarge, len(data), b.maxEntryBytes)
	}
	// The string is a copy: the command may still be written after ctx has ended.
	return b.locate(ctx, "appending", b.append, newWord(), string(data), b.maxEntries, b.maxAge.Milliseconds())
}

// Head returns the position of the newest entry, or the one before the first.
func (b *Broker) Head(ctx context.Context) (broker.Position, error) {
	return b.locate(ctx, "asking for the head", b.head)
}

// locate runs a script that answers with the position of the newest entry.
func (b *Broker) locate(ctx context.Context, what string, s script, args ...any) (broker.Position, error) {
	answer, err := b.run(ctx, s, args...)
	if err != nil {
		return broker.Position{}, fmt.Errorf("redisbroker: %s: %w", what, err)
	}
	p, err := position(answer)
	if err == nil {
		b.newest.saw(p)
	}
	return p, err
}

// newest is the newest position that this process knows to have been in the log: from Append, Head and what was delivered, never
// from a position that a client named. A log that does not hold it has lost entries.
type newest struct {
	mu sync.Mutex
	p  broker.Position
}

func (n *newest) get() broker.Position {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.p
}

// saw notes a position. One of another epoch counts as newer, whichever of the two came later: at worst the broker forgets what it
// knew of the present one, until the next answer.
func (n *newest) saw(p broker.Position) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.Epoch != n.p.Epoch || p.After(n.p) {
		n.p = p
	}
}

// newEpoch returns a random epoch. It is never zero, and below 2^52 so that it survives in a float64.
func newEpoch() uint64 { return random()%(1<<52-1) + 1 }

// newWord returns the random second half of a position: 32 bits, never zero.
func newWord() uint64 { return random()%(1<<32-1) + 1 }

func random() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

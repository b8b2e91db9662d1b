package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/swampline/live/broker"
)

const (
	// firstWait is how long an answer is waited for before the server is asked again, where asking twice does no harm; each
	// time it is longer, up to mostWait: a cluster without a leader does not answer, and has a new one after some seconds.
	firstWait, mostWait = time.Second, 2 * time.Second
	// rest is the pause after a server said no.
	rest = 50 * time.Millisecond
)

// errBackwards says that a new entry was given a sequence that this broker had seen taken.
var errBackwards = errors.New("the server gave out a sequence twice")

// Append adds data to the log. It publishes again, within its context's deadline or Options.Timeout, while the server cannot be
// reached or has no leader; the server knows the message id and keeps one. After an error the entry may still come, once. Data
// larger than Options.MaxEntryBytes, or than the server's max_payload allows, is refused with an error that wraps
// broker.ErrTooLarge.
func (b *Broker) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if b.bad != nil {
		return broker.Position{}, b.bad
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.o.Timeout)
		defer cancel()
	}
	if err := ctx.Err(); err != nil {
		return broker.Position{}, err
	}
	var e entry
	for wait := firstWait; ; wait = min(2*wait, mostWait) {
		p, err := b.try(ctx, &e, data, wait)
		if err == nil {
			b.see(p)
			return p, nil
		}
		if final(err) {
			return broker.Position{}, err
		}
		if e := pause(ctx, rest); e != nil {
			return broker.Position{}, fmt.Errorf("natsbroker: the entry was not acknowledged: %w (%w)", e, err)
		}
	}
}

// entry is what stays the same from one try to publish data to the next: its message id. In another epoch it gets a new id, since
// the server would take the old one for a copy of what nobody will read.
type entry struct {
	life  *life
	id    string
	since time.Time // of the first try
}

// try publishes an entry once.
func (b *Broker) try(ctx context.Context, e *entry, data []byte, wait time.Duration) (broker.Position, error) {
	l, err := b.open(ctx)
	if err != nil {
		return broker.Position{}, err
	}
	if err := b.fits(len(data)); err != nil {
		return broker.Position{}, err
	}
	if e.life == nil || e.life.epoch != l.epoch {
		*e = entry{life: l, id: newID(), since: time.Now()}
	}
	if time.Since(e.since) > l.window/2 {
		// A copy that came later would not be known as one.
		return broker.Position{}, errTooLate
	}
	before := b.seen()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	m := &nats.Msg{Subject: l.subject, Data: data, Header: nats.Header{jetstream.MsgIDHeader: {e.id}}}
	ack, err := b.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	if err != nil {
		b.forget(l) // it may be gone, or have another subject
		return broker.Position{}, fmt.Errorf("publishing to %s: %w", l.subject, b.tooLarge(err, len(data)))
	}
	if ack.Stream != b.o.Stream {
		return broker.Position{}, fmt.Errorf("%w %s: the subject %s is in stream %s", errForeign, b.o.Stream, l.subject, ack.Stream)
	}
	p := l.position(l.subject, ack.Sequence, e.id)
	if before.Epoch == p.Epoch && p.Major <= before.Major && !ack.Duplicate {
		b.forget(l)
		return broker.Position{}, errBackwards
	}
	return p, nil
}

var (
	errTooLate = errors.New("natsbroker: the entry was not acknowledged for so long that the server might not know another try as a copy")
	errForeign = errors.New("natsbroker: it is not the log that took an entry for")
)

// fits says whether the server would take an entry.
func (b *Broker) fits(size int) error {
	if most := b.most(); most >= 0 && size > most {
		return fmt.Errorf("%w: %d bytes, at most %d", broker.ErrTooLarge, size, most)
	}
	return nil
}

// most returns the size of the largest entry, -1 when nothing bounds it that is known.
func (b *Broker) most() int {
	most := b.o.MaxEntryBytes
	if payload := b.js.Conn().MaxPayload(); payload > 0 { // zero before the first connection
		if n := max(int(payload)-overhead, 0); most < 0 || n < most {
			most = n
		}
	}
	return most
}

// tooLarge makes ErrTooLarge of what the server says when it alone knows the limit: the stream's own.
func (b *Broker) tooLarge(err error, size int) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %d bytes, at most %d", broker.ErrTooLarge, size, b.most())
	case errors.As(err, &api) && api.ErrorCode == streamMaxSize:
		return fmt.Errorf("%w: %d bytes: %w", broker.ErrTooLarge, size, err)
	}
	return err
}

// streamMaxSize is the server's code for "message size exceeds maximum allowed".
const streamMaxSize jetstream.ErrorCode = 10054

// final reports whether trying again is of no use.
func final(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.Code >= 400 && api.Code < 500 && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return true
	}
	return errors.Is(err, broker.ErrTooLarge) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, errTooLate) ||
		errors.Is(err, errForeign) || errors.Is(err, errNoLog) || errors.Is(err, context.Canceled)
}

// pause waits; it returns the context's error when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/swampline/live/broker"
)

// life is one epoch of the stream as it was found.
type life struct {
	epoch      uint64
	subject    string
	window     time.Duration // in which the server knows message ids
	reconnects uint64        // of the connection, when it was found: a server that we came back to may have lost its end
}

// view is the stream at one moment.
type view struct {
	*life
	stream      jetstream.Stream
	first, last uint64 // sequences: of the oldest entry that is held, or the next one when none is, and of the newest that ever was
}

// doubt is how long a broker waits before it asks again whether the stream really ends before what it has seen. A leader that
// has just been elected could be about to say otherwise, and a new epoch is dear.
const doubt = 300 * time.Millisecond

// open returns the life of the stream, from memory when the connection was not lost since it was found.
func (b *Broker) open(ctx context.Context) (*life, error) {
	if l := b.life.Load(); l != nil && l.reconnects == b.reconnects() {
		return l, nil
	}
	v, err := b.look(ctx)
	return v.life, err
}

func (b *Broker) reconnects() uint64 { return b.js.Conn().Stats().Reconnects }

// forget makes the next open look. It forgets only what the caller had, not what another goroutine has found since.
func (b *Broker) forget(l *life) { b.life.CompareAndSwap(l, nil) }

// look finds the stream and makes what is missing: the stream, its epoch, or a new epoch when the stream does not hold what this
// broker saw in it.
func (b *Broker) look(ctx context.Context) (view, error) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return view{}, fmt.Errorf("natsbroker: another call has not found the stream %s yet: %w", b.o.Stream, ctx.Err())
	}
	for round := range 5 { // each round but the last mends one thing
		reconnects, newest := b.reconnects(), b.seen() // before the server is asked: it must know at least this
		v, err := b.ask(ctx)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			// A server that is told to make a stream again while it still deletes it can end with one that holds what was
			// deleted and never acknowledges anything (seen with nats-server 2.15.2): let it finish.
			if !newest.IsZero() {
				err = pause(ctx, doubt)
			}
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
				err = b.create(ctx)
			}
			if storeFailed(err) && round < 4 { // it passes while files of a stream that was deleted go (seen with nats-server 2.15.2)
				err = pause(ctx, doubt)
			}
		case err == nil && v.life == nil:
			err = b.adopt(ctx, v.stream)
		case err == nil:
			var lost bool
			if lost, err = b.lost(ctx, v, newest); lost {
				err = b.begin(ctx, v.stream, successor(v.epoch))
				break
			}
			if err == nil {
				v.reconnects = reconnects
				b.life.Store(v.life)
				return v, nil
			}
		}
		if err != nil {
			return view{}, fmt.Errorf("natsbroker: stream %s: %w", b.o.Stream, err)
		}
	}
	return view{}, fmt.Errorf("natsbroker: stream %s changes its subject, or vanishes, as often as it is given one; "+
		"is it managed by another program as well?", b.o.Stream)
}

// ask returns the stream as the server has it; without a life when its subject is not that of an epoch.
func (b *Broker) ask(ctx context.Context) (view, error) {
	var s jetstream.Stream
	err := patiently(ctx, func(ctx context.Context) (err error) { s, err = b.js.Stream(ctx, b.o.Stream); return err })
	if err != nil {
		return view{}, err
	}
	info := s.CachedInfo()
	v := view{stream: s, first: max(info.State.FirstSeq, 1), last: info.State.LastSeq}
	if len(info.Config.Subjects) == 1 {
		if epoch, ok := b.epochOf(info.Config.Subjects[0]); ok {
			v.life = &life{epoch: epoch, subject: info.Config.Subjects[0], window: info.Config.Duplicates}
		}
	}
	return v, nil
}

// create makes the stream, with a random epoch. When another broker does so at the same moment, one of the two is refused
// because the subjects differ, and finds the other's.
func (b *Broker) create(ctx context.Context) error {
	window := 2 * time.Minute
	if b.o.MaxAge > 0 {
		window = min(window, b.o.MaxAge) // the server takes no longer one
	}
	c := jetstream.StreamConfig{
		Name:        b.o.Stream,
		Description: "The log of github.com/swampline/live; the last token of the subject is its epoch.",
		Subjects:    []string{b.subjectOf(newEpoch())},
		Storage:     jetstream.FileStorage,
		Replicas:    b.o.Replicas,
		MaxBytes:    b.o.MaxBytes,
		MaxMsgs:     b.o.MaxEntries,
		MaxAge:      b.o.MaxAge,
		Duplicates:  window,
		DenyDelete:  true, // a hole in the middle would be a gap to every reader
	}
	err := patiently(ctx, func(ctx context.Context) error { _, err := b.js.CreateStream(ctx, c); return err })
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return err
}

// storeFailed reports whether the server could not make the files of a stream.
func storeFailed(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && refused.ErrorCode == 10049 // JSStreamStoreFailedF; the client has no name for it
}

// adopt gives a stream that somebody else made for the log its first epoch, or says why it cannot be the log.
func (b *Broker) adopt(ctx context.Context, s jetstream.Stream) error {
	c := s.CachedInfo().Config
	own := b.o.Subject
	switch {
	case len(c.Subjects) != 1 || c.Subjects[0] != own && c.Subjects[0] != own+".>" && c.Subjects[0] != own+".*":
		return fmt.Errorf("%w: it has the subjects %q, and this log's begins with %s; "+
			"name another stream in Options.Stream, or delete this one", errNoLog, c.Subjects, own)
	case c.Retention != jetstream.LimitsPolicy || c.Discard != jetstream.DiscardOld || c.NoAck || c.MaxMsgsPerSubject > 0:
		return fmt.Errorf("%w as it is configured: a log has retention by limits, discards the old, acknowledges, "+
			"and has no limit for each subject", errNoLog)
	}
	// From when the stream was made: other brokers that come to it now get to the same epoch, one that was made again has
	// another.
	created := s.CachedInfo().Created.UTC().Format(time.RFC3339Nano)
	return b.begin(ctx, s, derivedEpoch("live natsbroker: stream "+c.Name+" made "+created))
}

var errNoLog = errors.New("it cannot be the log")

// begin gives the stream the subject of an epoch.
func (b *Broker) begin(ctx context.Context, s jetstream.Stream, epoch uint64) error {
	c := s.CachedInfo().Config
	c.Subjects = []string{b.subjectOf(epoch)}
	return patiently(ctx, func(ctx context.Context) error { _, err := b.js.UpdateStream(ctx, c); return err })
}

// lost reports whether the stream does not hold what this broker saw: it ends before it, or has another entry in its place.
func (b *Broker) lost(ctx context.Context, v view, newest broker.Position) (bool, error) {
	if newest.Epoch != v.epoch {
		return false, nil
	}
	if newest.Major > v.last {
		for range 2 {
			if err := pause(ctx, doubt); err != nil {
				return false, err
			}
			again, err := b.ask(ctx)
			if err != nil || again.life == nil || again.epoch != v.epoch || again.last >= newest.Major {
				return false, errors.Join(err, errAgain)
			}
		}
		return true, nil
	}
	if newest.Minor == 0 || newest.Major < v.first {
		return false, nil
	}
	p, err := v.at(ctx, newest.Major)
	if errors.Is(err, jetstream.ErrMsgNotFound) { // trimmed in this moment
		return false, nil
	}
	return err == nil && p != newest, err
}

var errAgain = errors.New("the stream ended before an entry that it had acknowledged, and now it has that entry")

// at returns the position of the message with a sequence.
func (v view) at(ctx context.Context, sequence uint64) (broker.Position, error) {
	var m *jetstream.RawStreamMsg
	err := patiently(ctx, func(ctx context.Context) (err error) { m, err = v.stream.GetMsg(ctx, sequence); return err })
	if err != nil {
		return broker.Position{}, err
	}
	return v.position(m.Subject, sequence, m.Header.Get(jetstream.MsgIDHeader)), nil
}

// Head returns the position of the newest entry. Of a log that has forgotten all its entries Position.Minor is zero, unless
// this broker had seen the newest.
func (b *Broker) Head(ctx context.Context) (broker.Position, error) {
	if b.bad != nil {
		return broker.Position{}, b.bad
	}
	within, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	for tries := 1; ; tries++ {
		v, err := b.look(within)
		if err != nil {
			return broker.Position{}, orEnded(ctx, err)
		}
		p, err := b.end(within, v)
		if errors.Is(err, jetstream.ErrMsgNotFound) && tries < 3 {
			continue // it was trimmed, or the stream was made again, in this moment
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return broker.Position{}, orEnded(ctx, fmt.Errorf("natsbroker: reading the newest entry: %w", err))
		}
		b.see(p)
		return p, nil
	}
}

// end returns the position of the newest entry of a stream; with ErrMsgNotFound when the stream says that it holds it, and does
// not. Its minor is then, as in a stream that holds nothing, what this broker remembers.
func (b *Broker) end(ctx context.Context, v view) (broker.Position, error) {
	var err error
	if v.first <= v.last {
		p, e := v.at(ctx, v.last)
		if e == nil {
			return p, nil
		}
		err = e
	}
	if seen := b.seen(); seen.Epoch == v.epoch && seen.Major == v.last {
		return seen, err
	}
	return broker.Position{Epoch: v.epoch, Major: v.last}, err
}

// patiently asks the server something again when the answer does not come: the question, or the answer, may have been lost with a
// connection.
func patiently(ctx context.Context, ask func(ctx context.Context) error) error {
	for wait := firstWait; ; wait = min(2*wait, mostWait) {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, wait)
			defer cancel()
			return ask(ctx)
		}()
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// orEnded returns the error of a caller's context when that has ended, and otherwise the other one.
func orEnded(ctx context.Context, err error) error {
	if e := ctx.Err(); e != nil {
		return e
	}
	return err
}

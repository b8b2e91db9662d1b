package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/swampline/live/broker"
)

const (
	// batchLen is the most entries that one call of deliver is given.
	batchLen = 256
	// lookEvery is how often a follower asks whether the stream is still of its epoch. Messages of the next epoch tell it at
	// once; this is for a log on which nothing happens.
	lookEvery = 15 * time.Second
)

// Follow does what broker.Broker says, in batches of at most 256 entries. It goes on by itself when its consumer is lost (the
// server that had it is gone, and another leads) and returns an error when the server cannot be reached within Options.Timeout.
//
// It has its own consumer, and not the client library's ordered one, because that one begins again silently: after a reconnect
// it asks for what follows its last sequence of whatever stream has the name now, and a first sequence that was trimmed is the
// next that is held.
func (b *Broker) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	if b.bad != nil {
		return b.bad
	}
	for vain := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := b.attach(ctx, after)
		if err != nil {
			return orEnded(ctx, err)
		}
		began, from := time.Now(), after
		after, err = t.run(ctx, deliver)
		t.close()
		var gone *detached
		if !errors.As(err, &gone) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if vain++; after != from || time.Since(began) > time.Second {
			vain = 0
		}
		if vain > 1 { // lost again as soon as it was there: the caller knows better when to follow again
			return fmt.Errorf("natsbroker: following the stream %s: %w", b.o.Stream, gone.cause)
		}
	}
}

// detached says that a consumer is of no more use. What was appended is found out by attaching anew.
type detached struct{ cause error }

func (d *detached) Error() string { return "natsbroker: the consumer was lost: " + d.cause.Error() }

// attach finds where in the stream a position is, and starts to read there. The message at the position itself is read as
// well, where it is held: that it is the very one that was named is what proves that nothing was lost.
func (b *Broker) attach(ctx context.Context, after broker.Position) (*tail, error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	v, err := b.look(ctx)
	if err != nil {
		return nil, err
	}
	t := &tail{b: b, life: v.life, stream: v.stream, after: after}
	if after.IsZero() {
		return t, t.open(ctx, v.first)
	}
	if err := b.holds(v, after); err != nil {
		return nil, err
	}
	t.next = max(after.Major, v.first)
	return t, t.open(ctx, t.next)
}

// holds returns ErrExpired when the stream cannot hold what follows a position. Whether a position whose message is held is
// the very one that was given out shows when that message comes.
func (b *Broker) holds(v view, after broker.Position) error {
	seen := b.seen()
	switch {
	case after.Epoch != v.epoch:
		return fmt.Errorf("%w: %v is of another epoch", broker.ErrExpired, after)
	case after.Major > v.last:
		return fmt.Errorf("%w: %v is beyond the end", broker.ErrExpired, after)
	case after.Major+1 < v.first:
		return fmt.Errorf("%w: %v was trimmed", broker.ErrExpired, after)
	case after.Major == 0 && after.Minor != 0,
		after.Major == seen.Major && after.Epoch == seen.Epoch && after.Minor != seen.Minor && after.Minor != 0 && seen.Minor != 0:
		return unknown(after)
	}
	return nil
}

func unknown(p broker.Position) error {
	return fmt.Errorf("%w: %v was never given out", broker.ErrExpired, p)
}

// hole says what it means that a sequence was left out: the message is there and was lost on its way, or it is gone.
func (t *tail) hole(ctx context.Context, sequence uint64) error {
	ctx, cancel := context.WithTimeout(ctx, t.b.o.Timeout)
	defer cancel()
	err := patiently(ctx, func(ctx context.Context) error { _, err := t.stream.GetMsg(ctx, sequence); return err })
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return fmt.Errorf("%w: the entry after %v was trimmed before it could be read", broker.ErrExpired, t.after)
	case err != nil:
		return &detached{err}
	}
	return &detached{fmt.Errorf("message %d was lost on its way", sequence)}
}

package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/swampline/live/broker"
)

const (
	// block is how long one read waits for new entries. A log that was lost under a waiting reader is noticed after it.
	block = time.Second
	// batchLen and batchBytes are the most entries and about the most bytes that one call of deliver is given.
	batchLen   = 256
	batchBytes = 1 << 20
	// doubts is how often a follower may find that the stream does not go on where the log says that it does.
	doubts = 5
)

// Follow does what broker.Broker says. It holds one connection of the client's pool. When the server does not answer it fails
// within Options.Timeout and a second.
func (b *Broker) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	count, doubt := 16, 0
	for {
		last, err := b.begin(ctx, after)
		if err != nil {
			return err
		}
		for {
			batch, whole, err := b.read(ctx, last, count)
			if err != nil {
				return err
			}
			if len(batch) > 0 {
				last = batch[len(batch)-1].Position
				after = last
				b.newest.saw(last)
				if err := deliver(batch); err != nil {
					return err
				}
				count, doubt = next(count, batch), 0
			}
			if !whole {
				doubt++
			}
			if len(batch) == 0 || !whole {
				break // the log itself has to say whether it still holds what follows
			}
		}
		if doubt == doubts {
			return fmt.Errorf("redisbroker: following after %v: the stream does not go on there", after)
		}
	}
}

// begin asks the log where to read for what follows a position. The answer is the position itself, but for the zero position that of
// the newest entry that was trimmed.
func (b *Broker) begin(ctx context.Context, after broker.Position) (broker.Position, error) {
	if err := ctx.Err(); err != nil {
		return after, err
	}
	epoch := after.Epoch
	if epoch == 0 && !after.IsZero() {
		return after, fmt.Errorf("%w: %v is of no epoch", broker.ErrExpired, after)
	}
	answer, err := b.run(ctx, b.after, epoch, after.Major, after.Minor)
	if err != nil {
		return after, follows(ctx, after, err)
	}
	if len(answer) == 1 {
		return after, fmt.Errorf("%w: %v %s", broker.ErrExpired, after, answer[0])
	}
	return position(answer)
}

// follows says what an error of the client means to a follower: when its context has ended, that alone.
func follows(ctx context.Context, after broker.Position, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return fmt.Errorf("redisbroker: following after %v: %w", after, err)
}

// read waits for entries after a position that the log holds, and returns those that follow it without a gap. Whole is false
// when the stream gave something else.
func (b *Broker) read(ctx context.Context, last broker.Position, count int) (batch []broker.Entry, whole bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	limited, cancel := context.WithTimeout(ctx, block+b.timeout)
	defer cancel()
	streams, err := await(limited, func() ([]redis.XStream, error) {
		return b.client.XRead(limited, &redis.XReadArgs{
			Streams: []string{b.log}, ID: offset(last.Major, last.Minor), Count: int64(count), Block: block,
		}).Result()
	})
	switch {
	case errors.Is(err, redis.Nil) && ctx.Err() == nil:
		return nil, true, nil // nothing came
	case err != nil:
		return nil, false, follows(ctx, last, err)
	case len(streams) != 1:
		return nil, false, nil
	}
	for _, m := range streams[0].Messages {
		e, ok := entry(last, m)
		if !ok {
			return batch, false, nil
		}
		batch = append(batch, e)
		last = e.Position
	}
	return batch, true, nil
}

// offset prints the id of an entry in the stream.
func offset(n, word uint64) string {
	return strconv.FormatUint(n, 10) + "-" + strconv.FormatUint(word, 10)
}

// entry reads what the stream holds. It is the entry after last only if it is of that epoch, has the next offset, and names
// last's random word: another entry may have taken the place of last.
func entry(last broker.Position, m redis.XMessage) (broker.Entry, bool) {
	header, _ := m.Values["h"].(string)
	data, ok := m.Values["d"].(string)
	n, word, _ := strings.Cut(m.ID, "-")
	chain := strconv.FormatUint(last.Epoch, 10) + " " + strconv.FormatUint(last.Minor, 10) + " "
	if !ok || n != strconv.FormatUint(last.Major+1, 10) || !strings.HasPrefix(header, chain) {
		return broker.Entry{}, false
	}
	minor, err := strconv.ParseUint(word, 10, 64)
	p := broker.Position{Epoch: last.Epoch, Major: last.Major + 1, Minor: minor}
	return broker.Entry{Position: p, Data: []byte(data)}, err == nil
}

// next returns how many entries to ask for after a batch: twice as many, unless so many of the same size would be too large.
func next(count int, batch []broker.Entry) int {
	size := 0
	for _, e := range batch {
		size += len(e.Data)
	}
	fit := batchBytes * len(batch) / max(size, 1)
	return max(1, min(2*count, fit, batchLen))
}

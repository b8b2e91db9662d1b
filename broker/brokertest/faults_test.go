package brokertest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
)

var orderFaults = []fault{
	{"an empty log has the zero head", "Head of an empty log", headEmpty, func(_ testing.TB, b *bent) {
		b.head = func(ctx context.Context) (broker.Position, error) {
			p, err := b.Broker.Head(ctx)
			if p.Major == 0 {
				p = broker.Position{}
			}
			return p, err
		}
	}},
	{"Head is cached", "Head follows Append", headNewest, func(t testing.TB, b *bent) {
		p, err := b.Broker.Head(t.Context())
		b.head = func(context.Context) (broker.Position, error) { return p, err }
	}},
	{"two entries share a position", "positions increase", appendIncreases, func(_ testing.TB, b *bent) {
		b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
			p, err := b.Broker.Append(ctx, data)
			p.Major /= 2
			return p, err
		}
	}},
	{"writers are numbered apart", "positions increase", appendIncreases, func(_ testing.TB, b *bent) {
		b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
			p, err := b.Broker.Append(ctx, data)
			if strings.HasPrefix(string(data), "writer 3") {
				p.Major -= 50
			}
			return p, err
		}
	}},
	{"every second reader sees another order", "one order for all", oneOrder, func(_ testing.TB, b *bent) {
		var calls atomic.Int64
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if calls.Add(1)%2 == 0 {
				return b.Broker.Follow(ctx, after, deliver)
			}
			return pairwise(b, ctx, after, deliver)
		}
	}},
	{"one in a thousand is lost", "many entries", followInOrder, func(_ testing.TB, b *bent) {
		b.delivers(func(batch []broker.Entry) []broker.Entry { return without(batch, 999) })
	}},
}

// pairwise follows and swaps the entries of each pair.
func pairwise(b *bent, ctx context.Context, after broker.Position, deliver deliverFunc) error {
	var held []broker.Entry
	return b.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
		for _, e := range batch {
			if held = append(held, e); len(held) == 2 {
				if err := deliver([]broker.Entry{held[1], held[0]}); err != nil {
					return err
				}
				held = nil
			}
		}
		return nil
	})
}

// without returns the batch without the entry of an offset.
func without(batch []broker.Entry, offset uint64) []broker.Entry {
	for i, e := range batch {
		if e.Position.Major == offset {
			return append(batch[:i], batch[i+1:]...)
		}
	}
	return batch
}

var followFaults = []fault{
	{"an entry is dropped", "Follow from zero", followInOrder, func(_ testing.TB, b *bent) {
		b.delivers(func(batch []broker.Entry) []broker.Entry { return without(batch, 17) })
	}},
	{"the last entry is dropped", "Follow from zero", followInOrder, func(_ testing.TB, b *bent) {
		b.delivers(func(batch []broker.Entry) []broker.Entry { return without(batch, 100) })
	}},
	{"an entry comes twice", "Follow from zero", followInOrder, func(_ testing.TB, b *bent) {
		b.delivers(func(batch []broker.Entry) []broker.Entry {
			for i, e := range batch {
				if e.Position.Major == 17 {
					return append(batch[:i+1], batch[i:]...)
				}
			}
			return batch
		})
	}},
	{"two entries are swapped", "Follow from zero", followInOrder, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			return pairwise(b, ctx, after, deliver)
		}
	}},
	{"batches may be empty", "Follow from zero", followInOrder, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			return b.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
				return errors.Join(deliver(nil), deliver(batch))
			})
		}
	}},
	{"Follow returns at the end", "Follow from zero", followInOrder, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			err := b.Broker.Follow(ctx, after, func(batch []broker.Entry) error { return errors.Join(deliver(batch), errElse) })
			if errors.Is(err, errElse) {
				return nil
			}
			return err
		}
	}},
	{"Follow includes its position", "Follow from every position", followInOrder, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if after.Major > 0 {
				after.Major--
			}
			return b.Broker.Follow(ctx, after, deliver)
		}
	}},
	{"Follow always begins at the beginning", "Follow from Head", followInOrder, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, _ broker.Position, deliver deliverFunc) error {
			return b.Broker.Follow(ctx, broker.Position{}, deliver)
		}
	}},
	{"the first live entry is lost", "back-fill becomes live", followInOrder, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			head, _ := b.Broker.Head(ctx)
			return b.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
				if batch = without(batch, head.Major+1); len(batch) == 0 {
					return nil
				}
				return deliver(batch)
			})
		}
	}},
	{"the broker counts as read what deliver refused", "stop anywhere and follow again", allOrExpired,
		func(_ testing.TB, b *bent) {
			var mu sync.Mutex
			var cursor broker.Position
			b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
				mu.Lock()
				defer mu.Unlock()
				if after.After(cursor) {
					cursor = after
				}
				return b.noting(ctx, &cursor, deliver)
			}
		}},
}

var dataFaults = []fault{
	{"empty entries are skipped", "empty data", followInOrder, func(_ testing.TB, b *bent) {
		b.delivers(func(batch []broker.Entry) []broker.Entry {
			var full []broker.Entry
			for _, e := range batch {
				if len(e.Data) > 0 {
					full = append(full, e)
				}
			}
			return full
		})
	}},
	{"nothing is too large", "large data", appendTooLarge, func(t testing.TB, b *bent) {
		*b = *newBent(memory.Options{MaxEntryBytes: -1})
	}},
	{"too large is some other error", "large data", appendTooLarge, func(_ testing.TB, b *bent) {
		b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
			p, err := b.Broker.Append(ctx, data)
			if err != nil {
				err = errElse
			}
			return p, err
		}
	}},
	{"too large does not say how large", "large data", appendTooLarge, func(_ testing.TB, b *bent) {
		b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
			p, err := b.Broker.Append(ctx, data)
			if errors.Is(err, broker.ErrTooLarge) {
				err = broker.ErrTooLarge
			}
			return p, err
		}
	}},
	{"what is refused takes a position", "large data", headNewest, func(_ testing.TB, b *bent) {
		b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
			p, err := b.Broker.Append(ctx, data)
			if errors.Is(err, broker.ErrTooLarge) {
				b.Broker.Append(ctx, nil)
			}
			return p, err
		}
	}},
	{"large data is cut", "large data", followInOrder, func(_ testing.TB, b *bent) {
		b.delivers(func(batch []broker.Entry) []broker.Entry {
			for i, e := range batch {
				batch[i].Data = e.Data[:min(len(e.Data), 1<<15)]
			}
			return batch
		})
	}},
	{"data is aliased", "data is copied", appendCopies, func(_ testing.TB, b *bent) {
		var alias sync.Map
		b.append = func(ctx context.Context, data []byte) (broker.Position, error) {
			p, err := b.Broker.Append(ctx, data)
			alias.Store(p, data)
			return p, err
		}
		b.delivers(func(batch []broker.Entry) []broker.Entry {
			for i, e := range batch {
				data, _ := alias.Load(e.Position)
				batch[i].Data = data.([]byte)
			}
			return batch
		})
	}},
	{"memory is used again when the log forgets", "data may be kept", deliverKeeps, func(_ testing.TB, b *bent) {
		var mu sync.Mutex
		var given [][]byte
		b.delivers(func(batch []broker.Entry) []broker.Entry {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range batch {
				given = append(given, e.Data)
			}
			return batch
		})
		b.trim = func(int) {
			mu.Lock()
			defer mu.Unlock()
			for _, data := range given {
				clear(data)
			}
		}
	}},
}

var stopFaults = []fault{
	{"deliver's error is swallowed", "deliver's error", followDeliver, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			return b.Broker.Follow(ctx, after, func(batch []broker.Entry) error { _ = deliver(batch); return nil })
		}
	}},
	{"deliver's error becomes another", "deliver's error", followDeliver, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			return b.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
				if deliver(batch) != nil {
					return errElse
				}
				return nil
			})
		}
	}},
	{"deliver is tried twice", "deliver's error", followDeliver, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			return b.Broker.Follow(ctx, after, func(batch []broker.Entry) error {
				if deliver(batch) == nil {
					return nil
				}
				return deliver(batch)
			})
		}
	}},
	{"a context that has ended is not seen", "cancelled before", followCancelled, ignoreCancel},
	{"cancel is not seen", "cancelled while waiting", followCancelled, ignoreCancel},
	{"cancel is no error", "cancelled while waiting", followCancelled, func(_ testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			if err := b.Broker.Follow(ctx, after, deliver); !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}
	}},
	{"cancel is seen only by those who wait", "cancelled in deliver", followCancelled, func(t testing.TB, b *bent) {
		b.follow = func(ctx context.Context, after broker.Position, deliver deliverFunc) error {
			return b.Broker.Follow(t.Context(), after, func(batch []broker.Entry) error {
				if err := deliver(batch); err != nil {
					return err
				}
				if head, _ := b.Broker.Head(ctx); head == batch[len(batch)-1].Position {
					return ctx.Err()
				}
				return nil
			})
		}
	}},
}

// ignoreCancel follows until the test ends.
func ignoreCancel(t testing.TB, b *bent) {
	b.follow = func(_ context.Context, after broker.Position, deliver deliverFunc) error {
		return b.Broker.Follow(t.Context(), after, deliver)
	}
}

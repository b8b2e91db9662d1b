package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/swampline/live/broker"
)

const (
	// aheadMessages and aheadBytes bound what the server sends before it was asked for more. Twice as much may be under way.
	aheadMessages = 1024
	aheadBytes    = 4 << 20
	// heartbeat is how often the server says that it has nothing; twice as long without a word, and the consumer is lost.
	heartbeat = 2 * time.Second
	// keepFor is how long the server keeps a consumer whose reader is gone without a word.
	keepFor = 30 * time.Second
)

// tail reads the stream through one consumer, for as long as that lives.
type tail struct {
	b      *Broker
	life   *life
	stream jetstream.Stream

	after broker.Position // the last that was delivered, or where it began
	next  uint64          // the sequence that must come next; zero: any
	// harmless is a subject of an earlier epoch whose messages the stream still holds.
	harmless string

	consumer jetstream.Consumer
	consume  jetstream.ConsumeContext
	status   chan nats.Status
	messages chan jetstream.Msg
	lost     chan error // holds the first thing that went wrong
	done     chan struct{}
	once     sync.Once
}

// open makes the consumer, from a sequence on.
func (t *tail) open(ctx context.Context, from uint64) (err error) {
	t.messages, t.lost = make(chan jetstream.Msg, batchLen), make(chan error, 1)
	t.done = make(chan struct{})
	t.status = t.b.js.Conn().StatusChanged(nats.RECONNECTING, nats.CLOSED) // before the consumer is there: none must be missed
	defer func() {
		if err != nil {
			t.close()
			err = fmt.Errorf("natsbroker: making a consumer of the stream %s: %w", t.b.o.Stream, err)
		}
	}()
	c := jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       from,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: keepFor,
		Replicas:          1,
		MemoryStorage:     true,
	}
	err = patiently(ctx, func(ctx context.Context) error { t.consumer, err = t.stream.CreateConsumer(ctx, c); return err })
	if err != nil {
		return err
	}
	t.consume, err = t.consumer.Consume(t.receive,
		jetstream.PullMaxMessagesWithBytesLimit(aheadMessages, max(aheadBytes, t.b.most()+4*overhead)),
		jetstream.PullHeartbeat(heartbeat),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { t.fail(err) }))
	return err
}

// receive runs on the subscription's goroutine. While it waits the server is asked for no more.
func (t *tail) receive(m jetstream.Msg) {
	select {
	case t.messages <- m:
	case <-t.done:
	}
}

// fail notes that the consumer is of no more use.
func (t *tail) fail(err error) {
	select {
	case t.lost <- err:
	default:
	}
}

// close ends the reading. It waits for nobody: the server is told that the consumer may go, and forgets it by itself otherwise.
func (t *tail) close() {
	t.once.Do(func() {
		close(t.done)
		nc := t.b.js.Conn()
		nc.RemoveStatusListener(t.status)
		if t.consume != nil {
			t.consume.Stop()
		}
		if t.consumer != nil && nc.IsConnected() {
			_ = nc.Publish(t.b.api("CONSUMER.DELETE."+t.b.o.Stream+"."+t.consumer.CachedInfo().Name), nil)
		}
	})
}

// api returns a subject of JetStream's API, in the domain or under the prefix that the application chose.
func (b *Broker) api(request string) string {
	o := b.js.Options()
	switch {
	case o.APIPrefix != "":
		return strings.TrimSuffix(o.APIPrefix, ".") + "." + request
	case o.Domain != "":
		return "$JS." + o.Domain + ".API." + request
	}
	return jetstream.DefaultAPIPrefix + request
}

// run delivers until something ends it, and returns the last position that deliver took. The error is a *detached one when all
// may be well with another consumer.
func (t *tail) run(ctx context.Context, deliver func([]broker.Entry) error) (broker.Position, error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := ctx.Err(); err != nil { // first of all: there may always be something to deliver
			return t.after, err
		}
		var err error
		select {
		case <-ctx.Done():
		case cause := <-t.lost:
			err = &detached{cause}
		case s := <-t.status:
			err = &detached{fmt.Errorf("the connection is %v", s)}
		case <-tick.C:
			err = t.same(ctx)
		case m := <-t.messages:
			err = t.pass(ctx, m, deliver)
		}
		if err != nil {
			return t.after, err
		}
	}
}

// pass delivers a message and those that came with it.
func (t *tail) pass(ctx context.Context, m jetstream.Msg, deliver func([]broker.Entry) error) error {
	var batch []broker.Entry // a new one each time: most are of one entry, and a follower that waits should hold none
	var stop error
	for n := 0; ; n++ {
		var e broker.Entry
		var ok bool
		if e, ok, stop = t.take(ctx, m); ok {
			batch = append(batch, e)
		}
		if stop != nil || n == batchLen-1 {
			break
		}
		select {
		case m = <-t.messages:
			continue
		default:
		}
		break
	}
	if len(batch) == 0 {
		return stop
	}
	last := batch[len(batch)-1].Position
	if err := t.reached(batch[0].Position, last, batch); err != nil {
		return err
	}
	t.b.see(last)
	if err := deliver(batch); err != nil {
		return err
	}
	t.after = last
	return stop
}

// reached compares a batch with what this broker saw: an entry of ours that has another in its place was lost.
func (t *tail) reached(first, last broker.Position, batch []broker.Entry) error {
	seen := t.b.seen()
	if seen.Epoch != last.Epoch || seen.Minor == 0 || seen.Major < first.Major || seen.Major > last.Major {
		return nil
	}
	for _, e := range batch {
		if e.Position.Major == seen.Major && e.Position != seen {
			return &detached{fmt.Errorf("%v was acknowledged, and %v is in its place", seen, e.Position)}
		}
	}
	return nil
}

// take looks at a message; ok says that it is an entry to deliver.
func (t *tail) take(ctx context.Context, m jetstream.Msg) (e broker.Entry, ok bool, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return e, false, &detached{err}
	}
	sequence := meta.Sequence.Stream
	switch {
	case t.next == 0: // from the zero Position, whatever is the first that is held
	case sequence > t.next:
		return e, false, t.hole(ctx, t.next)
	case sequence < t.next:
		return e, false, &detached{fmt.Errorf("message %d came again", sequence)}
	}
	t.next = sequence + 1
	p := t.life.position(m.Subject(), sequence, m.Headers().Get(jetstream.MsgIDHeader))
	if sequence == t.after.Major { // where we began
		if p != t.after {
			return e, false, unknown(t.after)
		}
		return e, false, nil
	}
	if p.Minor == 0 {
		return e, false, t.foreign(ctx, m.Subject())
	}
	return broker.Entry{Position: p, Data: m.Data()}, true, nil
}

// foreign looks at a message of another epoch: of an earlier one, whose end the stream still holds, or of the next.
func (t *tail) foreign(ctx context.Context, subject string) error {
	if subject == t.harmless {
		return nil
	}
	if err := t.same(ctx); err != nil {
		return err
	}
	t.harmless = subject
	return nil
}

// same asks whether the stream is still of this epoch, and holds what this broker saw in it.
func (t *tail) same(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, t.b.o.Timeout)
	defer cancel()
	v, err := t.b.look(within)
	if err != nil {
		return &detached{err}
	}
	if v.epoch != t.life.epoch {
		return &detached{errors.New("a new epoch has begun")}
	}
	return nil
}

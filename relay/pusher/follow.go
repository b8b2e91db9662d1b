package pusher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/engine"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
)

const (
	// perTurn is how many events are read before they are sent.
	perTurn = 256
	// storing is how often the position is stored, at most, when nothing was sent.
	storing = time.Second
)

var errEnough = errors.New("pusher: enough")

// join comes: it marks a place on the log, and reads from the oldest entry to there who said what.
func (r *Relay) join(ctx context.Context) error {
	hello := r.lease.join()
	if err := r.say(hello); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(2*r.options.Lease, cancel) // the log may be long, but then it comes
	defer silent.Stop()
	var before []word
	var at broker.Position
	err := r.log.Broker.Follow(ctx, broker.Position{}, func(batch []broker.Entry) error {
		silent.Reset(2 * r.options.Lease)
		for _, raw := range batch {
			if !bytes.Contains(raw.Data, []byte(r.lease.channel)) {
				continue
			}
			entry, err := record.Decode(raw.Data)
			if err != nil {
				continue // whoever relays tells of it
			}
			for _, w := range r.lease.words(&entry) {
				if w.Hello == hello.Hello {
					at = raw.Position
					return errEnough
				}
				before = append(before, w)
			}
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		return fmt.Errorf("reading who relays: %w", err)
	}
	if !r.lease.joined(hello.Hello, at, before) {
		return nil
	}
	select {
	case <-r.ready:
	default:
		close(r.ready)
	}
	return nil
}

// lead relays for as long as this node holds the lease.
func (r *Relay) lead(ctx context.Context, s standing) error {
	work, lose := context.WithCancelCause(context.WithoutCancel(ctx))
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(work, cancel)()
	defer context.AfterFunc(stop, func() { // what is being sent may be sent
		pause(work, r.options.Timeout)
		lose(context.Canceled)
	})()
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		r.watch(work, lose, s.term)
	}()
	telling := make(chan struct{})
	go func() {
		defer close(telling)
		r.tell(work, s.term)
	}()
	err := r.relay(turn{stop, work}, s)
	if errors.Is(context.Cause(work), errLost) {
		err = errLost
	}
	lose(nil)
	<-watching
	<-telling
	return err
}

// watch ends the work when the lease is over, or another node's.
func (r *Relay) watch(ctx context.Context, lose context.CancelCauseFunc, term uint64) {
	for ctx.Err() == nil {
		s := r.lease.standing()
		if !s.leads || s.term != term {
			lose(errLost)
			return
		}
		s.await(ctx, time.Until(s.until))
	}
}

// tell says again and again that this node relays, and up to where it has.
func (r *Relay) tell(ctx context.Context, term uint64) {
	tick := time.NewTicker(min(time.Second, r.options.Lease/3))
	defer tick.Stop()
	said := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		at, known, unsaid := r.done, r.hasDone && r.term == term, r.unsaid && r.options.Save == nil
		r.unsaid = false
		r.mu.Unlock()
		if !unsaid && time.Since(said) < r.options.Lease/3 {
			continue
		}
		if !known {
			at = r.lease.standing().at
		}
		said = time.Now()
		if err := r.say(r.lease.say(term, r.options.Lease, at)); err != nil {
			r.logger.Warn("pusher: the log cannot be told that this node relays", session.Cause(err))
		}
	}
}

// relay reads the log and sends what it says, from where it was relayed to.
func (r *Relay) relay(t turn, s standing) error {
	if err := r.begin(t, s); err != nil {
		return err
	}
	for failures := 0; ; {
		r.mu.Lock()
		from := r.done
		r.mu.Unlock()
		err := r.log.Broker.Follow(t.stop, from, func(batch []broker.Entry) error {
			failures = 0
			return r.deliver(t, batch)
		})
		if stopped := t.err(); stopped != nil {
			return stopped
		}
		if errors.Is(err, broker.ErrExpired) {
			if err := r.missed(t); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			failures++
			r.logger.Warn("pusher: the log cannot be read; trying again", session.Cause(err))
			pause(t.stop, backOff(min(failures, 5)))
		}
	}
}

// begin finds out up to where the log was relayed.
func (r *Relay) begin(t turn, s standing) error {
	r.copies = engine.NewCopies()
	r.forget()
	at := s.at
	if r.options.Load != nil {
		loaded, ok, err := r.load(t)
		if err != nil {
			return err
		}
		if ok {
			at = loaded
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.hasDone || r.done.Epoch != at.Epoch || at.After(r.done) { // else this node has told nobody yet how far it came
		r.done = at
	}
	r.hasDone, r.term = true, s.term
	return nil
}

func (r *Relay) forget() {
	for _, sources := range r.sources {
		for _, s := range sources {
			s.places.forget()
		}
	}
}

// load asks the application for the position.
func (r *Relay) load(t turn) (at broker.Position, ok bool, err error) {
	ctx, cancel := context.WithTimeout(t.stop, r.options.Timeout)
	defer cancel()
	text, err := caught(func() (string, error) { return r.options.Load(ctx) })
	if err != nil {
		return at, false, fmt.Errorf("loading the position: %w", err)
	}
	if text == "" {
		return at, false, nil
	}
	if at, err = broker.ParsePosition(text); err != nil {
		return at, false, fmt.Errorf("the position %.60q that Load returned: %w", text, err)
	}
	return at, true, nil
}

// missed tells everybody that something was lost, and goes on with the oldest entry that there is.
func (r *Relay) missed(t turn) error {
	r.logger.Warn("pusher: the log does not reach back to where it was relayed; what was lost is not known, and clients are told to read anew")
	r.forget()
	if err := r.send(t, r.everywhere("history")); err != nil {
		return err
	}
	r.move(t, broker.Position{}, true)
	return nil
}

// deliver sends what entries say, a turn at a time.
func (r *Relay) deliver(t turn, batch []broker.Entry) error {
	var events []event
	for i, raw := range batch {
		if err := t.err(); err != nil {
			return err
		}
		events = r.read(raw, events)
		if len(events) < perTurn && i < len(batch)-1 {
			continue
		}
		if len(events) > 0 {
			if err := r.send(t, events); err != nil {
				return err
			}
		}
		r.move(t, raw.Position, len(events) > 0)
		events = nil
	}
	return nil
}

// move notes up to where the service has all.
func (r *Relay) move(t turn, at broker.Position, sent bool) {
	r.mu.Lock()
	r.done = at
	r.unsaid = r.unsaid || sent
	due := sent || time.Since(r.stored) >= storing
	r.mu.Unlock()
	if r.options.Save == nil || !due {
		return
	}
	ctx, cancel := context.WithTimeout(t.work, r.options.Timeout)
	defer cancel()
	if _, err := caught(func() (string, error) { return "", r.options.Save(ctx, at.String()) }); err != nil {
		r.logger.Error("pusher: the position cannot be saved; what is relayed until it can be comes twice after a crash", session.Cause(err))
		return
	}
	r.mu.Lock()
	r.stored = time.Now()
	r.mu.Unlock()
}

// caught makes a panic of the application's func an error.
func caught(f func() (string, error)) (text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = session.NewPanicError(p)
		}
	}()
	return f()
}

// read adds what an entry says to events.
func (r *Relay) read(raw broker.Entry, events []event) []event {
	entry, err := record.Decode(raw.Data)
	if err != nil {
		r.logger.Error("pusher: an entry of the log cannot be read; clients are told to read anew", "position", raw.Position.String(), session.Cause(err))
		r.forget()
		return append(events, r.everywhere("unreadable")...)
	}
	if r.copies.Read(entry.ID, raw.Position) {
		return events
	}
	for i := range entry.Changes {
		c := &entry.Changes[i]
		for _, s := range r.sources[c.Router] {
			events = r.readChange(s, c, events)
		}
	}
	for _, m := range entry.Messages {
		if m.Channel == r.lease.channel {
			continue
		}
		e, ok, err := eventOf(r.messages, m)
		if err != nil {
			r.skip("a message cannot be relayed: it is skipped", m.Channel, err)
		} else if ok {
			events = append(events, e)
		}
	}
	return events
}

func (r *Relay) readChange(s *source, c *record.Change, events []event) []event {
	if c.Op == record.Bulk {
		s.places.forget()
		return addOnce(events, resync(s.channel, "bulk", s.router))
	}
	told, err := s.events(c)
	events = append(events, told...)
	var unreadable unreadableError
	switch {
	case errors.As(err, &unreadable):
		r.skip("nobody knows where a row is told of; clients are told to read anew", s.router, err)
		events = addOnce(events, resync(s.channel, "unreadable", s.router))
	case err != nil:
		r.skip("a change of a row cannot be relayed to all of its channels", s.router, err)
	}
	return events
}

func (r *Relay) skip(what, about string, err error) {
	r.skipped.Add(1)
	r.logger.Error("pusher: "+what, "about", about, session.Cause(err))
}

// resync is the event that tells all who follow a channel, or one of a family, to read anew.
func resync(to pattern, reason, about string) event {
	return event{name: "resync", everyone: &to, data: `{"reason":"` + reason + `"}`, about: about}
}

// addOnce adds an event to all of a pattern, unless it would come twice in a row.
func addOnce(events []event, e event) []event {
	if n := len(events); n > 0 {
		if last := events[n-1]; last.everyone != nil && *last.everyone == *e.everyone && last.data == e.data {
			return events
		}
	}
	return append(events, e)
}

// everywhere tells all who follow anything to read anew.
func (r *Relay) everywhere(reason string) (events []event) {
	for _, sources := range r.sources {
		for _, s := range sources {
			events = append(events, resync(s.channel, reason, s.router))
		}
	}
	for _, m := range r.messages {
		events = append(events, resync(m.channel, reason, m.hub.prefix))
	}
	return events
}

package pusher

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/swampline/live/internal/session"
)

// event is what is told on channels of the service.
type event struct {
	name     string
	channels []string
	data     string
	// short stands in place of data that is too large.
	short string
	// everyone stands in place of channels: all of a pattern to which somebody has subscribed.
	everyone *pattern
	// about is the router or channel of the hub from which it comes, for the Logger.
	about string
}

const (
	perBatch  = 10  // events in a request
	perEvent  = 100 // channels of an event
	firstWait = 200 * time.Millisecond
	longWait  = 30 * time.Second
)

// batched is an event in a request of several, and single one with several channels.
type batched struct {
	Name    string `json:"name"`
	Channel string `json:"channel"`
	Data    string `json:"data"`
}

type single struct {
	Name     string   `json:"name"`
	Channels []string `json:"channels"`
	Data     string   `json:"data"`
}

// turn is how far sending may go.
type turn struct {
	// When stop ends, nothing more is read; what has been read may be sent until work ends.
	stop, work context.Context
}

func (t turn) err() error {
	if err := t.work.Err(); err != nil {
		return err
	}
	return t.stop.Err()
}

// send sends events, those of each channel in order. It returns when the service has all of them, but for what was skipped, or with an
// error when it may not go on.
func (r *Relay) send(t turn, events []event) error {
	lanes := make([][]event, r.options.Parallel)
	for _, e := range events {
		if err := r.find(t, &e); err != nil {
			return err
		}
		r.fit(&e)
		parts := make([][]string, len(lanes))
		for _, name := range e.channels {
			h := fnv.New32a()
			h.Write([]byte(name))
			i := h.Sum32() % uint32(len(lanes))
			parts[i] = append(parts[i], name)
		}
		for i, names := range parts {
			for some := range slices.Chunk(names, perEvent) {
				part := e
				part.channels = some
				lanes[i] = append(lanes[i], part)
			}
		}
	}
	errs := make([]error, len(lanes))
	var all sync.WaitGroup
	for i, lane := range lanes {
		if len(lane) > 0 {
			all.Go(func() { errs[i] = r.sendLane(t, lane) })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// find asks the service for the channels of an event that is for everyone.
func (r *Relay) find(t turn, e *event) error {
	if e.everyone == nil {
		return nil
	}
	if !e.everyone.family {
		e.channels = []string{e.everyone.prefix}
		return nil
	}
	err := r.persist(t, func(ctx context.Context) (err error) {
		e.channels, err = r.service.occupied(ctx, e.everyone.prefix)
		return err
	})
	var answer *answerError
	if errors.As(err, &answer) {
		r.skip("the service does not tell which channels there are, so nobody is told to read anew", e.about, err)
		return nil
	}
	e.channels = slices.DeleteFunc(e.channels, func(name string) bool { return !e.everyone.has(name) })
	return err
}

// fit puts what is short in place of what is too large.
func (r *Relay) fit(e *event) {
	if len(e.data) <= r.options.MaxDataBytes {
		return
	}
	r.logger.Warn("pusher: an event's data is too large for the service: only that it happened is told",
		"about", e.about, "event", e.name, "bytes", len(e.data), "limit", r.options.MaxDataBytes)
	r.truncated.Add(1)
	e.data = e.short
}

// sendLane sends events one request after the other: those of one channel several at a time.
func (r *Relay) sendLane(t turn, lane []event) error {
	for len(lane) > 0 {
		n := 1
		if len(lane[0].channels) == 1 {
			for n < len(lane) && n < perBatch && len(lane[n].channels) == 1 {
				n++
			}
		}
		if err := r.sendSome(t, lane[:n]); err != nil {
			return err
		}
		lane = lane[n:]
	}
	return nil
}

// sendSome sends events in one request. When the service refuses it for what it says, each goes by itself, so that only what is wrong is
// skipped.
func (r *Relay) sendSome(t turn, events []event) error {
	path, body := "/events", any(single{events[0].name, events[0].channels, events[0].data})
	if len(events) > 1 {
		batch := make([]batched, len(events))
		for i, e := range events {
			batch[i] = batched{e.name, e.channels[0], e.data}
		}
		path, body = "/batch_events", map[string]any{"batch": batch}
	}
	err := r.persist(t, func(ctx context.Context) error { return r.service.post(ctx, path, body) })
	var answer *answerError
	switch {
	case err == nil:
		r.sent.Add(int64(len(events)))
		return nil
	case !errors.As(err, &answer):
		return err
	case fateOf(err) == refused && len(events) > 1:
		for i := range events {
			if err := r.sendSome(t, events[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	r.skipped.Add(int64(len(events)))
	r.logger.Error("pusher: the service refuses what happened: it is skipped", "about", events[0].about, "event", events[0].name,
		"channel", events[0].channels[0], "events", len(events), session.Cause(err))
	return nil
}

// persist makes a request until it is done. It returns nil, or the service's answer when that will not be another, or why it may not go on.
func (r *Relay) persist(t turn, request func(ctx context.Context) error) error {
	began := time.Now()
	for failures := 0; ; failures++ {
		if err := t.work.Err(); err != nil {
			return err
		}
		err := request(t.work)
		if err == nil {
			r.denied.Store(false)
			return nil
		}
		if t.work.Err() != nil {
			return t.work.Err()
		}
		switch fateOf(err) {
		case refused:
			return err
		case denied: // as when a secret is being changed, or the clock is being set: worth some patience, once
			if r.denied.Load() || time.Since(began) >= r.options.Patience {
				r.denied.Store(true)
				return err
			}
		}
		r.retried.Add(1)
		wait := backOff(failures)
		var answer *answerError
		if errors.As(err, &answer) {
			wait = max(wait, answer.after)
		}
		r.logger.Warn("pusher: the service does not take what happened; trying again", session.Cause(err), slog.Duration("in", wait))
		pause(t.work, wait)
	}
}

// backOff is how long is waited after a failure: twice as long after each, with jitter.
func backOff(failures int) time.Duration {
	longest := min(longWait, firstWait<<min(failures, 10))
	return longest/2 + rand.N(longest/2)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

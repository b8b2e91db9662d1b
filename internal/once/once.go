// Package once remembers what writes came to, so that one that is sent again is not done again.
//
// A hub knows two things: what came of the writes that it ran itself, and which mutations went by on the log, whoever ran
// them. The first answers a repetition; the second tells, for a write that this hub never saw, that it was done elsewhere, or, if
// memory reaches back far enough, that it was not.
package once

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/swampline/live/broker"
)

// ID names a write: whose it is, and the id that he gave to it.
type ID struct{ Who, Mutation string }

// Print tells writes apart: a hash of what is to be done.
type Print [32]byte

// Row is a row that a write changed.
type Row struct{ Router, Key string }

// Note is what the log told of a mutation.
type Note struct {
	At   broker.Position
	Rows []Row
}

// ErrReused says that the id was given to another write before.
var ErrReused = errors.New("once: the mutation was used for another write")

// State is what is known of a write.
type State uint8

// The states. Whoever is told Fresh or Half must end that with Finish, Suspend or Forget; others wait for it meanwhile.
const (
	Fresh State = iota // nothing is known of it: run it
	Half               // it was run, and something is left to do, which the answer tells
	Done               // it was run, and this is the answer
)

// Memory remembers the newest writes with their answers. Its methods may be called by any goroutine.
type Memory[A any] struct {
	max int
	age time.Duration

	mu     sync.Mutex
	writes map[ID]*write[A]
	notes  map[string]Note
	// order holds what is remembered, oldest first: an ID for a write and a string for a note. Each kind may have max.
	order [2]*list.List
	// since is the position from which on every mutation of the log is remembered, zero when there is none; at, that of the newest
	// entry that was noted.
	since, at broker.Position
}

const (
	writes = iota
	notes
)

type write[A any] struct {
	print  Print
	state  State
	answer A
	// running is closed when whoever runs it is done; nil when nobody does.
	running chan struct{}
	kept    *list.Element
}

// remembered is an element of an order.
type remembered struct {
	id       ID
	mutation string
	at       broker.Position
	when     time.Time
}

// New returns a memory of so many writes, for so long at most.
func New[A any](maximum int, age time.Duration) *Memory[A] {
	return &Memory[A]{
		max: maximum, age: age, writes: map[ID]*write[A]{}, notes: map[string]Note{},
		order: [2]*list.List{list.New(), list.New()},
	}
}

// Begin takes a write. While the same one is running it waits for that, until ctx ends.
func (m *Memory[A]) Begin(ctx context.Context, id ID, print Print) (answer A, state State, err error) {
	for {
		answer, state, running, err := m.take(id, print)
		if running == nil {
			return answer, state, err
		}
		select {
		case <-running:
		case <-ctx.Done():
			return answer, Fresh, ctx.Err()
		}
	}
}

func (m *Memory[A]) take(id ID, print Print) (answer A, state State, running <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	w := m.writes[id]
	switch {
	case w == nil:
		m.writes[id] = &write[A]{print: print, running: make(chan struct{})}
		return answer, Fresh, nil, nil
	case w.print != print:
		return answer, Fresh, nil, ErrReused
	case w.running != nil:
		return answer, Fresh, w.running, nil
	case w.state == Half:
		w.running = make(chan struct{})
	}
	return w.answer, w.state, nil, nil
}

// Finish remembers the answer of a write that was begun.
func (m *Memory[A]) Finish(id ID, answer A) { m.end(id, answer, Done) }

// Suspend remembers a write that was begun and that is not all done.
func (m *Memory[A]) Suspend(id ID, answer A) { m.end(id, answer, Half) }

func (m *Memory[A]) end(id ID, answer A, state State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.writes[id]
	w.answer, w.state = answer, state
	close(w.running)
	w.running = nil
	if w.kept != nil {
		m.order[writes].Remove(w.kept)
	}
	w.kept = m.order[writes].PushBack(remembered{id: id, at: m.at, when: time.Now()})
	m.expire()
}

// Forget ends a write that was begun and that came to nothing: it may be sent again.
func (m *Memory[A]) Forget(id ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.writes[id]
	close(w.running)
	delete(m.writes, id)
	if w.kept != nil {
		m.order[writes].Remove(w.kept)
	}
}

// Note takes an entry of the log, in order: the mutation that caused it, empty for none, and the rows that it changed.
func (m *Memory[A]) Note(at broker.Position, mutation string, rows []Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = at
	if mutation == "" {
		return
	}
	n, known := m.notes[mutation]
	n.At, n.Rows = at, append(n.Rows, rows...)
	m.notes[mutation] = n
	if !known {
		m.order[notes].PushBack(remembered{mutation: mutation, at: at, when: time.Now()})
	}
	m.expire()
}

// Seen returns what the log told of a mutation.
func (m *Memory[A]) Seen(mutation string) (Note, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	n, ok := m.notes[mutation]
	return n, ok
}

// Reset says that nothing is known of the log up to a position. What is remembered stays true.
func (m *Memory[A]) Reset(at broker.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since, m.at = at, at
}

// Covers reports whether every mutation that went by on the log after a position is remembered: one that Seen does not know, and that
// nobody is running, was not done since then.
func (m *Memory[A]) Covers(p broker.Position) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	return !m.since.IsZero() && p.Epoch == m.since.Epoch && !m.since.After(p) && !p.After(m.at)
}

// expire drops what is too old or too much. Memory then reaches back no further than to that.
func (m *Memory[A]) expire() {
	for _, order := range m.order {
		for e := order.Front(); e != nil && (order.Len() > m.max || time.Since(e.Value.(remembered).when) > m.age); e = order.Front() {
			r := e.Value.(remembered)
			order.Remove(e)
			if r.mutation != "" {
				r.at = m.notes[r.mutation].At // one write may make several entries
				delete(m.notes, r.mutation)
			} else if w := m.writes[r.id]; w.running == nil {
				delete(m.writes, r.id)
			} else {
				w.kept = nil // somebody does what was left: it is remembered anew when he ends
			}
			if r.at.After(m.since) {
				m.since = r.at
			}
		}
	}
}

package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/record"
)

// router is the name of the checker's router.
const router = "items"

// oracle knows the log as it was appended. It is between the hubs and their broker. Its methods may be called by any goroutine.
type oracle struct {
	inner *memory.Broker
	table *table
	tally *Tally

	mu     sync.RWMutex
	epochs map[uint64]*epoch
	head   broker.Position
	told   map[string]*told
}

// told is what was published of a row, in any epoch: no writer is between a commit and its publishing when the log is lost.
type told struct {
	upto   int64 // all versions up to it
	newest int64
	beyond map[int64]bool
	gone   bool
	// late are the versions that were published after a newer one.
	late map[int64]bool
	// odd says that it did not always come in order: hubs are in doubt about such a row until a list shows it.
	odd bool
}

// note takes a version, and reports whether it came in order.
func (t *told) note(version int64, gone bool) bool {
	inOrder := version == t.upto+1 && version > t.newest && !t.gone || gone && version == t.upto
	if version < t.newest || t.gone {
		t.late[version] = true
	}
	if t.newest = max(t.newest, version); gone {
		t.gone = true
	} else {
		t.beyond[version] = true
	}
	for t.beyond[t.upto+1] {
		t.upto++
		delete(t.beyond, t.upto)
	}
	return inOrder
}

// whole reports whether all that was committed before the newest was published.
func (t *told) whole() bool { return t.upto >= t.newest }

// epoch is one life of the log. Offsets are dense from 1.
type epoch struct {
	base     uint64 // entries up to it are trimmed
	changes  []logged
	channels map[string][]said
	rechecks map[string][]uint64
	loose    []uint64 // entries that leave the hubs in doubt about what a row was
	bulks    []uint64
	bulk     uint64            // the last of bulks
	touched  map[string]uint64 // the last change by key
}

// logged is a change of a row on the log.
type logged struct {
	at  uint64
	op  record.Op
	key string
	was int64 // the version that was published
	// version, row and gone are what the row is after the entry, as far as it was published.
	version int64
	row     item
	gone    bool
	// open says that nobody can tell that yet: an older version is still to be published, or the row is changed again in the same entry.
	open bool
}

// said is a message on a channel.
type said struct {
	at   uint64
	data string
}

func newOracle(t *table, tally *Tally) *oracle {
	o := &oracle{
		inner: memory.New(memory.Options{MaxEntries: -1, MaxBytes: -1, MaxAge: -1}), table: t, tally: tally,
		epochs: map[uint64]*epoch{}, told: map[string]*told{},
	}
	o.begin()
	return o
}

// begin notes a new epoch. The lock is held, or nobody knows the oracle yet.
func (o *oracle) begin() {
	o.head, _ = o.inner.Head(context.Background())
	o.epochs[o.head.Epoch] = &epoch{
		channels: map[string][]said{}, rechecks: map[string][]uint64{}, touched: map[string]uint64{},
	}
}

// end is the position of the newest entry.
func (o *oracle) end() broker.Position {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.head
}

// append puts an entry on the log and notes it, as one step: nobody finds it on the log who does not find it here.
func (o *oracle) append(ctx context.Context, data []byte) (broker.Position, error) {
	entry, bad := record.Decode(data)
	o.mu.Lock()
	defer o.mu.Unlock()
	at, err := o.inner.Append(ctx, data)
	if err != nil {
		return at, err
	}
	o.tally.Writes.Add(1)
	o.head = at
	e := o.epochs[at.Epoch]
	if bad != nil {
		o.tally.Find(Protocol, "the entry %s cannot be read: %v", data, bad)
		return at, nil
	}
	for _, c := range entry.Changes {
		o.note(e, at.Major, c)
	}
	for _, m := range entry.Messages {
		e.channels[m.Channel] = append(e.channels[m.Channel], said{at.Major, string(m.Data)})
	}
	for _, who := range entry.Recheck {
		e.rechecks[who] = append(e.rechecks[who], at.Major)
	}
	return at, nil
}

// note takes a change of the log.
func (o *oracle) note(e *epoch, at uint64, c record.Change) {
	if c.Op == record.Bulk {
		e.bulks = append(e.bulks, at)
		e.bulk = at
		e.loose = append(e.loose, at)
		for key, version := range o.table.versions() { // who does this holds up the other writers
			if t := o.told[key]; t != nil {
				t.upto, t.newest = version, version
			}
		}
		return
	}
	t := o.told[c.Key]
	if t == nil {
		t = &told{beyond: map[int64]bool{}, late: map[int64]bool{}}
		o.told[c.Key] = t
	}
	version := t.newest // deleted by who does not know the version
	if c.Version != nil {
		version = *c.Version
	}
	inOrder := t.note(version, c.Op == record.Delete)
	l := logged{at: at, op: c.Op, key: c.Key, was: version, version: t.newest, gone: t.gone, open: !t.whole()}
	if !l.gone {
		l.row, _ = o.table.at(c.Key, l.version)
	}
	for i := len(e.changes) - 1; i >= 0 && e.changes[i].at == at; i-- {
		if e.changes[i].key == c.Key { // an entry counts as a whole
			e.changes[i].open = true
		}
	}
	t.odd = t.odd || !inOrder
	if t.odd || c.Op == record.Put || c.Was == nil && c.Op != record.Create || e.bulk > e.touched[c.Key] {
		e.loose = append(e.loose, at)
	}
	e.touched[c.Key] = at
	e.changes = append(e.changes, l)
}

// trim cuts the history short: all but the newest entries are gone.
func (o *oracle) trim(keep int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if uint64(keep) >= o.head.Major {
		return
	}
	o.inner.Trim(keep)
	e := o.epochs[o.head.Epoch]
	e.base = max(e.base, o.head.Major-uint64(keep))
}

// reset loses the log: a new epoch begins.
func (o *oracle) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inner.Reset()
	o.begin()
}

// spoken returns the messages of a channel after a position, up to another one of the same epoch.
func (o *oracle) spoken(channel string, after, upto broker.Position) []said {
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[upto.Epoch]
	if e == nil || after.Epoch != upto.Epoch {
		return nil
	}
	all := e.channels[channel]
	from := sort.Search(len(all), func(i int) bool { return all[i].at > after.Major })
	to := sort.Search(len(all), func(i int) bool { return all[i].at > upto.Major })
	return all[from:max(from, to)]
}

// changed returns the changes of rows after a position, up to another one of the same epoch.
func (o *oracle) changed(after, upto broker.Position) []logged {
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[upto.Epoch]
	if e == nil || after.Epoch != upto.Epoch {
		return nil
	}
	from := sort.Search(len(e.changes), func(i int) bool { return e.changes[i].at > after.Major })
	to := sort.Search(len(e.changes), func(i int) bool { return e.changes[i].at > upto.Major })
	return e.changes[from:max(from, to)]
}

// late reports whether a version of a row was published after a newer one.
func (o *oracle) late(key string, version int64) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	t := o.told[key]
	return t != nil && t.late[version]
}

func anyAfter(offsets []uint64, after uint64) bool {
	return len(offsets) > 0 && offsets[len(offsets)-1] > after
}

// excuse reports whether there is a reason of this name to resync a caller's subscription that stands at a position.
func (o *oracle) excuse(reason string, at broker.Position, who string) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	e := o.epochs[at.Epoch]
	if e == nil {
		return reason == "epoch" // a position that nobody gave out
	}
	switch reason {
	case "epoch":
		return at.Epoch != o.head.Epoch
	case "history", "overflow":
		return e.base > at.Major
	case "unknown":
		return anyAfter(e.loose, max(at.Major, 1)-1) // of one entry a part may have been told
	case "bulk":
		return anyAfter(e.bulks, at.Major)
	case "rights":
		return anyAfter(e.rechecks[who], at.Major)
	}
	return false
}

// handle is the broker as one hub has it.
type handle struct {
	*oracle
	mu sync.Mutex
	// gate is what entries wait for while the hub is paused.
	gate chan struct{}
	// lost counts how often the hub was told that the log does not continue where it was.
	lost atomic.Int64
	// at is how far entries were handed to the hub.
	at broker.Position
}

var _ broker.Broker = (*handle)(nil)

// Append adds an entry.
func (h *handle) Append(ctx context.Context, data []byte) (broker.Position, error) {
	return h.append(ctx, data)
}

// Head is the newest entry's position.
func (h *handle) Head(context.Context) (broker.Position, error) { return h.end(), nil }

// Follow hands on what the log gives, while the hub is not paused.
func (h *handle) Follow(ctx context.Context, after broker.Position, deliver func([]broker.Entry) error) error {
	err := h.inner.Follow(ctx, after, func(batch []broker.Entry) error {
		if err := h.pass(ctx); err != nil {
			return err
		}
		h.mu.Lock()
		if last := batch[len(batch)-1].Position; last.Epoch != h.at.Epoch || last.After(h.at) {
			h.at = last
		}
		h.mu.Unlock()
		return deliver(batch)
	})
	if errors.Is(err, broker.ErrExpired) {
		h.lost.Add(1)
	}
	return err
}

// reached is how far entries were handed to the hub, at least.
func (h *handle) reached() broker.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

// pass waits while the hub is paused.
func (h *handle) pass(ctx context.Context) error {
	h.mu.Lock()
	gate := h.gate
	h.mu.Unlock()
	if gate == nil {
		return nil
	}
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause keeps entries from the hub. It reports false if it was paused already.
func (h *handle) pause() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gate != nil {
		return false
	}
	h.gate = make(chan struct{})
	return true
}

// resume lets entries through again.
func (h *handle) resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gate != nil {
		close(h.gate)
		h.gate = nil
	}
}

// behind reports whether the hub may not know yet what became of the log.
func (h *handle) behind() bool { return h.paused() }

func (h *handle) paused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gate != nil
}

// versionOf reads the version of a row.
func versionOf(v json.RawMessage) int64 {
	n, _ := strconv.ParseInt(string(v), 10, 64)
	return n
}

// story tells what was committed and published of a row, for findings.
func (w *world) story(key string) string {
	var b strings.Builder
	id, _ := strconv.ParseInt(key, 10, 64)
	w.table.mu.RLock()
	if h := w.table.history[id]; h != nil {
		for i, v := range h.versions {
			fmt.Fprintf(&b, "committed at %d: %+v; ", h.stamps[i], v)
		}
		fmt.Fprintf(&b, "gone at %d; ", h.gone)
	}
	w.table.mu.RUnlock()
	o := w.oracle
	o.mu.RLock()
	defer o.mu.RUnlock()
	for name, e := range o.epochs {
		for _, c := range e.changes {
			if c.key == key {
				fmt.Fprintf(&b, "epoch %d has at %d %s version %d (then it is %d, gone %v, open %v); ", name, c.at, c.op, c.was, c.version, c.gone, c.open)
			}
		}
	}
	return b.String()
}

// causes tells what could have been the cause of a resync, for findings.
func (o *oracle) causes(who string) string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	text := ""
	for name, e := range o.epochs {
		text += fmt.Sprintf("epoch %d: trimmed to %d, rechecks of %s %v, bulk %v, loose %v; ", name, e.base, who, e.rechecks[who], e.bulks, e.loose[max(0, len(e.loose)-10):])
	}
	return text + "now " + o.head.String()
}

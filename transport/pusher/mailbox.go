package pusher

import (
	"time"
)

const (
	// mailboxBytes is how much may wait in one mailbox, parcelBytes how much one request may have: many servers read 100 KB of JSON, and no more.
	mailboxBytes = 16 << 20
	parcelBytes  = 64 << 10
	// maxRetrying is how many parcels of one app are tried again at the same time. While there are so many the others wait.
	maxRetrying = 8
	// silence is the time between two words to the logger on what was lost.
	silence = 10 * time.Second
)

// mailbox holds what one app is to be told. webhooks.mu guards it.
//
// One goroutine at a time posts what waits, for as long as something does. A request that fails is tried again by another goroutine, and the channels
// of its events are held meanwhile: what happens on them waits, so that each channel's events come in order, and the others' go on.
type mailbox struct {
	app      *App // as it was named last
	waiting  []letter
	bytes    int                 // of waiting
	misses   map[string]struct{} // the channels of the cache_miss events that wait: one is enough
	held     map[string]struct{}
	posting  bool
	retrying int

	lost     int // since the logger was told
	lastLost letter
	told     time.Time // when the logger was told
}

// letter is one event that waits.
type letter struct {
	name, channel string
	json          []byte
	since         time.Time
}

// parcel is what one request posts.
type parcel struct {
	app     *App
	letters []letter
	body    []byte
	begun   time.Time // the first attempt
}

func newMailbox() *mailbox {
	return &mailbox{misses: map[string]struct{}{}, held: map[string]struct{}{}}
}

// put adds a letter. Where there are too many the oldest are lost: what happened last is what the app should know.
func (b *mailbox) put(l letter, most int) {
	if l.name == "cache_miss" {
		if _, ok := b.misses[l.channel]; ok {
			return
		}
		b.misses[l.channel] = struct{}{}
	}
	b.waiting = append(b.waiting, l)
	b.bytes += len(l.json)
	n := 0
	for len(b.waiting)-n > most || b.bytes > mailboxBytes && len(b.waiting)-n > 1 {
		b.lastLost = b.waiting[n]
		b.taken(b.waiting[n])
		b.lost++
		n++
	}
	clear(b.waiting[:n]) // the array may live for long
	b.waiting = b.waiting[n:]
}

// taken is told of each letter that does not wait any more.
func (b *mailbox) taken(l letter) {
	b.bytes -= len(l.json)
	if l.name == "cache_miss" {
		delete(b.misses, l.channel)
	}
}

// next returns the oldest letter that may be posted now.
func (b *mailbox) next() (l letter, ok bool) {
	if b.retrying >= maxRetrying {
		return l, false
	}
	for _, l := range b.waiting {
		if _, held := b.held[l.channel]; !held {
			return l, true
		}
	}
	return l, false
}

// take takes what one request posts, oldest first. There is something: next has said so.
func (b *mailbox) take(most int) parcel {
	p := parcel{app: b.app}
	rest, bytes := b.waiting[:0], 0
	for i, l := range b.waiting {
		if _, held := b.held[l.channel]; held {
			rest = append(rest, l)
			continue
		}
		if len(p.letters) == most || len(p.letters) > 0 && bytes+len(l.json) > parcelBytes {
			rest = append(rest, b.waiting[i:]...)
			break
		}
		p.letters = append(p.letters, l)
		bytes += len(l.json) + 1
		b.taken(l)
	}
	clear(b.waiting[len(rest):])
	b.waiting = rest
	return p
}

// hold holds the channels of a parcel that has failed, release lets them go.
func (b *mailbox) hold(p parcel) {
	b.retrying++
	for _, l := range p.letters {
		b.held[l.channel] = struct{}{}
	}
}

func (b *mailbox) release(p parcel) {
	b.retrying--
	for _, l := range p.letters {
		delete(b.held, l.channel)
	}
}

// empty reports whether nothing waits and nothing is under way.
func (b *mailbox) empty() bool { return len(b.waiting) == 0 && b.retrying == 0 && !b.posting }

// loss returns how many letters were lost, and the last of them, if it is time to say so: at once, and from then on now and then.
func (b *mailbox) loss(now time.Time) (lost int, last letter) {
	if b.lost == 0 || !b.empty() && !b.told.IsZero() && now.Sub(b.told) < silence {
		return 0, letter{}
	}
	lost, last = b.lost, b.lastLost
	b.lost, b.told = 0, now
	return lost, last
}

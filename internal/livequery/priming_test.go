package livequery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/broker"
)

func TestKnows(t *testing.T) {
	h := newHub(t)
	q := h.acquire(boxA)
	h.publish(created(v1))
	if h.stream.Knows(q, at(5), "") {
		t.Error("before any list")
	}
	h.stream.Prime(q, nil, h.stream.Reading(at(0))) // resolved 1 meanwhile
	if h.stream.Knows(q, at(0), "") || !h.stream.Knows(q, at(1), "") {
		t.Error("what was resolved before the list came is not known by it")
	}
	h.stream.Prime(q, nil, h.stream.Reading(at(5)))
	if !h.stream.Knows(q, at(1), "") {
		t.Error("a second list makes nothing unknown")
	}
	h.stream.Reset(broker.Position{Epoch: 78})
	if mark := h.stream.Prime(q, nil, h.stream.Reading(at(5))); mark != "" || h.stream.Knows(q, at(9), mark) || q.primed != nil {
		t.Error("a list that was begun before the log was lost counts")
	}
	h.stream.Prime(q, nil, h.stream.Reading(broker.Position{Epoch: 78}))
	if !h.stream.Knows(q, broker.Position{Epoch: 78, Major: 1}, "") {
		t.Error("after the log was lost no list counts any more")
	}
}

// What a list had read may come on the log for a while. So long only those are known to hold nothing else whom this query gave it.
func TestKnowsWhatIsStillToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, other := newHub(t), newHub(t)
		h.stream.Publishing, other.stream.Publishing = time.Second, time.Second
		h.publish(created(v1))
		q := h.acquire(boxA)
		own := h.stream.Prime(q, nil, h.stream.Reading(at(1)))
		foreign := other.stream.Prime(other.acquire(boxA), nil, other.stream.Reading(at(0)))
		if again := h.stream.Prime(q, nil, h.stream.Reading(at(1))); again != own || own == foreign || own == "" || foreign == "" {
			t.Fatalf("marks %q, %q, another hub's %q", own, again, foreign)
		}
		knows := func(n int, mark string, want bool) {
			t.Helper()
			if got := h.stream.Knows(q, at(n), mark); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		}
		knows(1, own, true)
		knows(0, own, false)
		knows(1, foreign, false)
		knows(1, "", false)
		time.Sleep(999 * time.Millisecond)
		h.publish(put(thing{9, 9, 1, ""}))
		knows(2, foreign, false)
		time.Sleep(time.Millisecond)
		knows(1, foreign, false) // what was to come was after it
		knows(2, foreign, true)
		knows(1, own, true)
		if h.stream.UnchangedSince(q, at(1), foreign) || !h.stream.UnchangedSince(q, at(1), own) {
			t.Error("a change of nobody knows what may concern who was given his rows elsewhere, and him alone")
		}
		h.stream.Reset(broker.Position{Epoch: 78})
		if anew := h.stream.Prime(q, nil, h.stream.Reading(broker.Position{Epoch: 78})); anew == own {
			t.Error("the mark outlives the log")
		}
	})
}

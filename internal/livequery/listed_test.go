package livequery

import "testing"

// A list may show a row before the log tells of it, and the next change of the row may be published before that. It is a difference for those who
// were given such a list; who was given an earlier one lacks the row, and what comes late tells him nothing more.
func TestAChangeOfWhatOnlyAListHadShown(t *testing.T) {
	now := thing{1, 1, 2, "two"}
	for name, test := range map[string]struct {
		watch func(h *hub) *watcher
		told  string
	}{
		"an earlier list":              {func(h *hub) *watcher { w := h.watch(boxA); h.watch(`{}`, v1); return w }, "enter 1"},
		"the list":                     {func(h *hub) *watcher { return h.watch(boxA, v1) }, "update 1"},
		"a later list of the query":    {func(h *hub) *watcher { h.watch(boxA, v1); return h.watch(boxA, v1) }, "update 1"},
		"a later list of another":      {func(h *hub) *watcher { h.watch(`{}`, v1); return h.watch(boxA, v1) }, "update 1"},
		"a list of another hub":        {func(h *hub) *watcher { h.watch(boxA, v1); return h.resume(boxA) }, "enter 1"},
		"one beside a list of another": {func(h *hub) *watcher { w := h.watch(boxA); h.resume(boxA); h.watch(`{}`, v1); return w }, "enter 1"},
		"a list that was read while the first was": {func(h *hub) *watcher {
			began := h.stream.Reading(h.position())
			h.watch(boxA, v1)
			w := h.watch(boxA)
			h.stream.Prime(w.query, nil, began)
			return w
		}, "enter 1"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			w := test.watch(h)
			w.told = nil
			h.publish(updated(v1, now))
			h.publish(created(v1)) // late
			w.was(t, test.told)
			w.holds(t, now)
			h.publish(updated(now, thing{1, 1, 3, "three"}))
			w.was(t, "update 1")
		})
	}
}

// Who catches up is told by the same rule.
func TestCatchingUpWithAChangeOfWhatOnlyAListHadShown(t *testing.T) {
	h := newHub(t)
	now := thing{1, 1, 2, "two"}
	early := h.watch(boxA)
	later := h.watch(`{}`, v1)
	h.clients = nil
	h.publish(updated(v1, now))
	h.publish(created(v1))
	for _, e := range h.log {
		for _, w := range []*watcher{early, later} {
			if d := w.query.Replay(e, Knowledge{Sure: true}); d != nil {
				w.deliver(t, d)
			}
		}
	}
	early.was(t, "enter 1")
	later.was(t, "update 1")
	early.holds(t, now)
	later.holds(t, now)
}

// A window tells its members by itself what a list had shown, but for who came by the log.
func TestAWindowsChangeOfWhatOnlyAListHadShown(t *testing.T) {
	now := thing{1, 1, 2, "two"}
	for unsure, want := range map[bool]Verdict{false: Update, true: Enter} {
		h := newHub(t)
		q := h.window("id", 3, nil, v1)
		if unsure {
			h.stream.Unsure(q, 1)
		}
		if told := h.match(updated(v1, now)); len(told) != 1 || len(told[0].items) != 1 || told[0].items[0].verdict != want {
			t.Errorf("unsure %v: told %+v, want %v", unsure, told, want)
		}
		for _, d := range h.match(created(v1)) {
			if d.Unreadable || len(d.items) > 0 {
				t.Errorf("unsure %v: what comes late is told: %+v", unsure, d)
			}
		}
	}
}

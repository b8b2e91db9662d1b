package nodes

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
)

// event is a change of one row as the log has it and as a client must be told of it: gone, or there in a version.
type event struct {
	cursor, router, key string
	version             int64 // zero when it is gone
}

// readLog returns the changes on the log, in its order, up to that of a todo with a title. Copies by a relay that died are left out.
func readLog(ctx context.Context, t *testing.T, log broker.Broker, last string) (all []event) {
	t.Helper()
	end := errors.New("this is all")
	copies, titles := map[string]bool{}, map[string]bool{}
	var before broker.Position
	take := func(entries []broker.Entry) error {
		for _, e := range entries {
			if !before.IsZero() && !e.Position.After(before) {
				t.Errorf("the log has %v after %v", e.Position, before)
			}
			before = e.Position
			entry, err := record.Decode(e.Data)
			if err != nil {
				return err
			}
			if entry.ID == "" || copies[entry.ID] {
				t.Logf("the log has a copy at %v, or an entry that did not come through the outbox: %q", e.Position, entry.ID)
				continue
			}
			copies[entry.ID] = true
			for _, c := range entry.Changes {
				if title := string(c.Now["title"]); c.Router == "todos" && c.Op == record.Create && title != `"in a list"` {
					if titles[title] {
						t.Errorf("%s was created twice: its node died before it had answered", title)
					}
					titles[title] = true
				}
				all = append(all, event{e.Position.String(), c.Router, c.Key, versionOf(c)})
				if string(c.Now["title"]) == strconv.Quote(last) {
					return end
				}
			}
		}
		return nil
	}
	for {
		switch err := log.Follow(ctx, before, take); {
		case errors.Is(err, end):
			return all
		case ctx.Err() != nil, errors.Is(err, broker.ErrExpired):
			t.Fatalf("reading the log after %v: %v", before, err)
		}
	}
}

func versionOf(c record.Change) int64 {
	if c.Op == record.Delete || c.Version == nil {
		return 0
	}
	return *c.Version
}

// judgeLog compares the log with the database, and with what writers were told.
func judgeLog(t *testing.T, log []event, ledger *ledger, todos, lists []row) {
	t.Helper()
	type place struct{ router, key string }
	rows, ever := map[place]int64{}, map[done]int{}
	for _, e := range log {
		at := place{e.router, e.key}
		if was, here := rows[at]; here && e.version != 0 && e.version <= was {
			t.Errorf("the log has %s %s in version %d after version %d", e.router, e.key, e.version, was)
		}
		if rows[at] = e.version; e.version == 0 {
			delete(rows, at)
		}
		ever[done{e.router, e.key, e.version}]++
	}
	for what, n := range ever {
		if n > 1 {
			t.Errorf("the log has %+v %d times", what, n)
		}
	}
	for _, d := range ledger.done {
		if ever[d] == 0 {
			t.Errorf("%+v was acknowledged and is not on the log", d)
		}
	}
	// What an empty database begins with was told to nobody, as nobody was there.
	for router, table := range map[string][]row{"todos": todos, "lists": lists} {
		for _, r := range table {
			at := place{router, strconv.FormatInt(r.ID, 10)}
			if got, here := rows[at]; here && got != r.Version || !here && r.Version != 1 {
				t.Errorf("the database has %s %v, the log version %d", router, r, got)
			}
			delete(rows, at)
		}
	}
	for at, version := range rows {
		t.Errorf("the log has %+v in version %d, and the database has not", at, version)
	}
}

// judge compares what a subscription to all rows of a router was told with the log: each change after its snapshot, once, in the
// log's order, at its position, and nothing else.
func (f *feed) judge(t *testing.T, name string, log []event) {
	t.Helper()
	if len(f.told) == 0 || f.told[0].Event != "snapshot" {
		t.Errorf("%s was told %+v first, want a snapshot", name, f.told[:min(1, len(f.told))])
		return
	}
	at, err := broker.ParsePosition(f.told[0].Cursor)
	if err != nil {
		t.Errorf("%s: the cursor of its snapshot: %v", name, err)
	}
	want := slices.DeleteFunc(slices.Clone(log), func(e event) bool {
		p, err := broker.ParsePosition(e.cursor)
		return err != nil || e.router != f.router || !p.After(at)
	})
	for i, l := range f.told[1:] {
		if l.Event != "change" {
			t.Errorf("%s was told of a %s (%s) after %d changes: a node that is killed is no reason for that", name, l.Event, l.Reason, i)
			return
		}
		got := event{l.Cursor, f.router, l.Key, l.Row.Version}
		if l.Op == "delete" || l.Op == "leave" {
			got.version = 0
		}
		if i >= len(want) || got != want[i] {
			t.Errorf("%s: the change %d is %s %+v; the log there has %+v", name, i, l.Op, got, want[min(i, len(want)):min(i+1, len(want))])
			return
		}
	}
	if got := len(f.told) - 1; got < len(want) {
		t.Errorf("%s was told of %d changes; the log has %d", name, got, len(want))
	}
}

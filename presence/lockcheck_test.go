package presence_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/presence"
)

// sheet is a row that is saved only by who has its lock.
type sheet struct {
	ID      int64  `live:"id,key"`
	Text    string `live:"text,write"`
	Version int64  `live:"version,version"`
	// Token is the fencing token of the newest lock under which it was saved.
	Token string
}

// sheets is a database of them.
type sheets struct {
	mu   sync.Mutex
	rows map[int64]sheet
}

// save is UPDATE sheets SET text = $1, token = $2, version = version + 1 WHERE id = $3 AND token <= $2.
func (s *sheets) save(id int64, text, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.rows[id]
	if !ok || row.Token > token {
		return live.ErrConflict
	}
	row.Text, row.Token = text, token
	row.Version++
	s.rows[id] = row
	return nil
}

func (s *sheets) router(p *presence.Presence) *live.Router[sheet] {
	return &live.Router[sheet]{
		Name: "sheets", Scope: live.Everyone,
		Get: func(_ context.Context, key live.Key) (sheet, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			row, ok := s.rows[key.Int64()]
			if !ok {
				return row, live.ErrNotFound
			}
			return row, nil
		},
		Create: func(_ context.Context, now sheet) (sheet, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			now.ID, now.Version = int64(len(s.rows)+1), 1
			s.rows[now.ID] = now
			return now, nil
		},
		Update: func(ctx context.Context, was, now sheet) (sheet, error) {
			if err := s.save(was.ID, now.Text, now.Token); err != nil {
				return now, err
			}
			now.Version++
			return now, nil
		},
		Delete: func(_ context.Context, was sheet) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.rows, was.ID)
			return nil
		},
		Before: presence.RequireLock(p, func(row *sheet) presence.Place {
			return presence.Place{Router: "sheets", Key: strconv.FormatInt(row.ID, 10)}
		}, func(row *sheet, token string) { row.Token = token }),
	}
}

func sheetPlace(id, n int) string {
	return fmt.Sprintf(`{"type":"subscribe","id":1,"router":"sheets","key":"%d","presence":%s}`, id, as(n, "viewing"))
}

// Who was halted between the check and the save, and lost his lock meanwhile, writes over nothing: that is what the token in the WHERE is for.
func TestAHolderThatWasHaltedOverwritesNothing(t *testing.T) {
	o := presence.Options{MayTakeOver: func(context.Context, presence.Place) error { return nil }}
	inWorld(t, 2, o, func(t *testing.T, w *world) {
		a, b := w.nodes[0], w.nodes[1]
		db := &sheets{rows: map[int64]sheet{1: {ID: 1, Text: "old", Version: 1}}}
		ann, ben := w.client("ann"), w.client("ben")
		ann.stream(a, at(1, "1", as(1, "viewing")))
		ben.stream(b, at(1, "1", as(2, "viewing")))
		pass(soon)

		first := ann.gets(a, "lock", 1, "")
		checked, halted, late := make(chan error), make(chan struct{}), make(chan error)
		go func() {
			checked <- a.presence.CheckLock(w.as("ann"), one, first)
			<-halted
			late <- db.save(1, "of ann", first)
		}()
		if err := <-checked; err != nil {
			t.Fatal(err)
		}
		second := ben.gets(b, "takeover", 2, first)
		if err := b.presence.CheckLock(w.as("ben"), one, second); err != nil {
			t.Fatal(err)
		}
		if err := db.save(1, "of ben", second); err != nil {
			t.Fatal(err)
		}
		close(halted)
		if err := <-late; err == nil {
			t.Error("the save of who had lost his lock is stored")
		}
		if row := db.rows[1]; row.Text != "of ben" || row.Token != second {
			t.Errorf("stored: %+v", row)
		}
		refused(t, a.presence.CheckLock(w.as("ann"), one, first), "ben has the lock")
		refused(t, a.presence.CheckLock(w.as("ann"), one, second), "ben has the lock") // which everybody sees
		refused(t, a.presence.CheckLock(w.as(""), one, second), "ben has the lock")
		ben.locks(b, "unlock", 2)
		refused(t, a.presence.CheckLock(w.as("ben"), one, second), "nobody has the lock: take it first")
		ann.hangUp()
		ben.hangUp()
	})
}

func TestARouterThatRequiresALock(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		n := w.nodes[0]
		db := &sheets{rows: map[int64]sheet{}}
		n.hub.Register(db.router(n.presence))
		ann, ben := w.client("ann"), w.client("ben")
		write := func(c *client, verb, more string) string {
			return outcome(t, c.call(n, fmt.Sprintf(`{"type":"call","id":92,"router":"sheets","verb":%q%s}`, verb, more)))
		}
		update := func(c *client, version int, text string) string {
			return write(c, "update", fmt.Sprintf(`,"key":"1","version":%d,"data":{"text":%q}`, version, text))
		}
		if got := write(ann, "create", `,"data":{"text":"one"}`); got != "done" {
			t.Fatal(got)
		}
		ann.stream(n, sheetPlace(1, 1))
		ben.stream(n, sheetPlace(1, 2))
		pass(soon)
		if got := update(ann, 1, "two"); got != "locked" {
			t.Errorf("saved without a lock: %s", got)
		}
		token := ann.gets(n, "lock", 1, "")
		if got := update(ben, 1, "of ben"); got != "locked by ann" {
			t.Errorf("saved with the lock of another: %s", got)
		}
		if got := update(ann, 1, "two"); got != "done" {
			t.Error(got)
		}
		if row := db.rows[1]; row.Text != "two" || row.Token != token || row.Version != 2 {
			t.Errorf("stored: %+v", row)
		}
		if got := write(ben, "delete", `,"key":"1","version":2`); got != "locked by ann" {
			t.Errorf("deleted with the lock of another: %s", got)
		}
		ann.locks(n, "unlock", 1)
		ben.gets(n, "lock", 2, token)
		if got := write(ben, "delete", `,"key":"1","version":2`); got != "done" {
			t.Error(got)
		}
		pass(soon)
		if got := ann.people(1); !strings.Contains(got, "not_found") {
			t.Errorf("the sheet is gone, and ann sees %q", got)
		}
		ann.hangUp()
		ben.hangUp()
	})
}

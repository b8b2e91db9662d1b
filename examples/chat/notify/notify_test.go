package notify

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
)

// personKey is where the tests' callers have their names.
type personKey struct{}

func person(ctx context.Context) (string, error) {
	if name, ok := ctx.Value(personKey{}).(string); ok {
		return name, nil
	}
	return "", live.ErrForbidden
}

func testDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "notify.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec(Schema); err != nil {
		t.Fatal(err)
	}
	return db
}

// serve returns a center on a hub.
func serve(t *testing.T) (*Center, *livetest.Server) {
	t.Helper()
	c := New(testDB(t), Options{Person: person})
	return c, livetest.New(t, c.Router())
}

func send(t *testing.T, c *Center, notices ...Notice) {
	t.Helper()
	if err := c.Notify(t.Context(), notices...); err != nil {
		t.Fatal(err)
	}
}

var unread = livetest.Where(where.Eq("read", false))

func TestEverybodyIsToldWhatIsTheirs(t *testing.T) {
	livetest.Each(t, func(t *testing.T, transport string) {
		c, srv := serve(t)
		ada := srv.Connect(t, livetest.As(personKey{}, "ada"), livetest.Over(transport)).Subscribe(t, "notifications")
		ben := srv.Connect(t, livetest.As(personKey{}, "ben"), livetest.Over(transport)).Subscribe(t, "notifications")
		send(t, c, Notice{To: "ada", Kind: "mention", Topic: "room:1", Item: 5, Title: "Ben mentioned you", Body: "hi @Ada", Link: "/#/1"})
		row := ada.Want(t, live.Create, 1).Row
		var got struct {
			Kind, Topic, Title, Body, Link string
			Item                           int64
			Read                           bool
		}
		row.Decode(t, &got)
		if got.Kind != "mention" || got.Topic != "room:1" || got.Item != 5 || got.Title != "Ben mentioned you" || got.Body != "hi @Ada" || got.Link != "/#/1" || got.Read {
			t.Errorf("Ada was told %+v", got)
		}
		if _, there := row.Fields["person"]; there {
			t.Error("whose it is was sent")
		}
		ben.WantNone(t)
	})
}

func TestWhoIsNobodyIsRefused(t *testing.T) {
	_, srv := serve(t)
	nobody := srv.Connect(t)
	if _, err := nobody.TrySubscribe(t, "notifications"); !errors.Is(err, live.ErrForbidden) {
		t.Errorf("nobody's notifications: %v, want forbidden", err)
	}
	if err := nobody.Verb(t, "notifications", "read_all", nil, nil); !errors.Is(err, live.ErrForbidden) {
		t.Errorf("nobody reads all: %v, want forbidden", err)
	}
}

// What is read on the phone is read on the desk, too.
func TestReadingIsToldToAllDevices(t *testing.T) {
	c, srv := serve(t)
	phone := srv.Connect(t, livetest.As(personKey{}, "ada"))
	desk := srv.Connect(t, livetest.As(personKey{}, "ada"), livetest.Over(livetest.LongPoll)).Subscribe(t, "notifications", unread)
	ben := srv.Connect(t, livetest.As(personKey{}, "ben"))
	for item := range int64(5) {
		send(t, c, Notice{To: "ada", Topic: "room:1", Item: item + 1})
	}
	send(t, c, Notice{To: "ben", Topic: "room:1", Item: 1}, Notice{To: "ada", Topic: "room:2", Item: 1})
	desk.Sync(t)

	if _, err := phone.Do(t, livetest.Call{Router: "notifications", Verb: "read", Key: 5}); err != nil {
		t.Fatal(err)
	}
	desk.Want(t, live.Leave, 5)
	if err := c.Read(t.Context(), "ada", "room:1", 3); err != nil {
		t.Fatal(err)
	}
	desk.Sync(t)
	if keys := desk.Keys(); !slices.Equal(keys, []string{"4", "7"}) {
		t.Errorf("unread are %v, want 4 and 7", keys)
	}
	if err := phone.Verb(t, "notifications", "read_all", ReadAll{UpTo: 4}, nil); err != nil {
		t.Fatal(err)
	}
	desk.Want(t, live.Leave, 4)
	if err := phone.Verb(t, "notifications", "read_all", nil, nil); err != nil {
		t.Fatal(err)
	}
	desk.Want(t, live.Leave, 7)

	// Nobody reads for others.
	if _, err := phone.Do(t, livetest.Call{Router: "notifications", Verb: "read", Key: 6}); !errors.Is(err, live.ErrNotFound) {
		t.Errorf("Ada reads what is Ben's: %v, want not found", err)
	}
	if rows, err := ben.List(t, "notifications", unread); err != nil || len(rows) != 1 {
		t.Errorf("Ben's unread: %v, %v; want his one", rows, err)
	}
}

func TestWhatIsQuotedFollowsItsSource(t *testing.T) {
	c, srv := serve(t)
	ada := srv.Connect(t, livetest.As(personKey{}, "ada")).Subscribe(t, "notifications")
	send(t, c, Notice{To: "ada", Topic: "room:1", Item: 1, Body: "hello"}, Notice{To: "ada", Topic: "room:1", Item: 2, Body: "secret"},
		Notice{To: "ada", Topic: "room:2", Item: 1, Body: "other"}, Notice{To: "ben", Topic: "room:1", Item: 1, Body: "hello"})
	ada.Sync(t)
	if err := c.Reword(t.Context(), "room:1", 1, "good day"); err != nil {
		t.Fatal(err)
	}
	ada.Want(t, live.Update, 1).WantFields(t, map[string]any{"body": "good day", "version": 2})
	if err := c.Forget(t.Context(), What{Topic: "room:1", Item: 2}); err != nil {
		t.Fatal(err)
	}
	ada.Want(t, live.Delete, 2)
	if err := c.Forget(t.Context(), What{Person: "ada", Topic: "room:1"}); err != nil {
		t.Fatal(err)
	}
	ada.Want(t, live.Delete, 1)
	ada.WantNone(t)
	left, err := c.query(t.Context(), "SELECT "+columns+" FROM notifications ORDER BY id")
	if err != nil || len(left) != 2 || left[0].ID != 3 || left[1].Person != "ben" {
		t.Errorf("what is left is %+v, %v", left, err)
	}
}

// A notice of something that did not happen is none.
func TestANoticeIsRolledBackWithItsTransaction(t *testing.T) {
	c, srv := serve(t)
	ada := srv.Connect(t, livetest.As(personKey{}, "ada")).Subscribe(t, "notifications")
	stop := errors.New("it did not happen")
	err := c.tx(t.Context(), func(ctx context.Context) error {
		if err := c.Notify(ctx, Notice{To: "ada", Title: "It happened"}); err != nil {
			t.Error(err)
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Error("the transaction:", err)
	}
	ada.WantNone(t)
	if left, err := c.query(t.Context(), "SELECT "+columns+" FROM notifications"); err != nil || len(left) != 0 {
		t.Errorf("stored: %v, %v", left, err)
	}
}

// Nobody who is away is told what was read, or forgotten, before.
func TestReadingSparesTheMail(t *testing.T) {
	b := &told{}
	c := New(testDB(t), Options{Person: person, Away: b})
	livetest.New(t, c.Router())
	send(t, c, Notice{To: "ada", Topic: "room:1", Item: 1, Title: "read"}, Notice{To: "ada", Topic: "room:1", Item: 2, Title: "unread"},
		Notice{To: "ada", Topic: "room:1", Item: 3, Title: "forgotten"})
	if err := errors.Join(c.Read(t.Context(), "ada", "room:1", 1), c.Forget(t.Context(), What{Topic: "room:1", Item: 3})); err != nil {
		t.Fatal(err)
	}
	if _, err := c.db.Exec("UPDATE notifications SET due_at = 1 WHERE due_at IS NOT NULL"); err != nil { // its time has come
		t.Fatal(err)
	}
	if err := c.deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(b.all) != 1 || !strings.HasSuffix(b.all[0], " ada: unread") {
		t.Errorf("told %q, want what is unread", b.all)
	}
}

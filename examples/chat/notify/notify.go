// Package notify tells people what concerns them: rows that only they see, which are unread until they were read on any of their
// devices, and, for those who are away, a word by another way, such as an e-mail.
//
//	center := notify.New(db, notify.Options{Person: userID, Away: &notify.Mail{…}, Here: online})
//	hub.Register(center.Router())
//	go center.Run(ctx)
//	…
//	err := center.Notify(ctx, notify.Notice{To: "7", Kind: "mention", Title: "Ada mentioned you", Link: "/#/3"})
//
// A browser needs nothing but live rows. They are the same on all devices, so what is read on one is read on all:
//
//	const unread = live.list("notifications", { where: { read: false }, order: "-id", limit: 20 })
//	const count = live.count("notifications", { where: { read: false } })
//	await live.call("notifications", "read", { key: 12 })
//	await live.call("notifications", "read_all")
//
// The table is in the application's own database, so a notice is stored, or not, together with what it tells of: Notify takes part in the
// live.Tx of its context. It is SQLite's here; what is particular to that is the Schema.
package notify

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// Schema makes the table. It may be run again.
const Schema = `
CREATE TABLE IF NOT EXISTS notifications (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	person     TEXT    NOT NULL,
	kind       TEXT    NOT NULL,
	topic      TEXT    NOT NULL,
	item       INTEGER NOT NULL,
	title      TEXT    NOT NULL,
	body       TEXT    NOT NULL,
	link       TEXT    NOT NULL,
	read       INTEGER NOT NULL DEFAULT 0,
	created_at TEXT    NOT NULL,
	due_at     INTEGER,                    -- when whoever is away is told, in milliseconds; null: not, or not any more
	tries      INTEGER NOT NULL DEFAULT 0,
	version    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX IF NOT EXISTS notifications_person ON notifications (person, read, id);
CREATE INDEX IF NOT EXISTS notifications_topic ON notifications (topic, item);
CREATE INDEX IF NOT EXISTS notifications_due ON notifications (due_at) WHERE due_at IS NOT NULL;
`

// Notification is one thing that somebody is told, as it is stored and as its person sees it. Nobody else does.
type Notification struct {
	ID     int64  `live:"id,key"`
	Person string `live:"person,scope"`
	// Kind says what sort of thing it is, such as "mention".
	Kind string `live:"kind,filter"`
	// Topic and Item say what it is about: the room and the message, say. Item grows within a topic.
	Topic string `live:"topic,filter"`
	Item  int64  `live:"item,filter"`
	Title string `live:"title"`
	Body  string `live:"body"`
	// Link is a path of the application.
	Link      string    `live:"link"`
	Read      bool      `live:"read,filter"`
	CreatedAt time.Time `live:"created_at,filter"`
	Version   int64     `live:"version,version"`
}

// Notice is what the application wants somebody to be told; its fields are those of Notification.
type Notice struct {
	To                string
	Kind, Topic       string
	Item              int64
	Title, Body, Link string
}

// Backend tells people who are away. Package notify has Mail; another one could send to phones.
type Backend interface {
	// Deliver tells a person of notifications, oldest first, all of them unread when it was called. It is tried again after an error,
	// and, when the process died in the middle of it, with the same notifications by another one: it may tell twice.
	Deliver(ctx context.Context, person string, notifications []Notification) error
}

// Options say how people are told. Only Person is needed.
type Options struct {
	// Person says whose notifications the caller of a context reads: the To of his notices. Its error refuses; it must not return an
	// empty text.
	Person func(ctx context.Context) (string, error)

	// Away tells those who are not here. Nil: nobody is told otherwise than in the browser.
	Away Backend
	// Here says whether a person is looking, or was a moment ago: then Away is not used, and he is asked for again after After. Nil: nobody is.
	Here func(person string) bool
	// After is how long a notification may stay unread before Away is used. Zero: two minutes.
	After time.Duration
	// Poll is how often Run looks for what is due. Zero: an eighth of After.
	Poll time.Duration
	// Tries is how often Away is tried, with pauses that double from Poll on. Zero: five.
	Tries int

	// Logger gets what Away could not do. Nil: slog.Default().
	Logger *slog.Logger
}

// Center stores notifications and tells people of them. Its methods may be called by any goroutine.
type Center struct {
	db      *sql.DB
	options Options
	router  *live.Router[Notification]
}

// New returns a center over a database with the Schema. Register its Router with the hub, and Run it for Options.Away.
func New(db *sql.DB, o Options) *Center {
	if o.After == 0 {
		o.After = 2 * time.Minute
	}
	if o.Poll == 0 {
		o.Poll = o.After / 8
	}
	if o.Tries == 0 {
		o.Tries = 5
	}
	if o.Here == nil {
		o.Here = func(string) bool { return false }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	c := &Center{db: db, options: o}
	c.router = c.newRouter()
	return c
}

// Router returns the live endpoint "notifications", for Hub.Register.
func (c *Center) Router() *live.Router[Notification] { return c.router }

// newRouter lets people read what is theirs, and say that they have. Only the application writes notifications.
func (c *Center) newRouter() *live.Router[Notification] {
	return &live.Router[Notification]{
		Name: "notifications",
		Scope: func(ctx context.Context) (where.Where, error) {
			person, err := c.options.Person(ctx)
			return where.Eq("person", person), err
		},
		List: func(ctx context.Context, q live.Query) ([]Notification, error) {
			clause, args := q.SQL(where.SQLite)
			return c.query(ctx, "SELECT "+columns+" FROM notifications "+clause, args...)
		},
		Count: func(ctx context.Context, q live.Query) (n int64, err error) {
			clause, args := q.SQL(where.SQLite)
			err = c.in(ctx).QueryRowContext(ctx, "SELECT count(*) FROM notifications "+clause, args...).Scan(&n)
			return n, err
		},
		Get: func(ctx context.Context, key live.Key) (Notification, error) {
			found, err := c.query(ctx, "SELECT "+columns+" FROM notifications WHERE id = $1", key.Int64())
			if err != nil || len(found) == 0 {
				return Notification{}, orNotFound(err)
			}
			return found[0], nil
		},
		Verbs: map[string]live.CustomVerb{
			"read": live.RowVerb[Notification, struct{}, struct{}](func(ctx context.Context, n Notification, _ struct{}) (struct{}, error) {
				return struct{}{}, c.markRead(ctx, "id = $1", n.ID)
			}),
			"read_all": live.Verb[ReadAll, struct{}](func(ctx context.Context, in ReadAll) (struct{}, error) {
				person, err := c.options.Person(ctx)
				if err != nil {
					return struct{}{}, err
				}
				if in.UpTo == 0 {
					return struct{}{}, c.markRead(ctx, "person = $1", person)
				}
				return struct{}{}, c.markRead(ctx, "person = $1 AND id <= $2", person, in.UpTo)
			}),
		},
	}
}

// ReadAll is the data of the verb "read_all".
type ReadAll struct {
	// UpTo is the newest notification that the person saw: what came later stays unread. Zero: all.
	UpTo int64 `json:"up_to"`
}

func orNotFound(err error) error {
	if err == nil {
		err = live.ErrNotFound
	}
	return err
}

// Notify stores notices and tells those whom they are for, in the transaction of ctx if there is one.
func (c *Center) Notify(ctx context.Context, notices ...Notice) error {
	return c.tx(ctx, func(ctx context.Context) error {
		var due any
		if c.options.Away != nil {
			due = time.Now().Add(c.options.After).UnixMilli()
		}
		for _, n := range notices {
			stored, err := c.query(ctx, `INSERT INTO notifications (person, kind, topic, item, title, body, link, created_at, due_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING `+columns,
				n.To, n.Kind, n.Topic, n.Item, n.Title, n.Body, n.Link, where.FormatTime(time.Now()), due)
			if err != nil {
				return err
			}
			if err := c.router.Created(ctx, stored[0]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Read marks as read what a person was told about a topic, up to an item: he has seen the thing itself.
func (c *Center) Read(ctx context.Context, person, topic string, upTo int64) error {
	return c.markRead(ctx, "person = $1 AND topic = $2 AND item <= $3", person, topic, upTo)
}

func (c *Center) markRead(ctx context.Context, condition string, args ...any) error {
	return c.tx(ctx, func(ctx context.Context) error {
		read, err := c.query(ctx, "UPDATE notifications SET read = 1, due_at = NULL, version = version + 1 WHERE NOT read AND "+condition+" RETURNING "+columns, args...)
		for _, now := range read {
			was := now
			was.Read = false
			was.Version--
			if err == nil {
				err = c.router.Updated(ctx, was, now)
			}
		}
		return err
	})
}

// Reword gives what was told about an item another body: what it quotes was changed. Away says the new words, if it has not spoken yet.
func (c *Center) Reword(ctx context.Context, topic string, item int64, body string) error {
	return c.tx(ctx, func(ctx context.Context) error {
		const condition = " topic = $2 AND item = $3 AND body <> $1 "
		before, err := c.query(ctx, "SELECT "+columns+" FROM notifications WHERE"+condition, body, topic, item)
		if err != nil {
			return err
		}
		_, err = c.in(ctx).ExecContext(ctx, "UPDATE notifications SET body = $1, version = version + 1 WHERE"+condition, body, topic, item)
		for _, was := range before {
			now := was
			now.Body = body
			now.Version++
			if err == nil {
				err = c.router.Updated(ctx, was, now)
			}
		}
		return err
	})
}

// What names notifications to be forgotten. What is empty, or zero, does not count; Topic must be set.
type What struct {
	Person string
	Topic  string
	Item   int64
}

// Forget deletes notifications: what they quote is gone, or their person may not see it any more.
func (c *Center) Forget(ctx context.Context, what What) error {
	return c.tx(ctx, func(ctx context.Context) error {
		gone, err := c.query(ctx, "DELETE FROM notifications WHERE topic = $1 AND ($2 = '' OR person = $2) AND ($3 = 0 OR item = $3) RETURNING "+columns,
			what.Topic, what.Person, what.Item)
		for _, was := range gone {
			if err == nil {
				err = c.router.Deleted(ctx, was)
			}
		}
		return err
	})
}

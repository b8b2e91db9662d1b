package livegorm_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/glebarez/sqlite"
	"github.com/swampline/live"
	"github.com/swampline/live/adapters/livegorm"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
	"github.com/swampline/live/where/wheretest/postgres"
	pgdriver "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// List has many todos.
type List struct {
	ID    int64  `live:"id,key"`
	Name  string `live:"name"`
	Todos []Todo `gorm:"constraint:-"`
}

// Todo is a row with a hook that tests set.
type Todo struct {
	ID     int64   `live:"id,key"`
	ListID *int64  `live:"list_id,filter"`
	Title  string  `live:"title"`
	Slug   *string `gorm:"uniqueIndex" live:"slug"`
	Rank   int64   `live:"rank" gorm:"default:7"`

	after, before func(tx *gorm.DB, t *Todo) error
}

func (t *Todo) AfterSave(tx *gorm.DB) error {
	if t.after != nil {
		return t.after(tx, t)
	}
	return nil
}

func (t *Todo) BeforeSave(tx *gorm.DB) error {
	if t.before != nil {
		return t.before(tx, t)
	}
	return nil
}

// Draft is deleted softly.
type Draft struct {
	ID        int64  `live:"id,key"`
	Text      string `live:"text"`
	DeletedAt gorm.DeletedAt
}

// Member has two columns for its key.
type Member struct {
	Team int64  `gorm:"primaryKey;autoIncrement:false"`
	User int64  `gorm:"primaryKey;autoIncrement:false"`
	Name string `live:"name,key"`
	Role string `live:"role"`
}

// Thing is in a table whose schema is named.
type Thing struct {
	ID   int64  `live:"id,key"`
	Name string `live:"name"`
}

func (Thing) TableName() string { return "main.things" }

// Note has no router.
type Note struct {
	ID   int64
	Text string
}

// database makes tables and opens a DB on them with a configuration.
type database struct {
	name string
	open func(t *testing.T, c *gorm.Config) *gorm.DB
}

// quiet is a logger that says nothing: many tests fail on purpose.
var quiet = logger.New(log.New(io.Discard, "", 0), logger.Config{})

var models = []any{&List{}, &Todo{}, &Draft{}, &Member{}, &Note{}}

func open(t *testing.T, d gorm.Dialector, c *gorm.Config) *gorm.DB {
	t.Helper()
	c.Logger = quiet
	db, err := gorm.Open(d, c)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	if d.Name() == "postgres" && db.Exec("TRUNCATE lists, todos, drafts, members, notes RESTART IDENTITY").Error == nil {
		return db // a test before has made them, which takes long
	}
	if err := db.AutoMigrate(models...); err != nil {
		t.Fatal(err)
	}
	return db
}

// databases runs a test on SQLite and on PostgreSQL.
func databases(t *testing.T, test func(t *testing.T, d database)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, database{"sqlite", func(t *testing.T, c *gorm.Config) *gorm.DB {
			file := "file:" + url.PathEscape(filepath.Join(t.TempDir(), "db")) + "?_pragma=busy_timeout(20000)&_pragma=journal_mode(wal)&_pragma=synchronous(off)&_txlock=immediate"
			return open(t, sqlite.Open(file), c)
		}})
	})
	t.Run("postgres", func(t *testing.T) {
		server := postgres.Start(t)
		test(t, database{"postgres", func(t *testing.T, c *gorm.Config) *gorm.DB { return open(t, pgdriver.Open(server), c) }})
	})
}

// configs are the ways in which GORM runs statements: all of them on SQLite, which is quick.
func (d database) configs() map[string]*gorm.Config {
	all := map[string]*gorm.Config{"default": {}, "both": {PrepareStmt: true, SkipDefaultTransaction: true}}
	if d.name == "sqlite" {
		all["prepared"], all["skip"] = &gorm.Config{PrepareStmt: true}, &gorm.Config{SkipDefaultTransaction: true}
	}
	return all
}

// spy is a broker that notes what is appended, and an outbox that can be told to be one.
type spy struct {
	broker.Broker
	mu   sync.Mutex
	told []string
	fail error
}

func (s *spy) Append(ctx context.Context, data []byte) (broker.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return broker.Position{}, s.fail
	}
	e, err := record.Decode(data)
	if err != nil {
		return broker.Position{}, err
	}
	var words []string
	for _, c := range e.Changes {
		word := string(c.Op) + " " + c.Router
		if c.Key != "" {
			word += " " + c.Key
		}
		if len(c.Changed) > 0 {
			word += " " + strings.Join(c.Changed, "+")
		}
		words = append(words, word)
	}
	for _, m := range e.Messages {
		words = append(words, m.Channel+" "+string(m.Data))
	}
	s.told = append(s.told, strings.Join(words, ", "))
	return s.Broker.Append(ctx, data)
}

// bench is a hub with a subscriber, and a DB with the plugin.
type bench struct {
	*testing.T
	db   *gorm.DB
	spy  *spy
	srv  *livetest.Server
	subs []func()
	bulk map[string]bool // the routers of which all was told to have changed
}

func newBench(t *testing.T, db *gorm.DB, o live.Options) *bench {
	t.Helper()
	b := &bench{T: t, db: db, bulk: map[string]bool{}, spy: &spy{Broker: memory.New(memory.Options{})}}
	o.Broker = b.spy
	b.srv = livetest.Config{Options: o}.New(t, routerOf[List](b, "lists"), routerOf[Todo](b, "todos"), routerOf[Draft](b, "drafts"), routerOf[Member](b, "members"), routerOf[Thing](b, "things"),
		&live.Channel{Name: "chat", Subscribe: func(context.Context, string) error { return nil }})
	if err := db.Use(livegorm.New(b.srv.Hub)); err != nil {
		t.Fatal(err)
	}
	client := b.srv.Connect(t)
	follow[List](b, client, "lists")
	follow[Todo](b, client, "todos")
	follow[Draft](b, client, "drafts")
	follow[Member](b, client, "members")
	return b
}

// routerOf lists rows with GORM, within transactions and outside of them.
func routerOf[T any](b *bench, name string) *live.Router[T] {
	return &live.Router[T]{Name: name, Scope: live.Everyone, List: func(ctx context.Context, q live.Query) (rows []T, err error) {
		d := where.SQLite
		if b.db.Name() == "postgres" {
			d = where.Postgres
		}
		cond, args := q.Where.SQL(d)
		if b.db.Name() == "postgres" { // GORM numbers them itself
			for i := len(args); i > 0; i-- {
				cond = strings.ReplaceAll(cond, fmt.Sprintf("$%d", i), "?")
			}
		}
		err = livegorm.In(ctx, b.db).Where(cond, args...).Find(&rows).Error
		return rows, err
	}}
}

// follow subscribes to a router; converge then compares what the subscriber holds with the table.
func follow[T any](b *bench, client *livetest.Client, name string) {
	sub := client.Subscribe(b, name)
	b.subs = append(b.subs, func() {
		b.Helper()
		if b.bulk[name] {
			sub.WantResync(b, "bulk")
			delete(b.bulk, name)
		}
		sub.Sync(b)
		var stored, held []T
		if err := b.db.Find(&stored).Error; err != nil {
			b.Fatal(err)
		}
		for _, row := range sub.Rows() {
			var v T
			row.Decode(b, &v)
			held = append(held, v)
		}
		if got, want := published(held), published(stored); !slices.Equal(got, want) {
			b.Errorf("the subscriber of %s holds\n%v, in the table are\n%v", name, got, want)
		}
	})
}

// published returns the published fields of rows, sorted.
func published[T any](rows []T) []string {
	all := make([]string, len(rows))
	for i, row := range rows {
		v := reflect.ValueOf(row)
		for f := range v.NumField() {
			if v.Type().Field(f).Tag.Get("live") != "" {
				all[i] += fmt.Sprintf("%v=%v ", v.Type().Field(f).Name, reflect.Indirect(v.Field(f)))
			}
		}
	}
	slices.Sort(all)
	return all
}

// wantTold wants the entries that were appended since it was called last, and that the subscriber holds what the tables do.
func (b *bench) wantTold(want ...string) {
	b.Helper()
	b.spy.mu.Lock()
	told := b.spy.told
	b.spy.told = nil
	b.spy.mu.Unlock()
	for _, entry := range told {
		if router, ok := strings.CutPrefix(entry, "where "); ok {
			b.bulk[router] = true
		}
	}
	if !slices.Equal(told, want) {
		b.Errorf("told\n%q, want\n%q", told, want)
	}
}

// wantOn wants one entry, which depends on the database.
func (b *bench) wantOn(want map[string]string) {
	b.Helper()
	b.wantTold(want[b.db.Name()])
}

// converge wants the subscriber to hold what the tables do.
func (b *bench) converge() {
	b.Helper()
	for _, sub := range b.subs {
		sub()
	}
}

// must fails the test with the error of a statement.
func (b *bench) must(tx *gorm.DB) {
	b.Helper()
	if tx.Error != nil {
		b.Fatal(tx.Error)
	}
}

func (b *bench) do(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

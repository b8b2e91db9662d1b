package livetest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where"
)

type userKey struct{}

func as(user string) livetest.ConnectOption { return livetest.As(userKey{}, user) }

// todo is the model of the tests.
type todo struct {
	ID      int64      `live:"id,key"`
	Owner   string     `live:"owner,scope"`
	Title   string     `live:"title,write,filter"`
	Done    bool       `live:"done,write,filter"`
	Due     *time.Time `live:"due,write,filter"`
	Version int64      `live:"version,version"`
}

// app is an application with a table in memory. Everybody sees their own rows.
type app struct {
	todos *live.Router[todo]
	chat  *live.Channel

	mu   sync.Mutex
	rows map[int64]todo
	last int64
}

func newApp() *app {
	a := &app{rows: map[int64]todo{}}
	a.todos = &live.Router[todo]{
		Name: "todos", Scope: a.scope, List: a.list, Get: a.get, Create: a.create, Update: a.update, Delete: a.remove,
	}
	a.chat = &live.Channel{
		Name: "chat:*",
		Subscribe: func(ctx context.Context, name string) error {
			if name == "chat:staff" && userOf(ctx) != "alice" {
				return live.ErrForbidden
			}
			return nil
		},
		Publish: func(ctx context.Context, _ string, data json.RawMessage) (any, error) {
			if string(data) == `""` {
				return nil, &live.Error{Code: "empty"}
			}
			return map[string]any{"from": userOf(ctx), "text": data}, nil
		},
	}
	return a
}

func userOf(ctx context.Context) string {
	user, _ := ctx.Value(userKey{}).(string)
	return user
}

func (a *app) scope(ctx context.Context) (where.Where, error) {
	if userOf(ctx) == "" {
		return where.Nothing(), live.ErrForbidden
	}
	return where.Eq("owner", userOf(ctx)), nil
}

func (a *app) list(context.Context, live.Query) ([]todo, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []todo
	for _, row := range a.rows {
		all = append(all, row)
	}
	return all, nil
}

func (a *app) get(_ context.Context, key live.Key) (todo, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	row, ok := a.rows[key.Int64()]
	if !ok {
		return row, live.ErrNotFound
	}
	return row, nil
}

func (a *app) create(ctx context.Context, in todo) (todo, error) {
	if in.Title == "" {
		return in, &live.Error{Code: "invalid", Errors: map[string][]string{"title": {"must not be empty"}}}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	in.ID, in.Version, in.Owner = a.last, 1, userOf(ctx)
	a.rows[in.ID] = in
	return in, nil
}

func (a *app) update(_ context.Context, was, now todo) (todo, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.rows[was.ID].Version != was.Version {
		return now, live.ErrConflict
	}
	now.Version++
	a.rows[now.ID] = now
	return now, nil
}

func (a *app) remove(_ context.Context, was todo) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.rows, was.ID)
	return nil
}

// add stores and publishes a row of a user, as the application's own code would.
func (a *app) add(t testing.TB, user, title string) todo {
	t.Helper()
	ctx := context.WithValue(t.Context(), userKey{}, user)
	row, err := a.create(ctx, todo{Title: title})
	if err == nil {
		err = a.todos.Created(ctx, row)
	}
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// change changes and publishes a row.
func (a *app) change(t testing.TB, was todo, f func(*todo)) todo {
	t.Helper()
	now := was
	f(&now)
	now, err := a.update(t.Context(), was, now)
	if err == nil {
		err = a.todos.Updated(t.Context(), was, now)
	}
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// fake is a testing.TB that notes how a test of livetest's users would fail, and where: at the nearest caller that is no helper.
type fake struct {
	testing.TB
	mu       sync.Mutex
	helpers  map[string]bool
	cleanups []func()
	failures []string
	lines    []string // where they are, by the helpers
	line     string   // where the test says that they should be
	deadline time.Time
}

// run runs a test that ought to fail and returns the fake with its failures.
func run(t *testing.T, test func(t *fake)) *fake {
	t.Helper()
	f := &fake{TB: t, helpers: map[string]bool{}}
	each := func(do func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			do()
		}()
		<-done
	}
	each(func() { test(f) })
	for i := len(f.cleanups) - 1; i >= 0; i-- {
		each(f.cleanups[i])
	}
	return f
}

func (f *fake) Helper() {
	pc, _, _, _ := runtime.Caller(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.helpers[runtime.FuncForPC(pc).Name()] = true
}

func (f *fake) Cleanup(do func())           { f.cleanups = append(f.cleanups, do) }
func (f *fake) Context() context.Context    { return context.Background() }
func (f *fake) Output() io.Writer           { return io.Discard }
func (f *fake) Deadline() (time.Time, bool) { return f.deadline, !f.deadline.IsZero() }

func (f *fake) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failures != nil
}

func (f *fake) Errorf(format string, args ...any) { f.fail(fmt.Sprintf(format, args...)) }

func (f *fake) Fatalf(format string, args ...any) {
	f.fail(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (f *fake) Fatal(args ...any) {
	f.fail(fmt.Sprint(args...))
	runtime.Goexit()
}

func (f *fake) fail(message string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pcs := make([]uintptr, 50)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if !f.helpers[frame.Function] || !more {
			f.lines = append(f.lines, place(frame.File, frame.Line))
			break
		}
	}
	f.failures = append(f.failures, message)
}

// here says that the call in the next line is the one that will fail.
func (f *fake) here() {
	_, file, n, _ := runtime.Caller(1)
	f.line = place(file, n+1)
}

// hasten brings the test's deadline near: for what is said when nothing comes.
func (f *fake) hasten() { f.deadline = time.Now().Add(50 * time.Millisecond) }

func place(file string, line int) string {
	return fmt.Sprintf("%s:%d", file[strings.LastIndexByte(file, '/')+1:], line)
}

var errDisk = errors.New("the disk is full")

// Package live adds live updates to an existing net/http application: browsers subscribe to a filtered set of rows and hold a
// copy of it that is always right, over WebSocket, Server-Sent Events, long-poll or short-poll, whichever gets through.
//
// It runs in the application's own process. The application keeps its database, its model code and its middleware; it declares
// which fields of a model go out and who may see which rows, mounts one http.Handler, and says when a row was changed.
//
// # Quick start
//
// The fields of a model that go out are tagged, see [Serializer]; a [Router] says who may see which rows and which verbs
// exist:
//
//	type Todo struct {
//		ID      int64  `live:"id,key"`
//		ListID  int64  `live:"list_id,write,filter"`
//		OwnerID int64  `live:"owner_id,scope"` // for rights only: never sent
//		Title   string `live:"title,write,filter"`
//		Version int64  `live:"version,version"`
//	}
//
//	todos := &live.Router[Todo]{
//		Name: "todos",
//		Scope: func(ctx context.Context) (where.Where, error) {
//			return where.Eq("owner_id", userID(ctx)), nil
//		},
//		List: func(ctx context.Context, q live.Query) ([]Todo, error) {
//			clause, args := q.SQL(where.SQLite)
//			return db.Todos(ctx, clause, args...)
//		},
//		// Get, Create, Update and Delete let clients do so
//	}
//	hub := live.New(live.Options{})
//	hub.Register(todos)
//	mux.Handle("/live/", requireUser(hub)) // the application's middleware is the authentication
//
// Model code reports what was committed; those who see the row, or saw it, are told:
//
//	err = todos.Updated(ctx, was, now)
//
// And a page follows:
//
//	<script src="/live/live.js"></script>
//	const todos = Live.connect("/live/").list("todos", { where: { list_id: 7 }, order: "title" })
//	todos.subscribe(rows => render(rows))
//
// as does curl:
//
//	curl 'localhost:8080/live/todos?list_id=7'
//
// # Words
//
//   - A [Hub] is the running heart: it holds the routers and the sessions of clients, and is the http.Handler.
//   - A [Router] is one model's live endpoint: its name, serializer, scope and verbs.
//   - A [Serializer] says how a model becomes named fields.
//   - A scope is the predicate that a caller's rights put on every read. It is evaluated for each subscription and each call, and
//     decides for every change who is told. What a client asks for can only narrow it. Package where has the predicates.
//   - A [Channel] is a named stream of messages that belong to no model.
//   - The log is the ordered, bounded history that all hubs of one application share. A broker stores it: package broker has the
//     contract, and the one in memory serves one machine.
//   - A position is a place in the log, and a cursor is a position as a client holds it. It is all that a client needs to go on
//     after its connection broke, on any transport and any server. It is no authority: each resume is authorised anew.
//   - A resync is the explicit word that history no longer covers a cursor, with a fresh list.
//
// What subscribers may rely on: each sees a strictly increasing, gap-free, duplicate-free sequence of the log's changes
// that concern it, across reconnect, change of transport and change of server, as long as the log's history covers its
// cursor; otherwise it sees exactly one resync before any later change. A slow client's changes may be squashed: several of
// one row become the newest. Messages of channels never are.
//
// The protocol is described in docs/protocol.md.
package live

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// Everyone is the Scope of a router whose rows anybody may see. It has a name so that a reviewer can search for it.
func Everyone(context.Context) (where.Where, error) { return where.Where{}, nil }

// Event is what a subscriber is told of a row.
type Event string

// The events, as they are called on the wire. A subscriber sees the rows that his scope and his filter let through; the same
// change can be an Enter to one and a Leave to another.
const (
	// Create says that the row is new, and visible to the subscriber. It carries the whole row.
	Create Event = "create"
	// Enter says that the row became visible to the subscriber. It carries the whole row.
	Enter Event = "enter"
	// Update says that a visible row changed. It carries the fields that changed.
	Update Event = "update"
	// Leave says that the row exists and is no longer visible to the subscriber. It carries the key.
	Leave Event = "leave"
	// Delete says that the row is gone. It carries the key.
	Delete Event = "delete"
)

// Error is an error that the caller is told. Return one from a router's funcs to refuse with a code and a sentence; every
// other error, and every panic, is logged and answered with the code "internal" and nothing else.
//
// On the wire it is RFC 9457 problem details, on every transport in the same shape.
type Error struct {
	// Code is stable and for programs: lower case letters and underscores. Empty means "forbidden".
	Code string
	// Status is the HTTP status; zero means 403, or 422 when there are field errors.
	Status int
	// Detail is a sentence for people. Empty means the first field error.
	Detail string
	// Errors maps fields to what is wrong with them.
	Errors map[string][]string

	// Current, of a conflict, is the row as it is now and as the caller may see it: the JSON object of key, version and fields. The hub
	// sets it, also of an ErrConflict that a router's func returns.
	Current json.RawMessage
	// Changed, of a conflict, are the fields that changed since the version that the caller saw, by name, each with its last
	// change. Nil says that it is not known: the hub knows it from what of the log it holds in memory.
	Changed map[string]FieldChange
	// Conflicts, of a write that has a base, names the fields that it writes and that somebody else has changed, too.
	Conflicts []string
}

// The errors that a router's funcs return most. Test for them with errors.Is; make your own *Error for a sentence of your
// own.
var (
	// ErrNotFound says that there is no such row, or none that the caller may see: the answer is the same.
	ErrNotFound = &Error{Code: "not_found", Status: http.StatusNotFound, Detail: "no such row, or not one that you may see"}
	// ErrConflict says that the row is not of the version that the caller saw. The answer holds the row as it is now, and
	// what changed since, if that is known.
	ErrConflict = &Error{Code: "conflict", Status: http.StatusConflict, Detail: "the row was changed by somebody else"}
	// ErrForbidden refuses without a reason.
	ErrForbidden = &Error{Code: "forbidden", Status: http.StatusForbidden, Detail: "you may not do this"}
)

// Error returns the code and the sentence.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Code
	}
	return e.Code + ": " + e.Detail
}

// Is makes errors.Is compare by code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e != nil && t.Code == e.Code
}

// problem is the error as clients see it.
func (e *Error) problem() *wire.Problem {
	status, code := e.Status, e.Code
	if status < 400 || status > 599 { // none, or one that is no error
		status = http.StatusForbidden
		if len(e.Errors) > 0 {
			status = http.StatusUnprocessableEntity
		}
	}
	if code == "" {
		code = "forbidden"
	}
	p := newProblem(status, code, e.Detail, e.Errors)
	p.Current, p.Conflicts = e.Current, e.Conflicts
	if e.Changed != nil {
		p.Changed = make(map[string]wire.FieldChange, len(e.Changed))
		for name, c := range e.Changed {
			p.Changed[name] = wire.FieldChange(c)
		}
	}
	return p
}

// Key is the key of a row as text, in the canonical form of the key field's type.
type Key string

// Int64 returns the key of a model whose key field is an integer; zero if it is none, which cannot happen in the funcs of
// its router.
func (k Key) Int64() int64 {
	n, _ := strconv.ParseInt(string(k), 10, 64)
	return n
}

// String returns the key as text.
func (k Key) String() string { return string(k) }

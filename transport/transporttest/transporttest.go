// Package transporttest is the contract that every transport of live keeps, as a test, and a client that speaks all of them.
//
// [Run] tests one transport of a running application: order, receiving, resumption, resync, errors, closing, single routers,
// middleware, TLS and HTTP/2. A case that fails quotes the sentence of the contract that was broken. [Dial] opens the client that the
// cases use; it is good for an application's own tests too.
package transporttest

import (
	"context"
	"net/http"
	"testing"
)

// App is an application under test. Its hub has a router "items" whose rows everybody may see, with the fields
//
//	id       the key, an integer
//	list_id  an integer that can be filtered
//	title    text that can be written and filtered
//	version  the version, an integer
//
// and the verbs list, get, create, update and delete; a row that a client creates may have any list_id. The hub's history holds
// two thousand changes at least.
type App struct {
	// Handler is the hub, to be mounted at /live/.
	Handler http.Handler
	// MaxMessageBytes is the limit of a client's message; 64 KiB if zero.
	MaxMessageBytes int

	// Create, Update and Delete change a row in the application's own code, which tells the hub.
	Create func(ctx context.Context, listID int64, title string) (key string, err error)
	Update func(ctx context.Context, key, title string) error
	Delete func(ctx context.Context, key string) error
	// Expire makes the hub forget its history: it covers no cursor of before any more.
	Expire func(ctx context.Context) error
	// Shutdown shuts the hub down.
	Shutdown func(ctx context.Context) error
}

// Open makes a new application for one case, and cleans up after it with t.Cleanup.
type Open func(t *testing.T) *App

// Run tests one transport, by its name, of the applications that open makes.
func Run(t *testing.T, transport string, open Open) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, e *env)
	}{
		{"Order", testOrder},
		{"Operations", testOperations},
		{"TwoSubscriptions", testTwoSubscriptions},
		{"Receive", testReceive},
		{"Refusals", testRefusals},
		{"TooLarge", testTooLarge},
		{"Resume", testResume},
		{"Resync", testResync},
		{"Close", testClose},
		{"Single", testSingle},
		{"SingleErrors", testSingleErrors},
		{"UnwrapMiddleware", testUnwrap},
		{"GzipMiddleware", testGzip},
		{"WriteTimeout", testWriteTimeout},
		{"TLS", testTLS},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, &env{transport: transport, open: open}) })
	}
}

// The sentences that a failing case quotes.
const (
	exact = `DESIGN 5: "For each subscription the client's handler sees a strictly increasing, gap-free, duplicate-free sequence ` +
		`of the log's changes that concern it, across reconnect, change of transport, change of node and restart of the broker, as ` +
		`long as the log's history covers its cursor."`
	oneResync = `DESIGN 5: "Otherwise it sees exactly one resync, with the reason, the new cursor and a freshly authorised snapshot, ` +
		`before any later change."`
	noThird    = `DESIGN 5: "There is no third outcome."`
	eachItself = `docs/protocol.md, Messages: "Each is handled for itself: a bad one is answered with an error, the others count."`
	oneShape   = `docs/protocol.md, Problems: "Errors have the shape of RFC 9457 on every transport."`
	answered   = `docs/protocol.md, From the client: "id is a positive integer that the client chooses; the answer carries it."`
	resultLast = `docs/protocol.md, From the client: "Over a socket the result comes after the changes that the call caused for this ` +
		`session's subscriptions."`
	answersSubscribe = `docs/protocol.md, From the client: "Answered by snapshot, resumed, resync or error."`
	goodbye          = `docs/protocol.md, reconnect: "this server is about to go; connect again after so many milliseconds, with your cursors."`
	ended            = `DESIGN 8: "Every goroutine has an owner that waits for it; Shutdown returns after the last one."`
	oneURL           = `DESIGN 6: "that one URL per router serves every transport by content negotiation may not [be refined]."`
	oneObject        = `docs/protocol.md, A single router: "The answer to a GET with a cursor is one JSON object: a resync message, or a ` +
		`change whose list may be empty, always with the new cursor."`
	snapshotShape = `docs/protocol.md, A single router: "the list: a snapshot message without id and query"`
	eventNames    = `docs/protocol.md, A single router: "In an event stream the event's name is the message's type and its id the cursor, of a router's list or count cursor~tag, the tag up to its ."`
	anyMiddleware = `transport/sse: "it works behind middleware that wraps the ResponseWriter, if the wrapper has a Flush of its own or ` +
		`an Unwrap; WriteTimeout and ReadTimeout of the http.Server do not cut a stream."`
)

// broken fails the case with the sentence of the contract.
func broken(t *testing.T, sentence, format string, args ...any) {
	t.Helper()
	t.Fatalf(format+"\nThe contract says:\n\t%s", append(args, sentence)...)
}

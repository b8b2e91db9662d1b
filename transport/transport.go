// Package transport defines how a client's session is drained.
//
// A session is a queue of messages for one client and a place where the client's messages go in. A transport moves both over
// a connection: it accepts the request, hands what arrives to Receive, and writes what Next (a stream) or Poll (one round)
// returns. It decides nothing: authorisation, subscriptions, cursors and resumption are the session's. So a transport is
// small, and package transporttest can hold all of them to one contract.
package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// Transport serves one way of moving messages. Implementations are stateless values that serve many requests at once.
type Transport interface {
	// Name is what the client calls it: websocket, sse, longpoll, shortpoll.
	Name() string

	// Accepts reports whether the request asks for this transport. The hub asks its transports in order and takes the
	// first.
	Accepts(r *http.Request) bool

	// Serve drains the session over the request and returns when the response is complete, or earlier with Options.Hold. It closes the
	// session when the client is gone.
	Serve(w http.ResponseWriter, r *http.Request, s Session, o Options)
}

// Options is what the hub tells every transport. All durations and sizes are positive, unless it says otherwise.
type Options struct {
	// Body is what the client sent with the request: newline-separated messages, or those that the hub made of the URL of a
	// single router. A transport hands it to the session before it drains.
	Body []byte
	// Single says that the request follows one router or channel by its URL. Its answers are made for curl: a poll answers
	// with one JSON object, an error is an HTTP status, events have names and ids.
	Single bool
	// Tag belongs behind a "~" to the ids of events, so that an EventSource gives it back with its cursor; empty for none.
	Tag string
	// Wait is how long a long-poll may wait for something to say.
	Wait time.Duration
	// MaxMessageBytes bounds one incoming frame.
	MaxMessageBytes int64
	// PingInterval is the time between two signs of life that a stream sends, before jitter.
	PingInterval time.Duration
	// PongTimeout is how long the answer to a ping may take.
	PongTimeout time.Duration
	// WriteTimeout is how long the client may take nothing of what is written to it. A client that takes some of it in this time is
	// waited for; Session.TooSlow is called for another.
	WriteTimeout time.Duration
	// ReceiveTimeout is how long a message from the client may take from its beginning to its end. Zero means for ever.
	ReceiveTimeout time.Duration
	// Cut ends when the hub waits for no client any more: what is being written then is cut off. Nil: never.
	Cut context.Context
	// Hold lets Serve return while the session goes on, on a connection that the transport has taken over, so that nothing of the request is
	// kept for it. The transport calls it before it returns, and what it returned once the session and the connection are closed and the last of
	// its goroutines has ended: with what one of them panicked with, if so. Nil: Serve must not return before.
	Hold func() (release func(failure error))
}

// OnCut calls f, on a goroutine of its own, when Cut ends, unless stop was called before.
func (o Options) OnCut(f func()) (stop func() bool) {
	if o.Cut == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(o.Cut, f)
}

// NextPing is the time until a stream's next sign of life: PingInterval, up to a fifth shorter or longer, so that the clients that
// connected together do not stay together.
func (o Options) NextPing() time.Duration {
	fifth := int64(o.PingInterval / 5)
	return o.PingInterval + time.Duration(rand.Int64N(2*fifth+1)-fifth)
}

// Session is one connected client as its transport sees it. Next, Park and Poll are called by one goroutine at a time; the other methods
// by any.
type Session interface {
	// ID is random and names the session in logs.
	ID() string

	// Receive takes newline-separated messages. It returns when they have been accepted, not when they have been answered, and
	// blocks while too many are unanswered. A transport may call it before Next and Poll: it does not wait for a frame to be
	// fetched before the first Next. From then on it does while too much is queued, so that a client which asks and does not
	// read is not read from. Data is the session's from then on. What is wrong with a message is answered to the client; the error is
	// ctx's, or ErrClosed.
	Receive(ctx context.Context, data []byte) error

	// TooLarge says that the client sent a frame over Options.MaxMessageBytes, which the transport has thrown away. The session
	// answers message_too_large, without an id. It does not block.
	TooLarge()

	// Next returns the frames that are ready, at least one, and waits while there are none. Frames that were returned are the
	// transport's to deliver: when they are lost on the way, the client resumes from its cursors. The error is ctx's, or
	// ErrClosed after the last frame of a closed session, or a *ClosedError where the hub ended it for a reason. Called after Park
	// has reported false, it may return no frames and no error: what it was needed for is done and said nothing, so call Park again.
	Next(ctx context.Context) ([]*Frame, error)

	// Park leaves the session to the hub, so that no goroutine has to wait in Next: from when it reports true, nobody calls Next, and what
	// there is to say is offered to p, until an Offer reports false or p is resumed. The frames that Next returned last must have been
	// written. It reports false, and forgets p, when there is something to do that only Next does: then call that. P may be offered something
	// before Park has returned.
	Park(p Parked) bool

	// Poll is one round: it waits until everything received is answered, then, if that left nothing but Quiet frames, for up to
	// wait until there is something to say. It returns what there is, with a cursor frame at the end. Wait of zero does not
	// wait. The error is ctx's; a closed session returns its last frames.
	Poll(ctx context.Context, wait time.Duration) ([]*Frame, error)

	// Cursor queues a cursor frame behind everything that is queued, for Next to return. Streams call it with every ping. It does
	// not block.
	Cursor()

	// TooSlow says that the client took nothing of what was written to it for Options.WriteTimeout. The session ends, with the
	// problem too_slow. It does not block.
	TooSlow()

	// Close ends the session and returns at once: nothing is fetched any more. Further calls do nothing.
	Close()
}

// ErrClosed says that a session is closed and has no more frames.
var ErrClosed = errors.New("transport: session closed")

// ClosedError is the ErrClosed of a session that the hub ended because of what this client did, or did not do. The last frame says it to
// the client, too.
type ClosedError struct {
	// Status is that of a WebSocket's close frame (RFC 6455, section 7.4; 1013 is of the IANA registry).
	Status int
	// Code is the problem's.
	Code string
}

// Error says why.
func (e *ClosedError) Error() string { return ErrClosed.Error() + ": " + e.Code }

// Is makes it an ErrClosed.
func (e *ClosedError) Is(target error) bool { return target == ErrClosed }

// Parked is the connection of a stream that no goroutine drains. Its methods are called by a goroutine of the hub, which many sessions
// share: they do not wait. They are not called after Close has returned, but one may be running then.
type Parked interface {
	// Offer writes what it can of the batch without waiting. It reports true when the connection has taken all of it. Otherwise the
	// session is not parked any more: the connection keeps what is left, writes it on a goroutine of its own, and calls Next or
	// Park then.
	Offer(b *Batch) bool

	// Resume says that there is something to do which only Next does: the session is not parked any more, and Next is to be called, on
	// another goroutine.
	Resume()
}

// Frame is one message to a client, encoded once and shared between sessions: nobody may modify it.
type Frame struct {
	// Type is the message's type: snapshot, change, error, ….
	Type string
	// Cursor is the message's cursor, or empty.
	Cursor string
	// Data is the message: one JSON object without a newline.
	Data []byte
	// Items is the part of Data between the brackets of the changes of a change, or of the messages of a message: so that
	// several frames can be answered as one.
	Items []byte
	// More is what a change of a window says of rows beyond it; nil for any other.
	More *bool
	// Whole says that a change of a window names all of its rows.
	Whole bool
	// Problem is the problem object of an error frame, and Status its HTTP status.
	Problem []byte
	Status  int
	// Quiet says that a poll does not end for this frame: it tells the client nothing that it must know now.
	Quiet bool
}

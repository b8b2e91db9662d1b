// Package sse is the Server-Sent Events transport: an answer that does not end, over HTTP/1.1 or HTTP/2, for EventSource, fetch and
// curl. Messages come as events; what the client has to say later it says in requests of their own.
//
// It needs no hijacking. It flushes and sets deadlines through http.ResponseController, so it works behind middleware that wraps
// the ResponseWriter, if the wrapper has a Flush of its own or an Unwrap; WriteTimeout and ReadTimeout of the http.Server do not
// cut a stream.
//
// Where it can have it, it takes the connection over once the first events are out, so that a stream on which nothing happens costs little: on HTTP/1.1
// without TLS, behind writers with Hijack or Unwrap that do not compress. The header, and what it says, come as ever; middleware that
// watches what is written sees the first events. Over HTTP/2 and TLS the handler stays, and what waits for a client leaves in one flush.
package sse

import (
	"context"
	"errors"
	"net/http"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/outlet"
	"github.com/swampline/live/transport/internal/pace"
	"github.com/swampline/live/transport/internal/pulse"
)

// Transport is the Server-Sent Events transport.
type Transport struct{}

// Name is "sse".
func (Transport) Name() string { return "sse" }

// Accepts takes a GET or POST whose Accept header names text/event-stream. A wildcard names nothing.
func (Transport) Accepts(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodPost) && accepts(r.Header.Values("Accept"))
}

// Serve writes events until the session is closed or the client is gone. On a single router's stream it waits for the answer to the
// subscription first: if that is an error, it is the answer to the request. Such a stream also ends with its subscription.
func (Transport) Serve(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options) {
	left := false // to a conn, which closes the session
	defer func() {
		if !left {
			s.Close()
		}
	}()
	if !flushes(w) {
		transport.Unavailable(w, http.StatusNotImplemented,
			"events cannot be streamed here: a ResponseWriter between the server and the hub has neither Flush nor Unwrap")
		return
	}
	st := newStream(w, r, o)
	uncut := o.OnCut(st.paced.Cut)
	defer uncut()
	ctx := r.Context()
	if len(o.Body) > 0 && s.Receive(ctx, o.Body) != nil && ctx.Err() != nil {
		return
	}
	beats := pulse.Start(o.NextPing, func() bool { s.Cursor(); return true })
	defer beats.Stop()

	frames, err := first(ctx, s, o.Single)
	if ctx.Err() != nil {
		return
	}
	if o.Single {
		if f := refusal(frames); f != nil {
			transport.WriteProblem(w, f.Status, f.Problem)
			return
		}
	}
	if len(frames) == 0 {
		transport.Unavailable(w, http.StatusServiceUnavailable, "the server is shutting down")
		return
	}
	st.open()
	for err == nil && st.say(s, frames) {
		if st.free() {
			beats.Stop()
			uncut()
			left = takeOver(w, s, o)
			return
		}
		frames, err = s.Next(ctx)
	}
}

// first returns the frames with which the stream begins. In single mode they go up to the answer to the subscription.
func first(ctx context.Context, s transport.Session, single bool) (frames []*transport.Frame, err error) {
	for {
		more, err := s.Next(ctx)
		frames = append(frames, more...)
		if err != nil || !single || answered(more) {
			return frames, err
		}
	}
}

// answered reports whether one of the frames says how the subscription went, or that it will not.
func answered(frames []*transport.Frame) bool {
	for _, f := range frames {
		switch f.Type {
		case "hello", "status", "cursor", "pong":
		default:
			return true
		}
	}
	return false
}

// refusal returns the frame that ended the subscription, or that refused it.
func refusal(frames []*transport.Frame) *transport.Frame {
	for _, f := range frames {
		if f.Problem != nil {
			return f
		}
	}
	return nil
}

// flushes reports what http.ResponseController.Flush would find, without flushing: once it has, no error can be answered.
func flushes(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case interface{ FlushError() error }, http.Flusher:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// stream is the writing half, as far as the server's writer is used.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	paced   *pace.Writer
	tag     string // behind the ids of events
	single  bool
	plain   bool // between the server and the client there is nothing
	begun   bool
}

// newStream lifts the deadline that the server set for the answer. The one for the request the server lifts itself, once the body is
// read.
func newStream(w http.ResponseWriter, r *http.Request, o transport.Options) *stream {
	control := http.NewResponseController(w)
	st := &stream{w: w, control: control, tag: o.Tag, single: o.Single, paced: pace.New(w.Write, control.SetWriteDeadline, o.WriteTimeout)}
	st.plain = r.ProtoMajor == 1 && r.ProtoAtLeast(1, 1) && r.TLS == nil && outlet.Able(w)
	st.paced.Lift()
	return st
}

// open writes the header.
func (st *stream) open() {
	h := st.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx buffers otherwise
	if st.plain {
		h.Set("Connection", "close") // who takes it over closes it
	}
	st.w.WriteHeader(http.StatusOK)
}

// free reports whether the connection can be taken over, now that a part of the answer is out. Whoever stands between the server and
// the hub and makes something else of what is written has said so in the header.
func (st *stream) free() bool {
	h := st.w.Header()
	return st.plain && h.Get("Content-Encoding") == "" && h.Get("Transfer-Encoding") == ""
}

// say writes frames. It reports whether the stream goes on.
func (st *stream) say(s transport.Session, frames []*transport.Frame) bool {
	err := st.write(frames)
	if errors.Is(err, pace.ErrTooSlow) {
		s.TooSlow()
	}
	return err == nil && !(st.single && refusal(frames) != nil)
}

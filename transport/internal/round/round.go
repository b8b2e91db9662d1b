// Package round answers one poll. Long-poll and short-poll are this with and without waiting.
//
// A poll that has to wait does so on a borrowed connection, where there is one (see package loan): its handler returns, and nothing is kept but the
// session, the connection and two goroutines with small stacks, one that waits for the session and one that sees whether the client goes.
package round

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/buffer"
	"github.com/swampline/live/transport/internal/loan"
	"github.com/swampline/live/transport/internal/pace"
)

// Serve hands the session what the request says, waits for one round and answers with it.
func Serve(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options, wait time.Duration) {
	kept := false
	defer func() {
		if !kept {
			s.Close()
		}
	}()
	// The server's WriteTimeout began with the request. Waiting is no writing, and over HTTP/2 the stream would be reset in the
	// middle of it. A writer without deadlines has none to lift.
	paced := pace.New(w.Write, http.NewResponseController(w).SetWriteDeadline, o.WriteTimeout)
	paced.Lift()
	uncut := o.OnCut(paced.Cut)
	defer uncut()

	if len(o.Body) > 0 && s.Receive(r.Context(), o.Body) != nil && r.Context().Err() != nil {
		return
	}
	a := answer{session: s, single: o.Single, channel: o.Single && r.URL.Query().Has("channel")}
	if wait > 0 && o.Hold != nil {
		if !a.round(r.Context(), 0) {
			return
		}
		if kept = !a.news() && a.lend(w, r, o, wait); kept {
			return
		}
	}
	if !a.news() && !a.round(r.Context(), wait) {
		return
	}
	paced.Begin() // the last deadline stays, for what is left in the server's buffer
	a.write(slow{w, paced})
}

// lend has the rest of the wait done on a borrowed connection; it reports false if there is none.
func (a answer) lend(w http.ResponseWriter, r *http.Request, o transport.Options, wait time.Duration) bool {
	conn := loan.Take(w, r)
	if conn == nil {
		return false
	}
	// It must not refer to the options or the request, which can be freed.
	l := &lent{answer: a, conn: conn, release: o.Hold(), wait: wait, patience: o.WriteTimeout, cut: o.Cut}
	go l.serve()
	return true
}

// lent is a poll that waits on a borrowed connection.
type lent struct {
	answer
	conn           *loan.Conn
	release        func(failure error)
	wait, patience time.Duration
	cut            context.Context
}

// serve waits for the round, answers, and gives the connection back.
func (l *lent) serve() {
	var failure error
	defer func() {
		if p := recover(); p != nil {
			failure = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			l.conn.Close()
		}
		l.session.Close()
		l.release(failure)
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.conn.Watch(cancel)
	if !l.round(ctx, l.wait) || !l.send() {
		l.conn.Close()
		return
	}
	l.session.Close()
	l.conn.Return()
}

// send sends the answer.
func (l *lent) send() bool {
	paced := l.conn.Pace(l.patience)
	uncut := transport.Options{Cut: l.cut}.OnCut(paced.Cut)
	defer uncut()
	l.write(l.conn)
	err := l.conn.Finish(paced)
	if errors.Is(err, pace.ErrTooSlow) {
		l.session.TooSlow()
	}
	return err == nil
}

// answer is what a poll comes to.
type answer struct {
	session transport.Session
	single  bool
	channel bool // single, and of a channel
	frames  []*transport.Frame
	over    bool // the session is
}

// round adds one round to what there is to say. It reports false when the client is gone.
func (a *answer) round(ctx context.Context, wait time.Duration) bool {
	// The cursor of the round before is not the last word any more.
	a.frames = slices.DeleteFunc(a.frames, func(f *transport.Frame) bool { return f.Type == "cursor" })
	frames, err := a.session.Poll(ctx, wait) // a session that was closed meanwhile has its last words
	if ctx.Err() != nil {
		return false
	}
	a.frames, a.over = append(a.frames, frames...), err != nil
	return true
}

// news reports whether there is something to say that is not to wait.
func (a *answer) news() bool {
	return a.over || slices.ContainsFunc(a.frames, func(f *transport.Frame) bool { return !f.Quiet })
}

// write answers.
func (a *answer) write(w http.ResponseWriter) {
	var err error
	switch {
	case a.over || len(a.frames) == 0:
		transport.Unavailable(w, http.StatusServiceUnavailable, "the server is shutting down")
	case a.single:
		err = a.object(w)
	default:
		err = many(w, a.frames)
	}
	if errors.Is(err, pace.ErrTooSlow) {
		a.session.TooSlow()
	}
}

// slow is the answer to a client that may be slow.
type slow struct {
	http.ResponseWriter
	paced *pace.Writer
}

func (s slow) Write(data []byte) (int, error) { return s.paced.Write(data) }

// many answers with one message a line.
func many(w http.ResponseWriter, frames []*transport.Frame) error {
	b := buffer.Get()
	defer buffer.Put(b)
	for _, f := range frames {
		b.Write(f.Data)
		b.WriteByte('\n')
	}
	return send(w, "application/x-ndjson", b.Bytes())
}

// object answers with one object: what went wrong, the newest full set of rows, or all changes in one.
func (a *answer) object(w http.ResponseWriter) error {
	var rows *transport.Frame
	for _, f := range a.frames {
		if f.Problem != nil {
			transport.WriteProblem(w, f.Status, f.Problem)
			return nil
		}
		if f.Type == "snapshot" || f.Type == "resync" || f.Type == "count" {
			rows = f
		}
	}
	b := buffer.Get()
	defer buffer.Put(b)
	if rows != nil {
		// What came before is in it, and what came after follows its cursor: the next poll brings it.
		b.Write(rows.Data)
	} else if !a.merge(b) {
		transport.Unavailable(w, http.StatusServiceUnavailable, "the server is shutting down")
		return nil
	}
	b.WriteByte('\n')
	return send(w, "application/json", b.Bytes())
}

// merge writes all changes, or all messages, as one. It reports false when no frame says up to where: the round was cut short.
func (a *answer) merge(b *bytes.Buffer) bool {
	kind, list, cursor := "change", "changes", ""
	if a.channel {
		kind, list = "message", "messages"
	}
	var items [][]byte
	more, whole := "", ""
	for _, f := range a.frames {
		if f.More != nil {
			more = `"more":` + strconv.FormatBool(*f.More) + `,`
		}
		if f.Whole { // what came before may name rows that it does not
			whole, items = `"whole":true,`, nil
		}
		if f.Cursor != "" && !before(f.Cursor, cursor) {
			cursor = f.Cursor
		}
		if f.Type == kind && len(f.Items) > 0 {
			items = append(items, f.Items)
		}
	}
	b.WriteString(`{"type":"` + kind + `","cursor":"` + cursor + `",` + more + whole + `"` + list + `":[`)
	for i, item := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(item)
	}
	b.WriteString(`]}`)
	return cursor != ""
}

// before reports whether a cursor is of the same epoch as another and before it. A cursor frame may be: it moves nobody back.
func before(cursor, other string) bool {
	epoch, _, _ := strings.Cut(cursor, ".")
	return strings.HasPrefix(other, epoch+".") && cursor < other
}

func send(w http.ResponseWriter, contentType string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	if h.Get("Cache-Control") == "" { // the hub may allow a list to be revalidated
		h.Set("Cache-Control", "no-store")
	}
	_, err := w.Write(body)
	return err
}

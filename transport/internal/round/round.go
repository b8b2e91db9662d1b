// Package round answers one poll. Long-poll and short-poll are this with and without waiting.
package round

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/buffer"
	"github.com/swampline/live/transport/internal/pace"
)

// Serve hands the session what the request says, waits for one round and answers with it.
func Serve(w http.ResponseWriter, r *http.Request, s transport.Session, o transport.Options, wait time.Duration) {
	defer s.Close()
	// The server's WriteTimeout began with the request. Waiting is no writing, and over HTTP/2 the stream would be reset in the
	// middle of it. A writer without deadlines has none to lift.
	paced := pace.New(w.Write, http.NewResponseController(w).SetWriteDeadline, o.WriteTimeout)
	paced.Lift()
	uncut := o.OnCut(paced.Cut)
	defer uncut()

	if len(o.Body) > 0 && s.Receive(r.Context(), o.Body) != nil && r.Context().Err() != nil {
		return
	}
	frames, err := s.Poll(r.Context(), wait) // a session that was closed meanwhile has its last words
	if r.Context().Err() != nil {
		return
	}
	paced.Begin() // the last deadline stays, for what is left in the server's buffer
	out := slow{w, paced}
	switch {
	case err != nil || len(frames) == 0:
		transport.Unavailable(w, http.StatusServiceUnavailable, "the server is shutting down")
		return
	case o.Single:
		err = single(out, r, frames)
	default:
		err = many(out, frames)
	}
	if errors.Is(err, pace.ErrTooSlow) {
		s.TooSlow()
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
	return answer(w, "application/x-ndjson", b.Bytes())
}

// single answers with one object: what went wrong, the newest full set of rows, or all changes in one.
func single(w http.ResponseWriter, r *http.Request, frames []*transport.Frame) error {
	var rows *transport.Frame
	for _, f := range frames {
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
	} else if !merge(b, r, frames) {
		transport.Unavailable(w, http.StatusServiceUnavailable, "the server is shutting down")
		return nil
	}
	b.WriteByte('\n')
	return answer(w, "application/json", b.Bytes())
}

// merge writes all changes, or all messages, as one. It reports false when no frame says up to where: the round was cut short.
func merge(b *bytes.Buffer, r *http.Request, frames []*transport.Frame) bool {
	kind, list, cursor := "change", "changes", ""
	if r.URL.Query().Has("channel") {
		kind, list = "message", "messages"
	}
	var items [][]byte
	more := ""
	for _, f := range frames {
		if f.More != nil {
			more = `"more":` + strconv.FormatBool(*f.More) + `,`
		}
		if f.Cursor != "" && !before(f.Cursor, cursor) {
			cursor = f.Cursor
		}
		if f.Type == kind && len(f.Items) > 0 {
			items = append(items, f.Items)
		}
	}
	b.WriteString(`{"type":"` + kind + `","cursor":"` + cursor + `",` + more + `"` + list + `":[`)
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

func answer(w http.ResponseWriter, contentType string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	if h.Get("Cache-Control") == "" { // the hub may allow a list to be revalidated
		h.Set("Cache-Control", "no-store")
	}
	_, err := w.Write(body)
	return err
}

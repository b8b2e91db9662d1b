// Package pace writes to clients that may be slow: what is long goes out in pieces, each of which has the whole time to be taken. So a
// client that takes a little all the time gets everything, and one that takes nothing is found out.
package pace

import (
	"errors"
	"sync"
	"time"
)

// Piece is how much a client must take in the time of one write.
const Piece = 4 << 10

// ErrTooSlow says that a client took nothing, or less than a Piece, for the whole time that a write may take.
var ErrTooSlow = errors.New("the client does not take what it is sent")

// Writer writes for one goroutine.
type Writer struct {
	write    func([]byte) (int, error)
	deadline func(time.Time) error
	timeout  time.Duration

	mu  sync.Mutex
	cut bool
}

// New returns a Writer that bounds each piece by a deadline. One whose deadlines do nothing, because the writer has none, still writes.
func New(write func([]byte) (int, error), deadline func(time.Time) error, timeout time.Duration) *Writer {
	return &Writer{write: write, deadline: deadline, timeout: timeout}
}

// Write writes data in pieces.
func (w *Writer) Write(data []byte) (n int, err error) {
	for len(data) > 0 && err == nil {
		err = w.Bound(func() error {
			taken, err := w.write(data[:min(len(data), Piece)])
			data, n = data[taken:], n+taken
			return err
		})
	}
	return n, err
}

// Bound runs f, which writes what was written before further, under a deadline.
func (w *Writer) Bound(f func() error) error {
	begun := time.Now()
	w.until(begun.Add(w.timeout))
	err := f()
	if err != nil && time.Since(begun) >= w.timeout { // whatever the writer calls it: over HTTP/2 the stream was reset
		return ErrTooSlow
	}
	return err
}

// Begin sets the deadline of what is written without the Writer.
func (w *Writer) Begin() { w.until(time.Now().Add(w.timeout)) }

// Lift takes the deadline away. Over HTTP/2 one that passes resets the stream, whether or not something is being written.
func (w *Writer) Lift() { w.until(time.Time{}) }

// Cut ends what is being written, and lets nothing more be written. Any goroutine may call it.
func (w *Writer) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	_ = w.deadline(past)
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

func (w *Writer) until(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		t = past
	}
	_ = w.deadline(t)
}

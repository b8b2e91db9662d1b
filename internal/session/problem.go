package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync/atomic"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/observe"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// PanicError is a panic of the application's code, made an error.
type PanicError struct {
	Value any
	Stack []byte
	// counted and logged say what was done with it: it passes through many hands.
	counted, logged atomic.Bool
}

// NewPanicError keeps the stack of a panic that is being recovered from.
func NewPanicError(value any) *PanicError { return &PanicError{Value: value, Stack: debug.Stack()} }

// Error has the stack, for an application that is given the error. Of a value that is neither text nor an error it has the type: it
// may be a row.
func (e *PanicError) Error() string {
	text := ""
	switch v := e.Value.(type) {
	case error:
		text = v.Error()
	case string, fmt.Stringer, bool, int, int64, float64:
		text = fmt.Sprint(v)
	default:
		text = fmt.Sprintf("a value of type %T", v)
	}
	return "panic: " + text + "\n" + string(e.Stack)
}

// CountPanic counts the panic that an error comes from, if it does, once: whoever knows best where it was is the first to see it.
func CountPanic(w *observe.Watch, err error, where string) {
	var p *PanicError
	if errors.As(err, &p) && !p.counted.Swap(true) {
		w.Count(observe.Panics, where, 1)
	}
}

// panicked makes an error of a panic that nothing nearer to the application's code has caught.
func (s *Session) panicked(value any) error {
	err := NewPanicError(value)
	CountPanic(s.env.Watch, err, "other")
	return err
}

// refusal answers a message that is refused.
func (s *Session) refusal(id int64, p *wire.Problem) *transport.Frame {
	s.env.Watch.Count(observe.Refusals, p.Label(), 1)
	return wire.Error(id, p)
}

// lastWord ends a subscription with a problem; when it was never accepted that is the answer to its subscribe.
func (sub *subscription) lastWord(p *wire.Problem) *transport.Frame {
	if !sub.answered {
		return sub.session.refusal(sub.id, p)
	}
	sub.session.env.Watch.Count(observe.ClosedSubscriptions, p.Label(), 1)
	return wire.Closed(sub.id, p)
}

// ErrUnavailable says that the broker could not be reached.
var ErrUnavailable = errors.New("the broker cannot be reached")

// unavailable makes an error of the broker one that the client is told about.
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// Problem returns what a client is told of an error, and whether the error is internal: then it must be logged, because the
// client is told nothing of it.
func Problem(err error) (p *wire.Problem, internal bool) {
	switch {
	case errors.As(err, &p):
		return p, false
	case errors.Is(err, broker.ErrTooLarge):
		return wire.NewProblem(http.StatusRequestEntityTooLarge, "message_too_large", "too large to be published"), false
	case errors.Is(err, ErrUnavailable):
		return wire.NewProblem(http.StatusServiceUnavailable, "unavailable", "the log of changes cannot be reached; try again"), true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return wire.NewProblem(http.StatusServiceUnavailable, "unavailable", "not answered in time"), true
	}
	return wire.NewProblem(http.StatusInternalServerError, "internal", "the server failed to answer this"), true
}

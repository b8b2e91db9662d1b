package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/wire"
)

// PanicError is a panic of the application's code, made an error.
type PanicError struct {
	Value any
	Stack []byte
}

// NewPanicError keeps the stack of a panic that is being recovered from.
func NewPanicError(value any) *PanicError { return &PanicError{value, debug.Stack()} }

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

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

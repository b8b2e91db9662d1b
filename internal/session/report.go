package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// Report logs an error that a client is told nothing of, with what is known of him. Ctx is his: when it has ended he has gone, and
// an error that says just that is no news. A panic that many waited for is logged once.
func Report(ctx context.Context, logger *slog.Logger, err error, args ...any) {
	level, message := slog.LevelError, "live: what a client asked for failed"
	interrupted := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	var panicked *PanicError
	switch {
	case errors.As(err, &panicked):
		if panicked.logged.Swap(true) {
			return
		}
		message = "live: the application panicked"
		args = append(args, "stack", string(panicked.Stack))
	case ctx.Err() != nil && interrupted:
		level, message = slog.LevelDebug, "live: a client went before it was answered"
	case ctx.Err() != nil:
		level, message = slog.LevelWarn, "live: what a client asked for failed after it went"
	case errors.Is(err, ErrUnavailable):
		level, message = slog.LevelWarn, "live: the broker cannot be reached"
	case interrupted:
		level, message = slog.LevelWarn, "live: what a client asked for was not answered in time"
	}
	logger.Log(ctx, level, message, append([]any{Cause(err)}, args...)...)
}

// Cause is an error as it is logged: without a stack, which has an attribute of its own, and without the value that a predicate or the log
// cannot hold, which may be a row's.
func Cause(err error) slog.Attr {
	text := err.Error()
	var panicked *PanicError
	if errors.As(err, &panicked) {
		text = strings.ReplaceAll(text, "\n"+string(panicked.Stack), "")
	}
	var bad *where.Error
	if errors.As(err, &bad) && bad.Message != "" {
		what, named := strings.CutPrefix(bad.Message, "field "+strconv.Quote(bad.Field)+": ")
		if named || bad.Field == "" {
			text = strings.ReplaceAll(text, what, bad.Code)
		} else {
			text = strings.ReplaceAll(text, what, fmt.Sprintf("field %q: %s", bad.Field, bad.Code))
		}
	}
	return slog.String("error", text)
}

// problem words an error for the client and logs what the client is not told. M is what failed; it may be of no type.
func (s *Session) problem(err error, m wire.Message) *wire.Problem {
	p, internal := Problem(err)
	if internal {
		Report(s.ctx, s.env.Logger, err, s.who(m)...)
	}
	return p
}

// who tells in a log whose message it is about. What the message holds is nobody's business.
func (s *Session) who(m wire.Message) []any {
	args := []any{"session", s.id, "transport", s.Transport}
	for _, a := range []struct{ name, value string }{
		{"who", s.Who}, {"remote", s.Remote}, {"type", m.Type}, {"router", m.Router}, {"verb", m.Verb}, {"channel", m.Channel},
	} {
		if a.value != "" {
			args = append(args, a.name, Clip(a.value))
		}
	}
	return args
}

// Clip keeps what a client wrote from filling a log.
func Clip(text string) string {
	const longest = 200
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// maxAuthor bounds what a change says of who made it, in bytes: it goes to everybody with each change.
const maxAuthor = 1 << 10

// attribute says in changes who makes them, if that is known.
func (h *Hub) attribute(ctx context.Context, changes []record.Change) {
	if h.options.Author == nil || len(changes) == 0 {
		return
	}
	if x := h.present(); x != nil && changes[0].Router == x.Router() { // of members, who say themselves who they are
		return
	}
	by, err := h.author(ctx)
	if err != nil {
		args := []any{session.Cause(err)}
		var panicked *session.PanicError
		if errors.As(err, &panicked) {
			args = append(args, "stack", string(panicked.Stack))
		}
		h.options.Logger.ErrorContext(ctx, "live: who made a change cannot be told", args...)
		return
	}
	for i := range changes {
		if changes[i].Op != record.Bulk { // nobody is told of that row by row
			changes[i].By = by
		}
	}
}

// author returns the JSON of who makes a change, nil if nobody does.
func (h *Hub) author(ctx context.Context) (by []byte, err error) {
	defer h.caught(&err, inAuthor)
	who := h.options.Author(ctx)
	if who == nil {
		return nil, nil
	}
	if by, err = wire.Marshal(who); err != nil {
		return nil, fmt.Errorf("Options.Author returned a %T: %w", who, err)
	}
	switch {
	case bytes.Equal(by, null):
		return nil, nil
	case len(by) > maxAuthor:
		return nil, fmt.Errorf("Options.Author returned %d bytes of JSON, want %d at most", len(by), maxAuthor)
	}
	return by, nil
}

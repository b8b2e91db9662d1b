package live

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/wire"
)

// FieldChange is the last change of a field, as a conflict tells of it.
type FieldChange struct {
	// Version is the row's version that the change made.
	Version int64
	// By is the JSON of who made it, as Options.Author has it; nil when that is not known.
	By json.RawMessage
}

// seenVersion reads the version that a writer saw of a row; nil for a model that has none.
func (e *endpoint) seenVersion(given json.RawMessage) (*int64, error) {
	if !e.versioned {
		return nil, nil
	}
	seen, err := parseVersion(given)
	if err != nil {
		return nil, err
	}
	return &seen, nil
}

// parseVersion reads a version that a writer sent.
func parseVersion(given json.RawMessage) (version int64, err error) {
	if given == nil {
		return 0, wire.NewProblem(http.StatusPreconditionRequired, "version_required",
			"say which version you saw: the member version, or the header If-Match").Field("version", "is required")
	}
	if err := json.Unmarshal(given, &version); err != nil || string(given) == "null" {
		return 0, wire.NewProblem(http.StatusBadRequest, "invalid_version",
			"version: want an integer, got "+describe(given)).Field("version", "want an integer")
	}
	return version, nil
}

// checkVersion compares the version that a writer saw with the present one.
func (e *endpoint) checkVersion(ctx context.Context, by rights, given json.RawMessage, o record.Object) error {
	seen, err := e.seenVersion(given)
	if err != nil || seen == nil || *seen == *o.Version {
		return err
	}
	return e.tell(ctx, ErrConflict.problem(), by, seen, o)
}

// tell adds to a conflict the row as it is, as the caller may see it, and what changed since the version that he saw.
func (e *endpoint) tell(ctx context.Context, p *wire.Problem, by rights, seen *int64, o record.Object) (err error) {
	at := e.hub.engine.Position().String()
	if p.Current, err = e.present(ctx, by.view, o, at); err != nil {
		return err
	}
	if seen != nil && o.Version != nil && *seen < *o.Version {
		p.Changed = e.since(ctx, by, o.Key, *seen, *o.Version)
	}
	return p
}

// catching is how long a conflict waits for the log, which may not have come to the version that the database has; a transaction may be open.
const catching = 250 * time.Millisecond

// since returns what changed in a row between two versions, nil when it is not known.
func (e *endpoint) since(ctx context.Context, by rights, key string, from, to int64) map[string]wire.FieldChange {
	changed := by.view.Since(e.hub.engine.Entries(), by.scope, key, from, to)
	if changed != nil || e.hub.away.Load() {
		return changed
	}
	ctx, cancel := context.WithTimeout(ctx, catching)
	defer cancel()
	if e.hub.engine.CatchUp(ctx) != nil {
		return nil
	}
	return by.view.Since(e.hub.engine.Entries(), by.scope, key, from, to)
}

// conflict completes a conflict that the application found when it stored a row, as its writer sent it.
func (e *endpoint) conflict(ctx context.Context, verb string, i item, err error) error {
	if verb == "create" || !errors.Is(err, ErrConflict) {
		return err
	}
	by, failed := e.rights(ctx)
	if failed != nil {
		return failed
	}
	_, o, missing := e.find(ctx, by, verb, i.key)
	if missing != nil {
		return missing
	}
	var conflict *Error
	errors.As(err, &conflict)
	seen, _ := e.seenVersion(i.version) // it was read before
	return e.tell(ctx, conflict.problem(), by, seen, o)
}

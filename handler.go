package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// VersionOf returns the version of a row that a caller says he saw, for a handler of the application's own that stores the row itself: that of the header
// If-Match, or of a form's input "version". The error is an *[Error] to answer with: 428 "version_required", or 400 "invalid_version".
//
//	seen, err := live.VersionOf(r)
//	if err != nil { live.WriteProblem(w, err); return }
//	… UPDATE … WHERE id = ? AND version = ? …
//	if n == 0 { live.WriteProblem(w, articles.Conflict(r.Context(), key, seen)); return }
func VersionOf(r *http.Request) (int64, error) {
	given := ifMatch(r)
	if given == nil {
		if text := r.PostFormValue("version"); text != "" {
			given = versionText(text)
		}
	}
	seen, err := parseVersion(given)
	if err != nil {
		return 0, told(err)
	}
	return seen, nil
}

// Conflict returns the error for a caller who saw another version of a row than it has: an *[Error] that is [ErrConflict], with Current and, as far as it is
// known, Changed; or [ErrNotFound] if the row is gone, or not one that he may see. It loads the row with Get. An UPDATE or a DELETE with the
// version in its WHERE that hit no row is the time for it. Any other error is the application's own.
func (r *Router[T]) Conflict(ctx context.Context, key string, seen int64) (err error) {
	e := r.endpoint
	switch {
	case e == nil:
		return errNotRegistered
	case r.Get == nil:
		return fmt.Errorf("live: router %s: Conflict needs Get, to load the row as it is: set it", r.Name)
	}
	defer func() { err = told(err) }()
	defer e.hub.guard(&err, inVerb)
	by, err := e.rights(ctx)
	if err != nil {
		return err
	}
	_, o, err := e.find(ctx, by, "update", key)
	if err != nil {
		return err
	}
	return e.tell(ctx, ErrConflict.problem(), by, &seen, o)
}

// told makes an error that a caller may be told of an *Error.
func told(err error) error {
	var p *wire.Problem
	if !errors.As(asProblem(err), &p) {
		return err
	}
	return errorOf(p)
}

// errorOf is a problem as the application sees it.
func errorOf(p *wire.Problem) *Error {
	e := &Error{Code: p.Code, Status: p.Status, Detail: p.Detail, Errors: p.Errors, Current: p.Current, Conflicts: p.Conflicts}
	if p.Changed != nil {
		e.Changed = make(map[string]FieldChange, len(p.Changed))
		for name, c := range p.Changed {
			e.Changed[name] = FieldChange(c)
		}
	}
	return e
}

// ProblemOf returns what a caller may be told of an error: an *[Error] in it, with nothing left empty, or what [Invalid] says; of any other
// error only that the server failed, with status 500 and code "internal", so that is for the application to log. Nil for nil.
func ProblemOf(err error) *Error {
	if err == nil {
		return nil
	}
	p, _ := session.Problem(asProblem(err))
	return errorOf(p)
}

// WriteProblem answers a request with what the caller may be told of an error, as [ProblemOf] has it: problem details in JSON, like the hub's own.
func WriteProblem(w http.ResponseWriter, err error) {
	p, _ := session.Problem(asProblem(err))
	writeProblem(w, p)
}

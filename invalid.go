package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/swampline/live/internal/wire"
)

// Invalid is an error that says what is wrong with the fields of a row that a client wants to store: it maps each to its messages. What
// concerns several fields may stand at the empty name. Clients are told all of it, with the code "invalid" and the status 422.
//
// Return nil when nothing is wrong: an Invalid that names no field refuses all the same.
type Invalid map[string][]string

// Error returns the first field's first message.
func (i Invalid) Error() string { return "invalid: " + i.problem().Detail }

func (i Invalid) problem() *wire.Problem {
	p := newProblem(http.StatusUnprocessableEntity, "invalid", "", i)
	if p.Detail == "" {
		p.Detail = "what was sent is not valid"
	}
	return p
}

// newProblem returns a problem with field errors. Without a detail it is the first of them.
func newProblem(status int, code, detail string, fields map[string][]string) *wire.Problem {
	p := wire.NewProblem(status, code, detail)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, message := range fields[name] {
			if p.Detail == "" {
				p.Detail = message
				if name != "" {
					p.Detail = fmt.Sprintf("field %q: %s", name, message)
				}
			}
			p.Field(name, message)
		}
	}
	return p
}

// asProblem makes an error that the caller is told of a problem; every other error stays what it is.
func asProblem(err error) error {
	var e *Error
	var i Invalid
	switch {
	case errors.As(err, &e) && e == nil: // a func returned a variable of type *Error as an error
		return errors.New("a nil *live.Error was returned as an error: return a plain nil")
	case e != nil:
		return e.problem()
	case errors.As(err, &i):
		return i.problem()
	}
	return err
}

// validator is what validates itself, as a model or the input of a custom verb may.
type validator interface {
	Validate(ctx context.Context) error
}

// validatorOf finds the Validate method of what p points to.
func validatorOf(p any) validator {
	if v, ok := p.(validator); ok {
		return v
	}
	if e := reflect.ValueOf(p).Elem(); e.Kind() == reflect.Pointer && !e.IsNil() {
		v, _ := e.Interface().(validator)
		return v
	}
	return nil
}

// validate asks the row and the router what is wrong with a row, and answers with what both say.
func (r *Router[T]) validate(ctx context.Context, w *Write[T]) error {
	merged, wrong := Invalid{}, false
	note := func(err error) error {
		var i Invalid
		if !errors.As(err, &i) {
			return err
		}
		wrong = true
		for name, messages := range i {
			merged[name] = append(merged[name], messages...)
		}
		return nil
	}
	if v := validatorOf(w.Now); v != nil {
		if err := note(v.Validate(ctx)); err != nil {
			return err
		}
	}
	if r.Validate != nil {
		if err := note(r.Validate(ctx, w.Was, *w.Now)); err != nil {
			return err
		}
	}
	if wrong {
		return merged
	}
	return nil
}

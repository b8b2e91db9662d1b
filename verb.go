package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// Verb is a verb of the application's own that concerns no single row, such as "clear the list". In is what the client sends
// as data, decoded strictly by encoding/json; without data it is zero. If it has a method Validate(context.Context) error
// that is called first. Out is what the client is answered. A struct{} stands for nothing.
//
// What is published with ctx goes on the log as one entry when the func has succeeded. It does not run in the router's Tx.
type Verb[In, Out any] func(ctx context.Context, in In) (Out, error)

// RowVerb is a verb of the application's own on a row, such as "archive": like a [Verb], and the row is one that the caller may
// see, as Get returned it. If the client says which version it saw, the row is of that version.
type RowVerb[T, In, Out any] func(ctx context.Context, row T, in In) (Out, error)

// CustomVerb is a [Verb] or a [RowVerb], for [Router].Verbs.
type CustomVerb interface {
	// declared reports whether there is a func.
	declared() bool
	// row is the model that the verb works on, nil for a Verb.
	row() reflect.Type
	// types are In and Out.
	types() (in, out reflect.Type)
	// run decodes data, calls the func and encodes what it returns. Row is a *T.
	run(ctx context.Context, row any, data json.RawMessage) ([]byte, error)
}

func (v Verb[In, Out]) declared() bool  { return v != nil }
func (Verb[In, Out]) row() reflect.Type { return nil }
func (Verb[In, Out]) types() (in, out reflect.Type) {
	return reflect.TypeFor[In](), reflect.TypeFor[Out]()
}

func (v Verb[In, Out]) run(ctx context.Context, _ any, data json.RawMessage) ([]byte, error) {
	in, err := input[In](ctx, data)
	if err != nil {
		return nil, err
	}
	out, err := v(ctx, in)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(out)
}

func (v RowVerb[T, In, Out]) declared() bool  { return v != nil }
func (RowVerb[T, In, Out]) row() reflect.Type { return reflect.TypeFor[T]() }
func (RowVerb[T, In, Out]) types() (in, out reflect.Type) {
	return reflect.TypeFor[In](), reflect.TypeFor[Out]()
}

func (v RowVerb[T, In, Out]) run(ctx context.Context, row any, data json.RawMessage) ([]byte, error) {
	in, err := input[In](ctx, data)
	if err != nil {
		return nil, err
	}
	out, err := v(ctx, *row.(*T), in)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(out)
}

// checkVerbs refuses custom verbs that cannot be called.
func (r *Router[T]) checkVerbs() error {
	for _, name := range slices.Sorted(maps.Keys(r.Verbs)) {
		v := r.Verbs[name]
		switch {
		case !routerName.MatchString(name):
			return fmt.Errorf("verb %q: the name is not allowed: use lower case letters, digits, \"_\" and \"-\", beginning with a letter", name)
		case slices.Contains([]string{"list", "get", "create", "update", "delete", "explain"}, name):
			return fmt.Errorf("verb %q: the name has a meaning of its own: choose another", name)
		case v == nil || !v.declared():
			return fmt.Errorf("verb %q has no func: give it one or remove it", name)
		case v.row() == nil:
		case v.row() != reflect.TypeFor[T]():
			return fmt.Errorf("verb %q works on rows of type %s, and those of this router are %s: declare it as a live.RowVerb of that type", name, v.row(), reflect.TypeFor[T]())
		case r.Get == nil:
			return fmt.Errorf("the verb %s needs Get, to load the row that it works on and to check that the caller may see it", name)
		}
		in, out := v.types()
		for _, t := range []reflect.Type{in, out} {
			if slices.Contains([]reflect.Kind{reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer}, t.Kind()) {
				return fmt.Errorf("verb %q: a value of type %s cannot be sent: take another type", name, t)
			}
		}
	}
	return nil
}

// hasVerb reports whether there is a custom verb of a name, on a row or not.
func (e *endpoint) hasVerb(name string, onRow bool) bool {
	v := e.verbs.custom[name]
	return v != nil && (v.row() != nil) == onRow
}

// custom runs a verb of the application's own.
func (e *endpoint) custom(ctx context.Context, m wire.Message) (answer, error) {
	v := e.verbs.custom[m.Verb]
	var row any
	switch {
	case v.row() != nil:
		loaded, err := e.findFor(ctx, m)
		if err != nil {
			return nil, err
		}
		row = loaded
	case m.Key != "":
		return nil, wire.NewProblem(http.StatusBadRequest, "malformed_message", fmt.Sprintf("key: the verb %s works on no row", m.Verb)).Field("key", "want none")
	case m.Version != nil:
		return nil, wire.NewProblem(http.StatusBadRequest, "malformed_message", fmt.Sprintf("version: the verb %s works on no row", m.Verb)).Field("version", "want none")
	}
	out, err := v.run(ctx, row, m.Data)
	if err != nil {
		return nil, err
	}
	return func(broker.Position) wire.Answer { return wire.Answer{Data: out} }, nil
}

// findFor loads the row that a custom verb is called for.
func (e *endpoint) findFor(ctx context.Context, m wire.Message) (any, error) {
	by, err := e.rights(ctx)
	if err != nil {
		return nil, err
	}
	row, o, err := e.find(ctx, by, m.Verb, m.Key)
	if err == nil && m.Version != nil {
		err = e.checkVersion(ctx, by, m.Version, o)
	}
	return row, err
}

// input decodes what a client sent to a custom verb, and validates it.
func input[In any](ctx context.Context, data json.RawMessage) (in In, err error) {
	if data = bytes.TrimSpace(data); len(data) > 0 {
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return in, inputProblem(reflect.TypeFor[In](), data, err)
		}
		if _, err := d.Token(); err != io.EOF {
			return in, wire.NewProblem(http.StatusBadRequest, "malformed_message", "data: got what is not JSON")
		}
	}
	if v := validatorOf(&in); v != nil {
		return in, v.Validate(ctx)
	}
	return in, nil
}

// inputProblem words what is wrong with what a client sent to a custom verb.
func inputProblem(in reflect.Type, data []byte, err error) *wire.Problem {
	if !json.Valid(data) {
		return wire.NewProblem(http.StatusBadRequest, "malformed_message", "data: got what is not JSON")
	}
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name, _ := strconv.Unquote(quoted)
		return wire.NewProblem(http.StatusUnprocessableEntity, "unknown_field", fmt.Sprintf("field %q: no such field", clip(name))).Field(name, "no such field")
	}
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) { // a type that reads itself; its words may not be for clients
		return wire.NewProblem(http.StatusUnprocessableEntity, "invalid_value", "data: a value is not of the right form")
	}
	if wrong.Field == "" {
		return wire.NewProblem(http.StatusBadRequest, "malformed_message", fmt.Sprintf("data: want %s, got %s", wanted(in), describe(data)))
	}
	message := fmt.Sprintf("want %s, got %s", wanted(wrong.Type), got(wrong.Value))
	return wire.NewProblem(http.StatusUnprocessableEntity, "invalid_value", fmt.Sprintf("field %q: %s", clip(wrong.Field), message)).Field(wrong.Field, message)
}

// wanted names the JSON that a type takes.
func wanted(t reflect.Type) string {
	c, err := codecOf(t)
	switch {
	case err != nil || !c.shapeless:
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		return "an array"
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map:
		return "an object"
	}
	if c.typ == where.Int {
		return "an integer that fits " + t.String()
	}
	return c.want
}

// got names a JSON value as encoding/json calls it.
func got(value string) string {
	switch {
	case value == "array" || value == "object":
		return "an " + value
	case value == "bool":
		return "true or false"
	case strings.HasPrefix(value, "number "):
		return "the " + clip(value)
	}
	return "a " + clip(value)
}

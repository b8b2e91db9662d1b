package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/where"
)

// FormValue is a hidden input of a form.
type FormValue struct{ Name, Value string }

// FormValues returns the hidden inputs with which a form says what it shows of a row: its version, and as "was.title" the JSON of each field that the
// caller may write. [Router.UpdateForm] reads them. In a template:
//
//	{{range .Hidden}}<input type="hidden" name="{{.Name}}" value="{{.Value}}">{{end}}
//
// A form that is shown again after a conflict has them anew, of the row as it is then: to send it once more is to save anyway.
func (r *Router[T]) FormValues(ctx context.Context, row T) ([]FormValue, error) {
	if r.endpoint == nil {
		return nil, errNotRegistered
	}
	v, err := r.endpoint.view(ctx)
	if err != nil {
		return nil, err
	}
	o, err := r.model.bare(&row)
	if err != nil {
		return nil, r.failed(err)
	}
	var values []FormValue
	if o.Version != nil {
		values = append(values, FormValue{"version", strconv.FormatInt(*o.Version, 10)})
	}
	for i, f := range r.model.fields {
		if v.write[i] {
			values = append(values, FormValue{"was." + f.name, string(o.Values[i])})
		}
	}
	return values, nil
}

// UpdateForm updates the row of a key by what an HTML form sent, in the way of the verb update: Allow, scope, AllowRow, Before, Validate, the version
// in the WHERE, and its subscribers are told. It returns the row as it was stored. For a handler of the application's own, which works with JavaScript
// off:
//
//	row, err := articles.UpdateForm(r, r.PathValue("id"))
//	if err != nil { page(w, form(r), live.ProblemOf(err)); return }
//
// Of the form it reads the fields that the caller may write, by name, those that it has; "version", the version that the form showed; and, by field, "was.title",
// the JSON of the value that it showed: [Router.FormValues] has both. A field with a was is written only if the form has another value, and
// it is then a merge: the form is a conflict only if somebody else has changed a field that it changes. Without a was each field is written, and every
// other version is a conflict. A form that changes nothing stores nothing.
//
// Text becomes what the field's type is: numbers; "on", "true", "1" and "yes", or "", "off", "false", "0" and "no" for a bool; times with a zone, or without
// one, as input type=datetime-local and date have them, in UTC; slices of these from several inputs of one name; anything else as JSON. An empty text is
// null where that can be. Lines end with \n. A bool or a slice that has a was and is not in the form is false or empty, as browsers leave out what is not
// checked.
//
// The error is an *[Error] if the caller can mend it: a conflict with Current, Changed and Conflicts, or one with Errors by field. An error
// that wraps [ErrUnpublished] says that the row was stored, and is returned, but could not be put on the log. Any other is the
// application's own.
//
// That the form was sent by the caller's own page is for the handler to see to, with [http.CrossOriginProtection]: a form of another site
// has the caller's cookies, and could read the version nowhere, but guess it. How large a body may be, too, with http.MaxBytesReader; what is written may have
// [Options].MaxMessageBytes.
func (r *Router[T]) UpdateForm(req *http.Request, key string) (row T, err error) {
	e := r.endpoint
	switch {
	case e == nil:
		return row, errNotRegistered
	case r.Update == nil:
		return row, fmt.Errorf("live: router %s: UpdateForm needs Update: set it", r.Name)
	}
	if err := parseForm(req); err != nil {
		return row, told(err)
	}
	ctx := req.Context()
	_, _, _, err = app{e.hub}.perform(ctx, e.hub.batchUnder(e.hub.batchOf(ctx), transactionOf(ctx)), func(ctx context.Context) (func(broker.Position) wire.Answer, error) {
		var err error
		row, err = r.updateForm(ctx, key, req)
		return nothing, err
	})
	var unsent *unsentError
	if errors.As(err, &unsent) {
		return row, fmt.Errorf("live: router %s: %w: %w", r.Name, ErrUnpublished, err)
	}
	if err != nil {
		var none T
		return none, told(err)
	}
	return row, nil
}

func (r *Router[T]) updateForm(ctx context.Context, key string, req *http.Request) (row T, err error) {
	e := r.endpoint
	if err := e.mayUse(ctx, "update"); err != nil {
		return row, err
	}
	v, err := e.view(ctx)
	if err != nil {
		return row, err
	}
	m, problem := r.model.form(v, req.PostForm)
	if problem != nil {
		return row, problem
	}
	m.Verb, m.Key = "update", key
	if problem := e.hub.checkForm(m); problem != nil {
		return row, problem
	}
	if string(m.Data) == "{}" {
		return r.unchanged(ctx, key)
	}
	done, err := e.write(ctx, m)
	if err != nil {
		return row, err
	}
	return *done.object.Row.(*T), nil
}

// unchanged returns a row that the caller might update, and does not.
func (r *Router[T]) unchanged(ctx context.Context, key string) (row T, err error) {
	by, err := r.endpoint.rights(ctx)
	if err != nil {
		return row, err
	}
	loaded, _, err := r.endpoint.find(ctx, by, "update", key)
	if err != nil {
		return row, err
	}
	return *loaded.(*T), nil
}

// checkForm holds what a form writes to the limits of messages.
func (h *Hub) checkForm(m wire.Message) *wire.Problem {
	depth := h.options.Limits.Depth - 1
	switch {
	case int64(len(m.Data)) > h.options.MaxMessageBytes:
		return wire.TooLarge(h.options.MaxMessageBytes)
	case wire.Deeper(m.Data, depth) || wire.Deeper(m.Base, depth):
		return wire.TooDeep(depth)
	}
	return nil
}

// parseForm reads a form, unless the handler has.
func parseForm(req *http.Request) error {
	err := req.ParseForm()
	if kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type")); kind == "multipart/form-data" && err == nil && req.MultipartForm == nil {
		err = req.ParseMultipartForm(1 << 20)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return wire.TooLarge(large.Limit)
	case err != nil:
		return wire.NewProblem(http.StatusBadRequest, "malformed_message", "the form cannot be read")
	}
	return nil
}

// form makes of a form the update that it stands for.
func (m *model[T]) form(v *view, form map[string][]string) (out wire.Message, problem *wire.Problem) {
	last := func(name string) string { values := form[name]; return values[len(values)-1] }
	data, base := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if m.version >= 0 && len(form["version"]) > 0 {
		out.Version = versionText(last("version"))
	}
	row := reflect.New(reflect.TypeFor[T]()).Elem()
	for i := range m.fields {
		f := &m.fields[i]
		if !v.write[i] || m.version >= 0 && f.name == "version" {
			continue
		}
		place, _ := at(row, f.path, true)
		values, sent := form[f.name]
		said := len(form["was."+f.name]) > 0
		if !sent && (!said || !leftOut(place.Type())) {
			continue
		}
		if !sent && !isList(place.Type()) {
			values = []string{"false"}
		}
		value, message := formJSON(place.Type(), values)
		if said && message == "" {
			was := json.RawMessage(last("was." + f.name))
			if !json.Valid(was) {
				return out, wire.NewProblem(http.StatusBadRequest, "malformed_message", fmt.Sprintf("was.%s: want the JSON of a value", f.name)).
					Field("was."+f.name, "want the JSON of a value")
			}
			if f.shows(place, was, value, values) {
				continue
			}
			base[f.name] = was
		}
		if message != "" {
			if problem == nil {
				problem = wire.NewProblem(http.StatusUnprocessableEntity, "invalid_value", fmt.Sprintf("field %q: %s", f.name, message))
			}
			problem.Field(f.name, message)
		}
		data[f.name] = value
	}
	if problem != nil {
		return out, problem
	}
	out.Data, _ = json.Marshal(data) // what is valid JSON
	if out.Base, _ = json.Marshal(base); len(base) == 0 {
		out.Base = nil
	}
	return out, nil
}

// shows reports whether an input shows a value: it was left as it is.
func (f *field) shows(place reflect.Value, was, is json.RawMessage, values []string) bool {
	canonical := func(data []byte) []byte {
		fresh := reflect.New(place.Type()).Elem()
		if f.codec.decode(bytes.TrimSpace(data), fresh) != nil {
			return nil
		}
		again, _ := f.codec.encode(fresh)
		return again
	}
	a, b := canonical(was), canonical(is)
	switch {
	case a == nil:
		return false
	case len(values) > 0 && values[len(values)-1] == "" && (bytes.Equal(a, null) || string(a) == `""`):
		return true // an input shows both as nothing
	case b == nil:
		return false
	case f.codec.typ == where.Text:
		return unixLines(keyText(a)) == keyText(b) && bytes.Equal(a, null) == bytes.Equal(b, null)
	case f.codec.typ == where.Time && len(values) > 0:
		var t time.Time
		text := values[len(values)-1]
		_, layout := formTime(text)
		if json.Unmarshal(a, &t) == nil && layout != "" && t.UTC().Format(layout) == text {
			return true // by the minute, as the input has it
		}
	}
	return f.codec.same(a, b)
}

func unixLines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// versionText is a version that came as text, as JSON.
func versionText(text string) json.RawMessage {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return strconv.AppendInt(nil, n, 10)
	}
	return wire.AppendString(nil, text)
}

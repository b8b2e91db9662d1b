package live_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live"
)

// posted is a request that a form sent, of visitor 1.
func posted(t *testing.T, form url.Values) *http.Request {
	r := httptest.NewRequestWithContext(as(limit(t), 1), "POST", "/memos/1", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// shown is the form of a row as it is shown: its hidden inputs, and those that a test sets.
func shown[T any](t *testing.T, r *live.Router[T], row T, inputs ...string) url.Values {
	t.Helper()
	hidden, err := r.FormValues(as(t.Context(), 1), row)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{}
	for _, h := range hidden {
		form.Set(h.Name, h.Value)
	}
	for i := 0; i < len(inputs); i += 2 {
		form.Add(inputs[i], inputs[i+1])
	}
	return form
}

func TestFormValuesAreWhatTheCallerMayWrite(t *testing.T) {
	m := desk()
	m.Serializer.Views = map[string]live.View{"guest": {Write: []string{"note"}}}
	m.Serializer.View = func(ctx context.Context) (string, error) {
		return map[int64]string{2: "guest"}[visitor(ctx)], nil
	}
	newBench(t, live.Options{}, m)
	row, _ := m.get(1)
	row.Title = "\"milk\" &\r\n<oats>"
	hidden, err := m.FormValues(as(t.Context(), 1), row)
	equal(t, "all", fmt.Sprint(hidden, err), `[{version 4} {was.list_id 7} {was.title "\"milk\" &\r\n<oats>"} {was.note "two"}] <nil>`)
	hidden, err = m.FormValues(as(t.Context(), 2), row)
	equal(t, "guest", fmt.Sprint(hidden, err), `[{version 4} {was.note "two"}] <nil>`)
	if _, err := (&live.Router[memo]{}).FormValues(t.Context(), row); err == nil {
		t.Error("the values of a router that no hub has")
	}
}

func TestAFormUpdatesARowAsTheVerbDoes(t *testing.T) {
	k := newBank()
	b := newBench(t, live.Options{Author: authors}, k)
	f := b.follow(`{"type":"subscribe","id":1,"router":"memos"}`)
	f.want("snapshot")
	row, _ := k.get(1)
	now, err := k.UpdateForm(posted(t, shown(t, &k.Router, row, "title", "oats", "note", "two", "list_id", "7", "button", "save", "stars", "9")), "1")
	equal(t, "row", fmt.Sprintf("%+v %v", now, err), "{ID:1 OwnerID:1 ListID:7 Title:oats Note:two Stars:3 Secret:s-one Version:5} <nil>")
	equal(t, "steps", strings.Join(k.steps, ", "), "scope outside, begin, scope, get 1, allow row update, before update, validate, update, after update, commit")
	c := f.want("change").Changes[0]
	equal(t, "change", fmt.Sprintln(c.Op, c.Fields["title"], string(c.By), len(c.Fields)), `update oats {"name":"v1"} 3`+"\n")
}

func TestAFormMergesWhatItChanges(t *testing.T) {
	m := public()
	was, _ := m.get(1)
	b := edited(t, live.Options{}, m) // title to oats, note to six
	_, err := m.UpdateForm(posted(t, shown(t, &m.Router, was, "title", "mine", "note", "two", "list_id", "8")), "1")
	var e *live.Error
	if !errors.As(err, &e) || !errors.Is(err, live.ErrConflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
	equal(t, "conflict", fmt.Sprintln(e.Status, e.Conflicts, string(e.Current), e.Changed["title"].Version, string(e.Changed["title"].By)), "409 [title] "+oats+` 5 {"name":"v5"}`+"\n")
	now, err := m.UpdateForm(posted(t, shown(t, &m.Router, was, "title", "milk", "note", "two", "list_id", "8")), "1")
	equal(t, "merged", fmt.Sprintf("%+v %v", now, err), "{ID:1 OwnerID:1 ListID:8 Title:oats Note:six Stars:3 Secret:s-one Version:7} <nil>")

	// Without what the form showed every other version is a conflict.
	for version, want := range map[string]string{"6": "conflict", "7": "", "": "version_required", "x": "invalid_version"} {
		form := url.Values{"title": {"mine"}}
		if version != "" {
			form.Set("version", version)
		}
		_, err := m.UpdateForm(posted(t, form), "1")
		if p := live.ProblemOf(err); (p == nil) != (want == "") || p != nil && p.Code != want {
			t.Errorf("version %q: got %v, want %s", version, err, want)
		}
	}
	if text := b.log.String(); text != "" {
		t.Errorf("logged %s", text)
	}
}

func TestAFormThatChangesNothingStoresNothing(t *testing.T) {
	m := public()
	b := edited(t, live.Options{}, m)
	row, _ := m.get(1)
	before, entries := m.snapshot(), len(b.spy.entries)
	now, err := m.UpdateForm(posted(t, shown(t, &m.Router, row, "title", "oats", "note", "six", "list_id", " 7 ")), "1")
	if err != nil || now != row || m.snapshot() != before || len(b.spy.entries) != entries {
		t.Errorf("got %+v, %v", now, err)
	}
	if _, err := m.UpdateForm(posted(t, url.Values{"version": {"6"}}), "9"); !errors.Is(err, live.ErrNotFound) {
		t.Errorf("a row that is not there: %v", err)
	}
}

func TestAFormHasTheRightsOfItsCaller(t *testing.T) {
	m := desk()
	b := newBench(t, live.Options{}, m)
	before := m.snapshot()
	theirs, _ := m.get(2)
	_, err := m.UpdateForm(posted(t, shown(t, &m.Router, theirs, "title", "x")), "2")
	equal(t, "another's", fmt.Sprint(live.ProblemOf(err).Code), "not_found")
	_, err = m.UpdateForm(posted(t, url.Values{"title": {"x"}, "version": {"4"}}), "one")
	equal(t, "key", fmt.Sprint(live.ProblemOf(err).Code), "invalid_key")
	for _, set := range []func(*memos){
		func(m *memos) { m.Allow = func(context.Context, string) error { return live.ErrForbidden } },
		func(m *memos) { m.AllowRow = func(context.Context, string, memo) error { return live.ErrForbidden } },
	} {
		n := desk()
		set(n)
		newBench(t, live.Options{}, n)
		for _, form := range []url.Values{{"title": {"x"}, "version": {"4"}}, {}} {
			if _, err := n.UpdateForm(posted(t, form), "1"); !errors.Is(err, live.ErrForbidden) {
				t.Errorf("%v: got %v", form, err)
			}
		}
	}
	// What may not be written is passed over: a form can have inputs of the application's own.
	_, err = m.UpdateForm(posted(t, url.Values{"stars": {"9"}, "owner_id": {"2"}, "version": {"4"}}), "1")
	if err != nil || m.snapshot() != before {
		t.Errorf("got %v, %s", err, m.snapshot())
	}
	if b.log.String() != "" {
		t.Errorf("logged %s", b.log)
	}
}

func TestAFormIsValidated(t *testing.T) {
	m := desk()
	m.Validate = func(_ context.Context, _ *memo, now memo) error {
		if now.Title == "" {
			return live.Invalid{"title": {"is required"}}
		}
		return nil
	}
	b := newBench(t, live.Options{MaxMessageBytes: 2000}, m)
	for name, test := range map[string]struct {
		form url.Values
		want string
	}{
		"Validate":   {url.Values{"title": {""}, "version": {"4"}}, "422 invalid map[title:[is required]]"},
		"types":      {url.Values{"list_id": {"seven"}, "version": {"4"}}, `422 invalid_value map[list_id:[want an integer, got the string "seven"]]`},
		"was":        {url.Values{"title": {"x"}, "was.title": {"milk"}, "version": {"4"}}, "400 malformed_message map[was.title:[want the JSON of a value]]"},
		"was's type": {url.Values{"title": {"x"}, "was.title": {"7"}, "version": {"4"}}, "422 invalid_value map[base.title:[want a string, got the number 7]]"},
		"size":       {url.Values{"title": {strings.Repeat("x", 2000)}, "version": {"4"}}, "413 message_too_large map[]"},
		"depth":      {url.Values{"title": {"x"}, "was.title": {strings.Repeat("[", 40) + strings.Repeat("]", 40)}, "version": {"4"}}, "400 message_too_deep map[]"},
	} {
		_, err := m.UpdateForm(posted(t, test.form), "1")
		p := live.ProblemOf(err)
		equal(t, name, fmt.Sprint(p.Status, " ", p.Code, " ", p.Errors), test.want)
	}
	r := posted(t, nil)
	r.Body = http.MaxBytesReader(nil, posted(t, url.Values{"title": {strings.Repeat("x", 500)}}).Body, 100)
	_, err := m.UpdateForm(r, "1")
	equal(t, "body", fmt.Sprint(live.ProblemOf(err).Code), "message_too_large")
	r = httptest.NewRequest("POST", "/?%zz", nil)
	_, err = m.UpdateForm(r.WithContext(as(t.Context(), 1)), "1")
	equal(t, "query", fmt.Sprint(live.ProblemOf(err).Code), "malformed_message")
	if b.log.String() != "" {
		t.Errorf("logged %s", b.log)
	}
}

// The application's own errors and panics are for the application.
func TestAFormTellsItsHandlerWhatFailed(t *testing.T) {
	down := errors.New("the database is down")
	m := desk()
	m.Update = func(context.Context, memo, memo) (memo, error) { return memo{}, down }
	newBench(t, live.Options{}, m)
	_, err := m.UpdateForm(posted(t, url.Values{"title": {"x"}, "version": {"4"}}), "1")
	p := live.ProblemOf(err)
	equal(t, "problem", fmt.Sprint(errors.Is(err, down), p.Status, " ", p.Code, " ", strings.Contains(p.Error(), "database")), "true 500 internal false")
	if _, err := (&live.Router[memo]{}).UpdateForm(posted(t, nil), "1"); err == nil {
		t.Error("a router that no hub has")
	}
	n := desk()
	n.Update = nil
	newBench(t, live.Options{}, n)
	if _, err := n.UpdateForm(posted(t, nil), "1"); err == nil || !strings.Contains(err.Error(), "needs Update") {
		t.Errorf("got %v", err)
	}
}

func TestAFormThatCannotBePublishedIsStored(t *testing.T) {
	m := desk()
	newBench(t, live.Options{Broker: broken{newSpy()}, PublishTimeout: time.Second}, m)
	row, err := m.UpdateForm(posted(t, url.Values{"title": {"x"}, "version": {"4"}}), "1")
	if !errors.Is(err, live.ErrUnpublished) || row.Title != "x" || row.Version != 5 {
		t.Errorf("got %+v, %v", row, err)
	}
}

// A form in a transaction, or a batch, of the handler is part of it.
func TestAFormIsPartOfTheHandlersTransaction(t *testing.T) {
	m := desk()
	l := newLedger(t)
	b := newBench(t, live.Options{}, m)
	undo := errors.New("no")
	for name, do := range map[string]func(r *http.Request) error{
		"transaction": func(r *http.Request) error {
			return live.Tx(r.Context(), l.db, func(ctx context.Context, _ *sql.Tx) error {
				_, err := m.UpdateForm(r.WithContext(ctx), "1")
				return errors.Join(err, undo)
			})
		},
		"batch": func(r *http.Request) error {
			return b.hub.Batch(r.Context(), func(ctx context.Context) error {
				_, err := m.UpdateForm(r.WithContext(ctx), "1")
				return errors.Join(err, undo)
			})
		},
	} {
		row, _ := m.get(1)
		err := do(posted(t, shown(t, &m.Router, row, "title", name)))
		if !errors.Is(err, undo) || errors.Is(err, live.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.wantTold()
}

func TestAFormOfSeveralParts(t *testing.T) {
	m := desk()
	newBench(t, live.Options{}, m)
	var body strings.Builder
	w := multipart.NewWriter(&body)
	_ = w.WriteField("title", "one\r\ntwo")
	_ = w.WriteField("version", "4")
	w.Close()
	r := httptest.NewRequestWithContext(as(t.Context(), 1), "POST", "/", strings.NewReader(body.String()))
	r.Header.Set("Content-Type", w.FormDataContentType())
	row, err := m.UpdateForm(r, "1")
	equal(t, "row", fmt.Sprintf("%q %v", row.Title, err), `"one\ntwo" <nil>`)
}

type level int

func (l level) MarshalText() ([]byte, error) { return []byte([]string{"low", "high"}[l]), nil }
func (l *level) UnmarshalText(text []byte) error {
	i := strings.Index("low high", string(text))
	if i < 0 {
		return errors.New("no such level")
	}
	*l = level(i / 4)
	return nil
}

// sheet has a field of each kind that a form can fill.
type sheet struct {
	ID     int64            `live:"id,key"`
	Text   string           `live:"text,write"`
	Maybe  *string          `live:"maybe,write"`
	Done   bool             `live:"done,write"`
	Agreed *bool            `live:"agreed,write"`
	Small  int8             `live:"small,write"`
	Size   uint64           `live:"size,write"`
	Price  float64          `live:"price,write"`
	Count  sql.NullInt64    `live:"count,write"`
	Due    time.Time        `live:"due,write"`
	Until  *time.Time       `live:"until,write"`
	Level  level            `live:"level,write"`
	Tags   []string         `live:"tags,write"`
	Nums   []int            `live:"nums,write"`
	Raw    json.RawMessage  `live:"raw,write"`
	More   map[string]int   `live:"more,write"`
	Cents  int64            `live:"cents,write"`
	Deep   []map[string]int `live:"deep,write"`
	Rev    int64            `live:"rev,version"`
}

func TestFormTextBecomesWhatTheFieldIs(t *testing.T) {
	text, yes := "here", true
	due := time.Date(2026, 11, 22, 10, 0, 30, 500, time.UTC)
	first := sheet{
		ID: 1, Text: "a\r\nb", Maybe: &text, Done: true, Agreed: &yes, Small: 7, Size: 1 << 63, Price: 1.5, Count: sql.NullInt64{Int64: 3, Valid: true}, Due: due, Until: &due,
		Level: 1, Tags: []string{"x"}, Nums: []int{1}, Raw: json.RawMessage(`{"b": 1,"a":2}`), More: map[string]int{"a": 1}, Cents: 150, Deep: []map[string]int{{"a": 1}}, Rev: 4,
	}
	row := first
	r := &live.Router[sheet]{
		Name: "sheets", Scope: live.Everyone,
		Serializer: live.Serializer[sheet]{Decode: map[string]func(json.RawMessage, *sheet) error{
			"cents": func(data json.RawMessage, row *sheet) error {
				var euros string
				if json.Unmarshal(data, &euros) != nil {
					return &live.Error{Detail: "want euros"}
				}
				_, err := fmt.Sscanf(strings.Replace(euros, ",", "", 1), "%d", &row.Cents)
				return err
			},
		}},
		Get:    func(context.Context, live.Key) (sheet, error) { return row, nil },
		Update: func(_ context.Context, _, now sheet) (sheet, error) { now.Rev++; row = now; return row, nil },
	}
	b := newBench(t, live.Options{}, r)
	for _, test := range []struct{ field, text, want string }{
		{"text", "c\r\nd", `"c\nd"`}, {"text", "", `""`}, {"text", " 7 ", `" 7 "`}, {"text", "null", `"null"`},
		{"maybe", "there", `"there"`}, {"maybe", "", `null`},
		{"done", "-", `false`}, {"done", "off", `false`}, {"agreed", "-", `false`}, {"agreed", "", `null`}, {"agreed", "No", `false`},
		{"done", "maybe", `want true or false, got the string "maybe"`},
		{"small", " 8", `8`}, {"small", "+8", `8`}, {"small", "007", ``}, {"small", "300", `want an integer that fits int8, got the number 300`}, {"small", "", `want an integer, got the string ""`}, {"small", "1.5", `want an integer, got the string "1.5"`},
		{"size", "18446744073709551615", `18446744073709551615`}, {"size", "-1", `want an integer, got the string "-1"`},
		{"price", "2.25", `2.25`}, {"price", "1e3", `1000`}, {"price", "NaN", `want a number, got the string "NaN"`}, {"price", "1.50", ``},
		{"count", "4", `4`}, {"count", "", `null`}, {"count", "x", `want an integer or null, got the string "x"`},
		{"due", "2026-11-22T11:00", `"2026-11-22T11:00:00Z"`}, {"due", "2026-11-22T11:00:05+02:00", `"2026-11-22T11:00:05+02:00"`}, {"due", "2026-12-24", `"2026-12-24T00:00:00Z"`},
		{"due", "2026-11-22T10:00", ``}, {"due", "2026-11-22", ``}, {"due", "soon", `want a time such as 2006-01-02T15:04:05Z, got the string "soon"`},
		{"until", "", `null`}, {"until", "2026-11-22T10:00", ``}, {"until", "2026-11-22T10:01", `"2026-11-22T10:01:00Z"`},
		{"level", "low", `"low"`}, {"level", "high", ``}, {"level", "none", `want a level, got the string "none"`},
		{"tags", "x", ``}, {"tags", "y|z", `["y","z"]`}, {"tags", "-", `[]`}, {"tags", "", `[]`}, {"tags", "|y", `["y"]`},
		{"nums", "1|2", `[1,2]`}, {"nums", "-", `[]`},
		{"raw", `{"a":2, "b":1}`, ``}, {"raw", `[1]`, `[1]`}, {"raw", ``, `null`}, {"raw", `{`, `want JSON`},
		{"more", `{"a":1}`, ``}, {"more", `{"b":2}`, `{"b":2}`}, {"more", `x`, `want JSON`}, {"more", `[]`, `want a JSON value of the right shape, got an array`},
		{"cents", "2,50", `250`}, {"cents", "7", `want euros`},
		{"deep", `[{"b":2}]`, `[{"b":2}]`}, {"deep", `x`, `want JSON`},
	} {
		row = first
		form := shown(t, r, row)
		if test.text != "-" {
			form[test.field] = strings.Split(test.text, "|")
		}
		for name := range form { // browsers leave out alone what is not checked
			if field, ok := strings.CutPrefix(name, "was."); ok && field != test.field {
				form.Del(name)
			}
		}
		_, err := r.UpdateForm(posted(t, form), "1")
		got := ""
		if p := live.ProblemOf(err); p != nil {
			got = strings.Join(p.Errors[test.field], ", ")
		} else if row.Rev == 5 {
			var stored struct{ Fields map[string]json.RawMessage }
			_ = json.Unmarshal(b.ask("GET", "/live/sheets/1", "").Body.Bytes(), &stored)
			got = string(stored.Fields[test.field])
		}
		equal(t, fmt.Sprintf("%s %q", test.field, test.text), got, test.want)
	}
}

func TestHandlersThatStoreRowsThemselves(t *testing.T) {
	m := public()
	b := edited(t, live.Options{}, m)
	serve := func(w http.ResponseWriter, r *http.Request) {
		seen, err := live.VersionOf(r)
		if err == nil {
			err = m.Conflict(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), seen)
		}
		live.WriteProblem(w, err)
	}
	for _, test := range []struct{ path, header, body, want string }{
		{"/1", `"5"`, "", conflictHead + `,"current":` + oats + since5 + `}`},
		{"/1", "", "version=4", conflictHead + `,"current":` + oats + since4 + `}`},
		{"/1", "", "", `"code":"version_required"`},
		{"/1", "W/x", "", `"code":"invalid_version"`},
		{"/9", "5", "", `"code":"not_found"`},
		{"/x", "5", "", `"code":"invalid_key"`},
	} {
		r := httptest.NewRequestWithContext(as(t.Context(), 1), "POST", test.path, strings.NewReader(test.body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("If-Match", test.header)
		w := httptest.NewRecorder()
		serve(w, r)
		if got := w.Body.String(); !strings.Contains(got, test.want) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s %s: got %s, want %s", test.path, test.header, test.body, got, test.want)
		}
	}
	for err, want := range map[error]string{errors.New("secret"): "500 internal", live.ErrForbidden: "403 forbidden", fmt.Errorf("x: %w", &live.Error{Errors: map[string][]string{"a": {"b"}}}): "422 forbidden"} {
		w := httptest.NewRecorder()
		live.WriteProblem(w, err)
		if p := live.ProblemOf(err); fmt.Sprint(p.Status, " ", p.Code) != want || w.Code != p.Status || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %+v, %d %s", err, p, w.Code, w.Body)
		}
	}
	if live.ProblemOf(nil) != nil {
		t.Error("a problem of nothing")
	}
	n := desk()
	n.Get, n.Update, n.Delete = nil, nil, nil
	newBench(t, live.Options{}, n)
	if err := n.Conflict(t.Context(), "1", 4); err == nil || !strings.Contains(err.Error(), "needs Get") {
		t.Errorf("got %v", err)
	}
	if b.log.String() != "" {
		t.Errorf("logged %s", b.log)
	}
}

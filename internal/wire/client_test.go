package wire

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// protocol returns the files of testdata/protocol whose names begin with a prefix.
func protocol(t testing.TB, prefix string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "..", "testdata", "protocol", prefix+"*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no file %s*.json: %v", prefix, err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(name), ".json")] = []byte(strings.TrimSpace(string(data)))
	}
	return files
}

func TestParseTakesEveryForm(t *testing.T) {
	for name, line := range protocol(t, "client-") {
		m, p := Parse(line, 32)
		if p != nil {
			t.Errorf("%s: %v", name, p)
		}
		if !strings.HasPrefix(name, "client-"+m.Type) || m.ID == 0 {
			t.Errorf("%s: read as %+v", name, m)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	long := strings.Repeat("é", 50)
	for line, want := range map[string]struct {
		id   int64
		code string
	}{
		``:                              {0, "malformed_message"},
		`{`:                             {0, "malformed_message"},
		`null`:                          {0, "malformed_message"},
		`7`:                             {0, "malformed_message"},
		`"ping"`:                        {0, "malformed_message"},
		`[{"type":"ping","id":1}]`:      {0, "malformed_message"},
		`{"type":"ping"}`:               {0, "malformed_message"},
		`{"type":"ping","id":0}`:        {0, "malformed_message"},
		`{"type":"ping","id":-1}`:       {0, "malformed_message"},
		`{"type":"ping","id":1.5}`:      {0, "malformed_message"},
		`{"type":"ping","id":"1"}`:      {0, "malformed_message"},
		`{"type":"ping","id":null}`:     {0, "malformed_message"},
		`{"type":"ping","id":1e400}`:    {0, "malformed_message"},
		`{"type":"ping","id":1}}`:       {1, "malformed_message"},
		`{"TYPE":"ping","id":1}`:        {1, "malformed_message"},
		`{"type":"ping","id":1,"id":2}`: {2, "malformed_message"},
		`{"type":"ping","id":1}]`:       {1, "malformed_message"},
		`{"type":"ping","id":1} x`:      {1, "malformed_message"},
		`{"type":"ping","id":1}{}`:      {1, "malformed_message"},
		`{"type":7,"id":1}`:             {1, "malformed_message"},
		`{"type":"ping","id":1,"a":1}`:  {1, "malformed_message"},
		"{\"type\":\"ping\",\"id\":1,\"key\":\"\xff\"}": {1, "malformed_message"},
		`{"id":1}`:                              {1, "malformed_message"},
		`{"type":"","id":1}`:                    {1, "malformed_message"},
		`{"type":"hello","id":1}`:               {1, "unknown_type"},
		`{"type":"` + long + `","id":1}`:        {1, "unknown_type"},
		`{"type":"ping","id":9007199254740992}`: {0, "malformed_message"},

		`{"type":"subscribe","id":1}`:                                              {1, "malformed_message"},
		`{"type":"subscribe","id":1,"where":{}}`:                                   {1, "malformed_message"},
		`{"type":"subscribe","id":1,"router":"r","channel":"c"}`:                   {1, "malformed_message"},
		`{"type":"subscribe","id":1,"channel":"c","where":{}}`:                     {1, "malformed_message"},
		`{"type":"subscribe","id":1,"channel":"c","order":"a"}`:                    {1, "malformed_message"},
		`{"type":"subscribe","id":1,"router":"r","verb":"list"}`:                   {1, "malformed_message"},
		`{"type":"subscribe","id":1,"router":"r","key":"1"}`:                       {1, "malformed_message"},
		`{"type":"subscribe","id":1,"router":"r","data":{}}`:                       {1, "malformed_message"},
		`{"type":"subscribe","id":1,"router":"r","version":1}`:                     {1, "malformed_message"},
		`{"type":"subscribe","id":1,"router":"r","mutation":"m"}`:                  {1, "malformed_message"},
		`{"type":"subscribe","id":1,"channel":"c","include":[]}`:                   {1, "malformed_message"},
		`{"type":"subscribe","id":1,"router":"r","include":"a"}`:                   {1, "malformed_message"},
		`{"type":"call","id":1,"router":"r","verb":"get","include":["a"]}`:         {1, "malformed_message"},
		`{"type":"subscribe","id":1,"router":["r"]}`:                               {1, "malformed_message"},
		`{"type":"unsubscribe","id":1,"router":"r"}`:                               {1, "malformed_message"},
		`{"type":"ping","id":1,"data":null}`:                                       {1, "malformed_message"},
		`{"type":"publish","id":1,"channel":"c"}`:                                  {1, "malformed_message"},
		`{"type":"publish","id":1,"data":1}`:                                       {1, "malformed_message"},
		`{"type":"publish","id":1,"channel":"c","data":1,"cursor":"0"}`:            {1, "malformed_message"},
		`{"type":"call","id":1,"verb":"list"}`:                                     {1, "malformed_message"},
		`{"type":"call","id":1,"router":"r"}`:                                      {1, "malformed_message"},
		`{"type":"call","id":1,"router":"r","verb":"list","channel":"c"}`:          {1, "malformed_message"},
		`{"type":"call","id":1,"router":"r","verb":"list","cursor":"4f.11"}`:       {1, "malformed_message"},
		`{"type":"call","id":1,"router":"r","verb":"v","mutation":"` + long + `"}`: {1, "malformed_message"},
	} {
		m, p := Parse([]byte(line), 32)
		if p == nil {
			t.Errorf("%s: accepted as %+v", line, m)
			continue
		}
		if p.Code != want.code || p.Status != 400 || m.ID != want.id || p.Detail == "" {
			t.Errorf("%s: id %d, %d %v; want id %d, %s", line, m.ID, p.Status, p, want.id, want.code)
		}
		if !utf8.ValidString(p.Detail) || len(p.Detail) > 200 {
			t.Errorf("%s: the answer quotes too much: %q", line, p.Detail)
		}
	}
}

func TestParseTakesInclude(t *testing.T) {
	for _, line := range []string{
		`{"type":"subscribe","id":1,"router":"r","include":["a","b"]}`, `{"type":"call","id":1,"router":"r","verb":"list","include":["a","b"]}`,
	} {
		if m, p := Parse([]byte(line), 32); p != nil || strings.Join(m.Include, " ") != "a b" {
			t.Errorf("%s: read as %v, %v", line, m.Include, p)
		}
	}
}

func TestAfter(t *testing.T) {
	for cursor, want := range map[string]bool{"": false, "0": true, "4fk2m9qa.2sy": true} {
		m := Message{Cursor: cursor}
		if p, ok, problem := m.After(); problem != nil || ok != want || ok && p.String() != cursor {
			t.Errorf("%q: %v %v %v", cursor, p, ok, problem)
		}
	}
	for _, cursor := range []string{" ", "x", "4fk2m9qa", "4fk2m9qa.", "4fk2m9qa.2s", "4FK2M9QA.2sy", "4fk2m9qa.2sy.", "-1.11", strings.Repeat("9", 1000)} {
		m := Message{Cursor: cursor}
		if _, _, problem := m.After(); problem == nil || problem.Code != "malformed_cursor" || len(problem.Detail) > 100 {
			t.Errorf("%q: %v, want malformed_cursor", cursor, problem)
		}
	}
}

// FuzzParse holds Parse to this: it accepts a message or says why not, in a problem that can be sent.
func FuzzParse(f *testing.F) {
	for _, line := range protocol(f, "client-") {
		f.Add(line)
	}
	f.Add([]byte(`{"type":"ping","id":1}]`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, p := Parse(line, 32)
		if p != nil {
			if frame := Error(m.ID, p); !json.Valid(frame.Data) || !utf8.Valid(frame.Data) {
				t.Fatalf("%q is answered with %q", line, frame.Data)
			}
			return
		}
		if m.ID <= 0 || m.ID > MaxID || m.Type == "" || !json.Valid(line) {
			t.Fatalf("%q was accepted as %+v", line, m)
		}
		for _, raw := range []json.RawMessage{m.Where, m.Data, m.Version} {
			if raw != nil && (!json.Valid(raw) || !utf8.Valid(raw)) {
				t.Fatalf("%q: a member %q", line, raw)
			}
		}
	})
}

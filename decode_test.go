package live_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/swampline/live"
)

// TestDecodersReadWhatClientsWrite: stars cannot be written by their tag, and come as words.
func TestDecodersReadWhatClientsWrite(t *testing.T) {
	m := desk()
	m.Serializer.Decode = map[string]func(json.RawMessage, *memo) error{
		"stars": func(data json.RawMessage, row *memo) error {
			var text string
			if err := json.Unmarshal(data, &text); err != nil {
				return err
			}
			switch text {
			case "none":
				row.Stars = 0
			case "panic":
				panic("the-secret")
			case "secret":
				return errors.New("the-secret")
			case "detail":
				return fmt.Errorf("stars: %w", &live.Error{Detail: "as many as you have", Code: "other", Status: 418})
			case "field":
				return &live.Error{Errors: map[string][]string{"title": {"not this one"}, "stars": {"count them"}}}
			case "nil":
				var none *live.Error
				return none
			case "quiet":
				return &live.Error{}
			default:
				n, err := strconv.Atoi(text)
				row.Stars, row.Note = n, "counted"
				return err
			}
			return nil
		},
	}
	b := newBench(t, live.Options{}, m)
	before := m.snapshot()
	refused := func(data, message string) {
		t.Helper()
		quoted, _ := json.Marshal(message)
		detail, _ := json.Marshal(`field "stars": ` + message)
		b.want(422, fmt.Sprintf(`{"title":"Unprocessable Content","status":422,"code":"invalid_value","detail":%s,"errors":{"stars":[%s]}}`, detail, quoted),
			"PATCH", "/live/memos/1", `{"title":"x","stars":`+data+`}`, "If-Match", "4")
	}
	for data, message := range map[string]string{
		`7`: "want a valid value", `"x"`: "want a valid value", `"secret"`: "want a valid value", `"nil"`: "want a valid value", `"quiet"`: "want a valid value",
		`"detail"`: "as many as you have", `"field"`: "count them",
	} {
		refused(data, message)
	}
	w := b.refused(500, "internal", "PATCH", "/live/memos/1", `{"stars":"panic"}`, "If-Match", "4")
	if m.snapshot() != before || strings.Contains(w.Body.String(), "the-secret") {
		t.Errorf("a value that was refused: stored %s, told %s", m.snapshot(), w.Body)
	}
	b.want(422, `{"title":"Unprocessable Content","status":422,"code":"invalid_value","detail":"field \"list_id\": want an integer, got the string \"a\"","errors":{"list_id":["want an integer, got the string \"a\""],"stars":["count them"]}}`,
		"PATCH", "/live/memos/1", `{"stars":"field","list_id":"a"}`, "If-Match", "4")
	b.want(200, `{"key":"1","version":5,"fields":{"id":1,"list_id":7,"title":"milk","note":"counted","stars":9,"version":5,"loud":"MILK"}}`,
		"PATCH", "/live/memos/1", `{"stars":"9"}`, "If-Match", "4")
	b.want(201, `{"key":"3","version":1,"fields":{"id":3,"list_id":0,"title":"","note":"counted","stars":2,"version":1,"loud":""}}`,
		"POST", "/live/memos", `{"stars":"2"}`)
}

func TestADecoderCannotWriteIntoAnothersRow(t *testing.T) {
	m := desk()
	m.Serializer.Decode = map[string]func(json.RawMessage, *memo) error{
		"stars": func(_ json.RawMessage, row *memo) error { row.OwnerID = 2; return nil },
	}
	b := newBench(t, live.Options{}, m)
	before := m.snapshot()
	b.refused(403, "forbidden", "PATCH", "/live/memos/1", `{"stars":1}`, "If-Match", "4")
	equal(t, "the table", m.snapshot(), before)
}

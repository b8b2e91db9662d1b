package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// depthOf is the depth of JSON as encoding/json has it.
func depthOf(data []byte) int {
	d := json.NewDecoder(bytes.NewReader(data))
	depth, deepest := 0, 0
	for {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		deepest = max(deepest, depth)
	}
}

// checkDepth wants of JSON that it is deeper than everything below its depth, and than nothing else.
func checkDepth(t *testing.T, data []byte) {
	t.Helper()
	if !json.Valid(data) {
		Deeper(data, 5) // it must return
		return
	}
	depth := depthOf(data)
	for limit := range depth + 2 {
		if got := Deeper(data, limit); got != (depth > limit) {
			t.Fatalf("%q of depth %d is deeper than %d: %v", data, depth, limit, got)
		}
	}
}

var depths = []string{
	`1`, `{}`, `[[]]`, `{"a":[{"b":{}}],"c":[[[]]]}`, `"[[["`, `["\"[",[]]`, `["\\",[]]`, `{"[":"{","\\\"":[]}`, `[`, `]]]`, `"\`, `"`, `[1,[2,[3]],[4]]`, "[\"\\u005b\",\"\\\\\\\\\"]",
}

func TestDeeper(t *testing.T) {
	for _, data := range depths {
		checkDepth(t, []byte(data))
	}
	if !Deeper([]byte(strings.Repeat("[", 33)), 32) || Deeper([]byte(strings.Repeat("[", 32)), 32) {
		t.Error("what does not end has a depth, too")
	}
}

func FuzzDeeper(f *testing.F) {
	for _, data := range depths {
		f.Add([]byte(data))
	}
	f.Fuzz(checkDepth)
}

func TestRetryAfterIsInWholeMilliseconds(t *testing.T) {
	for after, want := range map[time.Duration]string{0: "0.001", 1: "0.001", time.Millisecond: "0.001", time.Millisecond + 1: "0.002", 1500 * time.Millisecond: "1.5", time.Hour: "3600"} {
		var p struct {
			Retry json.Number `json:"retry_after"`
		}
		if err := json.Unmarshal(RateLimited("messages", after).JSON(), &p); err != nil || p.Retry.String() != want {
			t.Errorf("%v: %s, want %s, %v", after, p.Retry, want, err)
		}
	}
	if b := NewProblem(404, "not_found", "").JSON(); bytes.Contains(b, []byte("retry_after")) {
		t.Errorf("%s", b)
	}
}

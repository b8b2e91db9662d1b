// Package wire is the protocol's messages: it reads the client's and writes the server's.
//
// docs/protocol.md describes them, testdata/protocol holds one of each form, and this package's tests read them from there.
package wire

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Problem is an error as a client sees it: RFC 9457 problem details with a stable code.
type Problem struct {
	Title  string              `json:"title"`
	Status int                 `json:"status"`
	Code   string              `json:"code"`
	Detail string              `json:"detail,omitempty"`
	Errors map[string][]string `json:"errors,omitempty"`
	// Current is the row as it is now, in a conflict.
	Current json.RawMessage `json:"current,omitempty"`
	// Changed holds, in a conflict, the fields that changed since the version that the caller saw; nil when that is not known.
	Changed map[string]FieldChange `json:"changed,omitzero"`
	// Conflicts names, in a conflict of a write that has a base, the fields that somebody else changed, too.
	Conflicts []string `json:"conflicts,omitempty"`
	// RetryAfter is the number of seconds after which the same may be tried again, in whole milliseconds; zero for none.
	RetryAfter float64 `json:"retry_after,omitempty"`
}

// FieldChange is the last change of a field: the version that it made, and who made it, nil when that is not known.
type FieldChange struct {
	Version int64           `json:"version"`
	By      json.RawMessage `json:"by,omitempty"`
}

// NewProblem returns a problem whose title is the status's.
func NewProblem(status int, code, detail string) *Problem {
	title := http.StatusText(status)
	if status == http.StatusUnprocessableEntity {
		title = "Unprocessable Content" // RFC 9110's name; net/http keeps the one of RFC 4918
	}
	return &Problem{Title: title, Status: status, Code: code, Detail: detail}
}

// TooLarge refuses a message that is larger than the limit, in bytes.
func TooLarge(limit int64) *Problem {
	text := strconv.FormatInt(limit, 10) + " bytes"
	if limit >= 1<<10 && limit%(1<<10) == 0 {
		text = strconv.FormatInt(limit>>10, 10) + " KiB"
	}
	return NewProblem(http.StatusRequestEntityTooLarge, "message_too_large", "a message may have "+text+" at most")
}

// Field returns p with a message for a field.
func (p *Problem) Field(name, message string) *Problem {
	if p.Errors == nil {
		p.Errors = map[string][]string{}
	}
	p.Errors[name] = append(p.Errors[name], message)
	return p
}

// Error returns the code and the sentence.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// JSON returns the problem as it is sent.
func (p *Problem) JSON() []byte {
	if p.Title == "" {
		titled := *p
		titled.Title = NewProblem(p.Status, "", "").Title
		p = &titled
	}
	b, err := Marshal(p)
	if err != nil { // a Current that is no JSON, or another's word in Changed: say the rest
		slim := *p
		slim.Current, slim.Changed = nil, nil
		b, _ = Marshal(&slim)
	}
	return b
}

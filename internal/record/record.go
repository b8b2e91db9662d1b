// Package record is the form in which changes travel on the log.
//
// A record holds the JSON of each declared field, computed once on the node that published it. So other nodes need no
// Go value of the model, a view costs no second call of the application's code, and fields that were not declared never
// reach the broker.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Entry is one element of the log: what one transaction or one request did, in order.
type Entry struct {
	// Format is the version of this form.
	Format int `json:"v"`
	// ID tells an entry that goes through an outbox from every other one, for that may append it more than once: 26 to 64 random letters
	// and digits, as rand.Text draws them; empty for others.
	ID       string    `json:"id,omitempty"`
	Changes  []Change  `json:"changes,omitempty"`
	Messages []Message `json:"messages,omitempty"`
	// Recheck names callers whose rights changed: each hub evaluates them anew for their sessions.
	Recheck []string `json:"recheck,omitempty"`
	// Disconnect names callers who signed out: each hub ends their sessions.
	Disconnect []string `json:"disconnect,omitempty"`
	// Mutation is the id that a client gave to the write that caused this, when no change carries it: each hub learns from the log
	// what was done already.
	Mutation string `json:"mutation,omitempty"`
	// By marks the caller whose mutations those of the entry are, empty when nobody is told from others.
	By string `json:"by,omitempty"`
	// Sent is when the entry was appended, by the clock of who did, in milliseconds since 1970; zero when that is not known.
	Sent int64 `json:"sent,omitempty"`
}

// Format is the version of the form that this package writes and reads.
const Format = 1

// MaxBytes is how large an entry may be: a hub reads no larger one, so none is to be appended.
const MaxBytes = 16 << 20

// Change is what happened to one row.
type Change struct {
	Router string `json:"router"`
	Key    string `json:"key"`
	Op     Op     `json:"op"`
	// Version is the model's own version of the row, nil when the model has none: then the position counts.
	Version *int64 `json:"version,omitempty"`
	// Now holds every declared field of the row as it is, nil when the row is gone.
	Now Fields `json:"now,omitzero"`
	// Was holds the fields that can be filtered on, as they were; nil when the publisher does not know.
	Was Fields `json:"was,omitzero"`
	// Changed names the fields that differ between was and now; nil when that is not known.
	Changed []string `json:"changed,omitzero"`
	// Mutation is the id that a client gave to the write that caused this.
	Mutation string `json:"mutation,omitempty"`
	// By is who made the change, as the application has it told to whoever sees the row; nil when that is not known.
	By json.RawMessage `json:"by,omitempty"`
	// Where says of a Bulk change which rows it may have changed: a filter as canonical JSON.
	Where json.RawMessage `json:"where,omitempty"`
}

// Fields maps a field's name to its JSON.
type Fields map[string]json.RawMessage

// Op says what is known about the row's life.
type Op string

// What can happen to a row.
const (
	Create Op = "create" // the row is new
	Update Op = "update" // the row was there before
	Put    Op = "put"    // the row is there; whether it was is not known
	Delete Op = "delete" // the row is gone
	Bulk   Op = "where"  // any row that a filter matches may have come, changed or gone
)

// Message is what was published on a channel.
type Message struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	// Note is what else hubs tell each other of it, which clients of this module's own protocol are not told; nil for nothing.
	Note json.RawMessage `json:"note,omitempty"`
}

// Decode reads what Encode wrote. It accepts nothing else: an entry that cannot be read in full may hide a change, and parts of it travel on to clients
// as they stand, who take a line for a message. The entry refers to the data, which must not change.
func Decode(data []byte) (Entry, error) {
	switch {
	case len(data) > MaxBytes:
		return Entry{}, fmt.Errorf("record: %d bytes, want %d at most", len(data), MaxBytes)
	case bytes.IndexByte(data, '\r') >= 0 || bytes.IndexByte(data, '\n') >= 0:
		return Entry{}, errors.New("record: more than one line")
	case !utf8.Valid(data):
		return Entry{}, errors.New("record: not UTF-8")
	}
	e, ok := scan(data)
	if !ok {
		var err error
		if e, err = parse(data); err != nil {
			return Entry{}, err
		}
	}
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// parse reads an entry in whatever form JSON has for it.
func parse(data []byte) (e Entry, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return Entry{}, fmt.Errorf("record: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Entry{}, errors.New("record: more than one value")
	}
	return e, nil
}

func (e *Entry) check() error {
	if e.Format != Format {
		return fmt.Errorf("record: format %d, want %d", e.Format, Format)
	}
	if e.ID != "" && !isID(e.ID) {
		return fmt.Errorf("record: the id %.80q", e.ID)
	}
	if e.Sent < 0 {
		return fmt.Errorf("record: sent at %d", e.Sent)
	}
	for i := range e.Changes {
		if err := e.Changes[i].check(); err != nil {
			return err
		}
	}
	for _, m := range e.Messages {
		if m.Channel == "" || m.Data == nil {
			return errors.New("record: a message without channel or data")
		}
	}
	return nil
}

// isID reports whether s is of 26 to 64 digits of base 32.
func isID(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return len(s) >= 26 && len(s) <= 64
}

func (c *Change) check() error {
	switch {
	case c.Router == "":
		return errors.New("record: a change without router")
	case c.Op == Bulk && (c.Where == nil || c.Key != "" || c.Version != nil || c.Now != nil || c.Was != nil || c.Changed != nil || c.By != nil):
		return errors.New("record: a bulk change that does not consist of a filter")
	case c.Op == Bulk:
		return nil
	case c.Key == "" || c.Where != nil:
		return errors.New("record: a change of a row without key, or with a filter")
	case c.Op != Create && c.Op != Update && c.Op != Put && c.Op != Delete:
		return fmt.Errorf("record: unknown op %q", c.Op)
	case (c.Op == Delete) != (c.Now == nil):
		return fmt.Errorf("record: op %s with the wrong fields", c.Op)
	}
	return nil
}

// Object is one row as a serializer hands it over: every declared field's JSON by the field's index.
type Object struct {
	Key     string
	Version *int64
	Values  []json.RawMessage
	// Row is the row itself, for what is made of it later.
	Row any
}

// AppendVersion appends the row's version as JSON: the model's own, or else the cursor.
func AppendVersion(b []byte, version *int64, cursor string) []byte {
	if version != nil {
		return strconv.AppendInt(b, *version, 10)
	}
	b = append(b, '"')
	b = append(b, cursor...)
	return append(b, '"')
}

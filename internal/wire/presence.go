package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/uuid"
)

// Presence, of a subscribe message, asks who is at an object or on a channel. With a member the client is there itself for as long as it
// asks; without one it only looks.
type Presence struct {
	// Member is the UUID that one tab of the client drew for being in one place, Token the secret that binds it.
	Member string `json:"member"`
	Token  string `json:"token"`
	// State is what the member does there: a JSON object; nil means {}.
	State json.RawMessage `json:"state"`
	// Away says that the tab is hidden.
	Away bool `json:"away"`
}

// MaxKeys is how many objects a message may ask for at once.
const MaxKeys = 200

// MaxState is how long the state of a member may be, in bytes.
const MaxState = 1 << 10

// UnmarshalJSON reads it strictly.
func (p *Presence) UnmarshalJSON(data []byte) error {
	type plain Presence
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(p)); err != nil {
		return fmt.Errorf("presence: %s", sentence(err))
	}
	if problem := exactly(data, presenceNames); problem != nil {
		return errors.New("presence: " + problem.Detail)
	}
	return nil
}

// presenceNames are the members that Presence can have.
const presenceNames = " member token state away "

// check refuses what no member can be.
func (p *Presence) check() *Problem {
	switch {
	case p.Member == "" && (p.Token != "" || p.State != nil || p.Away):
		return invalid("presence.member", "is required with token, state or away")
	case p.Member == "":
		return nil
	}
	if problem := CheckMember("presence.", p.Member, p.Token); problem != nil {
		return problem
	}
	return CheckState("presence.", p.State)
}

// CheckMember refuses an id and a token that no member can have; at stands before their names.
func CheckMember(at, member, token string) *Problem {
	if id, err := uuid.Parse(member); err != nil || id.String() != member {
		return invalid(at+"member", "want a UUID in lower case")
	}
	if len(token) < 22 || len(token) > 128 || !urlSafe(token) {
		return invalid(at+"token", "want 22 to 128 letters, digits, - or _")
	}
	return nil
}

// CheckState refuses a state that is no object, or too long; nil is none.
func CheckState(at string, state json.RawMessage) *Problem {
	state = bytes.TrimSpace(state)
	if state != nil && (len(state) == 0 || state[0] != '{') {
		return invalid(at+"state", "want an object")
	}
	if len(state) > MaxState {
		return invalid(at+"state", fmt.Sprintf("want %d bytes at most", MaxState))
	}
	return nil
}

func urlSafe(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func invalid(field, message string) *Problem {
	return NewProblem(http.StatusUnprocessableEntity, "invalid_value", field+": "+message).Field(field, message)
}

// checkPresence refuses a presence that does not fit the rest of the message.
func (m *Message) checkPresence() *Problem {
	switch {
	case m.Channel == "" && (m.Key == "") == (m.Keys == nil):
		return malformed("presence: want a key or keys, or a channel")
	case m.Keys != nil && (len(m.Keys) == 0 || len(m.Keys) > MaxKeys):
		return malformed(fmt.Sprintf("keys: want 1 to %d", MaxKeys)).Field("keys", fmt.Sprintf("want 1 to %d", MaxKeys))
	case m.Keys != nil && m.Presence.Member != "":
		return malformed("presence: a member is in one place: want key, not keys").Field("presence.member", "goes with key or channel")
	}
	return m.Presence.check()
}

// Origin is the subscription that a message asked for, as those know it who keep something for as long as it lasts. A subscription that is authorised
// anew has the same one. Its methods may be called by any goroutine.
type Origin struct {
	// Stays says that the client is on a stream, which ends when it goes; otherwise on a poll, which ends with each round.
	Stays bool
	// Again has the subscription authorised anew: nothing is delivered to it from now on before that is done. It does not wait.
	Again func()
	// Person is who the caller is, where another protocol than ours has told that; nil when the application knows. It is set before anybody joins.
	Person *Person
	// Lingers says whether a member whose connection was lost may stay for a while, in case it comes again; nil: it may.
	Lingers func() bool

	mu    sync.Mutex
	over  bool
	how   End
	after []func(End)
}

// Person is whose a member is.
type Person struct {
	ID, Name string
	Info     json.RawMessage // nil is null
}

// End is how a subscription ended.
type End int

// How a subscription ends.
const (
	Lost         End = iota // the connection is gone, or the round over
	Unsubscribed            // its client wanted it
	Refused                 // its caller may not, or not any more
)

// OnEnd has f called when the subscription is over; now, if it is. F must not wait.
func (o *Origin) OnEnd(f func(End)) {
	o.mu.Lock()
	over, how := o.over, o.how
	if !over {
		o.after = append(o.after, f)
	}
	o.mu.Unlock()
	if over {
		f(how)
	}
}

// End says that the subscription is over; it counts once.
func (o *Origin) End(how End) {
	if o == nil {
		return
	}
	o.mu.Lock()
	if o.over {
		o.mu.Unlock()
		return
	}
	after := o.after
	o.over, o.how, o.after = true, how, nil
	o.mu.Unlock()
	for _, f := range after {
		f(how)
	}
}

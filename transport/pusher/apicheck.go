package pusher

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/swampline/live/internal/wire"
)

// Limits of names, in characters.
const (
	longestChannel = 200
	longestEvent   = 200
	longestUser    = 128
)

// userChannel begins the name of the channel on which a user is told what is for him alone.
const userChannel = "#server-to-user-"

// members are those of a JSON object that somebody posted. What is not known is not read, and null is as good as nothing.
type members map[string]json.RawMessage

// membersOf reads an object. JSON is UTF-8: anything else would not come out as it went in.
func membersOf(body []byte) (m members, err error) {
	if !utf8.Valid(body) {
		return nil, badRequest("malformed_body", "the body is not UTF-8")
	}
	if json.Unmarshal(body, &m) != nil || m == nil {
		return nil, badRequest("malformed_body", "want a JSON object")
	}
	return m, nil
}

// text returns a member that is a string, empty when it is not there.
func (m members) text(name string) (text string, there bool, err error) {
	raw := m[name]
	if len(raw) == 0 || string(raw) == "null" {
		return "", false, nil
	}
	if json.Unmarshal(raw, &text) != nil {
		return "", false, badRequest("malformed_body", name+": want a string")
	}
	return text, true, nil
}

// list returns a member that is an array, as the type of its elements.
func list[T any](m members, name, want string) (all []T, err error) {
	if raw := m[name]; len(raw) > 0 && json.Unmarshal(raw, &all) != nil {
		return nil, badRequest("malformed_body", name+": want an array of "+want)
	}
	return all, nil
}

// wantChannel refuses what cannot be a channel's name: 1 to 200 letters, digits and _-=@,.; or a user's own channel.
func wantChannel(name string) error {
	if id, ok := strings.CutPrefix(name, userChannel); ok {
		return wantUser(id)
	}
	if name == "" || len(name) > longestChannel || strings.ContainsFunc(name, func(r rune) bool { return !inChannelName(r) }) {
		return badRequest("bad_channel", fmt.Sprintf("%q is no channel: a name has 1 to %d characters, letters, digits and _-=@,.;", clip(name, 40), longestChannel))
	}
	return nil
}

func inChannelName(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-=@,.;", r)
}

// wantUser refuses what cannot be a user's id.
func wantUser(id string) error {
	if id == "" || utf8.RuneCountInString(id) > longestUser || !utf8.ValidString(id) {
		return badRequest("bad_user", fmt.Sprintf("a user's id has 1 to %d characters", longestUser))
	}
	return nil
}

// wantEvent refuses names that events cannot have: those that begin so are the protocol's own.
func wantEvent(name string) error {
	switch {
	case name == "":
		return badRequest("bad_event", "an event needs a name")
	case utf8.RuneCountInString(name) > longestEvent:
		return badRequest("bad_event", fmt.Sprintf("an event's name may have %d characters", longestEvent))
	case strings.HasPrefix(name, "pusher:"), strings.HasPrefix(name, "pusher_internal:"):
		return badRequest("bad_event", "names that begin with pusher: or pusher_internal: are the protocol's own")
	}
	return nil
}

// wantSocket refuses what no connection is called: digits, a dot, digits.
func wantSocket(id string) error {
	before, after, _ := strings.Cut(id, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	if len(id) > 64 || !digits(before) || !digits(after) {
		return badRequest("bad_socket_id", fmt.Sprintf("socket_id: %q is none: want digits, a dot and digits", clip(id, 40)))
	}
	return nil
}

// infoOf reads the attributes that somebody asks for, of those that there are.
func infoOf(text string, known ...string) (map[string]bool, error) {
	asked := map[string]bool{}
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if !slices.Contains(known, name) {
			return nil, unavailable(name, known)
		}
		asked[name] = true
	}
	return asked, nil
}

// unavailable refuses an attribute that there is not, or not here.
func unavailable(name string, known []string) *wire.Problem {
	return badRequest("bad_info", fmt.Sprintf("info: there is no %q here: want %s", clip(name, 40), strings.Join(known, ", ")))
}

// isPresence, isEncrypted and isCache tell by its name what a channel is.
func isPresence(channel string) bool  { return strings.HasPrefix(channel, "presence-") }
func isEncrypted(channel string) bool { return strings.HasPrefix(channel, "private-encrypted-") }
func isCache(channel string) bool {
	for _, kind := range []string{"private-encrypted-", "private-", "presence-"} {
		if rest, ok := strings.CutPrefix(channel, kind); ok {
			return strings.HasPrefix(rest, "cache-")
		}
	}
	return strings.HasPrefix(channel, "cache-")
}

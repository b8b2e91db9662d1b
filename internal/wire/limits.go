package wire

import (
	"fmt"
	"net/http"
	"time"
)

// MaxName is how many bytes a name may have: of a router, a channel, a verb, a field, a relation, and a tag. What is declared has
// no longer ones.
const MaxName = 164

// maxIncludes is how many relations one message may ask for.
const maxIncludes = 16

// Deeper reports whether JSON is nested deeper than limit. It looks at brackets and strings only, so it is asked before anything is parsed; of
// what is no JSON it says something that does not matter.
func Deeper(data []byte, limit int) bool {
	depth, inside := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// TooDeep refuses JSON that is nested deeper than a limit.
func TooDeep(limit int) *Problem {
	return NewProblem(http.StatusBadRequest, "message_too_deep", fmt.Sprintf("JSON may be nested %d deep at most", limit))
}

// BatchTooLarge refuses more messages at once than a limit.
func BatchTooLarge(limit int) *Problem {
	return NewProblem(http.StatusRequestEntityTooLarge, "batch_too_large",
		fmt.Sprintf("%d messages at most may come together, besides subscriptions: nothing of this was done", limit))
}

// RateLimited refuses what comes too often; it may be sent again after the time.
func RateLimited(what string, after time.Duration) *Problem {
	p := NewProblem(http.StatusTooManyRequests, "rate_limited", "too many "+what+" in too short a time: nothing of this was done")
	return p.After(after)
}

// After says after which time the same may be tried again.
func (p *Problem) After(d time.Duration) *Problem {
	d = max(d, time.Millisecond)
	p.RetryAfter = (d + time.Millisecond - 1).Truncate(time.Millisecond).Seconds()
	return p
}

// checkNames refuses names that are longer than any can be.
func (m *Message) checkNames() *Problem {
	for name, value := range map[string]string{
		"router": m.Router, "channel": m.Channel, "verb": m.Verb, "tag": m.Tag,
	} {
		if len(value) > MaxName {
			return tooLong(name)
		}
	}
	return CheckIncludes(m.Include)
}

// CheckIncludes refuses too many names of relations, and such as are too long.
func CheckIncludes(names []string) *Problem {
	if len(names) > maxIncludes {
		detail := fmt.Sprintf("want %d names at most", maxIncludes)
		return malformed("include: "+detail).Field("include", detail)
	}
	for _, name := range names {
		if len(name) > MaxName {
			return tooLong("include")
		}
	}
	return nil
}

func tooLong(member string) *Problem {
	detail := fmt.Sprintf("want %d bytes at most", MaxName)
	return malformed(member+": "+detail).Field(member, detail)
}

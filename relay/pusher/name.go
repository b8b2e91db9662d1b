package pusher

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var (
	plain       = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	channelName = regexp.MustCompile(`^(#server-to-user-)?[A-Za-z0-9_\-=@,.;]+$`)
)

func plainName(s string) bool { return plain.MatchString(s) }

// longestName is how long the name of a channel may be, in bytes.
const longestName = 164

// pattern is a channel of the service, or a family of channels with a prefix.
type pattern struct {
	prefix string
	family bool
}

// parsePattern reads a name, or a prefix with a "*" behind it. Public says that anybody may subscribe.
func parsePattern(text string, public bool) (p pattern, err error) {
	p.prefix, p.family = strings.CutSuffix(text, "*")
	switch {
	case p.prefix == "" || len(p.prefix) > longestName || !channelName.MatchString(p.prefix):
		return p, fmt.Errorf(`the channel %q is not allowed at the service: use up to %d letters, digits and any of "_-=@,.;", and a "*" at the end for a family`, text, longestName)
	case strings.HasPrefix(p.prefix, encrypted):
		return p, fmt.Errorf("the channel %q is encrypted, and the relay has no key for it: use one that begins with private- only", text)
	case p.family && (p.prefix == "private-" || p.prefix == "presence-"):
		return p, fmt.Errorf("the channel %q has nothing of its own before the \"*\": add something, such as private-todos-*", text)
	case !public && !guarded(p.prefix):
		return p, fmt.Errorf("the channel %q is public at the service, so whoever has the application's key, which is in every page, may subscribe: "+
			"begin it with private- or presence-, or set Public", text)
	}
	return p, nil
}

const encrypted = "private-encrypted-"

// guarded reports whether the application decides at the service who may subscribe to a channel.
func guarded(name string) bool {
	for _, prefix := range []string{"private-", "presence-", "#server-to-user-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// has reports whether a channel is one of the pattern's.
func (p pattern) has(name string) bool {
	return strings.HasPrefix(name, p.prefix) && channelName.MatchString(name) && !strings.HasPrefix(name, encrypted)
}

var errLongName = errors.New("the channel's name would be too long")

// name is the channel of the family that has what follows the prefix. Two different texts never have the same channel.
func (p pattern) name(rest string) (string, error) {
	if !p.family {
		return p.prefix, nil
	}
	name := p.prefix + escape(rest)
	switch {
	case len(name) > longestName:
		return "", errLongName
	case strings.HasPrefix(name, encrypted):
		return "", errors.New("the channel would be encrypted")
	}
	return name, nil
}

// escape writes a text in the service's alphabet: every other byte, and "=" itself, as "=" and two hexadecimal digits.
func escape(s string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-@,.;", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'=', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

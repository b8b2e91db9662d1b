package pusher

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// channelName is what a channel may be called, besides those of users.
var channelName = regexp.MustCompile(`^[A-Za-z0-9_\-=@,.;]{1,200}$`)

// kind is what a channel's name says of it.
type kind struct {
	// private ones need a signature; presence, encrypted and user ones are private, too, but for users' the signature is that of the signin.
	private, presence, encrypted, cache, user bool
}

// kindOf reads a channel's name; it reports false for one that no channel can have.
func kindOf(name string) (k kind, ok bool) {
	if id, ours := strings.CutPrefix(name, userChannel); ours {
		return kind{user: true}, id != "" && utf8.RuneCountInString(id) <= longestUser
	}
	if !channelName.MatchString(name) {
		return k, false
	}
	rest := name
	cut := func(prefix string) (is bool) {
		rest, is = strings.CutPrefix(rest, prefix)
		return is
	}
	switch {
	case cut("private-"):
		k.private = true
		k.encrypted = cut("encrypted-")
	case cut("presence-"):
		k.private, k.presence = true, true
	}
	k.cache = cut("cache-")
	return k, true
}

// hubChannel is a channel of an app as the hub calls it. No name of a hub's channel that can be declared has a "#", so nobody else is told what is
// for a user alone.
func hubChannel(app *App, name string) string { return app.Prefix + name }

// pusherChannel is a channel of the hub as an app's clients call it; false when it is none of the app's.
func pusherChannel(app *App, hub string) (name string, ok bool) {
	name, ok = strings.CutPrefix(hub, app.Prefix)
	if !ok {
		return "", false
	}
	_, ok = kindOf(name) // with a colon it is another app's
	return name, ok
}

// bare is the name of a hub's channel without the prefix of whatever app it is.
func bare(hub string) string {
	if i := strings.IndexByte(hub, '#'); i >= 0 {
		return hub[i:]
	}
	return hub[strings.LastIndexByte(hub, ':')+1:]
}

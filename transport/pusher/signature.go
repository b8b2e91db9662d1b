package pusher

import (
	"cmp"
	"crypto/hmac"
	"crypto/md5" // the protocol's digest; it is no secret's, and the signature that covers it is SHA-256
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swampline/live/internal/wire"
)

// staleness is how far the timestamp of a request may be from the time here, before or after it.
const staleness = 600 * time.Second

// parameter is one of a query string, decoded, its name in lower case.
type parameter struct{ name, value string }

// signedRequest is what the sender of a request signed, as far as the query tells.
type signedRequest struct {
	method string
	// paths are what he may have taken for the path, see signedPaths.
	paths []string
	query string
	// parameters are what the query says, once the signature was found to fit; without those of the signature itself.
	parameters map[string]string
	// digest is what the body's MD5 must be, in hexadecimal; empty when the query says nothing of a body.
	digest string
}

// ofSignature are the parameters that belong to the signature and not to the request.
var ofSignature = []string{"auth_key", "auth_timestamp", "auth_version", "auth_signature", "body_md5"}

// verify checks that an app signed the request within the last minutes. The body is checked apart, when it was read: by then it is known that it is
// worth reading.
//
// Those who sign do not agree on how a space is written in a query string, so a plus sign is taken for either, and the signature tells which was meant.
func (s *signedRequest) verify(app *App, now time.Time) error {
	parameters, err := parseQuery(s.query, false)
	if err != nil {
		return err
	}
	if err := checkClaim(app, parameters, now); err != nil {
		return err
	}
	if s.fits(app, parameters) {
		return nil
	}
	if strings.Contains(s.query, "+") {
		if spaced, err := parseQuery(s.query, true); err == nil && checkClaim(app, spaced, now) == nil && s.fits(app, spaced) {
			return nil
		}
	}
	return unauthorized(fmt.Sprintf("the signature does not fit: auth_signature must be the HMAC-SHA256, in hexadecimal, with the app's secret, of %q",
		clip(textToSign(s.method, s.paths[0], parameters), 400)))
}

// fits reports whether the signature is the app's, and takes over what it covers.
func (s *signedRequest) fits(app *App, parameters []parameter) bool {
	given, err := hex.DecodeString(valueOf(parameters, "auth_signature"))
	if err != nil {
		return false
	}
	for _, path := range s.paths {
		if !hmac.Equal(given, signature(app.Secret, textToSign(s.method, path, parameters))) {
			continue
		}
		s.parameters = make(map[string]string, len(parameters))
		for _, p := range parameters {
			if !slices.Contains(ofSignature, p.name) {
				s.parameters[p.name] = p.value
			}
		}
		s.digest = valueOf(parameters, "body_md5")
		return true
	}
	return false
}

// checkBody checks that the body is the one that was signed.
func (s *signedRequest) checkBody(body []byte) error {
	if s.digest == "" {
		if len(body) > 0 {
			return unauthorized("a request with a body needs the parameter body_md5, which is the body's MD5 in hexadecimal")
		}
		return nil
	}
	sum := md5.Sum(body)
	if given, err := hex.DecodeString(s.digest); err != nil || !hmac.Equal(given, sum[:]) {
		return unauthorized("body_md5 is not the MD5 of the body that came")
	}
	return nil
}

// checkClaim checks what a request says of its signature: whose it is, of which form, and when it was made.
func checkClaim(app *App, parameters []parameter, now time.Time) error {
	switch key := valueOf(parameters, "auth_key"); {
	case key == "":
		return unauthorized("the request is not signed: it has no auth_key")
	case key != app.Key:
		return unauthorized("auth_key is not the key of this app")
	case valueOf(parameters, "auth_signature") == "":
		return unauthorized("the request is not signed: it has no auth_signature")
	}
	if version := valueOf(parameters, "auth_version"); version != "1.0" {
		return unauthorized("auth_version: want 1.0")
	}
	seconds, err := strconv.ParseInt(valueOf(parameters, "auth_timestamp"), 10, 64)
	if err != nil {
		return unauthorized("auth_timestamp: want the seconds since 1970")
	}
	if limit := int64(staleness / time.Second); seconds < now.Unix()-limit || seconds > now.Unix()+limit {
		return unauthorized(fmt.Sprintf("auth_timestamp is not within %d seconds of the time here, which is %d", limit, now.Unix()))
	}
	return nil
}

// textToSign is what the signature of a request covers: the parameters by name, as they are without any escapes.
func textToSign(method, path string, parameters []parameter) string {
	var b strings.Builder
	b.WriteString(method + "\n" + path + "\n")
	first := true
	for _, p := range parameters {
		if p.name == "auth_signature" {
			continue
		}
		if !first {
			b.WriteByte('&')
		}
		first = false
		b.WriteString(p.name + "=" + p.value)
	}
	return b.String()
}

// signature returns the HMAC-SHA256 of a text.
func signature(secret, text string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// parseQuery reads a query string and sorts it by name. Pusher's own libraries do not escape what they send, so a semicolon is what it is. A
// parameter that comes twice, and one that another reading of the signed text would take for two, are refused: the signature would fit both readings.
func parseQuery(raw string, spaces bool) ([]parameter, error) {
	var all []parameter
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := unescape(name, spaces)
		if err == nil {
			value, err = unescape(value, spaces)
		}
		if err != nil {
			return nil, badRequest("bad_query", "the query string cannot be read")
		}
		if name = strings.ToLower(name); strings.ContainsAny(name, "=&\n") || strings.ContainsAny(value, "&\n") {
			return nil, badRequest("bad_query", "the query string has an escaped & or a line break in a parameter, which its signature cannot tell from its own")
		}
		all = append(all, parameter{name, value})
	}
	slices.SortFunc(all, func(a, b parameter) int { return cmp.Compare(a.name, b.name) })
	for i := 1; i < len(all); i++ {
		if all[i].name == all[i-1].name {
			return nil, badRequest("bad_query", fmt.Sprintf("the parameter %q comes twice in the query string", clip(all[i].name, 40)))
		}
	}
	return all, nil
}

func unescape(text string, spaces bool) (string, error) {
	if spaces {
		return url.QueryUnescape(text)
	}
	return url.PathUnescape(text)
}

// valueOf returns a parameter's value, empty when it is not there.
func valueOf(parameters []parameter, name string) string {
	for _, p := range parameters {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// signedPaths are the paths that the sender of a request can have signed: with or without what stands before /apps/ where the API is mounted, escaped
// or not. Below is the escaped path from /apps/ on. Of one with an escaped slash or percent sign the unescaped form is none, because it is another
// path's as well.
func signedPaths(r *http.Request, below string) []string {
	escaped := []string{below}
	whole := r.URL.EscapedPath()
	if asked, _, _ := strings.Cut(r.RequestURI, "?"); strings.HasSuffix(asked, below) && strings.HasPrefix(asked, "/") {
		whole = asked // a prefix may have been taken off the URL on the way here
	}
	if whole != below {
		escaped = append(escaped, whole)
	}
	paths := escaped
	for _, p := range escaped {
		upper := strings.ToUpper(p)
		if plain, err := url.PathUnescape(p); err == nil && plain != p && !strings.Contains(upper, "%2F") && !strings.Contains(upper, "%25") {
			paths = append(paths, plain)
		}
	}
	return paths
}

// unauthorized refuses who has not shown that he is the app.
func unauthorized(detail string) *wire.Problem {
	return wire.NewProblem(http.StatusUnauthorized, "unauthorized", detail)
}

// badRequest refuses what breaks a rule of the API.
func badRequest(code, detail string) *wire.Problem {
	return wire.NewProblem(http.StatusBadRequest, code, detail)
}

// clip shortens what came from outside before it is quoted.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

package pusher

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/internal/wire"
)

// The example of Pusher's documentation.
var (
	vectorApp  = &App{ID: "3", Key: "278d425bdf160c739803", Secret: "7ad3773142a6692b25b8"}
	vectorTime = time.Unix(1353088179, 0)
)

const (
	vectorBody  = `{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}`
	vectorQuery = "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f" +
		"&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
)

func vectorRequest() signedRequest {
	return signedRequest{method: "POST", paths: []string{"/apps/3/events"}, query: vectorQuery}
}

func TestSignatureVector(t *testing.T) {
	s := vectorRequest()
	if err := s.verify(vectorApp, vectorTime); err != nil {
		t.Fatal(err)
	}
	if err := s.checkBody([]byte(vectorBody)); err != nil {
		t.Fatal(err)
	}
	if len(s.parameters) != 0 {
		t.Errorf("the parameters are %v, and all are of the signature", s.parameters)
	}
	for _, body := range []string{"", vectorBody + " ", strings.ToUpper(vectorBody)} {
		if err := s.checkBody([]byte(body)); statusOf(err) != http.StatusUnauthorized {
			t.Errorf("checkBody(%q) = %v", body, err)
		}
	}
}

// Whatever is changed of a signed request, it is refused.
func TestSignatureOfAnother(t *testing.T) {
	for name, change := range map[string]func(*signedRequest, *App, *time.Time){
		"method":            func(s *signedRequest, _ *App, _ *time.Time) { s.method = "GET" },
		"path":              func(s *signedRequest, _ *App, _ *time.Time) { s.paths = []string{"/apps/4/events"} },
		"parameter added":   func(s *signedRequest, _ *App, _ *time.Time) { s.query += "&info=user_count" },
		"body's digest":     replaceQuery("ec365a775a4cd0599faeb73354201b6f", "ec365a775a4cd0599faeb73354201b6e"),
		"no digest":         replaceQuery("&body_md5=ec365a775a4cd0599faeb73354201b6f", ""),
		"no key":            replaceQuery("auth_key=278d425bdf160c739803&", ""),
		"another key":       replaceQuery("278d425bdf160c739803", "278d425bdf160c739804"),
		"no version":        replaceQuery("auth_version=1.0&", ""),
		"another version":   replaceQuery("auth_version=1.0", "auth_version=2.0"),
		"no timestamp":      replaceQuery("auth_timestamp=1353088179&", ""),
		"no number":         replaceQuery("1353088179", "now"),
		"a huge number":     replaceQuery("1353088179", "99999999999999999999"),
		"the least number":  replaceQuery("1353088179", "-9223372036854775808"),
		"no signature":      replaceQuery("&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c", ""),
		"half a signature":  replaceQuery("da454824c97ba181a32ccc17a72625ba", ""),
		"odd signature":     replaceQuery("f457e6c", "f457e6"),
		"no hexadecimal":    replaceQuery("da454824", "xa454824"),
		"another secret":    func(_ *signedRequest, a *App, _ *time.Time) { a.Secret = "7ad3773142a6692b25b9" },
		"key of another":    func(_ *signedRequest, a *App, _ *time.Time) { a.Key = "278d425bdf160c739804" },
		"601 seconds late":  func(_ *signedRequest, _ *App, now *time.Time) { *now = now.Add(601 * time.Second) },
		"601 seconds early": func(_ *signedRequest, _ *App, now *time.Time) { *now = now.Add(-601 * time.Second) },
	} {
		s, app, now := vectorRequest(), *vectorApp, vectorTime
		change(&s, &app, &now)
		if err := s.verify(&app, now); statusOf(err) != http.StatusUnauthorized {
			t.Errorf("%s: verify = %v", name, err)
		}
		if s.parameters != nil {
			t.Errorf("%s: the parameters of a request that is refused were taken over", name)
		}
	}
	for _, off := range []time.Duration{-600 * time.Second, 600 * time.Second} {
		s := vectorRequest()
		if err := s.verify(vectorApp, vectorTime.Add(off)); err != nil {
			t.Errorf("%v off: %v", off, err)
		}
	}
}

func replaceQuery(old, now string) func(*signedRequest, *App, *time.Time) {
	return func(s *signedRequest, _ *App, _ *time.Time) { s.query = strings.Replace(s.query, old, now, 1) }
}

// Libraries do not agree on how a query string is escaped; they all sign it as it is without escapes.
func TestSignatureEscapes(t *testing.T) {
	for _, test := range []struct {
		signed string // between auth_version and the end
		sent   string
		want   map[string]string
	}{
		{"&info=user_count,subscription_count", "&info=user_count,subscription_count", map[string]string{"info": "user_count,subscription_count"}},
		{"&info=user_count,subscription_count", "&info=user_count%2Csubscription_count", map[string]string{"info": "user_count,subscription_count"}},
		{"&filter_by_prefix=a;b=c", "&filter_by_prefix=a;b=c", map[string]string{"filter_by_prefix": "a;b=c"}},
		{"&filter_by_prefix=a;b=c", "&filter_by_prefix=a%3Bb%3Dc", map[string]string{"filter_by_prefix": "a;b=c"}},
		{"&name=something else", "&Name=something%20else", map[string]string{"name": "something else"}},
		{"&name=something else", "&NAME=something+else", map[string]string{"name": "something else"}},
		{"&name=one+one", "&name=one+one", map[string]string{"name": "one+one"}},
		{"&name=one+one", "&name=one%2Bone", map[string]string{"name": "one+one"}},
		{"&name=", "&name", map[string]string{"name": ""}},
		{"&name=ü", "&&name=%C3%BC&", map[string]string{"name": "ü"}},
	} {
		query := "auth_key=k&auth_timestamp=1353088179&auth_version=1.0"
		text := "GET\n/apps/1/channels\n" + query + test.signed
		s := signedRequest{method: "GET", paths: []string{"/apps/1/channels"},
			query: "auth_signature=" + hex.EncodeToString(signature("s", text)) + "&" + query + test.sent}
		if err := s.verify(&App{Key: "k", Secret: "s"}, vectorTime); err != nil {
			t.Errorf("%q: %v", test.sent, err)
		} else if fmt.Sprint(s.parameters) != fmt.Sprint(test.want) {
			t.Errorf("%q: the parameters are %v", test.sent, s.parameters)
		}
	}
}

// One signed text must not stand for two requests.
func TestSignatureOfTwoReadings(t *testing.T) {
	for _, query := range []string{
		"name=a%26info%3Db", "name%3Da=b", "name%26info=b", "name=a%0Ab", "name=1&Name=2", "auth_key=k&auth_key=k", "name=%zz", "%=1",
	} {
		if _, err := parseQuery(query, true); statusOf(err) != http.StatusBadRequest {
			t.Errorf("parseQuery(%q) = %v", query, err)
		}
	}
}

func TestSignedPaths(t *testing.T) {
	for _, test := range []struct {
		target string // of the request
		prefix string // that is taken off on the way
		want   []string
	}{
		{"/apps/1/events?x=1", "", []string{"/apps/1/events"}},
		{"/a/apps/1/events", "", []string{"/apps/1/events", "/a/apps/1/events"}},
		{"/a/apps/1/events?x=1", "/a", []string{"/apps/1/events", "/a/apps/1/events"}},
		{"/apps/1/users/a%20b/terminate_connections", "", []string{"/apps/1/users/a%20b/terminate_connections", "/apps/1/users/a b/terminate_connections"}},
		// what else could be meant is another path, which can be asked for itself
		{"/apps/1/users/a%2Fb/terminate_connections", "", []string{"/apps/1/users/a%2Fb/terminate_connections"}},
		{"/apps/1/users/a%2525/terminate_connections", "", []string{"/apps/1/users/a%2525/terminate_connections"}},
	} {
		r := httptest.NewRequest("GET", test.target, nil)
		var got []string
		http.StripPrefix(test.prefix, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			path := r.URL.EscapedPath()
			got = signedPaths(r, path[strings.Index(path, "/apps/"):])
		})).ServeHTTP(httptest.NewRecorder(), r)
		if !slices.Equal(got, test.want) {
			t.Errorf("signedPaths(%s) = %q, want %q", test.target, got, test.want)
		}
	}
}

// FuzzSignature: nobody without the secret is let in, and who has it is, whatever he signs; then the parameters are those that he signed.
func FuzzSignature(f *testing.F) {
	f.Add("GET", "/apps/3/channels", "filter_by_prefix=presence-&info=user_count", true)
	f.Add("POST", "/apps/3/events", vectorQuery, false)
	f.Add("POST", "/apps/3/users/a%20b/terminate_connections", "A=+&b=%2B;%26&&=&%", true)
	f.Fuzz(func(t *testing.T, method, path, query string, spaces bool) {
		secret := "not known to those who fuzz"
		app := &App{Key: "key", Secret: secret}
		forged := signedRequest{method: method, paths: []string{path}, query: query}
		if err := forged.verify(app, vectorTime); statusOf(err) != http.StatusUnauthorized && statusOf(err) != http.StatusBadRequest {
			t.Fatalf("verify(%q) = %v", query, err)
		}
		parameters, err := parseQuery(query, spaces)
		if err != nil || slices.ContainsFunc(parameters, func(p parameter) bool { return slices.Contains(ofSignature, p.name) }) {
			return
		}
		claim := "auth_key=key&auth_timestamp=1353088179&auth_version=1.0"
		all, err := parseQuery(claim+"&"+query, spaces)
		if err != nil {
			t.Fatal(err)
		}
		signed := signedRequest{method: method, paths: []string{path},
			query: claim + "&" + query + "&auth_signature=" + hex.EncodeToString(signature(secret, textToSign(method, path, all)))}
		if err := signed.verify(app, vectorTime); err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		for _, p := range parameters {
			if signed.parameters[p.name] != p.value {
				t.Fatalf("%q: %q is %q", query, p.name, signed.parameters[p.name])
			}
		}
		if len(signed.parameters) != len(parameters) {
			t.Fatalf("%q: %v", query, signed.parameters)
		}
	})
}

// statusOf returns the status of a problem, zero for none.
func statusOf(err error) int {
	var p *wire.Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}

// signedQuery returns the query string of a request that an app signs now, as Pusher's libraries do; the parameters are escaped, or not, as they are given.
func signedQuery(app *App, method, path, body string, at time.Time, parameters ...string) string {
	parameters = append(parameters, "auth_key="+app.Key, fmt.Sprintf("auth_timestamp=%d", at.Unix()), "auth_version=1.0")
	if body != "" {
		parameters = append(parameters, "body_md5="+md5Of(body))
	}
	slices.Sort(parameters)
	query := strings.Join(parameters, "&")
	plain, err := url.PathUnescape(query)
	if err != nil {
		plain = query
	}
	return query + "&auth_signature=" + hex.EncodeToString(signature(app.Secret, method+"\n"+path+"\n"+plain))
}

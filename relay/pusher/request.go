package pusher

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// service is the HTTP API of an application at the service.
type service struct {
	base, app, key, secret string
	client                 *http.Client
	timeout                time.Duration
}

// answerError is what the service answered in place of doing what was asked.
type answerError struct {
	status int
	text   string
	// after is how long the service wants to be left alone; zero when it does not say.
	after time.Duration
}

func (e *answerError) Error() string {
	return fmt.Sprintf("the service answers %d: %s", e.status, e.text)
}

// fate is what becomes of a request that failed.
type fate int

const (
	again   fate = iota // nothing is wrong with it: it is repeated until it succeeds
	denied              // something is wrong with who asks
	refused             // something is wrong with what it says
)

// fateOf tells what becomes of a request, by its error.
func fateOf(err error) fate {
	var answer *answerError
	if !errors.As(err, &answer) {
		return again
	}
	switch s := answer.status; {
	case s >= 500, s == http.StatusTooManyRequests, s == http.StatusRequestTimeout, s == http.StatusTooEarly:
		return again
	case s == http.StatusBadRequest, s == http.StatusRequestEntityTooLarge, s == http.StatusUnprocessableEntity:
		return refused
	}
	return denied
}

// post makes a signed request with a body.
func (s *service) post(ctx context.Context, path string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.ask(ctx, http.MethodPost, path, map[string]string{}, data, nil)
}

// occupied asks for the channels with a prefix to which somebody has subscribed.
func (s *service) occupied(ctx context.Context, prefix string) ([]string, error) {
	var answer struct{ Channels map[string]json.RawMessage }
	err := s.ask(ctx, http.MethodGet, "/channels", map[string]string{"filter_by_prefix": prefix}, nil, &answer)
	return slices.Sorted(maps.Keys(answer.Channels)), err
}

// ask makes one signed request, and reads its answer's JSON into an answer that is not nil.
func (s *service) ask(ctx context.Context, method, path string, query map[string]string, body []byte, answer any) error {
	path = "/apps/" + s.app + path
	query["auth_key"], query["auth_version"] = s.key, "1.0"
	query["auth_timestamp"] = strconv.FormatInt(time.Now().Unix(), 10)
	if body != nil {
		sum := md5.Sum(body)
		query["body_md5"] = hex.EncodeToString(sum[:])
	}
	values := url.Values{"auth_signature": {sign(s.secret, method, path, query)}}
	for k, v := range query {
		values.Set(k, v)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.base+path+"?"+values.Encode(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := s.client.Do(r)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) { // with the URL, which has a signature
			err = e.Err
		}
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, longestAnswer))
	switch {
	case res.StatusCode >= 300:
		return &answerError{res.StatusCode, clip(text), retryAfter(res.Header)}
	case err != nil:
		return err
	case answer != nil:
		return json.Unmarshal(text, answer)
	}
	return nil
}

// longestAnswer bounds what is read of an answer, in bytes.
const longestAnswer = 16 << 20

// sign signs a request: the method, the path and the query, by its keys, which are in lower case.
func sign(secret, method, path string, query map[string]string) string {
	var b strings.Builder
	for i, k := range slices.Sorted(maps.Keys(query)) {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(strings.ToLower(k) + "=" + query[k])
	}
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s\n%s\n%s", method, path, b.String())
	return hex.EncodeToString(mac.Sum(nil))
}

// retryAfter reads how long a service wants to be left alone: in seconds, at most five minutes.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 300)) * time.Second
}

// clip shortens what a service said.
func clip(text []byte) string {
	text = bytes.TrimSpace(text)
	return strings.ToValidUTF8(string(text[:min(len(text), 200)]), "")
}

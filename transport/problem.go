package transport

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
)

// WriteProblem answers the request with an error: problem is the object that messages carry, status its HTTP status. It is what
// every refusal over HTTP looks like (RFC 9457).
func WriteProblem(w http.ResponseWriter, status int, problem []byte) {
	if status == 0 {
		status = http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if seconds := retryAfter(status, problem); seconds > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds))
	}
	w.WriteHeader(status)
	w.Write(append(problem[:len(problem):len(problem)], '\n')) // a copy: the problem of a frame is shared
}

// retryAfter returns the whole seconds after which the client may try again, zero if nobody says. Who is not there just now is asked
// again after a second at least.
func retryAfter(status int, problem []byte) int {
	least := 0
	switch status {
	case http.StatusTooManyRequests:
	case http.StatusServiceUnavailable:
		least = 1
	default:
		return 0
	}
	var p struct {
		RetryAfter float64 `json:"retry_after"`
	}
	if json.Unmarshal(problem, &p) != nil {
		return least
	}
	return max(least, int(math.Ceil(p.RetryAfter)))
}

// Unavailable answers that this transport cannot be served. With 503 a client may try the same again, with 501 it goes on to its next
// transport.
func Unavailable(w http.ResponseWriter, status int, detail string) {
	problem, _ := json.Marshal(struct { // strings and an integer: it cannot fail
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, "unavailable", detail})
	WriteProblem(w, status, problem)
}

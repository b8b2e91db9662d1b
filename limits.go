package live

import (
	"math"
	"time"

	"github.com/swampline/live/internal/rate"
	"github.com/swampline/live/where"
)

// Limits bound what clients may ask of a hub, so that one of them cannot take it from the others. A field that is zero means its default,
// a negative one no limit. The defaults are meant to be met by no honest page.
//
// A caller is whom [Options.Identity] names: without it, and for those whom it calls "", nothing is counted by caller. An address is
// that of [Options.Address]: where that cannot tell, nothing is counted by address.
//
// What a limit refuses was not done, and ends nothing else. Where time helps, the client is told how much: by retry_after in the problem,
// and by the header Retry-After.
type Limits struct {
	// URLBytes is how long the path and the query string of a request may be together, in bytes. Default 16 KiB.
	URLBytes int
	// Batch is how many messages may come together in one POST or one message of a WebSocket, besides as many subscriptions as
	// Options.MaxSubscriptions permits. Default 100.
	Batch int
	// Depth is how deep JSON may be nested: a message, with the object that it is itself. Default 32.
	Depth int
	// FilterNodes is how many conditions, objects and arrays a client's filter may have together, FilterValues how many values may stand
	// behind one "in". Default 50 and 100.
	FilterNodes, FilterValues int

	// SessionsOfCaller and SessionsOfAddress are how many sessions may be open at once: WebSockets, event streams, and polls that wait.
	// Default 256 and 20,000: a whole company may come from one address.
	SessionsOfCaller, SessionsOfAddress int

	// Connects is how often a caller may open a WebSocket or an event stream, ConnectsOfAddress how often an address may. Default 50
	// a second and 500 at once; 1,000 and 20,000.
	Connects, ConnectsOfAddress Rate
	// Polls is how often a caller may ask by a request that is neither of these nor a write: a poll, a list, a row. RequestsOfAddress is
	// how often an address may send any request but these that open a stream. Default 200 a second and 1,000 at once; 10,000 and 20,000.
	Polls, RequestsOfAddress Rate
	// Subscribes is how often a caller may have a subscription answered from the beginning, because it brings no cursor or one
	// that does not serve; without a caller, a session. Default 200 a second and 5,000 at once.
	Subscribes Rate
	// Messages is how many messages a caller may send; without a caller, a session. A write by a request of its own is a message, the
	// subscriptions of an event stream's or a poll's request are none. Default 1,000 a second and 10,000 at once.
	Messages Rate

	// FirstMessage is how long a WebSocket may stay open without a message from the client, when its URL did not subscribe already.
	// Default 30 s.
	FirstMessage time.Duration
	// Receive is how long a message of a WebSocket, or the body of a request, may take from its beginning to its end. An
	// http.Server that has a ReadTimeout bounds bodies by that instead. Default 2 minutes.
	Receive time.Duration
}

// Rate is how often something may happen: PerSecond times a second in the long run, and Burst times at once after a pause. A Burst that is not
// positive is what comes in a second. The zero Rate means the default, a negative PerSecond no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// limit returns the rate as buckets know it.
func (r Rate) limit() rate.Limit {
	if r.PerSecond < 0 || math.IsInf(r.PerSecond, 1) {
		return rate.Limit{}
	}
	burst := r.Burst
	if burst <= 0 {
		burst = int(math.Ceil(min(r.PerSecond, math.MaxInt32)))
	}
	return rate.PerSecond(r.PerSecond, burst)
}

// withDefaults returns the limits with nothing left zero or negative, but for rates, where no limit stays a negative one.
func (l Limits) withDefaults() Limits {
	bound(&l.URLBytes, 16<<10)
	bound(&l.Batch, 100)
	bound(&l.Depth, 32)
	bound(&l.FilterNodes, 50)
	bound(&l.FilterValues, 100)
	bound(&l.SessionsOfCaller, 256)
	bound(&l.SessionsOfAddress, 20_000)
	bound(&l.FirstMessage, 30*time.Second)
	bound(&l.Receive, 2*time.Minute)
	for _, r := range []struct {
		is *Rate
		or Rate
	}{
		{&l.Connects, Rate{50, 500}},
		{&l.ConnectsOfAddress, Rate{1000, 20_000}},
		{&l.Polls, Rate{200, 1000}},
		{&l.RequestsOfAddress, Rate{10_000, 20_000}},
		{&l.Subscribes, Rate{200, 5000}},
		{&l.Messages, Rate{1000, 10_000}},
	} {
		if *r.is == (Rate{}) {
			*r.is = r.or
		}
	}
	return l
}

// bound makes a zero the default, and a negative number one that is never reached.
func bound[N int | time.Duration](n *N, value N) {
	switch {
	case *n == 0:
		*n = value
	case *n < 0:
		*n = math.MaxInt / 2 // what is added to it does not overflow
	}
}

// filter returns the limits as filters know them.
func (l Limits) filter() where.Limits {
	return where.Limits{Nodes: l.FilterNodes, Values: l.FilterValues, Depth: l.Depth}
}

package checker

// Fault is something that goes wrong, or is different from what it was.
type Fault string

// The faults of connections.
const (
	CutRST   Fault = "RST in the middle of a frame"
	CutFIN   Fault = "FIN in the middle of a frame"
	Freeze   Fault = "connection frozen half-open"
	Stall    Fault = "connection that takes no more bytes"
	Swallow  Fault = "answer swallowed after the server wrote it"
	Repeat   Fault = "request sent twice"
	Swap     Fault = "two POSTs in the other order"
	Trickle  Fault = "one byte at a time"
	Throttle Fault = "1 kB/s"
	Buffer   Fault = "proxy that buffers a whole answer"
	Gzip     Fault = "answer compressed by a middleware"
)

// The faults of clients.
const (
	OtherTransport Fault = "transport changed"
	OtherHub       Fault = "client moved to another hub"
	Overlap        Fault = "two connections of one client at once"
	Storm          Fault = "storm of subscribes and unsubscribes"
	Throws         Fault = "handler that throws"
	Crash          Fault = "client killed, and another one in its place"
	Leave          Fault = "member that leaves by word"
	Say            Fault = "member that says what it does"
)

// The faults of hubs, of the log and of writers.
const (
	Kill      Fault = "hub killed"
	Pause     Fault = "hub paused"
	PauseLong Fault = "hub paused for 30 s"
	Drain     Fault = "hub drained"
	Trim      Fault = "history cut short"
	NewEpoch  Fault = "epoch changed"
	Restart   Fault = "server of the log restarted"
	Away      Fault = "server of the log away"
	Revoke    Fault = "rights revoked"
	Restore   Fault = "rights restored"
	Walk      Fault = "row that walks in and out of the filters"
	Late      Fault = "published in the other order than committed"
)

// AllFaults are the faults that a run of all transports must have had.
var AllFaults = []Fault{
	CutRST, CutFIN, Freeze, Stall, Swallow, Repeat, Swap, Trickle, Throttle, Buffer, Gzip, OtherTransport, OtherHub, Overlap, Storm, Crash, Leave, Say,
	Kill, Pause, Drain, Trim, NewEpoch, Restart, Away, Revoke, Restore, Walk, Late,
}

// wire are the faults that a proxy does to a connection.
var wire = []Fault{CutRST, CutRST, CutFIN, CutFIN, Freeze, Stall, Swallow, Swallow, Repeat, Repeat, Swap, Trickle, Throttle, Buffer}

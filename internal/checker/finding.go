package checker

import (
	"fmt"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// Invariant names a sentence of the delivery contract that the checker watches over.
type Invariant string

// The invariants. Which sentence each stands for is said in docs/reliability.md.
const (
	Gap         Invariant = "gap"          // something that concerns a subscription was passed over in silence
	Duplicate   Invariant = "duplicate"    // something came twice over one connection
	Inversion   Invariant = "inversion"    // a position went back
	FalseResync Invariant = "false resync" // a resync although history reached and the rights were the same
	Misfit      Invariant = "misfit"       // a change did not fit what was held: the row is none that the database ever had
	WrongRows   Invariant = "wrong rows"   // in the end a subscription shows something other than the database
	Audience    Invariant = "audience"     // something came to who never might see it
	Revoked     Invariant = "revoked"      // something came that was written after its revocation was acknowledged
	Stuck       Invariant = "stuck"        // a client did not reach the end of the log
	Refused     Invariant = "refused"      // a refusal or an end for which there was no reason
	Protocol    Invariant = "protocol"     // a message that docs/protocol.md does not allow there
	Logged      Invariant = "logged"       // the hub logged an error
	Flicker     Invariant = "flicker"      // a member that was there all the time was told to be gone
	Leak        Invariant = "leak"         // goroutines, heap or open files are left
)

// Finding is an invariant that was broken, with what happened.
type Finding struct {
	Invariant Invariant
	What      string
}

// maxFindings is how many findings of an invariant are kept whole; one bug makes thousands.
const maxFindings = 20

// Tally counts what happens in a run. Its methods may be called by any goroutine.
type Tally struct {
	// Deliveries counts what handlers were told: each change of a row, each message and each count that a subscription took. Rows are
	// those of snapshots.
	Deliveries, Rows, Frames, Bytes atomic.Int64
	// Writes counts the entries of the log, Connections those that clients opened, Resumes the subscriptions that went on with a cursor.
	Writes, Connections, Resumes atomic.Int64
	// Compared counts the subscriptions whose end was compared with the database, Checked the entries of the log that were compared with what
	// a subscription held when it had passed them.
	Compared, Checked atomic.Int64

	// Late counts the subscriptions that held a row by a version that was published after a newer one: a bound that is known.
	Late atomic.Int64

	mu       sync.Mutex
	faults   map[Fault]int
	resyncs  map[string]int
	findings []Finding
	broken   map[Invariant]int
}

// NewTally returns an empty tally.
func NewTally() *Tally {
	return &Tally{faults: map[Fault]int{}, resyncs: map[string]int{}, broken: map[Invariant]int{}}
}

// Fault counts a fault that was done.
func (t *Tally) Fault(f Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults[f]++
}

// Resync counts a resync by its reason.
func (t *Tally) Resync(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resyncs[reason]++
}

// Find notes that an invariant was broken.
func (t *Tally) Find(i Invariant, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broken[i]++
	if t.broken[i] <= maxFindings {
		t.findings = append(t.findings, Finding{i, fmt.Sprintf(format, args...)})
	}
}

// Findings returns the first findings.
func (t *Tally) Findings() []Finding {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Finding(nil), t.findings...)
}

// Broken returns how often each invariant was broken.
func (t *Tally) Broken() map[Invariant]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return copyOf(t.broken)
}

// Any reports whether one of some invariants was broken.
func (t *Tally) Any(of []Invariant) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(of, func(i Invariant) bool { return t.broken[i] > 0 })
}

// Faults returns how often each fault was done.
func (t *Tally) Faults() map[Fault]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return copyOf(t.faults)
}

// Resyncs returns the resyncs by reason.
func (t *Tally) Resyncs() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return copyOf(t.resyncs)
}

func copyOf[K comparable](m map[K]int) map[K]int {
	out := make(map[K]int, len(m))
	for k, n := range m {
		out[k] = n
	}
	return out
}

// total adds up.
func total[K comparable](m map[K]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// sorted returns the keys in order.
func sorted[K ~string](m map[K]int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	return keys
}

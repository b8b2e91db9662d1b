package presence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/swampline/live/internal/extend"
	"github.com/swampline/live/internal/record"
)

// row is a member as it stands on the log. The one that is tagged first is the first field of predicates, which list relies on.
type row struct {
	Place   string          `live:"place,scope"`
	ID      string          `live:"id,key"`
	Version int64           `live:"version,version"`
	On      string          `live:"on"`
	Person  string          `live:"person,filter"`
	Name    string          `live:"name,filter"`
	Info    json.RawMessage `live:"info"`
	State   json.RawMessage `live:"state"`
	Away    bool            `live:"away"`
	Since   time.Time       `live:"since,filter"`
	// Lock is the fencing token of the one who holds the place's lock, Wants says that he would like to.
	Lock  string `live:"lock"`
	Wants bool   `live:"wants"`
	// Proof is the hash of the secret by which the member's client is known again.
	Proof string `live:"proof,scope"`
	// Node is the one that speaks for the member, Came when it came there, in milliseconds since 1970: of two nodes where it is, the later one
	// does. Leased says that it has to give signs of life, for there is no connection that would break.
	Node   string `live:"node,scope"`
	Came   int64  `live:"came,scope"`
	Leased bool   `live:"leased,scope"`
}

func (r *row) member() Member {
	place := extend.ParsePlace(r.Place)
	return Member{ID: r.ID, Place: Place(place), Person: r.Person, Name: r.Name, Info: r.Info, State: r.State, Away: r.Away, Since: r.Since,
		Lock: r.Lock, Wants: r.Wants}
}

// same reports whether two states of a member differ in nothing but their versions.
func (r *row) same(s *row) bool {
	return r.Place == s.Place && r.Person == s.Person && r.Name == s.Name && bytes.Equal(r.Info, s.Info) && bytes.Equal(r.State, s.State) &&
		r.Away == s.Away && r.Lock == s.Lock && r.Wants == s.Wants && r.Proof == s.Proof && r.Node == s.Node && r.Came == s.Came && r.Leased == s.Leased
}

// later reports whether a member came later by this state than by another one, which is of another node.
func (r *row) later(than *row) bool {
	return r.Came > than.Came || r.Came == than.Came && r.Node > than.Node
}

// bySince orders members by when they came.
func bySince(a, b *row) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) }

// decode reads a member that came by on the log.
func decode(fields record.Fields) (*row, error) {
	r := &row{}
	for name, at := range map[string]any{
		"place": &r.Place, "id": &r.ID, "version": &r.Version, "on": &r.On, "person": &r.Person, "name": &r.Name, "info": &r.Info, "state": &r.State,
		"away": &r.Away, "since": &r.Since, "lock": &r.Lock, "wants": &r.Wants, "proof": &r.Proof, "node": &r.Node, "came": &r.Came, "leased": &r.Leased,
	} {
		if data, ok := fields[name]; ok {
			if err := json.Unmarshal(data, at); err != nil {
				return nil, fmt.Errorf("field %s: %w", name, err)
			}
		}
	}
	return r, nil
}

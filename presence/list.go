package presence

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// nobody is the Scope of the members' router: by its name nobody sees any of them. Who may see a place is told by what is there.
func nobody(context.Context) (where.Where, error) { return where.In("place"), nil }

// list returns the members of the places that a query is about.
func (p *Presence) list(_ context.Context, q live.Query) ([]row, error) {
	rows, exact := p.query(q)
	if exact && q.Limit > 0 {
		rows = rows[:min(len(rows), q.Limit)]
	}
	out := make([]row, len(rows))
	for i, r := range rows {
		out[i] = *r
	}
	return out, nil
}

// count returns how many persons are in the places that a query is about, whatever their tabs.
func (p *Presence) count(_ context.Context, q live.Query) (int64, error) {
	rows, _ := p.query(q)
	persons := map[string]struct{}{}
	for _, r := range rows {
		persons[r.Person] = struct{}{}
	}
	return int64(len(persons)), nil
}

// query returns the members of the places that a query names, in its order; exact says that it asks for nothing else.
func (p *Presence) query(q live.Query) (rows []*row, exact bool) {
	node := q.Where.Node()
	if exact = node.Op == where.OpIn; !exact {
		for _, kid := range node.Kids {
			if node.Op == where.OpAnd && kid.Op == where.OpIn && kid.Field == 0 {
				node = kid
				break
			}
		}
	}
	if node.Op != where.OpIn || node.Field != 0 || node.Not {
		return nil, false // nobody sees them by anything else
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range node.Values {
		var place string
		if json.Unmarshal(v.AppendJSON(nil), &place) == nil {
			rows = append(rows, p.replica.sorted(place, q.Order)...)
		}
	}
	if len(node.Values) > 1 {
		slices.SortFunc(rows, func(a, b *row) int { return compare(q.Order, a, b) })
	}
	return rows, exact
}

// sorting is who is in a place, in an order: many who come to one place at the same time ask for the same.
type sorting struct {
	order string
	rows  []*row
}

// sorted returns who is in a place, in an order; the caller does not change it.
func (p *replica) sorted(place string, order []where.Order) []*row {
	if len(order) == 0 {
		return p.at(place)
	}
	text := ""
	for _, by := range order {
		text += by.String() + ","
	}
	if last := p.orders[place]; last != nil && last.order == text {
		return last.rows
	}
	rows := p.at(place)
	slices.SortFunc(rows, func(a, b *row) int { return compare(order, a, b) })
	p.orders[place] = &sorting{text, rows}
	return rows
}

// compare orders members as filters compare their fields.
func compare(order []where.Order, a, b *row) int {
	for _, by := range order {
		c := 0
		switch by.Field {
		case "id":
			c = cmp.Compare(a.ID, b.ID)
		case "version":
			c = cmp.Compare(a.Version, b.Version)
		case "person":
			c = cmp.Compare(a.Person, b.Person)
		case "name":
			c = cmp.Compare(a.Name, b.Name)
		case "since":
			c = a.Since.Compare(b.Since)
		}
		if by.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

//go:build linux

package main

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// figure is what one measurement of one server found.
type figure struct {
	Scenario  string             `json:"scenario"`
	Transport string             `json:"transport,omitempty"`
	Clients   int                `json:"clients,omitempty"`
	Server    string             `json:"server"`
	Round     int                `json:"round"`
	Values    map[string]float64 `json:"values,omitempty"`
	Problem   string             `json:"problem,omitempty"`
}

// place is what figures are of that are compared.
type place struct {
	scenario, transport string
	clients             int
}

func (f figure) place() place { return place{f.Scenario, f.Transport, f.Clients} }

// figures are all that were found.
type figures []figure

// values returns the values of a name that a server has at a place, by round.
func (all figures) values(at place, server, name string) map[int]float64 {
	found := map[int]float64{}
	for _, f := range all {
		if v, ok := f.Values[name]; ok && f.place() == at && f.Server == server {
			found[f.Round] = v
		}
	}
	return found
}

// median is the middle of the values of all rounds.
func (all figures) median(at place, server, name string) (float64, bool) {
	return middle(slices.Collect(maps.Values(all.values(at, server, name))))
}

// ratio is the middle of the ratios of one server to another, each of one round.
func (all figures) ratio(at place, server, to, name string) (float64, bool) {
	return all.across(at, server, name, at, to, name)
}

// across is ratio, of two places or names.
func (all figures) across(at place, server, name string, from place, to, base string) (float64, bool) {
	bases := all.values(from, to, base)
	var ratios []float64
	for round, v := range all.values(at, server, name) {
		if b := bases[round]; b > 0 {
			ratios = append(ratios, v/b)
		}
	}
	return middle(ratios)
}

// sum adds up a value over all figures of the servers that a func wants.
func (all figures) sum(name string, of func(figure) bool) (total float64) {
	for _, f := range all {
		if of(f) {
			total += f.Values[name]
		}
	}
	return total
}

// places returns where there are figures of a scenario, in the order of the tables.
func (all figures) places(scenario string) (found []place) {
	for _, f := range all {
		if f.Scenario == scenario && !slices.Contains(found, f.place()) {
			found = append(found, f.place())
		}
	}
	slices.SortStableFunc(found, func(a, b place) int {
		return cmp.Or(cmp.Compare(slices.Index(transports, a.transport), slices.Index(transports, b.transport)), cmp.Compare(a.clients, b.clients))
	})
	return found
}

// at returns the names of the servers that have figures at a place, in the order in which they were measured.
func (all figures) at(p place) (names []string) {
	for _, f := range all {
		if f.place() == p && !slices.Contains(names, f.Server) {
			names = append(names, f.Server)
		}
	}
	return names
}

func middle(values []float64) (float64, bool) {
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 0 {
		return (values[half-1] + values[half]) / 2, true
	}
	return values[half], true
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

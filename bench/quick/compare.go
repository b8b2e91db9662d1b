package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// figure is what a benchmark found: the middle of its runs by unit.
type figure map[string]float64

// figures are those of all benchmarks, by package and name.
type figures struct {
	names []string
	of    map[string]figure
}

// cores is what go test puts behind a benchmark's name.
var cores = regexp.MustCompile(`-\d+$`)

// parse reads what go test -bench prints.
func parse(text string) figures {
	runs := map[string]map[string][]float64{}
	all := figures{of: map[string]figure{}}
	pkg := ""
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 2 && words[0] == "pkg:" {
			pkg = words[1][strings.LastIndex(words[1], "/")+1:]
		}
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name := pkg + "." + strings.TrimPrefix(cores.ReplaceAllString(words[0], ""), "Benchmark")
		if runs[name] == nil {
			runs[name] = map[string][]float64{}
			all.names = append(all.names, name)
		}
		if n, err := strconv.ParseFloat(words[1], 64); err == nil {
			runs[name][times] = append(runs[name][times], n)
		}
		for i := 2; i+1 < len(words); i += 2 {
			if v, err := strconv.ParseFloat(words[i], 64); err == nil {
				runs[name][words[i+1]] = append(runs[name][words[i+1]], v)
			}
		}
	}
	for name, units := range runs {
		all.of[name] = figure{}
		for unit, values := range units {
			slices.Sort(values)
			all.of[name][unit] = values[len(values)/2]
		}
	}
	return all
}

// times is the unit of how often a benchmark ran. What ran seldom is not held to its allocations: those of its beginning are among them.
const (
	times   = "times"
	enough  = 50
	allowed = 1.1
)

// compare prints both and fails if there are over a tenth more allocations.
func compare(w io.Writer, before, now figures) error {
	var worse []string
	fmt.Fprintf(w, "%-60s %12s %12s %7s   %9s %9s %7s\n", "", "ns/op", "stored", "", "allocs/op", "stored", "")
	for _, name := range now.names {
		was, known := before.of[name]
		is := now.of[name]
		fmt.Fprintf(w, "%-60s %12.0f %12s %7s   %9.0f %9s %7s\n", name,
			is["ns/op"], text(was, "ns/op"), change(was, is, "ns/op"), is["allocs/op"], text(was, "allocs/op"), change(was, is, "allocs/op"))
		if known && min(is[times], was[times]) >= enough && is["allocs/op"] > was["allocs/op"]*allowed {
			worse = append(worse, name)
		}
	}
	for _, name := range before.names {
		if now.of[name] == nil {
			fmt.Fprintf(w, "%-60s is stored and was not measured\n", name)
		}
	}
	if len(worse) > 0 {
		return fmt.Errorf("these make over a tenth more allocations than was stored: %s\nMend them, or store the figures anew with go -C bench run ./quick -store and say why", strings.Join(worse, ", "))
	}
	return nil
}

func text(f figure, unit string) string {
	v, known := f[unit]
	if !known {
		return "–"
	}
	return fmt.Sprintf("%.0f", v)
}

// change is by how much a figure differs from the stored one.
func change(was, is figure, unit string) string {
	before, known := was[unit]
	switch {
	case !known:
		return "new"
	case before == is[unit]:
		return "="
	case before == 0:
		return "more"
	}
	return fmt.Sprintf("%+.0f%%", (is[unit]/before-1)*100)
}

package main

import (
	"strings"
	"testing"
)

const printed = `goos: linux
pkg: github.com/swampline/live/internal/index
BenchmarkAdd-2     	 100	 300 ns/op	  64 B/op	 10 allocs/op
BenchmarkAdd-2     	 100	 100 ns/op	  64 B/op	 10 allocs/op
BenchmarkAdd-2     	 100	 200 ns/op	  64 B/op	 10 allocs/op
BenchmarkNone/1000000-2     	 100	 2.5 ns/op	 7 B/filter	  0 B/op	 0 allocs/op
PASS
`

func TestAllocationsAreHeldToTheStored(t *testing.T) {
	for _, test := range []struct {
		now   string
		worse string
	}{
		{printed, ""},
		{strings.ReplaceAll(printed, " 10 allocs", " 11 allocs"), ""},
		{strings.ReplaceAll(printed, " 10 allocs", " 12 allocs"), "index.Add"},
		{strings.ReplaceAll(printed, " 10 allocs", " 2 allocs"), ""},
		{strings.ReplaceAll(strings.ReplaceAll(printed, "\t 100\t", "\t 3\t"), " 10 allocs", " 20 allocs"), ""},
		{strings.ReplaceAll(printed, " 0 allocs", " 1 allocs"), "index.None/1000000"},
		{strings.ReplaceAll(printed, " ns/op", "000 ns/op"), ""},
		{strings.ReplaceAll(printed, "BenchmarkAdd-2", "BenchmarkOther-2"), ""},
	} {
		var out strings.Builder
		err := compare(&out, parse(printed), parse(test.now))
		if (err == nil) != (test.worse == "") || err != nil && !strings.Contains(err.Error(), test.worse) {
			t.Errorf("%s\n%sgot %v, want %q", test.now, out.String(), err, test.worse)
		}
	}
}

func TestParse(t *testing.T) {
	all := parse(printed)
	if got := all.of["index.Add"]; len(all.names) != 2 || got["ns/op"] != 200 || got["B/op"] != 64 {
		t.Errorf("%+v", all)
	}
	if got := all.of["index.None/1000000"]; got["ns/op"] != 2.5 || got["B/filter"] != 7 {
		t.Errorf("%+v", all)
	}
}

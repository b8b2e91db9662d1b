package checker

import (
	"fmt"
	"io"
	"runtime"
	"strings"
)

// Report writes what a run came to as a Markdown table.
func Report(w io.Writer, t *Tally, command string, rows ...[2]string) {
	line := func(name, value string) { fmt.Fprintf(w, "| %s | %s |\n", name, value) }
	faults, resyncs, broken := t.Faults(), t.Resyncs(), t.Broken()
	line("what", "figure")
	line("---", "---")
	line("command", "`"+command+"`")
	line("machine", fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()))
	for _, r := range rows {
		line(r[0], r[1])
	}
	line("deliveries", number(t.Deliveries.Load()))
	line("rows of snapshots", number(t.Rows.Load()))
	line("messages received", number(t.Frames.Load()))
	line("entries of the log", number(t.Writes.Load()))
	line("comparisons of a subscription with the log", number(t.Checked.Load()))
	line("comparisons of a subscription with the database", number(t.Compared.Load()))
	line("rows held by a version that was published late (a known bound)", number(t.Late.Load()))
	line("connections", number(t.Connections.Load()))
	line("subscriptions resumed", number(t.Resumes.Load()))
	line("**faults**", "**"+number(int64(total(faults)))+"**")
	for _, f := range sorted(faults) {
		line("· "+string(f), number(int64(faults[f])))
	}
	line("resyncs", number(int64(total(resyncs))))
	for _, r := range sorted(resyncs) {
		line("· "+r, number(int64(resyncs[r])))
	}
	for _, i := range invariants {
		line("**"+string(i)+"**", fmt.Sprintf("**%d**", broken[i]))
	}
}

// invariants are all, in the order in which they are reported.
var invariants = []Invariant{
	Gap, Duplicate, Inversion, FalseResync, Misfit, WrongRows, Audience, Revoked, Stuck, Refused, Protocol, Logged, Flicker, Leak,
}

// number writes a number with its thousands apart.
func number(n int64) string {
	text := fmt.Sprint(n)
	var parts []string
	for len(text) > 3 {
		parts = append([]string{text[len(text)-3:]}, parts...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, parts...), ",")
}

package transport_test

import (
	"testing"

	"github.com/swampline/live/transport"
)

func TestBatchIsEncodedOnceForEachForm(t *testing.T) {
	b := transport.Batch{Frames: []*transport.Frame{{Data: []byte("a")}, {Data: []byte("b")}}}
	calls := 0
	join := func(end string) func([]*transport.Frame) []byte {
		return func(frames []*transport.Frame) (out []byte) {
			calls++
			for _, f := range frames {
				out = append(append(out, f.Data...), end...)
			}
			return out
		}
	}
	for range 3 {
		if got := string(b.Bytes("lines", join("\n"))); got != "a\nb\n" {
			t.Errorf("lines: %q", got)
		}
		if got := string(b.Bytes("words", join(" "))); got != "a b " {
			t.Errorf("words: %q", got)
		}
	}
	if calls != 2 {
		t.Errorf("encoded %d times, want once for each of two forms", calls)
	}
}

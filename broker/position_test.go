package broker

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// positions are interesting ones: the zero value, the borders of digit counts, the ends of the range.
func positions() []Position {
	words := []uint64{0, 1, 35, 36, 36*36 - 1, 36 * 36, 1<<52 - 1, math.MaxInt64, math.MaxUint64 - 1, math.MaxUint64}
	var all []Position
	for _, epoch := range []uint64{0, 1, 36, math.MaxUint64} {
		for _, major := range words {
			for _, minor := range words {
				all = append(all, Position{epoch, major, minor})
			}
		}
	}
	return all
}

func TestPositionSurvivesItsCursor(t *testing.T) {
	seen := make(map[string]Position)
	for _, p := range positions() {
		s := p.String()
		if q, err := ParsePosition(s); err != nil || q != p {
			t.Errorf("ParsePosition(%q) = %+v, %v; want %+v", s, q, err, p)
		}
		if q, ok := seen[s]; ok {
			t.Errorf("%+v and %+v are both %q", p, q, s)
		}
		seen[s] = p
		if got := string(p.AppendTo([]byte("id: "))); got != "id: "+s {
			t.Errorf("AppendTo = %q, want %q", got, "id: "+s)
		}
		if strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz.") != "" {
			t.Errorf("%q is not URL-safe", s)
		}
	}
}

func TestCursorsOrderAsTheirPositions(t *testing.T) {
	all := positions()
	for _, p := range all {
		for _, q := range all {
			if p.Epoch != q.Epoch {
				if p.After(q) {
					t.Errorf("%+v.After(%+v), of another epoch", p, q)
				}
				continue
			}
			if got, want := cmp.Compare(p.String(), q.String()), p.Compare(q); got != want {
				t.Errorf("cursors %v and %v compare %d, their positions %d", p, q, got, want)
			}
			if got, want := p.After(q), p.Compare(q) > 0; got != want {
				t.Errorf("%v.After(%v) = %v", p, q, got)
			}
		}
	}
}

func TestCompareIsTotal(t *testing.T) {
	want := positions() // written in order
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Position.Compare)
	if !slices.Equal(got, want) {
		t.Error("sorting by Compare does not give epoch, major, minor")
	}
}

func TestParsePositionRefuses(t *testing.T) {
	for _, s := range []string{
		"", ".", "00", "1", "1.", "1.1", "1.0", "1.00", "1.12.", // cut short
		"0.10",           // the zero position has one spelling
		"1.12.10",        // a zero minor is not written
		"01.12", "1.201", // leading zeros
		"Z.12", "1.1Z", // upper case digits
		"1.Aabcdefghij",     // an upper case count
		"1.123", "1.12.12x", // too long
		"1.12.12.12",       // three words
		"1.d3w5e11264sgsg", // 2^64
		"3w5e11264sgsg.12", // 2^64
		"1.zzzzz", "+1.12", // a count beyond what there is; a sign
		"-1.12", "1.1-", "1_0.12",
		" 1.12", "1.12 ", "1.12\n", "é.12",
	} {
		if p, err := ParsePosition(s); !errors.Is(err, errCursor) || !p.IsZero() {
			t.Errorf("ParsePosition(%q) = %+v, %v; want an error and the zero position", s, p, err)
		}
	}
}

func TestCursorsDoNotAllocate(t *testing.T) {
	p := Position{1<<52 - 1, math.MaxUint64, math.MaxUint64}
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { buf = p.AppendTo(buf[:0]) }); n != 0 {
		t.Errorf("AppendTo allocates %v times", n)
	}
	s := p.String()
	if n := testing.AllocsPerRun(100, func() { _, _ = ParsePosition(s) }); n != 0 {
		t.Errorf("ParsePosition allocates %v times", n)
	}
}

// FuzzParsePosition reads two texts. Whatever is a cursor must be printed as it was, and two of one epoch must compare as
// what they mean.
func FuzzParsePosition(f *testing.F) {
	for i, p := range positions() {
		if i%7 == 0 {
			f.Add(p.String(), Position{p.Epoch, p.Minor, p.Major}.String())
		}
	}
	f.Add("1.Aabcdefghij", "1.aabcdefghij")
	f.Add("1.12.10", "1.12")
	f.Fuzz(func(t *testing.T, s, u string) {
		p, err := ParsePosition(s)
		if err != nil {
			return
		}
		if got := p.String(); got != s {
			t.Errorf("%q is %+v, which is printed %q", s, p, got)
		}
		q, err := ParsePosition(u)
		if err != nil || p.Epoch != q.Epoch {
			return
		}
		if got, want := cmp.Compare(s, u), p.Compare(q); got != want {
			t.Errorf("%q and %q compare %d, their positions %d", s, u, got, want)
		}
	})
}

func BenchmarkPosition(b *testing.B) {
	p := Position{Epoch: 1<<52 - 1, Major: 1 << 40, Minor: 3}
	s := p.String()
	b.Run("AppendTo", func(b *testing.B) {
		buf := make([]byte, 0, 64)
		for b.Loop() {
			buf = p.AppendTo(buf[:0])
		}
	})
	b.Run("Parse", func(b *testing.B) {
		for b.Loop() {
			_, _ = ParsePosition(s)
		}
	})
}

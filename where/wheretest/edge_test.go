package wheretest

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/swampline/live/where"
)

// textRow is a record of one text, with all else null or empty.
func textRow(t *testing.T, s *where.Schema, text string) record {
	t.Helper()
	r := record{row: make(where.Row, len(columns)), stored: make([]any, len(columns))}
	for i, c := range columns {
		var v any
		switch c.Name {
		case "s", `odd "näme`:
			v = text
		case "small":
			v = int64(0)
		default:
			continue
		}
		value, err := s.ValueGo(i, v)
		if err != nil {
			t.Fatal(err)
		}
		r.row[i], r.stored[i] = value, v
	}
	return r
}

func wantAgree(t *testing.T, s *where.Schema, d *database, rows []record, w where.Where) {
	t.Helper()
	p, err := s.Bind(w)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.find(p)
	if err != nil {
		t.Fatal(err)
	}
	if want := (&generator{rows: rows}).matching(p); !slices.Equal(got, want) {
		t.Errorf("%.100s: %s finds %v, the matcher %v", p, d.name, got, want)
	}
}

// TestNUL stores what only SQLite can store.
func TestNUL(t *testing.T) {
	s, d := newSchema(t), openSQLite(t)
	d.create(t)
	var rows []record
	for _, text := range []string{"a\x00b", "\x00", "a", "ab", "b\x00"} {
		rows = append(rows, textRow(t, s, text))
	}
	if err := d.fill(rows); err != nil {
		t.Fatal(err)
	}
	for _, op := range []func(string, any) where.Where{
		where.Eq, where.Ne, where.Lt, where.Gte, where.Contains, where.IContains, where.StartsWith,
	} {
		for _, text := range []string{"", "a", "b", "B", "ab"} {
			wantAgree(t, s, d, rows, op("s", text))
			wantAgree(t, s, d, rows, where.Not(op("s", text)))
		}
	}
}

// TestLongPatterns holds patterns as long as they may be against the databases' own limits.
func TestLongPatterns(t *testing.T) {
	s := newSchema(t)
	for _, d := range []*database{openSQLite(t), openPostgres(t)} {
		d.create(t)
		var patterns []string
		var rows []record
		for _, unit := range []string{"k", "θ", "*", `\`, "[", "\U0001E900", "aaaaaaaaab"} {
			pattern := strings.Repeat(unit, 1000/len(unit))
			patterns = append(patterns, pattern)
			rows = append(rows, textRow(t, s, pattern), textRow(t, s, strings.Repeat(unit, 2000)+"x"),
				textRow(t, s, pattern[:len(pattern)-len(unit)]))
		}
		if err := d.fill(rows); err != nil {
			t.Fatal(err)
		}
		for _, pattern := range patterns {
			wantAgree(t, s, d, rows, where.IContains("s", pattern))
			wantAgree(t, s, d, rows, where.Contains("s", pattern))
			wantAgree(t, s, d, rows, where.StartsWith("s", pattern))
		}
	}
}

// TestEveryOrbit stores every character that has another case, and asks for one of each orbit.
func TestEveryOrbit(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of queries")
	}
	s := newSchema(t)
	for _, d := range []*database{openSQLite(t), openPostgres(t)} {
		d.create(t)
		for orbits := range slices.Chunk(orbits(), 100) {
			var rows []record
			for _, orbit := range orbits {
				for _, r := range orbit {
					rows = append(rows, textRow(t, s, string(r)))
				}
			}
			if err := d.fill(rows); err != nil {
				t.Fatal(err)
			}
			for _, orbit := range orbits {
				wantAgree(t, s, d, rows, where.IContains("s", string(orbit[len(orbit)-1])))
			}
		}
	}
}

// orbits returns the sets of characters that differ only in case.
func orbits() [][]rune {
	var all [][]rune
	for least := rune(1); least <= unicode.MaxRune; least++ {
		orbit := []rune{least}
		for r := unicode.SimpleFold(least); r > least; r = unicode.SimpleFold(r) {
			orbit = append(orbit, r)
		}
		// From any other member of an orbit, its least one is met before the circle closes.
		if r := unicode.SimpleFold(orbit[len(orbit)-1]); len(orbit) > 1 && r == least {
			all = append(all, orbit)
		}
	}
	return all
}

// TestPrefixes asks for prefixes whose last character has no ordinary successor.
func TestPrefixes(t *testing.T) {
	s := newSchema(t)
	prefixes := []string{"", "a", "a\ud7ff", "a\U0010FFFF", "\U0010FFFF", "\U0010FFFF\U0010FFFF", "a\x7f", "a\u07ff", "a\uffff"}
	var rows []record
	for _, prefix := range prefixes {
		for _, after := range []string{"", "\x01", "a", "\ue000", "\U0010FFFF"} {
			rows = append(rows, textRow(t, s, prefix+after))
		}
	}
	for _, text := range []string{"a\ue000", "a\ufffd", "b", "a\u0080", "a\u0800", "a\U00010000"} {
		rows = append(rows, textRow(t, s, text))
	}
	for _, d := range []*database{openSQLite(t), openPostgres(t)} {
		d.create(t)
		if err := d.fill(rows); err != nil {
			t.Fatal(err)
		}
		for _, prefix := range prefixes {
			wantAgree(t, s, d, rows, where.StartsWith("s", prefix))
		}
	}
}

// TestIndexServes asks the planners whether the conditions that an index can serve are written so that it does.
func TestIndexServes(t *testing.T) {
	s := newSchema(t)
	filters := []where.Where{
		where.Eq("n", 7), where.Eq("small", 7), where.In("n", 1, 2), where.Eq("s", "a"), where.In("s", "a", "b"),
		where.Gt("n", 7), where.Lte("small", 7), where.IsNull("n", true), where.Eq("f", 1), where.Gte("t", time.Unix(0, 0)),
		where.Lt("s", "b"), where.StartsWith("s", "ab"),
	}
	lite, pg := openSQLite(t), openPostgres(t)
	for _, d := range []*database{lite, pg} {
		d.create(t)
		for _, c := range []string{"n", "small", "s", "f", "t"} {
			if err := d.exec("CREATE INDEX " + c + "_index ON rows (" + c + ")"); err != nil {
				t.Fatal(err)
			}
		}
	}
	// PostgreSQL compares the order of text in a collation that an index must have, too.
	for _, sql := range []string{`CREATE INDEX s_bytes ON rows (s COLLATE "C")`, "SET enable_seqscan = off"} {
		if err := pg.exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range filters {
		p, err := s.Bind(w)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*database{lite, pg} {
			plan, err := d.plan(p)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(plan, "SEARCH rows USING") && !strings.Contains(plan, "Index Cond") {
				t.Errorf("%s does not use an index for %s:\n%s", d.name, p, plan)
			}
		}
	}
}

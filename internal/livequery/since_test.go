package livequery

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/swampline/live/internal/record"
)

func TestSinceTellsWhatChangedBetweenTwoVersions(t *testing.T) {
	one, two := thing{1, 5, 1, "a"}, thing{1, 5, 2, "b"}
	three, four := thing{1, 6, 3, "b"}, thing{1, 6, 4, "c"}
	by := func(c record.Change, who string) record.Change { c.By = json.RawMessage(`"` + who + `"`); return c }
	history := []record.Change{by(created(one), "A"), by(updated(one, two), "B"), by(updated(two, three), "C"), by(updated(three, four), "D")}
	for name, test := range map[string]struct {
		log      []record.Change
		filter   string
		from, to int64
		want     string
	}{
		"all":                          {history, `{}`, 1, 4, `box 3 "C", note 4 "D"`},
		"the end":                      {history, `{}`, 3, 4, `note 4 "D"`},
		"nothing":                      {history, `{}`, 4, 4, ""},
		"a version that the row skips": {[]record.Change{updated(one, three), updated(three, four)}, `{}`, 2, 4, "unknown"},
		"a row that skips versions":    {[]record.Change{updated(one, three), updated(three, four)}, `{}`, 1, 4, "box 3, note 4"},
		"before the log":               {history[2:], `{}`, 1, 4, "unknown"},
		"a gap":                        {slices.Concat(history[:2], history[3:]), `{}`, 1, 4, "unknown"},
		"ahead of the log":             {history, `{}`, 1, 5, "unknown"},
		"the next words, unordered":    {[]record.Change{history[0], history[2], history[1], history[3]}, `{}`, 1, 4, `box 3 "C", note 4 "D"`},
		"words without what was":       {[]record.Change{put(one), by(put(two), "B"), put(three)}, `{}`, 1, 3, `box 3, note 2 "B"`},
		"told again by somebody else":  {[]record.Change{put(one), by(put(two), "B"), by(put(two), "Z")}, `{}`, 1, 2, `note 2 "B"`},
		"words without what was, a gap": {
			[]record.Change{put(one), put(three)}, `{}`, 1, 3, "unknown"},
		"another row with its key":    {[]record.Change{updated(one, two), updated(two, three), deleted(three), updated(three, four)}, `{}`, 1, 4, "unknown"},
		"a new row with its key":      {[]record.Change{updated(one, two), created(three), updated(three, four)}, `{}`, 1, 4, "unknown"},
		"other rows":                  {slices.Concat(history, []record.Change{updated(thing{2, 1, 4, "x"}, thing{2, 2, 5, "y"})}), `{}`, 3, 4, `note 4 "D"`},
		"hidden at the beginning":     {history, `{"box":6}`, 1, 4, "unknown"},
		"visible since":               {history, `{"box":6}`, 2, 4, `box 3 "C", note 4 "D"`},
		"many rows":                   {slices.Concat(history[:3], []record.Change{{Router: "things", Op: record.Bulk, Where: json.RawMessage(`{}`)}}), `{}`, 2, 3, `box 3 "C"`},
		"versions the other way":      {history, `{}`, 4, 1, ""},
		"a row that has no version":   {[]record.Change{unversioned(updated(one, two))}, `{}`, 1, 2, "unknown"},
		"a version that is far below": {history, `{}`, -1 << 63, 4, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			var entries []*Entry
			for i, r := range test.log {
				c, err := s.Resolve(&r, at(i+1))
				if err != nil {
					t.Fatal(err)
				}
				entries = append(entries, &Entry{Position: at(i + 1), Changes: []*Change{c}})
			}
			found := s.Schema.View("").Since(entries, s.bind(t, test.filter), "1", test.from, test.to)
			got := "unknown"
			if found != nil {
				var all []string
				for _, name := range slices.Sorted(maps.Keys(found)) {
					all = append(all, strings.TrimSpace(fmt.Sprint(name, " ", found[name].Version, " ", string(found[name].By))))
				}
				got = strings.Join(all, ", ")
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

package main

import (
	"strings"
	"testing"
)

func TestADifferenceIsBothTexts(t *testing.T) {
	for _, test := range []struct{ from, to, want string }{
		{"", "", ""},
		{"", "new", "[+new]"},
		{"old", "", "[-old]"},
		{"the night ferry", "the day ferry", "the [-night][+day] ferry"},
		{"a b c", "a c", "a [-b ]c"},
		{"it is back", "it is back, now", "it is back[+, now]"},
		{"“day”", "“déjà-vu”", "“[-day][+déjà-vu]”"},
		{"bus", "night bus", "[+night ]bus"},
		{"one\ntwo", "one\n\ntwo", "one[-\n][+\n\n]two"},
	} {
		var got, from, to strings.Builder
		for _, p := range difference(test.from, test.to) {
			if p.Op == "" {
				got.WriteString(p.Text)
			} else {
				got.WriteString("[" + p.Op + p.Text + "]")
			}
			if p.Op != "+" {
				from.WriteString(p.Text)
			}
			if p.Op != "-" {
				to.WriteString(p.Text)
			}
		}
		if got.String() != test.want || from.String() != test.from || to.String() != test.to {
			t.Errorf("difference(%q, %q) = %q, want %q", test.from, test.to, got.String(), test.want)
		}
	}
}

func TestWhatIsTooLongIsToldWhole(t *testing.T) {
	long := strings.Repeat("word ", maxDiff)
	got := difference("a "+long+"z", "a "+strings.ReplaceAll(long, " ", "\n")+"z")
	if len(got) != 4 || got[0].Text != "a word" || got[1].Op != "-" || got[2].Op != "+" || got[3] != (part{"", "z"}) {
		t.Errorf("got %d parts", len(got))
	}
}

package live_test

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

const securityPage = "docs/security.md"

// testLink is a test as the page names it: with a link to its file.
var testLink = regexp.MustCompile("\\[`((?:Test|Fuzz)[A-Za-z0-9_]+)`\\]\\(([^)]+)\\)")

// TestSecurityPageNamesWhatExists: a control counts as long as there is a test that attacks it, in the file that the page links to.
func TestSecurityPageNamesWhatExists(t *testing.T) {
	page, err := os.ReadFile(securityPage)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for i, line := range strings.Split(string(page), "\n") {
		cell, ok := lastCell(line)
		if !ok || cell == "test" {
			continue
		}
		rows++
		links := testLink.FindAllStringSubmatch(cell, -1)
		if rest := strings.Trim(testLink.ReplaceAllString(cell, ""), ", "); len(links) == 0 || rest != "" {
			t.Errorf("%s:%d: %q: want tests with links to their files, separated by commas", securityPage, i+1, cell)
		}
		for _, link := range links {
			source, err := os.ReadFile(path.Join(path.Dir(securityPage), link[2]))
			if err != nil || !strings.Contains(string(source), "\nfunc "+link[1]+"(") {
				t.Errorf("%s:%d: there is no %s in %s: name the test that attacks this now", securityPage, i+1, link[1], link[2])
			}
		}
	}
	if rows < 30 {
		t.Errorf("%s has %d rows only", securityPage, rows)
	}
}

// Every fuzz target of a decoder that clients or the broker feed is on the page.
func TestSecurityPageNamesEachDecoder(t *testing.T) {
	page, err := os.ReadFile(securityPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"FuzzParse", "FuzzBatch", "FuzzDecode", "FuzzEvent", "FuzzParsePosition", "FuzzLastEventID", "FuzzRoute", "FuzzParseJSON", "FuzzParseQuery", "FuzzParseOrder", "FuzzDeeper"} {
		if !strings.Contains(string(page), "[`"+name+"`]") {
			t.Errorf("%s does not name %s", securityPage, name)
		}
	}
}

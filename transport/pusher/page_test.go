package pusher

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// testLink is a test as the page names it, with a link to its file: a func of Go's, or what one with the real libraries is called.
var testLink = regexp.MustCompile("\\[`([^`]+)`\\]\\(([^)]+(?:_test\\.go|\\.test\\.mjs))\\)")

// What the page says is supported counts as long as there is the test that it names, in the file that it links to.
func TestPageNamesWhatExists(t *testing.T) {
	const page = "../../docs/pusher.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for i, line := range strings.Split(string(text), "\n") {
		for _, link := range testLink.FindAllStringSubmatch(line, -1) {
			links++
			source, err := os.ReadFile(path.Join(path.Dir(page), link[2]))
			begins := "\nfunc " + link[1] + "("
			if strings.HasSuffix(link[2], ".mjs") {
				begins = "test(\"" + link[1] + "\", "
			}
			if err != nil || !strings.Contains(string(source), begins) {
				t.Errorf("%s:%d: there is no %s in %s", page, i+1, link[1], link[2])
			}
		}
	}
	if links < 80 {
		t.Errorf("%s names %d tests only", page, links)
	}
}

package live_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const swampDragonPage = "docs/swampdragon.md"

var (
	// shownBy is a last cell of that page: names in backticks, or a dash.
	shownBy  = regexp.MustCompile("^(?:–|`[^`]+`(?:, `[^`]+`)*)$")
	backtick = regexp.MustCompile("`([^`]+)`")
	// goName and clientName are the forms of a name: of Go, and of the client's tests, as the file and what the test is called.
	goName     = regexp.MustCompile(`^(?:Test|Example)[A-Za-z0-9_]+$`)
	clientName = regexp.MustCompile(`^(client/test/[a-z]+\.test\.ts): (.+)$`)

	goTest = regexp.MustCompile(`(?m)^func ((?:Test|Example)[A-Za-z0-9_]*)\(`)
	// clientTest finds what a test of the client is called, without the transport that some of them are run for.
	clientTest = regexp.MustCompile("(?m)^ *test\\((?:\"([^\"]+)\"|`(?:\\$\\{transport\\}: )?([^`]+)`),")
)

// TestSwampDragonPageNamesWhatExists: a row of the page that says "shown by" is true as long as there is such a test.
func TestSwampDragonPageNamesWhatExists(t *testing.T) {
	page, err := os.ReadFile(swampDragonPage)
	if err != nil {
		t.Fatal(err)
	}
	exists := testsOfTheRepository(t)
	named := 0
	for i, line := range strings.Split(string(page), "\n") {
		cell, ok := lastCell(line)
		if !ok {
			continue
		}
		if !shownBy.MatchString(cell) {
			t.Errorf("%s:%d: %q: want names in backticks, separated by commas, or – for nothing", swampDragonPage, i+1, cell)
		}
		for _, match := range backtick.FindAllStringSubmatch(cell, -1) {
			name := match[1]
			named++
			switch {
			case !goName.MatchString(name) && !clientName.MatchString(name):
				t.Errorf("%s:%d: %q is no name: want TestX, ExampleX or client/test/x.test.ts: what it is called", swampDragonPage, i+1, name)
			case !exists[name]:
				t.Errorf("%s:%d: there is no test %q: name the one that shows this now, or say that it is gone", swampDragonPage, i+1, name)
			}
		}
	}
	if named == 0 {
		t.Errorf("%s names no test at all", swampDragonPage)
	}
}

// lastCell returns the last cell of a row of a table, unless it is its head.
func lastCell(line string) (string, bool) {
	row, ok := strings.CutPrefix(line, "|")
	if !ok {
		return "", false
	}
	cells := strings.Split(strings.TrimSuffix(row, "|"), "|")
	cell := strings.TrimSpace(cells[len(cells)-1])
	return cell, cell != "shown by" && cell != "---"
}

// testsOfTheRepository are the tests of all its modules and of the client, by the names that the page calls them.
func testsOfTheRepository(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		name := d.Name()
		if d.IsDir() {
			if path != "." && (strings.HasPrefix(name, ".") || name == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		ofClient := strings.HasPrefix(path, "client/test/") && strings.HasSuffix(name, ".test.ts")
		if !ofClient && !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if ofClient {
			for _, match := range clientTest.FindAllStringSubmatch(string(source), -1) {
				names[path+": "+match[1]+match[2]] = true
			}
			return nil
		}
		for _, match := range goTest.FindAllStringSubmatch(string(source), -1) {
			names[match[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

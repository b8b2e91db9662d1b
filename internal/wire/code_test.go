package wire

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// What is counted by code is what the protocol says there is.
func TestCodesAreTheProtocols(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [0-9]{3}").FindAllSubmatch(text, -1)
	if len(rows) < 30 {
		t.Fatalf("docs/protocol.md has a table of %d codes", len(rows))
	}
	for _, row := range rows {
		if code := string(row[1]); !slices.Contains(codes, code) {
			t.Errorf("docs/protocol.md has the code %q, which is not counted as one", code)
		}
	}
	for code, want := range map[string]string{"not_found": "not_found", "sold_out": "application", "": "application"} {
		if got := (&Problem{Code: code}).Label(); got != want {
			t.Errorf("%q is counted as %q, want %q", code, got, want)
		}
	}
}

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestTheServersOfTheTableAreThere finds what a run would find out after half an hour.
func TestTheServersOfTheTableAreThere(t *testing.T) {
	names := map[string]bool{}
	for _, s := range append(slices.Clone(servers), ofOwn) {
		if names[s.Name] {
			t.Errorf("two servers are called %s", s.Name)
		}
		names[s.Name] = true
		built := "go.mod" // Go and npm both want to be in a module's folder
		file := filepath.Join(s.Package, "main.go")
		if s.Script != "" {
			built, file = "package-lock.json", s.Script
		}
		for _, file := range []string{built, file} {
			if _, err := os.Stat(filepath.Join("..", s.Dir, file)); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
		for _, transport := range s.Transports {
			if !slices.Contains(transports, transport) {
				t.Errorf("%s speaks %s, which no client does", s.Name, transport)
			}
		}
		if len(s.Transports) == 0 {
			t.Errorf("%s speaks nothing", s.Name)
		}
	}
	if named(raw).Name != raw {
		t.Errorf("%s is not in the table", raw)
	}
}

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// try runs the command.
func try(args ...string) (stdout, stderr string, err error) {
	var out, complaints bytes.Buffer
	err = run(args, &out, &complaints)
	return out.String(), complaints.String(), err
}

const shopTypes = `// Code generated from the routers of the application by github.com/swampline/live/typescript. DO NOT EDIT.

import type { Filter, Order } from "./live.d.ts";

export interface Routers {
  todos: {
    row: { id: number; title: string };
    where: Filter<{ id: "int"; title: "text" }>;
    order: Order<"id" | "title">;
    create: never;
    update: never;
    verbs: {};
    include: {};
  };
}
`

func TestTypesOfAnApplication(t *testing.T) {
	out, complaints, err := try("types", "-import", "./live.d.ts", "./testdata/shop")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints)
	}
	if out != shopTypes {
		t.Errorf("got\n%s\nwant\n%s", out, shopTypes)
	}
	if !strings.Contains(complaints, "the shop prints as it starts") {
		t.Errorf("what the application prints is lost: the standard error is %q", complaints)
	}
	if files, err := filepath.Glob("testdata/shop/*"); err != nil || len(files) != 1 {
		t.Errorf("the package has the files %v afterwards (%v)", files, err)
	}
}

func TestTypesOfAnInternalPackageIntoAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "routers.ts")
	out, complaints, err := try("types", "-o", file, "-func", "Routers", "./testdata/shop", "./testdata/internal/hub", "./testdata/wrong")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out != "" || !strings.Contains(string(text), "  secrets: {\n    row: { id: number };\n") || !strings.Contains(string(text), `"@swampline/live"`) {
		t.Errorf("printed %q, wrote\n%s", out, text)
	}
}

// TestTypesOfAnotherModule runs the command as an application has it, in a module of its own that needs package live.
func TestTypesOfAnotherModule(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	mod := strings.Replace(read(filepath.Join(root, "go.mod")), "module github.com/swampline/live", "module example.org/app", 1)
	mod += "require github.com/swampline/live v0.0.0\nreplace github.com/swampline/live => " + root + "\n"
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": mod, "go.sum": read(filepath.Join(root, "go.sum")),
		"internal/shop/shop.go": read("testdata/shop/shop.go"), "web/web.go": "package web\n", "broken/broken.go": "package broken\n\nfunc {\n",
	} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Chdir(filepath.Join(dir, "web"))
	out, complaints, err := try("types", "-import", "./live.d.ts", "example.org/app/...")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints)
	}
	if out != shopTypes {
		t.Errorf("got\n%s\nwant\n%s", out, shopTypes)
	}
	if _, _, err := try("types"); err == nil || !strings.Contains(err.Error(), "no func LiveHub() *live.Hub in package example.org/app/web") {
		t.Errorf("in a package without: got %v", err)
	}
	if _, _, err := try("types", "../broken"); err == nil || !strings.Contains(err.Error(), "broken.go:3:6: expected 'IDENT'") {
		t.Errorf("in a broken package: got %v", err)
	}
	if _, _, err := try("types", "../nothing/..."); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("in no package: got %v", err)
	}
}

func TestAFuncThatFailsIsTold(t *testing.T) {
	for pkg, want := range map[string]string{
		"panics": "live: router rows: it has no Scope",
		"null":   "LiveHub returned nil: it has to return the hub with its routers",
	} {
		file := filepath.Join(t.TempDir(), "routers.ts")
		_, complaints, err := try("types", "-o", file, "./testdata/"+pkg)
		if err == nil || !strings.Contains(err.Error(), "/testdata/"+pkg+".LiveHub failed") || !strings.Contains(complaints, want) {
			t.Errorf("%s: got %v and %q, want %q", pkg, err, complaints, want)
		}
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the file was written all the same (%v)", pkg, err)
		}
	}
}

func TestWhatCannotBeRunIsSaid(t *testing.T) {
	for _, test := range []struct {
		args string
		want string
	}{
		{"", "usage: live types"},
		{"type", `no subcommand "type"`},
		{"types -what", "flag provided but not defined: -what"},
		{"types -func liveHub ./testdata/shop", `"liveHub" is not the name of an exported func`},
		{"types -func Live-Hub ./testdata/shop", `"Live-Hub" is not the name of an exported func`},
		{"types ./testdata/wrong", "no func LiveHub() *live.Hub in package github.com/swampline/live/cmd/live/testdata/wrong: write one"},
		{"types -func Nope ./testdata/wrong ./testdata/shop", "no func Nope() *live.Hub in these 2 packages"},
		{"types ./testdata/program", "LiveHub is in a package main, which nothing can import: move it"},
		{"types ./testdata/shop ./testdata/null", "2 packages have a func LiveHub: name the one that is meant"},
		{"types ./testdata/missing", "testdata/missing"},
		{"types -func Takes ./testdata/wrong", "wrong.go:20:1: func Takes has to be func Takes() *live.Hub"},
		{"types -func Two ./testdata/wrong", "func Two has to be func Two() *live.Hub"},
		{"types -func Value ./testdata/wrong", "func Value has to be func Value() *live.Hub"},
		{"types -func Own ./testdata/wrong", "func Own has to be func Own() *live.Hub"},
		{"types -func Generic ./testdata/wrong", "func Generic has to be func Generic() *live.Hub"},
	} {
		out, _, err := try(strings.Fields(test.args)...)
		if err == nil || !strings.Contains(err.Error(), test.want) || out != "" {
			t.Errorf("live %s: got %v, want %q", test.args, err, test.want)
		}
	}
}

package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	const (
		pass = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: said by a test that passed\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
`
		end  = `{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}` + "\n" + `{"Action":"pass","Package":"p"}` + "\n"
		skip = `{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:2: no database\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
`
		fail = `{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:3: got 1, want 2\n"}
{"Action":"output","Package":"p","Test":"TestC","Output":"--- FAIL: TestC (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
`
	)
	tests := []struct {
		name, in, want string
		strict, ok     bool
	}{
		{"pass", pass + end, "ok  \tp\t0.1s\n1 tests passed, 0 failed, 0 skipped\n", true, true},
		{"fail", pass + fail, "    c_test.go:3: got 1, want 2\n--- FAIL: TestC (0.00s)\nFAIL\tp\t0.1s\n1 tests passed, 1 failed, 0 skipped\n", false, false},
		{"skip at home", skip + end, "ok  \tp\t0.1s\n0 tests passed, 0 failed, 1 skipped\nskipped: p TestB\n    b_test.go:2: no database\n", false, true},
		{
			"no test files",
			`{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}` + "\n" + `{"Action":"skip","Package":"p"}`,
			"?   \tp\t[no test files]\n0 tests passed, 0 failed, 0 skipped\n", true, true,
		},
		{
			"does not build",
			`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: syntax error\n"}` + "\n" + `{"ImportPath":"p","Action":"build-fail"}` + "\n",
			"p.go:1: syntax error\n0 tests passed, 0 failed, 0 skipped\n", false, false,
		},
		{"not JSON", "go: no such module\n", "go: no such module\n0 tests passed, 0 failed, 0 skipped\n", true, true},
		{
			"cut off",
			`{"Action":"output","Package":"p","Test":"TestD","Output":"panic: no\n"}` + "\n",
			"panic: no\n0 tests passed, 0 failed, 0 skipped\n", false, false,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			ok, err := run(strings.NewReader(test.in), &out, test.strict)
			if err != nil || ok != test.ok || out.String() != test.want {
				t.Errorf("got %v, %v and\n%s\nwant %v and\n%s", ok, err, out.String(), test.ok, test.want)
			}
		})
	}
}

func TestSkipInCI(t *testing.T) {
	var out strings.Builder
	ok, err := run(strings.NewReader(`{"Action":"skip","Package":"p","Test":"TestB"}`+"\n"+`{"Action":"pass","Package":"p"}`), &out, true)
	if ok || err != nil || !strings.Contains(out.String(), "skipped: p TestB\n") {
		t.Errorf("a skip in CI gave %v, %v and\n%s", ok, err, out.String())
	}
}

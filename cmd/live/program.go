package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
)

// program is what is run in the application's stead. It writes into the file of its first argument, because the application may print.
var program = template.Must(template.New("").Parse(`package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/swampline/live/typescript"

	application {{printf "%q" .Package}}
)

func main() {
	var out bytes.Buffer
	err := write(&out)
	if err == nil {
		err = os.WriteFile(os.Args[1], out.Bytes(), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(out *bytes.Buffer) error {
	hub := application.{{.Func}}()
	if hub == nil {
		return fmt.Errorf("{{.Func}} returned nil: it has to return the hub with its routers")
	}
	return typescript.Write(out, hub, typescript.Options{Import: {{printf "%q" .Import}}})
}
`))

// call runs the func of a package, and returns the types of the routers of its hub. The program stands beside the func, so that it may
// import what is internal there, but only in the eyes of the go command.
func (t *typesCommand) call(in listed) (text []byte, err error) {
	temporary, err := os.MkdirTemp("", "live-types-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	var code bytes.Buffer
	if err := program.Execute(&code, map[string]string{"Package": in.ImportPath, "Func": t.name, "Import": t.module}); err != nil {
		return nil, err
	}
	pretended := filepath.Join(in.Dir, filepath.Base(temporary), "main.go")
	file, overlay, result := filepath.Join(temporary, "main.go"), filepath.Join(temporary, "overlay.json"), filepath.Join(temporary, "routers.ts")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {pretended: file}})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.WriteFile(file, code.Bytes(), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "run", "-overlay", overlay, pretended, result)
	cmd.Stdout, cmd.Stderr = t.stderr, t.stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the program that calls %s.%s failed: %w", in.ImportPath, t.name, err)
	}
	return os.ReadFile(result)
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// typesCommand writes the types of the routers of a hub that a func of the application makes.
type typesCommand struct {
	name     string   // of the func
	module   string   // Options.Import
	patterns []string // of packages
	stderr   io.Writer
}

// listed is a package as go list tells of it.
type listed struct {
	Dir, ImportPath, Name string
	GoFiles, CgoFiles     []string
	Error                 *struct{ Err string }
}

const livePath = "github.com/swampline/live"

func (t *typesCommand) run() ([]byte, error) {
	if !ast.IsExported(t.name) || !token.IsIdentifier(t.name) {
		return nil, fmt.Errorf("%q is not the name of an exported func: rename it, so that another package can call it", t.name)
	}
	packages, err := t.list()
	if err != nil {
		return nil, err
	}
	in, err := t.find(packages)
	if err != nil {
		return nil, err
	}
	return t.call(in)
}

// list returns the packages that the patterns match.
func (t *typesCommand) list() ([]listed, error) {
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=Dir,ImportPath,Name,GoFiles,CgoFiles,Error", "--"}, t.patterns...)...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, strings.TrimSpace(complaints.String()))
	}
	var packages []listed
	for d := json.NewDecoder(&out); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Error != nil && len(p.GoFiles) == 0 {
			return nil, fmt.Errorf("package %s: %s", p.ImportPath, strings.TrimSpace(p.Error.Err))
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("no package matches %s", strings.Join(t.patterns, " "))
	}
	return packages, nil
}

// find returns the only package that has the func.
func (t *typesCommand) find(packages []listed) (in listed, err error) {
	var found []string
	var wrong []error
	for _, p := range packages {
		has, err := t.has(p)
		if err != nil {
			wrong = append(wrong, err)
		}
		if has {
			in, found = p, append(found, p.ImportPath)
		}
	}
	switch {
	case len(found) == 1:
		return in, nil
	case len(found) > 1:
		return in, fmt.Errorf("%d packages have a func %s: name the one that is meant, out of %s", len(found), t.name, strings.Join(found, " and "))
	case len(wrong) > 0:
		return in, errors.Join(wrong...)
	}
	return in, fmt.Errorf("no func %s() *live.Hub in %s: write one that makes the hub and registers its routers, or name yours with -func, or other packages",
		t.name, among(packages))
}

// among names packages for a sentence.
func among(packages []listed) string {
	if len(packages) == 1 {
		return "package " + packages[0].ImportPath
	}
	return fmt.Sprintf("these %d packages", len(packages))
}

// has reports whether a package has the func. One that cannot be used is an error.
func (t *typesCommand) has(p listed) (bool, error) {
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return false, err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || f.Name.Name != t.name {
				continue
			}
			at := fset.Position(f.Pos())
			switch {
			case f.Type.Params.NumFields() > 0 || f.Type.TypeParams != nil || !returnsHub(file, f):
				return false, fmt.Errorf("%s: func %s has to be func %s() *live.Hub: it is called with nothing, and the hub is all that counts", at, t.name, t.name)
			case p.Name == "main":
				return false, fmt.Errorf("%s: func %s is in a package main, which nothing can import: move it into a package of its own", at, t.name)
			}
			return true, nil
		}
	}
	return false, nil
}

// returnsHub reports whether a func returns a *live.Hub and nothing else.
func returnsHub(file *ast.File, f *ast.FuncDecl) bool {
	if f.Type.Results.NumFields() != 1 {
		return false
	}
	star, ok := f.Type.Results.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	name := ""
	switch x := star.X.(type) {
	case *ast.SelectorExpr:
		from, ok := x.X.(*ast.Ident)
		if !ok || x.Sel.Name != "Hub" {
			return false
		}
		name = from.Name
	case *ast.Ident: // of a dot import
		if name = "."; x.Name != "Hub" {
			return false
		}
	}
	return slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool {
		from, _ := strconv.Unquote(i.Path.Value)
		called := path.Base(from)
		if i.Name != nil {
			called = i.Name.Name
		}
		return from == livePath && called == name
	})
}

// Package typescript writes the types of an application's routers for the client: the compiler then refuses in a page what the server
// would refuse, and knows what a row holds.
//
//	import { connect } from "@swampline/live"
//	import type { Routers } from "./routers"
//
//	const live = connect<Routers>("/live/")
//	live.list("todos", { where: { title__icontains: "milk" }, order: ["-done", "id"] })
//
// Routers exist when the application runs, so it is the application that writes their types. Put what makes the hub and registers
// its routers into a func that needs no server and no database, and call it from a program of five lines, such as cmd/types:
//
//	func main() {
//		if err := typescript.Write(os.Stdout, app.Hub(), typescript.Options{}); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// which is run by go generate:
//
//	//go:generate sh -c "go run ./cmd/types > web/routers.ts"
//
// Where that func is exported, called LiveHub and returns a *live.Hub, no program is needed:
//
//	//go:generate go run github.com/swampline/live/cmd/live types -o web/routers.ts ./app
//
// The same routers always give the same bytes: commit the file, and let a test or the CI compare it.
//
// # What becomes what
//
// A row is an object of its published fields. Numbers of Go are number, also those beyond 2⁵³ that JavaScript rounds; text, times and
// []byte are string; what may be null is "| null", and so is a nil slice or map. Structs, slices and maps are what encoding/json writes,
// with omitempty and omitzero as optional members. A type that marshals to text is string, or the union of its values if it has a method
// Values that returns them, as a []T or, like enums of ent, a []string; so is a type of strings. A type that marshals to JSON in a way of
// its own is unknown, and so is a computed field, whose func returns any: [Options] can say better. Struct types that contain themselves
// become interfaces of the file.
//
// Where a serializer has views, the row of the router has all published fields, those outside of some view optional; the rows as each
// audience sees them are in a second interface, Views:
//
//	import type { Views } from "./routers"
//
//	type GuestProduct = Views["products"]["guest"]
//
// Filters, orders and writes are typed for who may do the most; the server refuses what a view hides.
package typescript

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/swampline/live"
)

// Options say what cannot be seen in the routers. The zero value is right when the client is installed from npm and nothing is unknown
// that should be known.
type Options struct {
	// Import is the module that the client's types come from: a package, or the path of a live.d.ts as the written file sees it. Empty
	// means "@swampline/live".
	Import string

	// Types are the TypeScript types of Go types, wherever they occur, in place of what is found out about them: for those with a
	// MarshalJSON.
	//
	//	Types: map[reflect.Type]string{reflect.TypeFor[decimal.Decimal](): "string"}
	Types map[reflect.Type]string

	// Fields are the TypeScript types of single fields, by router and field: for computed ones. A field of nested rows is
	// named with the one that holds them. They are put down as they are; null is not added.
	//
	//	Fields: map[string]string{"tasks.overdue": "boolean", "tasks.owner.initials": "string"}
	Fields map[string]string
}

// Write writes the types of the routers that are registered with a hub, as one module of TypeScript. Nothing is written when there is
// an error: of w; of a relation to a router that is not registered; of Options.Fields that name no field. The hub may be in
// use.
func Write(w io.Writer, hub *live.Hub, o Options) error {
	routers := hub.Routers()
	if len(routers) == 0 {
		return errors.New("typescript: the hub has no routers: register them before their types are written")
	}
	f := &file{types: types{known: o.Types, names: map[shape]string{}}, fields: o.Fields, unused: maps.Clone(o.Fields)}
	for _, r := range routers {
		f.routers = append(f.routers, r.Name)
	}
	var body bytes.Buffer
	if err := f.writeRouters(&body, routers); err != nil {
		return fmt.Errorf("typescript: %w", err)
	}
	f.writeViews(&body, routers)
	if len(f.unused) > 0 {
		name := slices.Min(slices.Collect(maps.Keys(f.unused)))
		return fmt.Errorf("typescript: Options.Fields has a type for %q, and no router has such a field: write it as router.field, or remove it", name)
	}
	if f.err != nil {
		return fmt.Errorf("typescript: %w", f.err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "// Code generated from the routers of the application by github.com/swampline/live/typescript. DO NOT EDIT.\n\n")
	fmt.Fprintf(&out, "import type { %s } from %s;\n", strings.Join(used(body.String()), ", "), quote(cmp.Or(o.Import, "@swampline/live")))
	for _, helper := range f.helpers {
		fmt.Fprintf(&out, "\n%s", helper)
	}
	out.WriteString(body.String())
	_, err := out.WriteTo(w)
	return err
}

// used returns the client's types that a text needs: an import that nobody uses is an error to some compilers.
func used(body string) []string {
	names := []string{"Filter"}
	for _, name := range []string{"Only", "Order"} {
		if strings.Contains(body, ": "+name+"<") {
			names = append(names, name)
		}
	}
	return names
}

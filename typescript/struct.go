package typescript

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// jsonMember is a member of the object that encoding/json makes of a struct.
type jsonMember struct {
	name string
	typ  reflect.Type
	path []int
	// tagged says that the name stands in a tag, which counts more.
	tagged bool
	// behind says that the member is in a struct that is embedded by a pointer: it is there when that is not nil.
	behind bool
	// quoted says that a number or boolean stands in a string.
	quoted              bool
	omitEmpty, omitZero bool
}

// zeroer is a type that says itself what omitzero leaves out.
var zeroer = reflect.TypeFor[interface{ IsZero() bool }]()

// optional reports whether the member may be missing. A struct with omitempty never is, but its author meant that it could.
func (m jsonMember) optional() bool { return m.behind || m.omitEmpty || m.omitZero }

// omitted reports whether the member is missing when it is nil.
func (m jsonMember) omitted() bool {
	return m.omitEmpty || m.omitZero && (m.typ.Kind() == reflect.Pointer || !implements(m.typ, zeroer))
}

// membersOf returns the members of a struct in the order of its fields: of those with the same name the outermost, of several of
// these the one with a tag, and none if that does not decide.
func membersOf(t reflect.Type) []jsonMember {
	all := collect(t, jsonMember{}, nil)
	slices.SortStableFunc(all, func(a, b jsonMember) int {
		return cmp.Or(strings.Compare(a.name, b.name), len(a.path)-len(b.path), -compareBool(a.tagged, b.tagged))
	})
	var members []jsonMember
	for i := 0; i < len(all); {
		first, same := all[i], 1
		for i+same < len(all) && all[i+same].name == first.name {
			same++
		}
		if same == 1 || len(all[i+1].path) > len(first.path) || all[i+1].tagged != first.tagged {
			members = append(members, first)
		}
		i += same
	}
	slices.SortFunc(members, func(a, b jsonMember) int { return slices.Compare(a.path, b.path) })
	return members
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// collect returns the fields of a struct and of those that it embeds.
func collect(t reflect.Type, in jsonMember, outer []reflect.Type) []jsonMember {
	outer = append(slices.Clone(outer), t)
	var all []jsonMember
	for i := range t.NumField() {
		sf := t.Field(i)
		inner, behind := sf.Type, in.behind
		if sf.Anonymous && inner.Kind() == reflect.Pointer {
			inner, behind = inner.Elem(), true
		}
		embedded := sf.Anonymous && inner.Kind() == reflect.Struct
		tag := sf.Tag.Get("json")
		if tag == "-" || !sf.IsExported() && !embedded {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !allowed(name) {
			name = ""
		}
		m := jsonMember{path: append(slices.Clone(in.path), i), behind: behind}
		if embedded && name == "" {
			if !slices.Contains(outer, inner) {
				all = append(all, collect(inner, m, outer)...)
			}
			continue
		}
		m.name, m.typ, m.tagged, m.behind = cmp.Or(name, sf.Name), sf.Type, name != "", in.behind
		for option := range strings.SplitSeq(options, ",") {
			m.omitEmpty = m.omitEmpty || option == "omitempty"
			m.omitZero = m.omitZero || option == "omitzero"
			m.quoted = m.quoted || option == "string" && quotable(sf.Type)
		}
		all = append(all, m)
	}
	return all
}

// allowed reports whether encoding/json takes a name out of a tag.
func allowed(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return true
}

// quotable reports whether the option string says something about a type.
func quotable(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	k := t.Kind()
	return !implements(t, jsonMarshaler) && !implements(t, textMarshaler) &&
		(k == reflect.Bool || reflect.Int <= k && k <= reflect.Float64 || k == reflect.String)
}

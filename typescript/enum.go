package typescript

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// valuesOf returns the values of an enum, quoted: a type of texts with a method Values that returns them, as they are or as strings. It
// returns none for other types. A panic of the method is an error.
func valuesOf(t reflect.Type) (quoted []string, err error) {
	m, ok := t.MethodByName("Values")
	if !ok || m.Type.NumIn() != 1 || m.Type.NumOut() != 1 || m.Type.Out(0).Kind() != reflect.Slice {
		return nil, nil
	}
	if elem := m.Type.Out(0).Elem(); elem != t && elem.Kind() != reflect.String {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			quoted, err = nil, fmt.Errorf("type %s: its method Values panicked: %v (it is called with the zero value)", t, p)
		}
	}()
	all := m.Func.Call([]reflect.Value{reflect.Zero(t)})[0]
	for i := range all.Len() {
		data, err := json.Marshal(all.Index(i).Addr().Interface())
		if err != nil {
			return nil, fmt.Errorf("type %s: a value that its method Values returned: %w", t, err)
		}
		var word string
		if err := json.Unmarshal(data, &word); err != nil {
			return nil, fmt.Errorf("type %s: its method Values returned %s, which is no text", t, data)
		}
		if q := quote(word); !slices.Contains(quoted, q) {
			quoted = append(quoted, q)
		}
	}
	return quoted, nil
}

package live

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/swampline/live/internal/wire"
)

// leftOut reports whether a browser leaves out an input of a type when nothing is checked.
func leftOut(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Bool && !marshalsItself(t) || isList(t)
}

// isList reports whether a type is filled from several inputs of one name: a slice of what one input can hold.
func isList(t reflect.Type) bool {
	if t.Kind() != reflect.Slice || t == bytesType || t == rawType || marshalsItself(t) {
		return false
	}
	c, err := codecOf(t.Elem())
	return err == nil && !c.shapeless && !isList(t.Elem())
}

// formJSON makes JSON of the texts of a field's inputs; of several, the last one counts, unless the field is a list. What is not of the
// field's form becomes a string, which the field refuses, or else the message says what is wrong.
func formJSON(t reflect.Type, values []string) (data json.RawMessage, message string) {
	if !isList(t) {
		text := ""
		if len(values) > 0 {
			text = values[len(values)-1]
		}
		return textJSON(t, text)
	}
	data = append(data, '[')
	for _, text := range values {
		if text == "" { // as a hidden input has it, that says that there is a list
			continue
		}
		one, message := textJSON(t.Elem(), text)
		if message != "" {
			return nil, message
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(data, one...)
	}
	return append(data, ']'), ""
}

// textJSON makes JSON of one text.
func textJSON(t reflect.Type, text string) (data json.RawMessage, message string) {
	trimmed := strings.TrimSpace(text)
	quoted := json.RawMessage(wire.AppendString(nil, unixLines(text)))
	switch {
	case t.Kind() == reflect.Pointer && text == "", isSQLNull(t) && text == "":
		return null, ""
	case t.Kind() == reflect.Pointer:
		return textJSON(t.Elem(), text)
	case isSQLNull(t):
		return textJSON(t.Field(0).Type, text)
	case t == timeType:
		at, layout := formTime(text)
		if layout == "" {
			return quoted, ""
		}
		return wire.AppendString(nil, at.Format(time.RFC3339Nano)), ""
	case t == bytesType:
		return quoted, ""
	case marshalsItself(t) && t != rawType:
		if readsText(t, quoted) || !json.Valid([]byte(text)) {
			return quoted, ""
		}
		return json.RawMessage(trimmed), ""
	}
	switch t.Kind() {
	case reflect.String:
		return quoted, ""
	case reflect.Bool:
		switch strings.ToLower(trimmed) {
		case "on", "true", "1", "yes":
			return json.RawMessage("true"), ""
		case "", "off", "false", "0", "no":
			return json.RawMessage("false"), ""
		}
		return quoted, ""
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n, err := strconv.ParseInt(trimmed, 10, 64); err == nil {
			return strconv.AppendInt(nil, n, 10), ""
		}
		return quoted, ""
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n, err := strconv.ParseUint(trimmed, 10, 64); err == nil {
			return strconv.AppendUint(nil, n, 10), ""
		}
		return quoted, ""
	case reflect.Float32, reflect.Float64:
		if n, err := strconv.ParseFloat(trimmed, 64); err == nil {
			if data, err := json.Marshal(n); err == nil { // not NaN
				return data, ""
			}
		}
		return quoted, ""
	}
	switch {
	case trimmed == "":
		return null, ""
	case !json.Valid([]byte(text)):
		return null, "want JSON"
	}
	return json.RawMessage(trimmed), ""
}

// readsText reports whether a type that reads itself takes a JSON string.
func readsText(t reflect.Type, quoted json.RawMessage) bool {
	c, err := codecOf(t)
	return err == nil && c.decode(quoted, reflect.New(t).Elem()) == nil
}

// formLayouts are the forms of times that inputs send; those without a zone are in UTC.
var formLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02",
}

// formTime reads a time, and the layout that it is written in; empty if in none.
func formTime(text string) (t time.Time, layout string) {
	text = strings.TrimSpace(text)
	for _, layout := range formLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, layout
		}
	}
	return t, ""
}

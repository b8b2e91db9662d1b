package script

import (
	"fmt"
	"net/http"

	"github.com/swampline/live/transport"
)

// Frame is a frame with this message.
func Frame(kind, cursor, data string) *transport.Frame {
	return &transport.Frame{Type: kind, Cursor: cursor, Data: []byte(data)}
}

// Quiet is a frame for which no poll ends.
func Quiet(kind, cursor, data string) *transport.Frame {
	f := Frame(kind, cursor, data)
	f.Quiet = true
	return f
}

// Cursor is a cursor frame.
func Cursor(cursor string) *transport.Frame {
	return Quiet("cursor", cursor, `{"type":"cursor","cursor":"`+cursor+`"}`)
}

// Change is a change frame with these items.
func Change(cursor, items string) *transport.Frame {
	f := Frame("change", cursor, `{"type":"change","query":"q","cursor":"`+cursor+`","changes":[`+items+`]}`)
	f.Items = []byte(items)
	return f
}

// Message is a message frame with these items.
func Message(cursor, items string) *transport.Frame {
	f := Frame("message", cursor, `{"type":"message","query":"q","cursor":"`+cursor+`","messages":[`+items+`]}`)
	f.Items = []byte(items)
	return f
}

// Problem is a frame of type error or closed.
func Problem(kind string, status int, code string) *transport.Frame {
	problem := fmt.Sprintf(`{"title":%q,"status":%d,"code":%q,"detail":"because"}`, http.StatusText(status), status, code)
	f := Frame(kind, "", `{"type":"`+kind+`","id":1,"problem":`+problem+`}`)
	f.Problem, f.Status = []byte(problem), status
	return f
}

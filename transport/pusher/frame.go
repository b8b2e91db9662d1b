package pusher

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/swampline/live/internal/wire"
	"github.com/swampline/live/transport"
)

// clientFrame is what a client sends.
type clientFrame struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

// maxDepth is how deep what a client sends may be nested.
const maxDepth = 32

// parseFrame reads a frame of a client. What else it has is nobody's business, and is not passed on.
func parseFrame(data []byte) (f clientFrame, err error) {
	switch {
	case wire.Deeper(data, maxDepth):
		return f, errors.New("the message is nested too deep")
	case !utf8.Valid(data): // parts of it travel on to others
		return f, errors.New("the message is not UTF-8")
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return clientFrame{}, errors.New("the message is no JSON object with an event")
	}
	if f.Event == "" {
		return clientFrame{}, errors.New("the message has no event")
	}
	if bytes.Equal(f.Data, []byte("null")) {
		f.Data = nil
	}
	return f, nil
}

// object reads the data of one of the protocol's own frames: an object, or a string that holds one.
func (f *clientFrame) object(into any) error {
	data := []byte(f.Data)
	if len(data) > 0 && data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		data = []byte(text)
	}
	if len(data) == 0 || bytes.TrimLeft(data, " \t\r\n")[:1][0] != '{' {
		return errors.New("want an object")
	}
	if wire.Deeper(data, maxDepth) {
		return errors.New("it is nested too deep")
	}
	return json.Unmarshal(data, into)
}

// text is the frame's data as it goes to other clients: a string as it is, any other value as its JSON.
func (f *clientFrame) text() string {
	var text string
	if len(f.Data) > 0 && f.Data[0] == '"' && json.Unmarshal(f.Data, &text) == nil {
		return text
	}
	return string(f.Data)
}

// framed makes a frame of what is sent to a client.
func framed(data []byte) *transport.Frame { return &transport.Frame{Type: "pusher", Data: data} }

// say makes a frame of an event of the protocol's own. Data is put in as a string; the channel is left out when it is empty.
func say(event, channel, data string) *transport.Frame {
	b := append(make([]byte, 0, 64+len(event)+len(channel)+2*len(data)), `{"event":`...)
	b = wire.AppendString(b, event)
	if channel != "" {
		b = wire.AppendString(append(b, `,"channel":`...), channel)
	}
	b = wire.AppendString(append(b, `,"data":`...), data)
	return framed(append(b, '}'))
}

// sayJSON is say with data that encoding/json makes: of texts, numbers, and JSON that is known to be some.
func sayJSON(event, channel string, data any) *transport.Frame {
	text, err := wire.Marshal(data)
	if err != nil {
		text = []byte("{}") // it cannot be
	}
	return say(event, channel, string(text))
}

// failure is an error of the protocol: code 0 stands for none.
func failure(code int, message string) *transport.Frame {
	b := []byte(`{"event":"pusher:error","data":{"code":`)
	if code == 0 {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, int64(code), 10)
	}
	b = wire.AppendString(append(b, `,"message":`...), message)
	return framed(append(b, "}}"...))
}

// refused refuses a subscription, in the words that pusher-js hands to the channel.
func refused(channel, typ, message string, status int) *transport.Frame {
	b := wire.AppendString([]byte(`{"event":"pusher:subscription_error","channel":`), channel)
	b = wire.AppendString(append(b, `,"data":{"type":`...), typ)
	b = wire.AppendString(append(b, `,"error":`...), message)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	return framed(append(b, "}}"...))
}

// pong answers a ping.
var pong = say("pusher:pong", "", "{}")

// ping asks a client of which nothing was heard whether it is there.
var ping = say("pusher:ping", "", "{}")

package sse

import (
	"bytes"
	"mime"
	"strconv"
	"strings"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/internal/buffer"
)

// retry is how long an EventSource waits before it connects again, in milliseconds.
const retry = "retry: 1000\n\n"

// write sends the frames as events, several in one write, and flushes each write.
func (st *stream) write(frames []*transport.Frame) error {
	b := buffer.Get()
	defer buffer.Put(b)
	if !st.begun {
		st.begun = true
		b.WriteString(retry)
	}
	for i, f := range frames {
		event(b, f, st.tag)
		if i < len(frames)-1 && b.Len() < buffer.Size {
			continue
		}
		if err := st.send(b.Bytes()); err != nil {
			return err
		}
		b.Reset()
	}
	return nil
}

func (st *stream) send(data []byte) error {
	defer st.paced.Lift()
	if _, err := st.paced.Write(data); err != nil {
		return err
	}
	return st.paced.Bound(st.control.Flush)
}

// event writes one event. A message is one line, types, cursors and tags are words; if one ever is not, it still cannot end its field and begin
// another: data goes on in a data field of its own, as the form has it, and a word is cut off.
func event(b *bytes.Buffer, f *transport.Frame, tag string) {
	field(b, "event: ", f.Type)
	if f.Cursor != "" {
		id := f.Cursor
		if tag != "" {
			id += "~" + tag
		}
		field(b, "id: ", id)
	}
	for rest := f.Data; ; {
		line := rest
		end := bytes.IndexAny(rest, "\r\n")
		if end >= 0 {
			line = rest[:end]
		}
		b.WriteString("data: ")
		b.Write(line)
		b.WriteByte('\n')
		if end < 0 {
			break
		}
		if bytes.HasPrefix(rest[end:], []byte("\r\n")) {
			end++
		}
		rest = rest[end+1:]
	}
	b.WriteByte('\n')
}

// field writes a word behind the name of its field, as far as it is one.
func field(b *bytes.Buffer, name, word string) {
	if end := strings.IndexAny(word, "\r\n\x00"); end >= 0 {
		word = word[:end]
	}
	b.WriteString(name)
	b.WriteString(word)
	b.WriteByte('\n')
}

// accepts reports whether an Accept header names text/event-stream with a quality other than zero.
func accepts(headers []string) bool {
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			media, params, err := mime.ParseMediaType(part)
			if err != nil || media != "text/event-stream" {
				continue
			}
			q, given := params["q"]
			if !given {
				return true
			}
			if quality, err := strconv.ParseFloat(q, 64); err == nil && quality > 0 {
				return true
			}
		}
	}
	return false
}

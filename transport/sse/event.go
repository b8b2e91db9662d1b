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
		b.Grow(len(f.Data) + heads)
		b.Write(event(b.AvailableBuffer(), f, st.tag))
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

// heads is about how much an event is longer than its data.
const heads = 128

// event appends one event. A message is one line, types, cursors and tags are words; if one ever is not, it still cannot end its field and begin
// another: data goes on in a data field of its own, as the form has it, and a word is cut off.
func event(to []byte, f *transport.Frame, tag string) []byte {
	to = head(to, f, tag)
	for rest := f.Data; ; {
		end := lineEnd(rest)
		if end < 0 {
			return append(append(append(to, "data: "...), rest...), "\n\n"...)
		}
		to = append(append(append(to, "data: "...), rest[:end]...), '\n')
		if bytes.HasPrefix(rest[end:], []byte("\r\n")) {
			end++
		}
		rest = rest[end+1:]
	}
}

// lineEnd returns where the first line ends, -1 if nothing does end it.
func lineEnd(data []byte) int {
	end := bytes.IndexByte(data, '\n')
	if end >= 0 {
		data = data[:end]
	}
	if other := bytes.IndexByte(data, '\r'); other >= 0 {
		return other
	}
	return end
}

// head appends what comes before the data.
func head(to []byte, f *transport.Frame, tag string) []byte {
	to = append(word(append(to, "event: "...), f.Type), '\n')
	if f.Cursor == "" {
		return to
	}
	id := f.Cursor
	if tag != "" {
		id += "~" + tag
	}
	return append(word(append(to, "id: "...), id), '\n')
}

// word appends a word, as far as it is one.
func word(to []byte, word string) []byte {
	if end := strings.IndexAny(word, "\r\n\x00"); end >= 0 {
		word = word[:end]
	}
	return append(to, word...)
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

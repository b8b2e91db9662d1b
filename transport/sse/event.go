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

// event writes one event. Its parts need no escaping: a message is one line, types and cursors are words.
func event(b *bytes.Buffer, f *transport.Frame, tag string) {
	b.WriteString("event: ")
	b.WriteString(f.Type)
	if f.Cursor != "" {
		b.WriteString("\nid: ")
		b.WriteString(f.Cursor)
		if tag != "" {
			b.WriteByte('~')
			b.WriteString(tag)
		}
	}
	b.WriteString("\ndata: ")
	b.Write(f.Data)
	b.WriteString("\n\n")
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

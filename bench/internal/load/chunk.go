//go:build linux

package load

import (
	"bytes"
	"strconv"
)

// chunks is where a connection is in a chunked body. When it is off, a body has no form.
type chunks struct {
	on   bool
	left int // bytes of the chunk that are still to come
	need need
}

type need int

const (
	needSize need = iota // a line with a size comes
	needData
	needEnd // the line end behind the data comes
)

// next returns the next piece of the body and what follows it, or that more must come behind rest first.
func (ch *chunks) next(data []byte) (piece, rest []byte, wait bool) {
	if !ch.on {
		return data, nil, false
	}
	for len(data) > 0 {
		switch ch.need {
		case needSize:
			line, more, whole := bytes.Cut(data, newline)
			if !whole {
				return nil, data, true
			}
			size, _ := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
			ch.left, ch.need, data = int(size), needData, more
			if size == 0 {
				ch.need = needEnd
			}
		case needData:
			n := min(ch.left, len(data))
			if ch.left -= n; ch.left == 0 {
				ch.need = needEnd
			}
			return data[:n], data[n:], false
		case needEnd:
			_, more, whole := bytes.Cut(data, newline)
			if !whole {
				return nil, data, true
			}
			ch.need, data = needSize, more
		}
	}
	return nil, nil, false
}

// join returns a whole chunked body and what follows it, or that it is not there whole.
func (ch *chunks) join(data []byte) (body, rest []byte, whole bool) {
	for len(data) > 0 {
		if bytes.HasPrefix(data, []byte("0\r\n\r\n")) && ch.need == needSize {
			return body, data[5:], true
		}
		piece, more, wait := ch.next(data)
		if wait {
			return nil, nil, false
		}
		body, data = append(body, piece...), more
		if ch.need == needEnd {
			if len(data) < 2 {
				return nil, nil, false
			}
			ch.need, data = needSize, data[2:]
		}
	}
	return nil, nil, false
}

package websocket

import (
	"encoding/binary"
	"unicode/utf8"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport"
)

const (
	opText  = 1
	opClose = 8
	opPing  = 9

	final = 0x80 // of the first byte: no fragment follows

	maxHeader  = 16      // 14, of a long frame with its mask, and as little as a bufio.Reader takes
	maxControl = 2 + 125 // with its header
)

// form names what Append makes.
func (c *conn) form() string {
	if c.each {
		return "websocket, each"
	}
	return "websocket"
}

// Append implements outlet.Owner: the frames are one text message, a line each, or a message each.
func (c *conn) Append(to []byte, frames []*transport.Frame) []byte {
	if c.each {
		return appendEach(to, frames)
	}
	size := len(frames) - 1
	for _, f := range frames {
		size += len(f.Data)
	}
	if to == nil {
		to = make([]byte, 0, maxHeader+size)
	}
	to = appendHeader(to, opText, size)
	for i, f := range frames {
		if i > 0 {
			to = append(to, '\n')
		}
		to = append(to, f.Data...)
	}
	return to
}

func appendEach(to []byte, frames []*transport.Frame) []byte {
	if to == nil {
		size := 0
		for _, f := range frames {
			size += 10 + len(f.Data)
		}
		to = make([]byte, 0, size)
	}
	for _, f := range frames {
		to = append(appendHeader(to, opText, len(f.Data)), f.Data...)
	}
	return to
}

// Around implements outlet.Owner.
func (c *conn) Around(f *transport.Frame) (before, data, behind []byte) {
	return appendHeader(nil, opText, len(f.Data)), f.Data, nil
}

// Last implements outlet.Owner: the socket has many subscriptions, and ends with none.
func (c *conn) Last([]*transport.Frame) bool { return false }

// appendHeader appends the header of a frame that is not masked, for servers do not.
func appendHeader(to []byte, op byte, size int) []byte {
	to = append(to, final|op)
	switch {
	case size < 126:
		return append(to, byte(size))
	case size <= 0xffff:
		return binary.BigEndian.AppendUint16(append(to, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(to, 127), uint64(size))
}

// closeFrame says goodbye.
func closeFrame(status ws.StatusCode, reason string) []byte {
	reason = reason[:min(len(reason), maxControl-4)]
	frame := appendHeader(nil, opClose, 2+len(reason))
	frame = binary.BigEndian.AppendUint16(frame, uint16(status))
	return append(frame, reason...)
}

// bound follows the frames in what is read, to tell when one message has ended and the next has not begun.
type bound struct {
	left     uint64 // of the payload, or its length as far as it is known
	seen     uint8  // bytes of the header
	size     uint8  // of the header, once two bytes of it were seen
	first    byte   // of the header
	fragment bool   // a message goes on in the next frame
	// goodbye is the header and the payload of a close frame, as far as they were read; nil for another frame.
	goodbye []byte
	// garbled says that the reason in it is no text.
	garbled bool
}

// between reports whether no message is begun.
func (b *bound) between() bool { return b.seen == 0 && !b.fragment }

// pass takes what was read.
func (b *bound) pass(p []byte) {
	for len(p) > 0 {
		if b.seen > 1 && b.seen == b.size {
			n := min(uint64(len(p)), b.left)
			if b.goodbye != nil {
				b.goodbye = append(b.goodbye, p[:n]...)
			}
			b.left -= n
			p = p[n:]
		} else {
			b.header(p[0])
			p = p[1:]
		}
		if b.seen > 1 && b.seen == b.size && b.left == 0 {
			b.end()
		}
	}
}

// header takes the next byte of a header.
func (b *bound) header(next byte) {
	b.seen++
	switch {
	case b.seen == 1:
		b.first = next
	case b.seen == 2:
		b.size = 2
		switch b.left = uint64(next & 0x7f); b.left {
		case 126:
			b.size, b.left = 4, 0
		case 127:
			b.size, b.left = 10, 0
		}
		if next&0x80 != 0 { // masked
			b.size += 4
		}
	case int(b.seen) <= lengthEnds(b.size):
		b.left = b.left<<8 | uint64(next)
	}
	switch { // of any longer one the library says what is wrong
	case b.seen == 2 && b.first&0xf == opClose && b.size == 6 && b.left > 2:
		b.goodbye = make([]byte, 0, 4+b.left)
	case b.seen > 2 && b.goodbye != nil:
		b.goodbye = append(b.goodbye, next)
	}
}

// lengthEnds is where the length of the payload ends, in a header of a size.
func lengthEnds(size uint8) int {
	switch size {
	case 4, 8:
		return 4
	case 10, 14:
		return 10
	}
	return 2
}

// end ends a frame. A control frame may stand between the fragments of a message.
func (b *bound) end() {
	if b.first&0xf < opClose {
		b.fragment = b.first&final == 0
	}
	if b.goodbye != nil {
		b.garbled = !utf8.Valid(reason(b.goodbye))
		b.goodbye = nil
	}
	b.seen, b.size = 0, 0
}

// reason is what a close frame says behind its status: goodbye is its key and what that masks.
func reason(goodbye []byte) []byte {
	key, payload := goodbye[:4], goodbye[4:]
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return payload[2:]
}

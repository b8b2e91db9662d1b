//go:build linux

package load

import (
	"encoding/binary"
)

// frame handles one frame of a WebSocket.
func (g *Group) frame(c *client, data []byte) (left []byte, whole bool) {
	if len(data) < 2 {
		return data, false
	}
	head, size := 2, int(data[1]&0x7f)
	switch {
	case size == 126 && len(data) >= 4:
		head, size = 4, int(binary.BigEndian.Uint16(data[2:]))
	case size == 127 && len(data) >= 10:
		head, size = 10, int(binary.BigEndian.Uint64(data[2:]))
	case size >= 126:
		return data, false
	}
	if len(data) < head+size {
		return data, false
	}
	payload, left := data[head:head+size], data[head+size:]
	final, opcode := data[0]&0x80 != 0, data[0]&0x0f
	switch {
	case opcode == 8:
		g.broken(c, errEnded)
	case opcode == 9:
		g.send(c, masked(10, payload))
	case opcode == 10:
	case final && len(c.part) == 0:
		g.said(c, payload)
	default:
		c.part = append(c.part, payload...)
		if final {
			g.said(c, c.part)
			c.part = c.part[:0]
		}
	}
	return left, true
}

// masked is a frame from a client. The mask is zero: nothing that could be mistaken for HTTP is between the two.
func masked(opcode byte, payload []byte) []byte {
	frame := []byte{0x80 | opcode, 0x80 | byte(len(payload))}
	if len(payload) > 125 {
		frame = binary.BigEndian.AppendUint16([]byte{0x80 | opcode, 0x80 | 126}, uint16(len(payload)))
	}
	frame = append(frame, 0, 0, 0, 0)
	return append(frame, payload...)
}

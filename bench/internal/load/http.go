//go:build linux

package load

import (
	"bytes"
	"fmt"
	"strconv"
)

// knock sends a client's request.
func (g *Group) knock(c *client) {
	v := g.visit(c.again)
	say := c.fill(v.Say)
	c.sign = []byte(c.fill(v.Sign))
	method, head := "GET", "Host: "+g.ready.Address+"\r\n"
	switch {
	case g.transport == "websocket":
		head += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		say = "" // later
	case say != "":
		method = "POST"
		head += "Content-Type: application/x-ndjson\r\nContent-Length: " + strconv.Itoa(len(say)) + "\r\n"
	}
	if g.transport == "sse" {
		head += "Accept: text/event-stream\r\n"
	}
	g.send(c, []byte(method+" "+c.fill(v.Path)+" HTTP/1.1\r\n"+head+"\r\n"+say))
}

// answered handles the head of an answer, and of a poll's all of it.
func (g *Group) answered(c *client, data []byte) (left []byte, whole bool) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return data, false
	}
	head, left := data[:end+2], data[end+4:]
	status := bytes.Fields(head)
	want := "200"
	if g.transport == "websocket" {
		want = "101"
	}
	if len(status) < 2 || string(status[1]) != want {
		g.err = fmt.Errorf("client %d is answered %q", c.number, data[:min(len(data), 500)])
		return nil, false
	}
	if g.polls() {
		return g.poll(c, data, head, left)
	}
	c.chunk = chunks{on: hasChunks(head), need: needSize}
	c.state = waits
	if len(c.sign) == 0 {
		g.arrive(c)
	}
	if say := g.visit(c.again).Say; say != "" && g.transport == "websocket" {
		g.send(c, masked(1, []byte(c.fill(say))))
	}
	return left, true
}

func hasChunks(head []byte) bool {
	return bytes.Contains(bytes.ToLower(head), []byte("\r\ntransfer-encoding: chunked\r\n"))
}

// poll handles an answer to a poll, if it is there whole, and asks again.
func (g *Group) poll(c *client, data, head, left []byte) ([]byte, bool) {
	var body []byte
	if hasChunks(head) {
		ch := chunks{on: true, need: needSize}
		var ended bool
		if body, left, ended = ch.join(left); !ended {
			return data, false
		}
	} else {
		size := 0
		if _, value, ok := bytes.Cut(bytes.ToLower(head), []byte("\r\ncontent-length:")); ok {
			value, _, _ = bytes.Cut(value, []byte("\r\n"))
			size, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
		if len(left) < size {
			return data, false
		}
		body, left = left[:size], left[size:]
	}
	if c.state == connects {
		c.state = waits
	}
	g.said(c, body)
	if c.state == waits && !c.polled && len(c.sign) > 0 && c.fd >= 0 {
		g.err = fmt.Errorf("client %d is answered %q, which is not %q", c.number, body[:min(len(body), 500)], c.sign)
		return nil, false
	}
	c.again, c.polled = true, true
	g.arrive(c)
	g.knock(c)
	return left, true
}

// stream handles what came of an event stream.
func (g *Group) stream(c *client, data []byte) (left []byte) {
	for len(data) > 0 {
		piece, rest, wait := c.chunk.next(data)
		if wait {
			return rest
		}
		data = rest
		for len(piece) > 0 {
			line, more, whole := bytes.Cut(piece, newline)
			if !whole {
				c.part = append(c.part, line...)
				break
			}
			if len(c.part) > 0 {
				c.part = append(c.part, line...)
				line = c.part
			}
			if text, ok := bytes.CutPrefix(line, []byte("data:")); ok {
				g.said(c, text)
			}
			c.part, piece = c.part[:0], more
		}
	}
	return nil
}

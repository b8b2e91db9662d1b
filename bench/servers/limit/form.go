package main

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"net/http"
)

// form is how messages look on a transport.
type form struct {
	answer func(r *http.Request) string // to the handshake
	encode func(data []byte) []byte
	poll   bool // there is no handshake: each answer is an answer to a request
}

var forms = map[string]form{
	"websocket": {answer: upgrade, encode: frame},
	"sse":       {answer: func(*http.Request) string { return eventStream }, encode: event},
	"longpoll":  {poll: true, encode: func(data []byte) []byte { return append(data, '\n') }},
}

const eventStream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"

func upgrade(r *http.Request) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

// frame is an unmasked text message in one frame.
func frame(data []byte) []byte {
	head := []byte{0x81, byte(len(data))}
	switch {
	case len(data) > 0xffff:
		head = binary.BigEndian.AppendUint64([]byte{0x81, 127}, uint64(len(data)))
	case len(data) > 125:
		head = binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(data)))
	}
	return append(head, data...)
}

func event(data []byte) []byte {
	return append(append([]byte("data: "), data...), "\n\n"...)
}

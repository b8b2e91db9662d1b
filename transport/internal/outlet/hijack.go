package outlet

import (
	"bytes"
	"net"
	"net/http"
)

// Able reports whether Hijack can work. One must not find out after something was promised to the client.
func Able(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// Hijack takes the connection over, with what the client has sent already. The buffers of the server are not kept.
func Hijack(w http.ResponseWriter) (conn net.Conn, early []byte, err error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := rw.Writer.Flush(); err != nil { // a header that was written before
		conn.Close()
		return nil, nil, err
	}
	early, err = rw.Reader.Peek(rw.Reader.Buffered())
	return conn, bytes.Clone(early), err
}

package websocket

import (
	"context"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	ws "github.com/coder/websocket"

	"github.com/swampline/live/transport/internal/outlet"
)

// patience is how many times the limit a message may measure before reading to its end is given up.
const patience = 16

var errTooLarge = errors.New("message over the limit")

// Arrived implements outlet.Owner: it hands the session what is there. Pongs and close frames the library sees on the way.
//
// When the session is closed, or the socket is to be, what comes is thrown away, until the client has answered to the goodbye.
func (c *conn) Arrived() {
	for {
		data, err := c.message()
		switch {
		case err == nil:
			c.receive(data)
		case err == errTooLarge:
			c.out.Session().TooLarge()
		case errors.Is(err, outlet.ErrIdle):
			c.out.Watch()
			return
		default:
			c.over()
			return
		}
	}
}

// receive waits for the session to accept the messages.
func (c *conn) receive(data []byte) {
	if c.mute {
		return
	}
	c.receiving.Store(true)
	defer c.receiving.Store(false)
	c.mute = c.out.Session().Receive(c.out.Context(), data) != nil
}

// message reads one. A message over the limit is read to its end and thrown away, so that the next one can be read.
func (c *conn) message() ([]byte, error) {
	// Without a context: one that ends would close the socket before somebody has said goodbye.
	kind, r, err := c.socket.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	if kind != ws.MessageText {
		c.refuse(ws.StatusUnsupportedData)
	}
	r = &listener{r, c}
	if c.receiveWithin > 0 { // what trickles in is a sign of life for ever
		patience := time.AfterFunc(c.receiveWithin, func() { c.stop(ws.StatusTryAgainLater, "too_slow") })
		defer patience.Stop()
	}
	if c.mute {
		_, err := io.Copy(io.Discard, r)
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, c.limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) <= c.limit {
		if !utf8.Valid(data) { // RFC 6455, section 8.1
			c.refuse(ws.StatusInvalidFramePayloadData)
		}
		return data, nil
	}
	rest := (patience - 1) * c.limit
	n, err := io.Copy(io.Discard, io.LimitReader(r, rest))
	if err != nil {
		return nil, err
	}
	if n == rest {
		c.refuse(ws.StatusMessageTooBig)
		_, err := io.Copy(io.Discard, r)
		return nil, err
	}
	return nil, errTooLarge
}

// refuse ends the socket because of what the client sent. The rest of that is thrown away.
func (c *conn) refuse(status ws.StatusCode) {
	c.mute = true
	c.stop(status, "")
}

// sip is how much is read at once: the library returns only when it has all that it was asked for.
const sip = 256

// listener notes that the client is sending.
type listener struct {
	io.Reader
	c *conn
}

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p[:min(len(p), sip)])
	l.c.heard.Add(1)
	return n, err
}

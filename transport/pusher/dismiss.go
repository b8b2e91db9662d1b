package pusher

import (
	"context"
	"net/http"
	"time"

	"github.com/swampline/live/transport"
	"github.com/swampline/live/transport/websocket"
)

// socketTransport is how connections are drained: a text message for each frame.
var socketTransport = websocket.Transport{Each: true, Silent: codeNoPong}

// dismiss opens a WebSocket only to say why it is closed: a browser is told nothing of an HTTP status. It takes some seconds at most.
func dismiss(w http.ResponseWriter, r *http.Request, no *refusal) {
	socketTransport.Serve(w, r, &dismissed{no: no}, transport.Options{
		MaxMessageBytes: 1 << 10, PingInterval: time.Minute, PongTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, ReceiveTimeout: 5 * time.Second,
	})
}

// dismissed is a transport.Session that says why there is none.
type dismissed struct {
	no   *refusal
	said bool
}

func (*dismissed) ID() string                            { return "" }
func (*dismissed) Receive(context.Context, []byte) error { return transport.ErrClosed }
func (*dismissed) TooLarge()                             {}
func (*dismissed) TooSlow()                              {}
func (*dismissed) Cursor()                               {}
func (*dismissed) Close()                                {}
func (*dismissed) Park(transport.Parked) bool            { return false }

// Next returns the error, and then that it is why the socket is closed.
func (d *dismissed) Next(context.Context) ([]*transport.Frame, error) {
	why := &transport.ClosedError{Status: d.no.code, Code: d.no.message}
	if d.said {
		return nil, why
	}
	d.said = true
	return []*transport.Frame{failure(d.no.code, d.no.message)}, nil
}

// Poll is for other transports.
func (d *dismissed) Poll(ctx context.Context, _ time.Duration) ([]*transport.Frame, error) {
	return d.Next(ctx)
}

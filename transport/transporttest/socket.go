package transporttest

import (
	"context"
	"strings"

	"github.com/coder/websocket"
)

// socket is the WebSocket way.
type socket struct {
	c    *Client
	conn *websocket.Conn
}

func dialSocket(ctx context.Context, c *Client) (*socket, error) {
	conn, answer, err := websocket.Dial(ctx, c.url, &websocket.DialOptions{HTTPClient: c.o.HTTP, HTTPHeader: c.o.Header})
	if err != nil {
		if answer != nil {
			return nil, refusalOf(answer, err)
		}
		return nil, err
	}
	conn.SetReadLimit(-1)
	s := &socket{c, conn}
	c.proto = answer.Proto
	connection := c.begin()
	c.tasks.Go(func() {
		for {
			_, data, err := conn.Read(context.Background())
			if err != nil {
				c.fail(err)
				return
			}
			for raw := range strings.SplitSeq(string(data), "\n") {
				c.push(connection, raw)
			}
		}
	})
	return s, nil
}

func (s *socket) send(ctx context.Context, messages []string, _ bool) error {
	return s.conn.Write(ctx, websocket.MessageText, []byte(strings.Join(messages, "\n")))
}

func (s *socket) fetch(ctx context.Context, news <-chan struct{}) error { return await(ctx, news) }

func (s *socket) close(polite bool) {
	if polite {
		s.conn.Close(websocket.StatusNormalClosure, "")
	}
	s.conn.CloseNow()
}

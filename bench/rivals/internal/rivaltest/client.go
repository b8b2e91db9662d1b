package rivaltest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/coder/websocket"

	"github.com/swampline/live/bench/internal/server"
)

// Client is one that is connected.
type Client interface {
	// Next returns what comes next: one message, or several.
	Next(ctx context.Context) ([]byte, error)
	// Leave ends the connection as the transport has it, Cut at once.
	Leave() error
	Cut()
}

// Dial connects a client, which has said what it must.
type Dial func(context.Context, server.Ready) (Client, error)

// WebSocket is a Dial.
func WebSocket(ctx context.Context, ready server.Ready) (Client, error) {
	conn, _, err := websocket.Dial(ctx, "ws://"+ready.Address+ready.First.Path, nil)
	if err != nil {
		return nil, err
	}
	if say := ready.First.Say; say != "" {
		if err := conn.Write(ctx, websocket.MessageText, []byte(say)); err != nil {
			return nil, err
		}
	}
	return socket{conn}, nil
}

type socket struct{ *websocket.Conn }

func (s socket) Next(ctx context.Context) ([]byte, error) {
	kind, data, err := s.Read(ctx)
	if err == nil && kind != websocket.MessageText {
		err = fmt.Errorf("a message of the type %v", kind)
	}
	return data, err
}

func (s socket) Leave() error { return s.Close(websocket.StatusNormalClosure, "") }
func (s socket) Cut()         { _ = s.CloseNow() }

// EventStream is a Dial.
func EventStream(ctx context.Context, ready server.Ready) (Client, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ready.Address+ready.First.Path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if kind := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || kind != "text/event-stream" {
		_ = response.Body.Close()
		return nil, fmt.Errorf("the answer is %s, %s", response.Status, kind)
	}
	return &stream{response, bufio.NewScanner(response.Body)}, nil
}

type stream struct {
	response *http.Response
	lines    *bufio.Scanner
}

// Next heeds the context that the stream was dialled with.
func (s *stream) Next(context.Context) ([]byte, error) {
	for s.lines.Scan() {
		if data, ok := bytes.CutPrefix(s.lines.Bytes(), []byte("data: ")); ok {
			return data, nil
		}
	}
	if err := s.lines.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("the stream has ended")
}

func (s *stream) Leave() error { return s.response.Body.Close() }
func (s *stream) Cut()         { _ = s.response.Body.Close() }

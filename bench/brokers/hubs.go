package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
)

// row is what is published: about 300 bytes on the log.
type row struct {
	ID   int64  `live:"id,key"`
	List int64  `live:"list,filter"`
	N    int    `live:"n"`
	Text string `live:"text"`
}

// rowCount is how many rows take turns in being changed.
const rowCount = 500

func rowAt(n int) row { return row{int64(n % rowCount), 1, n, text} }

var text = strings.Repeat("x", 180)

// node is a hub.
func node(b broker.Broker) (*live.Hub, *live.Router[row]) {
	hub := live.New(live.Options{Broker: b, Logger: slog.New(slog.DiscardHandler)})
	rows := &live.Router[row]{Name: "rows", Scope: live.Everyone}
	rows.List = func(context.Context, live.Query) ([]row, error) {
		all := make([]row, rowCount)
		for i := range all {
			all[i] = rowAt(i - rowCount)
			all[i].ID = int64(i)
		}
		return all, nil
	}
	hub.Register(rows)
	return hub, rows
}

// publishing measures the time from when Updated is due on one node to when a client of the other has read it from its WebSocket.
func publishing(rate int) func(context.Context, *engine, *result) error {
	return func(ctx context.Context, e *engine, r *result) error {
		return on(ctx, e, func(a, b broker.Broker) error {
			publisher, rows := node(a)
			other, _ := node(b)
			server := httptest.NewServer(other)
			defer server.Close()
			err := r.publish(ctx, rate, rows, server.URL)
			return errors.Join(err, publisher.Shutdown(ctx), other.Shutdown(ctx))
		})
	}
}

func (r *result) publish(ctx context.Context, rate int, rows *live.Router[row], url string) error {
	c, _, err := websocket.Dial(ctx, url+"/live/", nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	if err := c.Write(ctx, websocket.MessageText, []byte(`{"type":"subscribe","id":1,"router":"rows"}`)); err != nil {
		return err
	}
	for snapshot := false; !snapshot; {
		_, data, err := c.Read(ctx)
		if err != nil {
			return err
		}
		snapshot = bytes.Contains(data, []byte(`"snapshot"`))
	}
	n := int((2 * length()).Seconds() * float64(rate))
	came, read := make([]time.Time, n), make(chan error, 1)
	go func() { read <- readAll(ctx, c, came) }()
	due, err := pace(rate, 2*length(), func(i int) error {
		was, now := rowAt(i-rowCount), rowAt(i)
		was.ID = now.ID
		return rows.Updated(ctx, was, now)
	})
	if err != nil {
		return err
	}
	if err := <-read; err != nil {
		return err
	}
	return r.add(due, came)
}

// readAll notes when each change came, until all have.
func readAll(ctx context.Context, c *websocket.Conn, came []time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 10*length()+time.Minute)
	defer cancel()
	for left := len(came); left > 0; {
		_, data, err := c.Read(ctx)
		if err != nil {
			return fmt.Errorf("%d changes did not come: %w", left, err)
		}
		now := time.Now()
		for {
			_, rest, ok := bytes.Cut(data, []byte(`"n":`))
			if !ok {
				break
			}
			end := bytes.IndexAny(rest, ",}")
			if n, err := strconv.Atoi(string(rest[:end])); err == nil && n >= 0 && n < len(came) && came[n].IsZero() {
				came[n] = now
				left--
			}
			data = rest[end:]
		}
	}
	return nil
}

package pusher

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	ws "github.com/coder/websocket"
)

// reading reads all the time, as a browser does; it returns what came, with the time.
func (c *client) reading() <-chan arrived {
	all := make(chan arrived, 100)
	begun := time.Now()
	go func() {
		defer close(all)
		for {
			_, data, err := c.conn.Read(c.Context())
			a := arrived{err: err, after: time.Since(begun).Round(time.Second)}
			if err == nil {
				a.err = json.Unmarshal(data, &a.frame)
			}
			all <- a
			if err != nil {
				return
			}
		}
	}()
	return all
}

type arrived struct {
	frame
	err   error
	after time.Duration
}

// TestASilentClientIsAskedAndThenClosed on a virtual clock: nobody is asked who says something.
func TestASilentClientIsAskedAndThenClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, stop := bubbleNode(t, Options{Apps: []App{silent}, ActivityTimeout: 20 * time.Second})
		defer stop()
		c := n.dial()
		all := c.reading()
		want := func(event string, after time.Duration) {
			t.Helper()
			if a := <-all; a.err != nil || a.Event != event || a.after != after {
				t.Fatalf("%v, %v, after %v, want %s after %v", a.frame, a.err, a.after, event, after)
			}
		}
		for i := range 4 {
			time.Sleep(15 * time.Second)
			c.send(`{"event":"pusher:ping"}`)
			want("pusher:pong", time.Duration(i+1)*15*time.Second)
		}
		want("pusher:ping", 80*time.Second)
		c.send(`{"event":"pusher:pong","data":{}}`)
		want("pusher:ping", 110*time.Second) // when the time of the first was over, and nothing else had been said
		want("pusher:error", 140*time.Second)
		if a := <-all; ws.CloseStatus(a.err) != 4201 {
			t.Errorf("closed with %v", a.err)
		}
	})
}

// TestAClientThatIsNotThereIsClosed: it takes nothing.
func TestAClientThatIsNotThereIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, stop := bubbleNode(t, Options{Apps: []App{silent}})
		defer stop()
		c := n.dial()
		defer c.conn.CloseNow()
		time.Sleep(10 * time.Minute)
		if n.server.connections(testApp.ID) != 0 || n.hub.Stats().Sessions["pusher"] != 0 {
			t.Error("it is there still")
		}
	})
}

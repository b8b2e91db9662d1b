package presence_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/presence"
)

// weighing is a broker that counts what is put on the log.
type weighing struct {
	broker.Broker
	entries, bytes atomic.Int64
}

func (w *weighing) Append(ctx context.Context, data []byte) (broker.Position, error) {
	w.entries.Add(1)
	w.bytes.Add(int64(len(data)))
	return w.Broker.Append(ctx, data)
}

// BenchmarkJoin is 10,000 members who come to one channel, one subscription after the other by polls of 100, with one who watches the count and the first
// 50 of them; until the replica has all.
func BenchmarkJoin(b *testing.B) {
	const members = 10_000
	for b.Loop() {
		b.StopTimer()
		log := &weighing{Broker: memory.New(memory.Options{})}
		hub := live.New(live.Options{Broker: log})
		hub.Register(&live.Channel{Name: "chat:*", Subscribe: func(context.Context, string) error { return nil }})
		var n atomic.Int64
		p := presence.New(hub, presence.Options{Person: func(context.Context) (presence.Person, error) {
			id := fmt.Sprint("u", n.Add(1))
			return presence.Person{ID: id, Name: "Person " + id, Info: map[string]string{"color": "#cc0000"}}, nil
		}})
		post := func(accept, body string, w http.ResponseWriter, ctx context.Context) {
			r := httptest.NewRequestWithContext(ctx, "POST", "/live/", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-ndjson")
			r.Header.Set("Accept", accept)
			hub.ServeHTTP(w, r)
		}
		watching, stop := context.WithCancel(context.Background())
		told := &discarding{header: http.Header{}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			post("text/event-stream", `{"type":"subscribe","id":1,"channel":"chat:1","presence":{},"count":true}`+"\n"+
				`{"type":"subscribe","id":2,"channel":"chat:1","presence":{},"order":"since","limit":50}`, told, watching)
		}()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		for first := 0; first < members; first += 100 {
			var lines []string
			for i := range 100 {
				m := map[string]any{"type": "subscribe", "id": i + 1, "channel": "chat:1", "limit": 1, "presence": map[string]any{
					"member": member(first + i), "token": token(first+i) + "-of-many", "state": map[string]string{"state": "viewing"},
				}}
				line, _ := json.Marshal(m)
				lines = append(lines, string(line))
			}
			post("*/*", strings.Join(lines, "\n"), httptest.NewRecorder(), context.Background())
		}
		for len(p.At(presence.Place{Channel: "chat:1"})) < members {
			time.Sleep(time.Millisecond)
		}
		b.StopTimer()
		b.ReportMetric(float64(log.entries.Load()), "entries")
		b.ReportMetric(float64(log.bytes.Load())/members, "log-B/member")
		b.ReportMetric(float64(told.n.Load())/members, "told-B/member")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/members, "heap-B/member")
		stop()
		<-done
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = hub.Shutdown(ctx)
		b.StartTimer()
	}
}

// discarding counts what is written.
type discarding struct {
	header http.Header
	n      atomic.Int64
}

func (d *discarding) Header() http.Header              { return d.header }
func (d *discarding) WriteHeader(int)                  {}
func (d *discarding) Flush()                           {}
func (d *discarding) SetWriteDeadline(time.Time) error { return nil }
func (d *discarding) SetReadDeadline(time.Time) error  { return nil }
func (d *discarding) Write(data []byte) (int, error) {
	d.n.Add(int64(len(data)))
	return len(data), nil
}

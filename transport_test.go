package live_test

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/transport/transporttest"
)

// openItems makes the application that transporttest wants, on a table in memory.
func openItems(t *testing.T) *transporttest.App {
	log := memory.New(memory.Options{})
	hub := live.New(live.Options{Broker: log, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { _ = hub.Shutdown(context.Background()) })
	table := newTable()
	items := table.router("items")
	hub.Register(items)
	return &transporttest.App{
		Handler: hub,
		Create: func(ctx context.Context, list int64, title string) (string, error) {
			row := table.insert(item{ListID: list, Title: title})
			return key(row), items.Created(ctx, row)
		},
		Update: func(ctx context.Context, key, title string) error {
			was, now, err := table.change(keyed(key), func(i *item) { i.Title = title })
			if err != nil {
				return err
			}
			return items.Updated(ctx, was, now)
		},
		Delete: func(ctx context.Context, key string) error {
			was, err := table.remove(keyed(key))
			if err != nil {
				return err
			}
			return items.Deleted(ctx, was)
		},
		Expire: func(ctx context.Context) error {
			before := epoch(hub)
			log.Reset()
			for epoch(hub) == before && ctx.Err() == nil { // until the hub has noticed
				runtime.Gosched()
			}
			return ctx.Err()
		},
		Shutdown: hub.Shutdown,
	}
}

// epoch returns the epoch of the hub's log.
func epoch(hub *live.Hub) string {
	w := httptest.NewRecorder()
	hub.ServeHTTP(w, httptest.NewRequest("GET", "/items", nil))
	_, cursor, _ := strings.Cut(w.Body.String(), `"cursor":"`)
	epoch, _, _ := strings.Cut(cursor, ".")
	return epoch
}

func TestTransports(t *testing.T) {
	for _, name := range transporttest.All {
		t.Run(name, func(t *testing.T) { transporttest.Run(t, name, openItems) })
	}
}

// The same where connections cannot be written to without waiting, nor watched: behind TLS, on other systems, or when a listener has wrapped them.
func TestTransportsOverWrappedConnections(t *testing.T) {
	for _, name := range []string{transporttest.WebSocket, transporttest.SSE} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, name, func(t *testing.T) *transporttest.App {
				app := openItems(t)
				hub := app.Handler
				app.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hub.ServeHTTP(wrapping{w}, r) })
				return app
			})
		})
	}
}

// wrapping gives out connections of whose kind nobody knows.
type wrapping struct{ http.ResponseWriter }

func (w wrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w wrapping) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	return struct{ net.Conn }{c}, rw, err
}

// Storm measures a deploy: clients that subscribe all at once over real WebSockets on loopback, to a few lists.
//
//	go run ./bench/storm -clients 10000 -lists 50 -loads 16
//
// It prints how long the first, the median and the last snapshot took, how many lists the application was asked for, and how many at
// once. A client costs two open files: raise the limit (ulimit -n) for many.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/swampline/live"
)

var (
	clients = flag.Int("clients", 10_000, "clients that come at once")
	lists   = flag.Int("lists", 50, "different lists among them")
	rows    = flag.Int("rows", 50, "rows of a list")
	loads   = flag.Int("loads", 16, "MaxLoads")
	query   = flag.Duration("query", 20*time.Millisecond, "how long the database takes for a list")
)

type row struct {
	ID   int64  `live:"id,key"`
	List int64  `live:"list,filter"`
	Text string `live:"text"`
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx := context.Background()
	db := &database{}
	hub := live.New(live.Options{MaxLoads: *loads})
	hub.Register(&live.Router[row]{Name: "rows", Scope: live.Everyone, List: db.list})
	server := httptest.NewServer(hub)
	defer server.Close()

	sockets := make([]*websocket.Conn, *clients)
	for i := range sockets {
		c, _, err := websocket.Dial(ctx, server.URL+"/live/", nil)
		if err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
		c.SetReadLimit(-1)
		sockets[i] = c
	}
	fmt.Printf("%d clients are connected\n", *clients)

	took, errs := make([]time.Duration, *clients), make([]error, *clients)
	var all sync.WaitGroup
	start := time.Now()
	for i, c := range sockets {
		all.Go(func() {
			errs[i] = c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"subscribe","id":1,"router":"rows","where":{"list":%d}}`, i%*lists))
			for errs[i] == nil && took[i] == 0 {
				var data []byte
				if _, data, errs[i] = c.Read(ctx); strings.Contains(string(data), `"snapshot"`) {
					took[i] = time.Since(start)
				}
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	slices.Sort(took)
	fmt.Printf("%d lists, %v each, %d at once at most, %d cores\n\n", *lists, *query, *loads, runtime.NumCPU())
	fmt.Printf("| first snapshot | median | p99 | last | lists read | at once |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n")
	fmt.Printf("| %v | %v | %v | %v | %d | %d |\n", round(took[0]), round(took[len(took)/2]), round(took[len(took)*99/100]), round(took[len(took)-1]),
		db.total.Load(), db.most.Load())

	began := time.Now()
	if err := hub.Shutdown(ctx); err != nil {
		return err
	}
	fmt.Printf("\nShutdown with all of them, who did not answer: %v\n", round(time.Since(began)))
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// database counts how many ask it at once.
type database struct{ now, most, total atomic.Int64 }

func (d *database) list(_ context.Context, q live.Query) ([]row, error) {
	d.total.Add(1)
	n := d.now.Add(1)
	defer d.now.Add(-1)
	for m := d.most.Load(); n > m && !d.most.CompareAndSwap(m, n); m = d.most.Load() {
	}
	time.Sleep(*query)
	all := make([]row, 0, *rows**lists)
	for i := range *rows * *lists { // the hub keeps those that match
		all = append(all, row{int64(i), int64(i % *lists), "a row of the list"})
	}
	return all, nil
}

// Busy is the server of a test: a table of rows that changes as often as it is told to, and a page that looks on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/swampline/live"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "busy:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context) error {
	addr := flag.String("addr", "localhost:0", "the address to listen on; port 0 takes a free one")
	rows := flag.Int("rows", 10_000, "how many rows there are")
	flag.Parse()

	table := newTable(*rows)
	hub := live.New(live.Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	hub.Register(table.router())

	mux := http.NewServeMux()
	mux.Handle("/live/", hub)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
	})
	mux.HandleFunc("POST /change", func(w http.ResponseWriter, r *http.Request) {
		rate, _ := strconv.Atoi(r.FormValue("rate"))
		seconds, _ := strconv.Atoi(r.FormValue("seconds"))
		if rate < 1 || seconds < 1 {
			http.Error(w, "rate and seconds must be positive", http.StatusBadRequest)
			return
		}
		if err := table.change(r.Context(), rate, time.Duration(seconds)*time.Second); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Printf("It is busy at http://%s/.\n", listener.Addr())

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(hub.Shutdown(last), server.Shutdown(last))
}

const page = `<!doctype html>
<meta charset="utf-8"><link rel="icon" href="data:,"><title>busy</title>
<p id="shown">Nothing yet.</p>
<script src="/live/live.js"></script>`

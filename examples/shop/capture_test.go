package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/livetest"
	"github.com/swampline/live/where/wheretest/postgres"
)

// What somebody writes with psql goes live, and what the shop writes is told once.
func TestWhatOthersWriteIsTold(t *testing.T) {
	s, err := openStore(t.Context(), postgres.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := newBench(t, s)
	source, err := b.capture(t.Context(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error("the capture ended with", err)
		}
	})
	psql := func(statement string) {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	entries := func() (n int) {
		t.Helper()
		if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM live_log").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	_, ada := b.connect(t, customer)
	_, ben := b.connect(t, staff)
	seen, shelf := ada.Subscribe(t, "products", livetest.Limit(100)), ben.Subscribe(t, "products", livetest.Limit(100))
	figs, rye := s.product(t, "Figs"), s.product(t, "Rye loaf")

	before := entries()
	psql("UPDATE products SET price = 550, note = 'hush' WHERE name = 'Figs'")
	seen.Want(t, live.Update, figs.ID).WantFields(t, map[string]any{"price": 550, "version": figs.Version + 1})
	shelf.Want(t, live.Update, figs.ID).WantFields(t, map[string]any{"price": 550, "margin": 550 - figs.Cost, "note": "hush", "version": figs.Version + 1})

	_, err = ben.Update(t, "products", shelf.Row(t, rye.ID), map[string]any{"price": 1000})
	if err != nil {
		t.Fatal(err)
	}
	seen.Want(t, live.Update, rye.ID)
	psql("UPDATE products SET price = 1 + price, version = version + 1 WHERE name = 'Figs'") // who knows of versions
	seen.Want(t, live.Update, figs.ID).WantFields(t, map[string]any{"price": 551, "version": figs.Version + 2})
	if now := entries(); now != before+3 {
		t.Errorf("there are %d more entries on the log, want 3: one of each change", now-before)
	}

	// Nobody overwrites what he has not seen.
	_, err = ben.Update(t, "products", livetest.Row{Key: fmt.Sprint(figs.ID), Version: []byte("1")}, map[string]any{"price": 600})
	wantCode(t, "a change of what psql has changed", "conflict", err)
}

func TestCaptureNeedsPostgreSQL(t *testing.T) {
	t.Chdir(t.TempDir())
	err := run(t.Context(), []string{"-addr", "localhost:0", "-capture"}, t.Output(), t.Output())
	if err == nil || !strings.Contains(err.Error(), "PostgreSQL") {
		t.Errorf("run: %v, want it to ask for PostgreSQL", err)
	}
}

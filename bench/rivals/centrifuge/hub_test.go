package main

import (
	"testing"

	"github.com/swampline/live/bench/rivals/internal/rivaltest"
)

func TestEachClientGetsEachMessage(t *testing.T) {
	h, err := newHub()
	if err != nil {
		t.Fatal(err)
	}
	rivaltest.Run(t, h, first, rivaltest.WebSocket)
}

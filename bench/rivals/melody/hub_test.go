package main

import (
	"testing"

	"github.com/swampline/live/bench/rivals/internal/rival"
	"github.com/swampline/live/bench/rivals/internal/rivaltest"
)

func TestEachClientGetsEachMessage(t *testing.T) {
	rivaltest.Run(t, newHub(), rival.Followed("/ws"), rivaltest.WebSocket)
}

package server_test

import (
	"encoding/json"
	"testing"

	"github.com/swampline/live/bench/internal/server"
)

func TestMessageHasItsSizeAndItsNumber(t *testing.T) {
	for _, n := range []int{1, 12345, 99999999} {
		for _, size := range []int{64, 128, 4000} {
			data := server.Message(n, size)
			var m struct {
				N    int    `json:"n"`
				Text string `json:"text"`
			}
			if err := json.Unmarshal(data, &m); err != nil || m.N != n || len(data) != size {
				t.Errorf("message %d of %d bytes is %s, %d bytes: %v", n, size, data, len(data), err)
			}
		}
	}
	if server.Text(1, 5) == server.Text(2, 5) || len(server.Text(1, -3)) != 0 {
		t.Errorf("the texts of two messages are %q and %q", server.Text(1, 5), server.Text(2, 5))
	}
}

func TestEachKeyHasItsTurnOnce(t *testing.T) {
	const keys = 1000
	seen := map[int]bool{}
	for n := 17; n < 17+keys; n++ {
		seen[server.Key(n, keys)] = true
	}
	if len(seen) != keys {
		t.Errorf("%d of %d keys had a turn", len(seen), keys)
	}
	if k := server.Key(17, 0); k != -1 {
		t.Errorf("a message for everybody is for %d", k)
	}
}

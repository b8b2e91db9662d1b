package session

import "testing"

// What a shard has done just before its end counts as done, though its end is seen first, as it may be.
func TestAwaitAtTheEnd(t *testing.T) {
	for range 100 { // a select chooses at random
		sh := NewShard(0)
		ran := sh.ask(func() {})
		go sh.Run()
		sh.Stop()
		if !sh.await(t.Context(), ran) {
			t.Fatal("what was done is not known to be")
		}
	}
	sh := NewShard(0)
	go sh.Run()
	sh.Stop()
	if sh.await(t.Context(), make(chan struct{})) {
		t.Error("what was never done is taken for done")
	}
}

package presence_test

import (
	"testing"
	"time"

	"github.com/swampline/live/presence"
)

// What a member said last stands, though its node follows the log late, and sees what it said before only after that.
func TestALogThatIsSlow(t *testing.T) {
	inWorld(t, 1, presence.Options{}, func(t *testing.T, w *world) {
		ann := w.client("ann")
		ann.stream(w.nodes[0], at(1, "1", as(1, "viewing")))
		pass(soon)
		goOn := w.nodes[0].broker.stop()
		for _, state := range []string{"typing", "editing"} {
			ann.call(w.nodes[0], set(1, `,"state":{"state":"`+state+`"}`))
			pass(100 * time.Millisecond)
		}
		goOn()
		pass(soon)
		ann.sees(1, "ann editing")
		ann.call(w.nodes[0], set(1, `,"away":true`))
		pass(soon)
		ann.sees(1, "ann editing away")
		ann.hangUp()
	})
}

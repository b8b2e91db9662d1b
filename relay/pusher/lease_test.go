package pusher

import (
	"testing"

	"github.com/swampline/live/broker"
)

// Whoever acts on what stands and then waits is woken by whatever happened since he looked. The hub may begin anew in between: a node that
// waited for its claim to come by would wait for a third of the lease, for it does not hear it any more.
func TestNothingIsMissedBetweenLookingAndWaiting(t *testing.T) {
	for name, change := range map[string]func(*lease){
		"the hub begins anew":  func(l *lease) { l.anew(broker.Position{}) },
		"another node claims":  func(l *lease) { l.apply(word{Node: "other", Term: 1, Lasts: 1000}) },
		"this node comes back": func(l *lease) { l.join() },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLease("relay@test")
			l.joined(l.join().Hello, broker.Position{}, nil)
			s := l.standing()
			if !s.vacant {
				t.Fatalf("it stands as %+v, want a vacant lease", s)
			}
			change(l)
			select {
			case <-s.changed:
			default:
				t.Error("who waits is not woken")
			}
			select {
			case <-l.standing().changed:
				t.Error("who looks now is woken by what he has seen")
			default:
			}
		})
	}
}

package engine

import (
	"testing"

	"github.com/swampline/live/broker"
)

func TestMarks(t *testing.T) {
	var m marks
	at := func(n int) broker.Position { return broker.Position{Epoch: 7, Major: uint64(n), Minor: 3} }
	if p, ok := m.before(at(1)); ok {
		t.Errorf("of no entries %v is the mark", p)
	}
	m.begin(at(0))
	for n := 1; n <= 300; n++ {
		m.pass(at(n))
	}
	for p, want := range map[int]int{0: -1, 1: 0, 2: 0, 64: 0, 65: 0, 128: 0, 129: 64, 192: 64, 193: 128, 300: 192, 1000: 192} {
		mark, ok := m.before(at(p))
		if ok != (want >= 0) || ok && mark != at(want) {
			t.Errorf("before %d there is %v, %v; want %d", p, mark, ok, want)
		}
	}
	if p, ok := m.before(broker.Position{Epoch: 8, Major: 100}); ok {
		t.Errorf("of another epoch %v is the mark", p)
	}
	for n := 301; n <= 10*stride*maxMarks; n++ {
		m.pass(at(n))
	}
	if len(m.all) > maxMarks {
		t.Errorf("%d marks are kept", len(m.all))
	}
	for n := 1000; n <= 10*stride*maxMarks; n += 999 { // as far back as it has passed anything, and the further the more roughly
		p, ok := m.before(at(n))
		back, most := n-int(p.Major), 4*(stride+(10*stride*maxMarks-int(p.Major))/aged)
		if !ok || back < stride || back > most {
			t.Fatalf("before %d there is %v, %v: %d back, want %d to %d", n, p, ok, back, stride, most)
		}
	}
	if p, ok := m.before(at(10 * stride * maxMarks)); !ok || p.Major < 10*stride*maxMarks-2*stride {
		t.Errorf("before the newest there is %v, %v", p, ok)
	}
	m.begin(broker.Position{Epoch: 8, Major: 1})
	if p, ok := m.before(broker.Position{Epoch: 8, Major: 2}); !ok || p.Major != 1 || len(m.all) != 1 {
		t.Errorf("of a new epoch %v is the mark, %v, of %d", p, ok, len(m.all))
	}
	m.begin(broker.Position{Epoch: 8, Major: 1000})
	m.pass(broker.Position{Epoch: 8, Major: 1001})
	if p, ok := m.before(broker.Position{Epoch: 8, Major: 1001}); !ok || p.Major != 1000 {
		t.Errorf("behind history that was missed, the mark is %v, %v", p, ok)
	}
}

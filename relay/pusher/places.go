package pusher

import "container/list"

// places are where rows were when the relay last told of them, of the rows that changed last. They serve changes that do not say what the row was, and tell which
// come late.
type places struct {
	max   int
	byKey map[string]*list.Element
	order *list.List // of *place, the one that changed last in front
}

// place is where a row was.
type place struct {
	key      string
	channels []string
	version  *int64
	gone     bool
}

func newPlaces(most int) *places {
	return &places{max: most, byKey: map[string]*list.Element{}, order: list.New()}
}

// of returns what is known of a row, nil for nothing.
func (p *places) of(key string) *place {
	if e := p.byKey[key]; e != nil {
		return e.Value.(*place)
	}
	return nil
}

// put remembers where a row is.
func (p *places) put(at place) {
	if e := p.byKey[at.key]; e != nil {
		e.Value = &at
		p.order.MoveToFront(e)
		return
	}
	p.byKey[at.key] = p.order.PushFront(&at)
	if len(p.byKey) > p.max {
		oldest := p.order.Back()
		delete(p.byKey, p.order.Remove(oldest).(*place).key)
	}
}

// forget forgets all: somebody else has relayed meanwhile.
func (p *places) forget() {
	clear(p.byKey)
	p.order.Init()
}

// late reports whether a version is older than what is known of the row: the newer one was told already. What was deleted does not come
// back by an update.
func (at *place) late(version *int64, create bool) bool {
	if at == nil || at.version == nil || version == nil {
		return false
	}
	if at.gone {
		return !create && *version <= *at.version
	}
	return *version < *at.version
}

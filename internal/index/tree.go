package index

import "github.com/swampline/live/where"

// tree holds intervals, ordered by where they begin, as an AVL tree in which every node knows how far its subtree
// reaches. So the intervals around a value are found without a look at subtrees that end before it or begin after it.
type tree[E any] struct{ root *span[E] }

// span is one interval and the entries that stand under it, and the root of a subtree.
//
// The order of the fields puts what a search reads side by side: the nodes of a large tree are not in the cache.
type span[E any] struct {
	reach where.Value // the greatest upper end in the subtree, as interval.high
	interval
	left, right *span[E]
	weight      int32 // how many entries the subtree has
	height      int8
	reachOpen   bool
	slot        slot[E]
	least       *span[E] // the span with the least upper end in the subtree
}

// add returns where the member stands.
func (t *tree[E]) add(i *interval, m member[E]) (s *span[E], at int32) {
	t.root, s, at = t.root.add(i, m)
	return s, at
}

// remove takes a member out, and the span with the last one.
func (t *tree[E]) remove(s *span[E], at int32) { t.root = t.root.remove(s, at) }

// estimateSteps bounds the work of an estimate.
const estimateSteps = 128

// estimate returns about how many entries stand under intervals that hold the begin of i.
func (t *tree[E]) estimate(i *interval) int {
	steps := estimateSteps
	return t.root.estimate(i, false, &steps)
}

func (n *span[E]) estimate(i *interval, begun bool, steps *int) int {
	if n == nil || !reachesBegin(n.reach, n.reachOpen, i) {
		return 0
	}
	if begun && reachesBegin(n.least.high, n.least.highOpen, i) {
		return int(n.weight)
	}
	if *steps--; *steps < 0 {
		return int(n.weight) / 2
	}
	if !begun && compareLow(n.low, n.lowOpen, i.low, i.lowOpen) > 0 {
		return n.left.estimate(i, false, steps)
	}
	count := n.left.estimate(i, true, steps) + n.right.estimate(i, begun, steps)
	if reachesBegin(n.high, n.highOpen, i) {
		count += n.slot.len()
	}
	return count
}

// reachesBegin tells whether an upper end is not below the begin of an interval.
func reachesBegin(high where.Value, open bool, i *interval) bool {
	return reaches(high, open || i.lowOpen, i.low)
}

func (n *span[E]) add(i *interval, m member[E]) (top, s *span[E], at int32) {
	if n == nil {
		n = &span[E]{interval: *i}
		at = n.slot.add(m)
		n.update()
		return n, n, at
	}
	switch c := i.compare(&n.interval); {
	case c < 0:
		n.left, s, at = n.left.add(i, m)
	case c > 0:
		n.right, s, at = n.right.add(i, m)
	default:
		at = n.slot.add(m)
		n.weight++
		return n, n, at
	}
	return n.balanced(), s, at
}

func (n *span[E]) remove(s *span[E], at int32) *span[E] {
	switch c := s.compare(&n.interval); {
	case c < 0:
		n.left = n.left.remove(s, at)
	case c > 0:
		n.right = n.right.remove(s, at)
	default:
		n.slot.remove(at)
		if n.slot.len() > 0 {
			n.weight--
			return n
		}
		if n.left == nil {
			return n.right
		}
		if n.right == nil {
			return n.left
		}
		rest, first := n.right.withoutFirst()
		first.left, first.right = n.left, rest
		n = first // the node itself, for its entries know it
	}
	return n.balanced()
}

// withoutFirst takes the leftmost node out of the subtree.
func (n *span[E]) withoutFirst() (top, first *span[E]) {
	if n.left == nil {
		return n.right, n
	}
	n.left, first = n.left.withoutFirst()
	return n.balanced(), first
}

// balanced brings a node, whose subtrees may differ in height by two, into order, and returns the one in its place.
func (n *span[E]) balanced() *span[E] {
	switch n.left.tall() - n.right.tall() {
	case 2:
		if n.left.left.tall() < n.left.right.tall() {
			n.left = n.left.rotateLeft()
		}
		return n.rotateRight()
	case -2:
		if n.right.right.tall() < n.right.left.tall() {
			n.right = n.right.rotateRight()
		}
		return n.rotateLeft()
	}
	n.update()
	return n
}

func (n *span[E]) rotateLeft() *span[E] {
	top := n.right
	n.right, top.left = top.left, n
	n.update()
	top.update()
	return top
}

func (n *span[E]) rotateRight() *span[E] {
	top := n.left
	n.left, top.right = top.right, n
	n.update()
	top.update()
	return top
}

func (n *span[E]) tall() int8 {
	if n == nil {
		return 0
	}
	return n.height
}

// update computes what the node knows about its subtree from what its children know.
func (n *span[E]) update() {
	n.height = 1 + max(n.left.tall(), n.right.tall())
	n.weight = int32(n.slot.len())
	n.reach, n.reachOpen, n.least = n.high, n.highOpen, n
	for _, kid := range [...]*span[E]{n.left, n.right} {
		if kid == nil {
			continue
		}
		n.weight += kid.weight
		if compareHigh(kid.reach, kid.reachOpen, n.reach, n.reachOpen) > 0 {
			n.reach, n.reachOpen = kid.reach, kid.reachOpen
		}
		if compareHigh(kid.least.high, kid.least.highOpen, n.least.high, n.least.highOpen) < 0 {
			n.least = kid.least
		}
	}
}

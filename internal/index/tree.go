package index

import (
	"cmp"
	"slices"
)

// key is what values of one field are told apart by and ordered: the numbers that stand for them, or texts.
type key interface{ uint64 | string }

// reach is an interval of keys: from low up to, and without, high. The greatest key of all, which no text is, is beyond
// every value: an interval that ends there has no end.
type reach[K key] struct{ low, high K }

// tree holds intervals, ordered by where they begin, as a B-tree in which every node knows how far what is beneath it
// reaches. So the intervals around a value are found without a look at subtrees that end before it or begin after it; and
// since a node is a few lines of memory that are read in a row, few of these are read that are not in the cache.
type tree[K key, E any] struct {
	root *node[K, E]
	end  K // the greatest key
}

// fanout is how many intervals, or nodes, a node holds.
const fanout = 32

// node is a leaf, which holds intervals and the entries that stand under them, or holds nodes.
type node[K key, E any] struct {
	n int
	// low and high are the intervals, or where what is beneath a node begins and up to where it reaches.
	low, high [fanout]K
	slots     *[fanout]slot[E] // of a leaf
	kids      *kids[K, E]      // of the others
}

// kids are the nodes beneath one, and what it knows of each besides.
type kids[K key, E any] struct {
	node   [fanout]*node[K, E]
	first  [fanout]K     // where the first interval beneath it ends
	least  [fanout]K     // where the interval ends that ends first
	weight [fanout]int32 // how many entries there are
}

// add returns the member's position in its slot.
func (t *tree[K, E]) add(i reach[K], m member[E]) int32 {
	if t.root == nil {
		t.root = &node[K, E]{slots: new([fanout]slot[E])}
	}
	at, more := t.root.add(i, m, true)
	if more != nil {
		root := &node[K, E]{kids: new(kids[K, E])}
		root.put(0, t.root)
		root.put(1, more)
		t.root = root
	}
	return at
}

// remove takes out the member at a position under an interval, and the interval with the last one.
func (t *tree[K, E]) remove(i reach[K], at int32) {
	t.root.remove(i, at)
	for t.root != nil && t.root.n < 2 {
		switch {
		case t.root.n == 0:
			t.root = nil
		case t.root.kids != nil:
			t.root = t.root.kids.node[0]
		default:
			return
		}
	}
}

// find returns the place of an interval in a leaf, or of the node that it belongs beneath.
func (n *node[K, E]) find(i reach[K]) (at int, found bool) {
	for from, to := 0, n.n; ; {
		if from == to {
			at = from
			break
		}
		mid := (from + to) / 2
		c := cmp.Compare(n.low[mid], i.low)
		if c == 0 {
			c = cmp.Compare(n.end(mid), i.high)
		}
		switch {
		case c == 0:
			return mid, true
		case c < 0:
			from = mid + 1
		default:
			to = mid
		}
	}
	if n.kids != nil {
		return max(at-1, 0), false
	}
	return at, false
}

// end is where the first interval at a place ends.
func (n *node[K, E]) end(at int) K {
	if n.kids != nil {
		return n.kids.first[at]
	}
	return n.high[at]
}

// add puts a member under an interval. A node that is full gives a part of what it holds to one that is to follow it: half, but
// where it is the last of all nothing, for what follows may well come in order.
func (n *node[K, E]) add(i reach[K], m member[E], last bool) (at int32, more *node[K, E]) {
	p, found := n.find(i)
	if n.kids == nil {
		if found {
			return n.slots[p].add(m), nil
		}
		n, p, more = n.room(p, last)
		n.shift(p, 1)
		n.low[p], n.high[p] = i.low, i.high
		return n.slots[p].add(m), more
	}
	at, kid := n.kids.node[p].add(i, m, last && p == n.n-1)
	n.put(p, n.kids.node[p])
	if kid == nil {
		return at, nil
	}
	n, p, more = n.room(p+1, last)
	n.shift(p, 1)
	n.put(p, kid)
	return at, more
}

// room makes room for one more, which is to stand at p. It returns where that is then.
func (n *node[K, E]) room(p int, last bool) (into *node[K, E], at int, more *node[K, E]) {
	if n.n < fanout {
		return n, p, nil
	}
	half := fanout / 2
	if last && p == fanout {
		half = fanout
	}
	more = &node[K, E]{}
	if n.kids != nil {
		more.kids = new(kids[K, E])
	} else {
		more.slots = new([fanout]slot[E])
	}
	more.take(n, half)
	if p < half || p == half && half < fanout {
		return n, p, more
	}
	return more, p - half, more
}

// take appends what another node holds from a place on.
func (n *node[K, E]) take(from *node[K, E], at int) {
	to := n.n
	n.n += from.n - at
	copy(n.low[to:], from.low[at:from.n])
	copy(n.high[to:], from.high[at:from.n])
	if n.kids != nil {
		copy(n.kids.node[to:], from.kids.node[at:from.n])
		copy(n.kids.first[to:], from.kids.first[at:from.n])
		copy(n.kids.least[to:], from.kids.least[at:from.n])
		copy(n.kids.weight[to:], from.kids.weight[at:from.n])
	} else {
		copy(n.slots[to:], from.slots[at:from.n])
	}
	from.shift(from.n, at-from.n)
}

// shift moves what a node holds from a place on, to make room or, by less than nothing, to close a gap before it.
func (n *node[K, E]) shift(at, by int) {
	shift(n.low[:], n.n, at, by)
	shift(n.high[:], n.n, at, by)
	if n.kids != nil {
		shift(n.kids.node[:], n.n, at, by)
		shift(n.kids.first[:], n.n, at, by)
		shift(n.kids.least[:], n.n, at, by)
		shift(n.kids.weight[:], n.n, at, by)
	} else {
		shift(n.slots[:], n.n, at, by)
	}
	n.n += by
}

func shift[T any](all []T, n, at, by int) {
	copy(all[at+by:], all[at:n])
	if by > 0 {
		clear(all[at : at+by])
	} else {
		clear(all[n+by : n])
	}
}

// put notes what a node beneath this one knows about itself; a new one stands behind all others.
func (n *node[K, E]) put(at int, kid *node[K, E]) {
	n.n = max(n.n, at+1)
	k := n.kids
	k.node[at], k.weight[at] = kid, 0
	n.low[at], k.first[at], n.high[at], k.least[at] = kid.low[0], kid.end(0), slices.Max(kid.high[:kid.n]), slices.Min(kid.high[:kid.n])
	if kid.kids == nil {
		for i := range kid.n {
			k.weight[at] += int32(kid.slots[i].len())
		}
		return
	}
	k.least[at] = slices.Min(kid.kids.least[:kid.n])
	for _, w := range kid.kids.weight[:kid.n] {
		k.weight[at] += w
	}
}

func (n *node[K, E]) remove(i reach[K], at int32) {
	p, _ := n.find(i)
	if n.kids == nil {
		n.slots[p].remove(at)
		if n.slots[p].len() == 0 {
			n.shift(p+1, -1)
		}
		return
	}
	kid := n.kids.node[p]
	if kid.remove(i, at); kid.n == 0 {
		n.shift(p+1, -1)
		return
	}
	n.put(p, kid)
	if kid.n < fanout/4 && n.n > 1 {
		n.merge(max(p-1, 0))
	}
}

// merge joins two neighbours if that leaves room in the one that they become.
func (n *node[K, E]) merge(p int) {
	one, other := n.kids.node[p], n.kids.node[p+1]
	if one.n+other.n > fanout*3/4 {
		return
	}
	one.take(other, 0)
	n.shift(p+2, -1)
	n.put(p, one)
}

// estimateSteps bounds the work of an estimate.
const estimateSteps = 32

// estimate returns about how many entries stand under intervals that hold a value.
func (t *tree[K, E]) estimate(v K) int {
	if t.root == nil {
		return 0
	}
	steps := estimateSteps
	return t.root.estimate(v, t.end, false, &steps)
}

// estimate is the tree's, for what is beneath a node; begun says that all of that begins before the value.
func (n *node[K, E]) estimate(v, end K, begun bool, steps *int) int {
	*steps--
	count := 0
	for i := 0; i < n.n && (begun || n.low[i] <= v); i++ {
		switch all := begun || i+1 < n.n && n.low[i+1] <= v; {
		case !before(v, n.high[i], end):
		case n.kids == nil:
			count += n.slots[i].len()
		case all && before(v, n.kids.least[i], end):
			count += int(n.kids.weight[i])
		case *steps < 0:
			count += int(n.kids.weight[i]) / 2
		default:
			count += n.kids.node[i].estimate(v, end, all, steps)
		}
	}
	return count
}

// before reports whether a value lies before the end of an interval.
func before[K key](v, high, end K) bool { return v < high || high == end }

package topic

import "hash/maphash"

// children are the nodes below one node, by their first level, when they are
// many: a hash table of pointers, a quarter of what a map with the levels as keys
// takes. The hashes stand apart, so that neither a search nor growing looks
// at nodes it is not about.
//
//	hashes  [ 7f03.. |   0    | 1be2.. | 1be3.. |   0    | ...   a power of two of them
//	nodes   [  node  |  nil   |  node  |  node  |  nil   | ...
//
// A node stands at the place that the low bits of its hash name, or behind it with no gap
// between; at most three quarters are in use.
type children[T content] struct {
	hashes []uint32
	nodes  []*node[T]
	count  int
}

var childSeed = maphash.MakeSeed() // who picks the levels cannot pick where they go

func hashOf(level string) uint32 { return uint32(maphash.String(childSeed, level)) }

// find returns where the node that begins with level is, or would be put.
func find[T content, S string | []byte](c *children[T], level S, hash uint32) (at int, ok bool) {
	mask := len(c.nodes) - 1
	for at = int(hash) & mask; c.nodes[at] != nil; at = (at + 1) & mask {
		if c.hashes[at] == hash && beginsWith(c.nodes[at].label, level) {
			return at, true
		}
	}
	return at, false
}

// get returns the node that begins with level, nil if there is none.
func (c *children[T]) get(level string) *node[T] {
	at, _ := find(c, level, hashOf(level))
	return c.nodes[at]
}

// getBytes is get.
func (c *children[T]) getBytes(level []byte) *node[T] {
	at, _ := find(c, level, uint32(maphash.Bytes(childSeed, level)))
	return c.nodes[at]
}

// put adds a node, in place of one that begins with the same level.
func (c *children[T]) put(n *node[T]) {
	level, _ := nextLevel(n.label, 0)
	hash := hashOf(level)
	if 4*(c.count+1) > 3*len(c.nodes) {
		c.resize(max(16, 2*len(c.nodes)))
	}
	at, had := find(c, level, hash)
	if !had {
		c.count++
	}
	c.hashes[at], c.nodes[at] = hash, n
}

// remove takes the node that begins with level out, and closes the gap.
func (c *children[T]) remove(level string) {
	at, ok := find(c, level, hashOf(level))
	if !ok {
		return
	}
	c.count--
	mask := len(c.nodes) - 1
	for next := (at + 1) & mask; c.nodes[next] != nil; next = (next + 1) & mask {
		home := int(c.hashes[next]) & mask
		if (next-home)&mask >= (next-at)&mask { // it may stand in the gap
			c.hashes[at], c.nodes[at] = c.hashes[next], c.nodes[next]
			at = next
		}
	}
	c.hashes[at], c.nodes[at] = 0, nil
	if len(c.nodes) > 16 && 8*c.count < len(c.nodes) {
		c.resize(len(c.nodes) / 4)
	}
}

func (c *children[T]) resize(size int) {
	hashes, nodes := c.hashes, c.nodes
	c.hashes, c.nodes = make([]uint32, size), make([]*node[T], size)
	mask := size - 1
	for i, n := range nodes {
		if n == nil {
			continue
		}
		at := int(hashes[i]) & mask
		for c.nodes[at] != nil {
			at = (at + 1) & mask
		}
		c.hashes[at], c.nodes[at] = hashes[i], n
	}
}

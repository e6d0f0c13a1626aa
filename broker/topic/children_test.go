package topic

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// checkTable fails if a node of a table cannot be found from where its hash says.
func checkTable[T content](t *testing.T, c *children[T]) {
	t.Helper()
	found := 0
	for at, n := range c.nodes {
		if n == nil {
			continue
		}
		found++
		level, _ := nextLevel(n.label, 0)
		if c.hashes[at] != hashOf(level) {
			t.Fatalf("hash of %q is %x, want %x", level, c.hashes[at], hashOf(level))
		}
		if c.get(level) != n || c.getBytes([]byte(level)) != n {
			t.Fatalf("%q at %d of %d is not found", level, at, len(c.nodes))
		}
	}
	if found != c.count || 4*found > 3*len(c.nodes) {
		t.Fatalf("%d nodes in a table of %d that counts %d", found, len(c.nodes), c.count)
	}
}

// TestChildren: nodes come and go in any order, also where their places collide, and the table
// shrinks with them.
func TestChildren(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var c children[pointer[int]]
	there := map[string]*node[pointer[int]]{}
	for round := range 40 {
		grow := round%4 < 2
		for range 200 {
			level := fmt.Sprint("level", r.IntN(1000))
			n := &node[pointer[int]]{label: level + "/more"}
			switch {
			case grow || r.IntN(4) == 0:
				c.put(n)
				there[level] = n
			case len(there) > 1 && there[level] != nil:
				c.remove(level)
				delete(there, level)
			}
		}
		checkTable(t, &c)
		if c.count != len(there) {
			t.Fatalf("%d nodes, want %d", c.count, len(there))
		}
		for level, n := range there {
			if c.get(level) != n {
				t.Fatalf("%q is not there, or not its last node", level)
			}
		}
	}
	for level := range there {
		c.remove(level)
	}
	c.remove("never there")
	if c.count != 0 || len(c.nodes) > 64 {
		t.Errorf("%d nodes are left in a table of %d", c.count, len(c.nodes))
	}
}

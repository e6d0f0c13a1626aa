package topic

import (
	"math/bits"
	"strings"
	"sync"
)

// Names holds one value per topic name, such as retained messages, and finds
// those whose name a filter takes. It keeps no name as a whole: a value that has
// to know its own holds it. The zero value is empty and ready. Safe for
// concurrent use.
type Names[V any] struct {
	mu    sync.RWMutex // guards the fields below
	root  node[pointer[V]]
	count int
}

// pointer is what stands at a name.
type pointer[V any] struct{ to *V }

func (p pointer[V]) empty() bool { return p.to == nil }

// Set stores v for the name, which must be valid (ValidName), and returns the
// value that it replaced, nil if there was none. The empty name and nil are never stored.
func (n *Names[V]) Set(name string, v *V) (old *V) {
	if name == "" || v == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.root.add(name)
	old = at.value.to
	at.value.to = v
	if old == nil {
		n.count++
	}
	return old
}

// Get returns the value of the name, nil if there is none.
func (n *Names[V]) Get(name string) *V {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if at := n.root.find(name); at != nil {
		return at.value.to
	}
	return nil
}

// Remove drops the value of the name and returns it, nil if there was none.
func (n *Names[V]) Remove(name string) (old *V) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.root.find(name)
	if at == nil || at.value.to == nil {
		return nil
	}
	old, at.value.to = at.value.to, nil
	n.root.prune(name)
	n.count--
	return old
}

// Len is the number of names.
func (n *Names[V]) Len() int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.count
}

// Match calls yield with the value of every name that the filter takes, in no
// promised order, until it returns false. The group of a shared filter is ignored. yield runs
// under a read lock: it must not use the store and should only copy what it needs.
func (n *Names[V]) Match(f Filter, yield func(v *V) bool) {
	if f.IsZero() {
		return
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	s := search[V]{levels: strings.Split(f.Topic(), "/"), inner: f.inner(), yield: yield}
	var start places
	s.enter(&start, 0)
	s.below(&n.root, start, 0)
}

// places is a set of places in a filter: before each of its levels and behind the
// last, MaxLevels+1 at most.
type places [(MaxLevels + 64) / 64]uint64

func (p *places) add(i int)      { p[i/64] |= 1 << (i % 64) }
func (p *places) has(i int) bool { return p[i/64]&(1<<(i%64)) != 0 }

// A search walks the names once, carrying all places of the filter that the
// levels so far can have led to.
type search[V any] struct {
	levels []string
	inner  bool
	yield  func(v *V) bool
}

// enter adds a place, and the one behind a #, which may stand for no level.
func (s *search[V]) enter(p *places, i int) {
	p.add(i)
	if i < len(s.levels) && s.levels[i] == "#" {
		p.add(i + 1)
	}
}

// step returns the places behind one more level of the name.
func (s *search[V]) step(from places, level string) (to places, some bool) {
	for word, set := range from {
		for ; set != 0; set &= set - 1 {
			i := word*64 + bits.TrailingZeros64(set)
			switch {
			case i == len(s.levels):
			case s.levels[i] == "#":
				s.enter(&to, i)
				some = true
			case s.levels[i] == "+" || s.levels[i] == level:
				s.enter(&to, i+1)
				some = true
			}
		}
	}
	return to, some
}

// literal returns the one level that can come next, if there is only one.
func (s *search[V]) literal(p places) (level string, ok bool) {
	at := -1
	for word, set := range p {
		if set == 0 {
			continue
		}
		if at >= 0 || set&(set-1) != 0 {
			return "", false
		}
		at = word*64 + bits.TrailingZeros64(set)
	}
	if at < 0 || at == len(s.levels) {
		return "", false
	}
	level = s.levels[at]
	return level, level != "+" && level != "#"
}

// below visits the names behind a node, the end of that many levels, and reports
// whether to go on.
func (s *search[V]) below(n *node[pointer[V]], p places, depth int) bool {
	if n.branch == nil {
		return true
	}
	if level, ok := s.literal(p); ok {
		c := n.child(level)
		return c == nil || s.along(c, p, depth)
	}
	hidden := depth == 0 && (s.levels[0] == "+" || s.levels[0] == "#")
	return n.branch.each(func(c *node[pointer[V]]) bool {
		if hidden && strings.HasPrefix(c.label, "$") {
			return true // [MQTT-4.7.2-1]
		}
		return s.along(c, p, depth)
	})
}

// along takes the levels of a node and what is behind it.
func (s *search[V]) along(n *node[pointer[V]], p places, depth int) bool {
	for at := 0; at <= len(n.label); depth++ {
		var level string
		var some bool
		level, at = nextLevel(n.label, at)
		if p, some = s.step(p, level); !some {
			return true
		}
	}
	if v := n.value.to; v != nil && p.has(len(s.levels)) && !(s.inner && depth > MaxLevels) {
		if !s.yield(v) {
			return false
		}
	}
	return s.below(n, p, depth)
}

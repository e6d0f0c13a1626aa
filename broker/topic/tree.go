package topic

import (
	"sync"
	"sync/atomic"
)

// A Tree holds elements by filter, such as the subscriptions of sessions, and
// finds those whose filter takes a name. The zero value is empty and ready.
// Safe for concurrent use: any number of matchers run side by side, and wait for
// a writer no longer than its one change takes.
type Tree[E comparable] struct {
	version atomic.Uint64
	marks   sync.Pool // of map[*node[set[E]]]struct{}, empty

	mu    sync.RWMutex // guards the two fields below
	root  node[set[E]]
	count int
}

// Add puts e at the filter and reports whether it was there. Filters with the same
// String are the same; a shared filter and the same filter without its group are
// two. The zero Filter is never stored.
func (t *Tree[E]) Add(f Filter, e E) (had bool) {
	if f.IsZero() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.root.add(f.Topic())
	s := &n.value
	if group, ok := f.Shared(); ok {
		s = s.group(group)
	}
	if had = s.add(e); !had {
		t.count++
		t.version.Add(1) // before the lock is free: who sees the new tree cannot have read the old number after it
	}
	return had
}

// Remove takes e from the filter and reports whether it was there.
func (t *Tree[E]) Remove(f Filter, e E) bool {
	if f.IsZero() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.root.find(f.Topic())
	if n == nil || !n.value.removeFrom(f, e) {
		return false
	}
	if n.value.empty() {
		t.root.prune(f.Topic())
	}
	t.count--
	t.version.Add(1)
	return true
}

// Len is the number of elements.
func (t *Tree[E]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.count
}

// Version rises with each change. A result of Match holds as long as Version is
// what it was before that Match.
func (t *Tree[E]) Version() uint64 { return t.version.Load() }

// Match appends to dst the elements of all filters that take the name, which must
// be valid (ValidName), in no promised order. One at several filters that match
// appears once for each. It allocates only to grow dst.
func (t *Tree[E]) Match(name []byte, dst []E) []E {
	if len(name) == 0 {
		return dst
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	m := matcher[E]{name: name, dst: dst, tree: t}
	m.below(&t.root, 0)
	if m.seen != nil {
		clear(m.seen)
		t.marks.Put(m.seen)
	}
	return m.dst
}

// A matcher walks a tree for one name. A position in the name is where a level
// begins; one above its length means that no level is left.
type matcher[E comparable] struct {
	name []byte
	dst  []E
	tree *Tree[E]

	within int // how many inner # are open
	seen   map[*node[set[E]]]struct{}
}

// below goes on behind a node whose levels are matched.
func (m *matcher[E]) below(n *node[set[E]], pos int) {
	b := n.branch
	if pos > len(m.name) {
		m.dst = n.value.appendTo(m.dst)
		if b != nil && b.hash != nil {
			m.spread(b.hash, pos) // zero levels: "sport/#" takes "sport" (4.7.1.2)
		}
		return
	}
	if b == nil {
		return
	}
	level, _ := nextLevel(m.name, pos)
	if c := b.literal(level); c != nil {
		m.along(c, pos)
	}
	if pos == 0 && m.name[0] == '$' {
		return // [MQTT-4.7.2-1]
	}
	if b.plus != nil {
		m.along(b.plus, pos)
	}
	if b.hash != nil {
		m.spread(b.hash, pos)
	}
}

// along compares the levels of a node with those of the name.
func (m *matcher[E]) along(n *node[set[E]], pos int) {
	for at := 0; at <= len(n.label); {
		if pos > len(m.name) {
			return
		}
		var want string
		var got []byte
		want, at = nextLevel(n.label, at)
		got, pos = nextLevel(m.name, pos)
		if want != "+" && want != string(got) {
			return
		}
	}
	m.below(n, pos)
}

// spread takes a # node: its own values, and below an inner # what matches at
// each later level. Below another inner # a node is reached at several levels of
// the name, the first one first; what the later ones could find, the first does.
func (m *matcher[E]) spread(n *node[set[E]], pos int) {
	if m.within > 0 && !m.mark(n) {
		return
	}
	m.dst = n.value.appendTo(m.dst)
	if n.branch == nil || tooDeep(m.name) {
		return
	}
	m.within++
	for pos <= len(m.name) {
		m.below(n, pos)
		_, pos = nextLevel(m.name, pos)
	}
	m.within--
}

// mark reports whether a node is met for the first time.
func (m *matcher[E]) mark(n *node[set[E]]) bool {
	if m.seen == nil {
		m.seen, _ = m.tree.marks.Get().(map[*node[set[E]]]struct{})
		if m.seen == nil {
			m.seen = map[*node[set[E]]]struct{}{}
		}
	}
	if _, again := m.seen[n]; again {
		return false
	}
	m.seen[n] = struct{}{}
	return true
}

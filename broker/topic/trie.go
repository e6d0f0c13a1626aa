package topic

import "strings"

// A node is a run of levels in a tree of names or filters. Levels that nothing
// branches between share a node, so a tree has fewer than two nodes for each
// value it holds (and one for each #), however many levels those have.
//
// A level # is a node of its own. The root has no level at all.
type node[T content] struct {
	label  string // levels joined by "/"
	value  T
	branch *branch[T] // nil without children
}

// content is what stands at a node, or nothing.
type content interface{ empty() bool }

// A branch holds the children of a node. No two begin with the same level.
type branch[T content] struct {
	plus, hash *node[T]     // whose label begins with + or is #
	few        []*node[T]   // all others, while they are few
	many       *children[T] // when they are not; nil before
}

const fewChildren = 8

// empty reports whether there is no child.
func (b *branch[T]) empty() bool {
	return b.plus == nil && b.hash == nil && len(b.few) == 0 && b.many == nil
}

// only returns the child if there is exactly one.
func (b *branch[T]) only() *node[T] {
	var found *node[T]
	count := 0
	b.each(func(c *node[T]) bool {
		found = c
		count++
		return count < 2
	})
	if count != 1 {
		return nil
	}
	return found
}

// each visits all children until visit returns false, and reports whether it
// never did.
func (b *branch[T]) each(visit func(*node[T]) bool) bool {
	if b.plus != nil && !visit(b.plus) || b.hash != nil && !visit(b.hash) {
		return false
	}
	for _, c := range b.few {
		if !visit(c) {
			return false
		}
	}
	if b.many != nil {
		for _, c := range b.many.nodes {
			if c != nil && !visit(c) {
				return false
			}
		}
	}
	return true
}

// literal returns the child that begins with a level that is no wildcard.
func (b *branch[T]) literal(level []byte) *node[T] {
	if b.many != nil {
		return b.many.getBytes(level)
	}
	for _, c := range b.few {
		if beginsWith(c.label, level) {
			return c
		}
	}
	return nil
}

// place returns where the child that begins with this level is kept, if it is
// not among the literal ones.
func (b *branch[T]) place(level string) **node[T] {
	switch level {
	case "+":
		return &b.plus
	case "#":
		return &b.hash
	}
	return nil
}

// child returns the child that begins with level, nil if there is none.
func (n *node[T]) child(level string) *node[T] {
	b := n.branch
	if b == nil {
		return nil
	}
	if p := b.place(level); p != nil {
		return *p
	}
	if b.many != nil {
		return b.many.get(level)
	}
	for _, c := range b.few {
		if beginsWith(c.label, level) {
			return c
		}
	}
	return nil
}

// adopt puts a child in, in place of one that begins with the same level.
func (n *node[T]) adopt(c *node[T]) {
	if n.branch == nil {
		n.branch = &branch[T]{}
	}
	b := n.branch
	level, _ := nextLevel(c.label, 0)
	if p := b.place(level); p != nil {
		*p = c
		return
	}
	if b.many == nil {
		for i, old := range b.few {
			if beginsWith(old.label, level) {
				b.few[i] = c
				return
			}
		}
		if len(b.few) < fewChildren {
			b.few = append(b.few, c)
			return
		}
		b.many = &children[T]{}
		for _, old := range b.few {
			b.many.put(old)
		}
		b.few = nil
	}
	b.many.put(c)
}

// disown takes the child that begins with level out.
func (n *node[T]) disown(level string) {
	b := n.branch
	if p := b.place(level); p != nil {
		*p = nil
	} else if b.many != nil {
		b.many.remove(level)
		if b.many.count <= fewChildren/2 {
			for _, c := range b.many.nodes {
				if c != nil {
					b.few = append(b.few, c)
				}
			}
			b.many = nil
		}
	} else {
		for i, c := range b.few {
			if beginsWith(c.label, level) {
				b.few[i] = b.few[len(b.few)-1]
				b.few[len(b.few)-1] = nil
				b.few = b.few[:len(b.few)-1]
				break
			}
		}
	}
	if b.empty() {
		n.branch = nil
	}
}

// add returns the node at the end of path below the root n, adding what is
// missing. The caller sets its value.
func (n *node[T]) add(path string) *node[T] {
	for pos := 0; pos <= len(path); {
		level, _ := nextLevel(path, pos)
		c := n.child(level)
		if c == nil {
			return n.grow(path[pos:])
		}
		agree := commonLevels(c.label, path[pos:])
		if agree < len(c.label) {
			c.split(agree)
			n.adopt(c) // its label has changed
		}
		n, pos = c, pos+agree+1
	}
	return n
}

// grow adds nodes for the levels of rest below n. Labels are copies, so that no
// node keeps a long text alive for a few of its levels.
func (n *node[T]) grow(rest string) *node[T] {
	for {
		run := rest
		if rest[:min(2, len(rest))] == "#/" {
			run = "#"
		} else if i := strings.Index(rest, "/#"); i >= 0 {
			run = rest[:i]
		}
		c := &node[T]{label: strings.Clone(run)}
		n.adopt(c)
		if len(run) == len(rest) {
			return c
		}
		n, rest = c, rest[len(run)+1:]
	}
}

// split moves n's value and children to a new child, which takes the levels of
// the label behind the slash at agree.
func (n *node[T]) split(agree int) {
	lower := *n
	lower.label = strings.Clone(n.label[agree+1:])
	*n = node[T]{label: strings.Clone(n.label[:agree])}
	n.adopt(&lower)
}

// find returns the node at the end of path below the root n, nil if there is none.
func (n *node[T]) find(path string) *node[T] {
	for pos := 0; pos <= len(path); {
		level, _ := nextLevel(path, pos)
		n = n.child(level)
		if n == nil || !beginsWith(path[pos:], n.label) {
			return nil
		}
		pos += len(n.label) + 1
	}
	return n
}

// prune tidies the way to a node whose value was taken away: below the root n,
// it removes nodes that hold nothing and joins those that no longer branch.
func (n *node[T]) prune(path string) {
	level, _ := nextLevel(path, 0)
	c := n.child(level)
	if len(c.label) < len(path) {
		c.prune(path[len(c.label)+1:])
	}
	if !c.value.empty() {
		return
	}
	if c.branch == nil {
		n.disown(level)
		return
	}
	only := c.branch.only()
	if only == nil || c.label == "#" || only.label == "#" {
		return
	}
	only.label = c.label + "/" + only.label
	n.adopt(only)
}

// beginsWith reports whether the first levels of path are those of head, which
// has at least one.
func beginsWith[S string | []byte](path string, head S) bool {
	return len(path) >= len(head) && path[:len(head)] == string(head) &&
		(len(path) == len(head) || path[len(head)] == '/')
}

// commonLevels returns the length of the longest run of whole levels that begins
// both a and b; at least their first levels are equal.
func commonLevels(a, b string) int {
	end := 0
	for i := 0; ; i++ {
		aEnds := i >= len(a) || a[i] == '/'
		bEnds := i >= len(b) || b[i] == '/'
		if aEnds && bEnds {
			end = i
		}
		if aEnds != bEnds || i >= len(a) || i >= len(b) || a[i] != b[i] {
			return end
		}
	}
}

package buffer

import (
	"fmt"
	"sort"
)

// positions makes consumers whose name is lost, and counts for every consumer
// what it is done with. Segments that lie on one side of its position are
// counted from their summary, the others are read.
func (r *recovery) positions() {
	l := r.l
	if l.c.block == 0 {
		l.c.block = 1
	}
	known := l.last
	for _, s := range l.segments {
		if s.doomed {
			continue
		}
		for i := range s.shares {
			if id := s.shares[i].id; id > known && l.consumers[id] == nil {
				c := l.newConsumer(id, fmt.Sprintf("orphan-%d", id))
				c.fresh = true
				l.last = max(l.last, id)
				l.recovery.Orphans++
			}
		}
	}
	for _, s := range l.segments {
		if s.doomed {
			for i := range s.shares {
				h := &s.shares[i]
				s.finish(h, h.count, h.bytes)
			}
			continue
		}
		r.place(s)
	}
	for _, c := range l.consumers {
		c.tidyAside()
		c.signal()
	}
}

func (r *recovery) place(s *segment) {
	l := r.l
	var partly []*share
	for i := range s.shares {
		h := &s.shares[i]
		c := l.consumers[h.id]
		switch {
		case c == nil || h.last <= c.horizon && !c.asideWithin(h.first, h.last):
			s.finish(h, h.count, h.bytes)
		case h.first > c.horizon && !c.touched(h.first, h.last):
			c.records += h.count
			c.bytes += h.bytes
		default:
			partly = append(partly, h)
		}
	}
	if len(partly) == 0 {
		return
	}
	r.blocks(s, s.end, func(b *block) {
		it := b.items()
		for v, ok := it.record(); ok; v, ok = it.record() {
			if v.number < s.first || v.number > s.last {
				continue
			}
			for _, h := range partly {
				if v.has(h.id) {
					r.placeRecord(s, h, v.number, v.size())
				}
			}
		}
	})
}

func (r *recovery) placeRecord(s *segment, h *share, number uint64, size uint32) {
	c := r.l.consumers[h.id]
	if i := c.isAside(number); i >= 0 {
		c.aside[i].size, c.aside[i].found = size, true
		return
	}
	if number <= c.horizon || c.isEarly(number) {
		s.finish(h, 1, int64(size))
		return
	}
	c.records++
	c.bytes += int64(size)
}

func (c *Consumer) asideWithin(first, last uint64) bool {
	i := sort.Search(len(c.aside), func(i int) bool { return c.aside[i].number >= first })
	return i < len(c.aside) && c.aside[i].number <= last
}

// touched reports whether anything of a range is acknowledged or set aside.
func (c *Consumer) touched(first, last uint64) bool {
	if c.asideWithin(first, last) {
		return true
	}
	i := sort.Search(len(c.early), func(i int) bool { return c.early[i].Last >= first })
	return i < len(c.early) && c.early[i].First <= last
}

// tidyAside forgets marks of records that are not stored.
func (c *Consumer) tidyAside() {
	kept := c.aside[:0]
	for _, a := range c.aside {
		if a.found {
			kept = append(kept, a)
		}
	}
	if len(kept) < len(c.aside) {
		c.aside, c.marked = kept, true
	}
}

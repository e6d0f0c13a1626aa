package buffer

import (
	"slices"
)

// giveUpDone marks the sealed segments whose records are all done with, so
// that the commit being planned says that they are gone. l.mu is held.
func (l *Log) giveUpDone() {
	for _, s := range l.segments {
		if s.open == 0 && s != l.active && !s.doomed && !s.unread && s.keyed <= l.spared() {
			l.doom(s)
		}
	}
}

// spared is the block up to which changes of keys need not be kept in the
// log: those that the snapshot before the newest has, or, when room is needed,
// the newest. l.mu is held.
func (l *Log) spared() uint64 {
	if l.pressed() {
		return l.inSnapshot()
	}
	return l.keptFrom()
}

// pressed reports whether there is no room for one more file. l.mu is held.
func (l *Log) pressed() bool { return !l.mayGrow() && len(l.spares) <= 1 }

// doom marks a segment as given up: the commit being planned says so, and
// when that is durable its file goes. l.mu is held.
func (l *Log) doom(s *segment) {
	s.doomed = true
	i, _ := slices.BinarySearchFunc(l.freed, s.seq, func(f freedSegment, seq uint64) int {
		if f.seq < seq {
			return -1
		}
		return 1
	})
	l.freed = slices.Insert(l.freed, i, freedSegment{s.seq, s.records + s.holes + s.omitted})
	l.freedNew = true
}

// giveWay is called before a spare is used: it makes sure that there is one
// again afterwards, by growth if that is allowed, otherwise by giving up the
// oldest segments. l.mu is held.
func (l *Log) giveWay() {
	l.giveUpDone()
	for {
		next := int64(0) // the spare after the one that is used now
		if len(l.spares) <= 1 {
			next = l.o.SegmentSize
		}
		if l.stays()+next <= l.o.MaxSize && (next == 0 || l.reusable() > 0 || !l.stats.Full || l.given+l.giving() >= next) {
			return
		}
		if !l.dropOldest() {
			return
		}
	}
}

// reusable counts given up segments whose files will serve as spares.
func (l *Log) reusable() (n int) {
	for _, s := range l.segments {
		if s.doomed && l.recyclable(s) {
			n++
		}
	}
	return n
}

// giving is the bytes of given up segments whose files will be removed.
func (l *Log) giving() (n int64) {
	for _, s := range l.segments {
		if s.doomed && !l.recyclable(s) && !s.damaged {
			n += s.size
		}
	}
	return n
}

func (l *Log) recyclable(s *segment) bool {
	return !s.failed && !s.damaged && s.size == l.o.SegmentSize
}

// stays is the bytes of all files but those of given up segments.
func (l *Log) stays() int64 {
	stays := l.total + l.keyRoom()
	for _, s := range l.segments {
		if s.doomed {
			stays -= s.size
		}
	}
	return stays
}

// mayGrow says whether another file fits the cap and the disk. free is asked
// for outside the lock, in makeReady. Small segments are no spares: on a disk
// that is full they give the room for one.
func (l *Log) mayGrow() bool {
	return l.total+l.keyRoom()+l.o.SegmentSize <= l.o.MaxSize && (!l.stats.Full || l.given >= l.o.SegmentSize)
}

// dropOldest gives up the oldest segment that is not being written, counting
// what it takes away. l.mu is held.
func (l *Log) dropOldest() bool {
	for _, s := range l.segments {
		if s.doomed || s == l.active || s.keyed > l.inSnapshot() || l.o.Newest && s.open > 0 {
			continue
		}
		reason := DropSize
		if l.stats.Full && l.total+l.keyRoom()+l.o.SegmentSize <= l.o.MaxSize {
			reason = DropSpace
		}
		l.dropSegment(s, reason)
		l.doom(s)
		return true
	}
	return false
}

// dropSegment counts the open records of a segment as dropped. l.mu is held.
func (l *Log) dropSegment(s *segment, reason DropReason) {
	for i := range s.shares {
		h := &s.shares[i]
		c := l.consumers[h.id]
		if c == nil || h.done == h.count {
			continue
		}
		n := l.dropShare(c, s, h, reason)
		l.note("records dropped: the oldest segment gives way", "consumer", c.name, "records", n, "reason", reason.String())
	}
}

// forget takes the records of a segment out of the window and the marks, and
// moves the consumer past it, unless something before it still waits: a segment
// that may not go, or whose records are set aside, is passed over. l.mu is held.
func (c *Consumer) forget(s *segment) (aside uint64, asideBytes int64) {
	kept, gap := c.window[:c.head], false
	for _, p := range c.window[c.head:] {
		if p.number >= s.first && p.number <= s.last && !c.l.tail.fleeting.has(p.number) {
			gap = true
			continue
		}
		p.after, gap = p.after || gap, false
		kept = append(kept, p)
	}
	c.window, c.trail = kept, c.trail || gap
	marks := c.aside[:0]
	for _, a := range c.aside {
		if a.number >= s.first && a.number <= s.last && !c.l.tail.fleeting.has(a.number) {
			aside++
			asideBytes += int64(a.size)
			c.marked = true
			continue
		}
		marks = append(marks, a)
	}
	c.aside = marks
	if !c.waitsBefore(s) {
		c.passTo(s.last)
	}
	for from := max(s.first, c.horizon+1); from <= s.last; { // around what is in memory
		upto := min(s.last, c.fleeting.above(from-1)-1)
		if from <= upto {
			c.addEarly(Range{from, upto}, true)
		}
		from = upto + 2
	}
	return aside, asideBytes
}

// waitsBefore says whether an earlier segment holds records for the consumer
// that are not set aside. l.mu is held.
func (c *Consumer) waitsBefore(s *segment) bool {
	for _, x := range c.l.segments {
		if x.seq >= s.seq {
			return false
		}
		if h := x.share(c.id); h != nil && !x.doomed && h.count-h.done > c.asideAmong(h.first, h.last) {
			return true
		}
	}
	return false
}

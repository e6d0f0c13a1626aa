package buffer

import (
	"slices"
	"sort"
)

// acked takes one destination off a record in the tail and settles it when
// that was the last that is not for memory only, and nothing else asks for a
// commit. l.mu is held.
func (l *Log) acked(done []Range, r *tailRecord, c *Consumer) []Range {
	r.open--
	if r.fleeting {
		c.fleeting.remove(r.number)
		c.overflow = c.overflow && c.fleeting.len() > 0
		if r.open == 0 && !r.owed {
			l.tail.drop(r)
		}
		return done
	}
	if r.memory > 0 && !l.tail.forMemory(r, c.id) {
		r.firm--
	}
	if r.must || r.state == settled || r.open > 0 && (r.memory == 0 || r.firm > 0 || r.told) {
		return done
	}
	if !r.told {
		done = l.settle(done, r.number)
		l.stats.Spared++
		r.told = true
	}
	switch {
	case r.open > 0 && r.state == waiting:
		l.turnFleeting(r)
	case r.open > 0: // being written: the copy serves those in memory too
	case r.state == writing:
		r.state = settled
	default:
		l.tail.drop(r)
	}
	return done
}

// Ack says that the consumer is done with the records of these ranges; other
// consumers' numbers among them do not matter. It is idempotent, and does not
// wait: positions over stored records are durable with the next commit. A
// record set aside is acknowledged by naming it.
func (c *Consumer) Ack(ranges []Range) {
	l := c.l
	l.mu.Lock()
	if c.removed || l.closed {
		l.mu.Unlock()
		return
	}
	var done []Range
	for _, r := range ranges {
		if r.First > r.Last {
			continue
		}
		done = c.ackWindow(done, r)
		done = c.ackAside(done, r)
		if last := min(r.Last, l.number-1); last > c.horizon {
			done = c.ackEarly(done, Range{max(r.First, c.horizon+1), last})
		}
	}
	room := l.roomNow()
	l.mu.Unlock()
	l.tell(done, room)
}

// ackWindow acknowledges records that Next gave out.
func (c *Consumer) ackWindow(done []Range, r Range) []Range {
	w := c.window
	i := c.head
	if i == len(w) || w[i].number > r.Last {
		return done
	}
	if w[i].number < r.First {
		i += sort.Search(len(w)-i, func(k int) bool { return w[i+k].number >= r.First })
	}
	j := i
	for ; j < len(w) && w[j].number <= r.Last; j++ {
		c.records--
		c.bytes -= int64(w[j].size)
		done = c.finish(done, w[j].number, w[j].size)
	}
	if i == j {
		return done
	}
	if j == len(w) {
		c.trail = true
	} else {
		w[j].after = true
	}
	if i == c.head {
		c.head = j
	} else {
		c.window = slices.Delete(w, i, j)
	}
	return done
}

// finish counts one acknowledged record of this consumer where it lives.
func (c *Consumer) finish(done []Range, number uint64, size uint32) []Range {
	l := c.l
	if t := l.tail.find(number); t != nil {
		c.dirty = c.dirty || t.state != waiting
		return l.acked(done, t, c)
	}
	c.dirty = true
	l.loose++
	if s := l.segmentOf(number); s != nil {
		if h := s.share(c.id); h != nil {
			s.finish(h, 1, int64(size))
		}
	}
	return done
}

// segmentOf finds the segment that holds a number; nil if none does.
func (l *Log) segmentOf(number uint64) *segment {
	i := l.segmentAbove(number - 1)
	if i < len(l.segments) && l.segments[i].first <= number {
		return l.segments[i]
	}
	return nil
}

// segmentAbove is the index of the first segment that holds a record above
// number.
func (l *Log) segmentAbove(number uint64) int {
	return sort.Search(len(l.segments), func(i int) bool { return l.segments[i].upper > number })
}

func (c *Consumer) ackAside(done []Range, r Range) []Range {
	i := sort.Search(len(c.aside), func(i int) bool { return c.aside[i].number >= r.First })
	j := i
	for ; j < len(c.aside) && c.aside[j].number <= r.Last; j++ {
		done = c.finish(done, c.aside[j].number, c.aside[j].size)
	}
	if i != j {
		c.aside = slices.Delete(c.aside, i, j)
		c.marked = true
	}
	return done
}

// ackEarly acknowledges records that Next has not reached. Those in the tail
// are counted now, stored ones when Next passes them.
func (c *Consumer) ackEarly(done []Range, r Range) []Range {
	t := &c.l.tail
	for i := t.after(r.First - 1); i < len(t.records) && t.records[i].number <= r.Last; i++ {
		x := &t.records[i]
		if x.state == gone {
			continue
		}
		v := t.view(x)
		if !v.has(c.id) || !c.waitsFor(x) {
			continue
		}
		c.records--
		c.bytes -= int64(x.size)
		number := x.number
		done = c.l.acked(done, x, c)
		i = t.after(number) - 1
	}
	stored := uint64(0) // records up to it are on the disk, and not counted yet
	if k := len(c.l.segments); k > 0 {
		stored = c.l.segments[k-1].upper
	}
	if r.First <= stored {
		c.addEarly(Range{r.First, min(r.Last, stored)}, false)
	}
	c.addEarly(Range{max(r.First, stored+1), r.Last}, true)
	c.dirty = true
	return done
}

// SetAside says that the record was refused where the consumer brings it. It
// stays stored (it is committed if it is not yet, unless it is for this consumer
// in memory only), is counted, and Next passes
// it, also after a restart, until it is acknowledged. A consumer may have
// 65,536 of them; the oldest beyond that is given up and counted.
func (c *Consumer) SetAside(number uint64) {
	l := c.l
	l.mu.Lock()
	i := c.pending(number)
	if i < 0 || c.removed || l.closed {
		l.mu.Unlock()
		return
	}
	p := c.window[i]
	c.records--
	c.bytes -= int64(p.size)
	if i+1 < len(c.window) {
		c.window[i+1].after = c.window[i+1].after || p.after
	} else {
		c.trail = c.trail || p.after
	}
	if i == c.head {
		c.head++
	} else {
		c.window = slices.Delete(c.window, i, i+1)
	}
	if t := l.tail.find(number); t != nil && !l.tail.forMemory(t, c.id) {
		t.must = true
	}
	c.fleeting.remove(number)
	at := sort.Search(len(c.aside), func(i int) bool { return c.aside[i].number >= number })
	c.aside = slices.Insert(c.aside, at, asideRecord{number: number, size: p.size})
	c.dirty, c.marked = true, true
	var done []Range
	if len(c.aside) > c.l.maxAside() {
		done = c.finish(done, c.aside[0].number, c.aside[0].size)
		c.aside = slices.Delete(c.aside, 0, 1)
		c.drops[DropAside]++
		c.counted = true
		l.note("records set aside are given up", "consumer", c.name, "limit", l.maxAside())
	}
	l.mu.Unlock()
	l.tell(done, false)
	l.say()
}

// maxAside bounds the marks so that they fit the head of a segment.
func (l *Log) maxAside() int {
	return int(max(16, min(maxAside, l.o.SegmentSize/64/int64(max(1, len(l.consumers))))))
}

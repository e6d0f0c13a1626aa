package buffer

import (
	"errors"
	"io/fs"
	"time"
)

// Limits bound what may wait for one consumer. The zero value sets none.
type Limits struct {
	MaxBytes int64         // of its records, as stored
	MaxAge   time.Duration // of a record; older ones are dropped
	Newest   bool          // beyond MaxBytes new records are refused, instead of the oldest dropped
}

// SetLimits replaces the limits of a consumer. They are not stored: set them
// after each Open. Refusing is exact; dropping the oldest is one of the Chores
// after the next commit, so more may wait until then.
func (c *Consumer) SetLimits(x Limits) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.limits = x
	c.l.limited = c.l.limited || x != Limits{}
}

// refuses says that the consumer takes no record of this size, and why. l.mu
// is held.
func (c *Consumer) refuses(size int64, memory bool) (reason DropReason, yes bool) {
	switch {
	case c.limits.Newest && c.limits.MaxBytes > 0 && c.bytes+size > c.limits.MaxBytes:
		return DropLimit, true
	case c.l.o.Newest && !memory && !c.l.hasRoom(size):
		return DropSize, true
	}
	return 0, false
}

// hasRoom says whether a record of this size will find room on the disk
// without anything being dropped for it, and leave two files: the counts of
// what is refused fill one after the other, and each is free again when the
// next is begun. l.mu is held.
func (l *Log) hasRoom(size int64) bool {
	room := int64(0)
	if l.active != nil {
		room = max(0, l.active.size-page-reserve-l.active.end)
	}
	files := int64(len(l.spares)) - 2
	if !l.stats.Full {
		files += max(0, (l.o.MaxSize-l.total-l.keyRoom())/l.o.SegmentSize)
	}
	for _, s := range l.segments {
		if s.doomed && l.recyclable(s) {
			files++
		}
	}
	// What a commit adds to the records it gathers: half a segment is ample.
	room += files*(l.o.SegmentSize-dataStart-page-reserve) - l.o.SegmentSize/2
	return l.tail.bytes-l.tail.fleetingBytes+size <= room
}

// over says whether a consumer has more, or older, than its limits allow.
// l.mu is held.
func (c *Consumer) over() (reason DropReason, yes bool) {
	if c.records == 0 || c.removed || c.l.closed {
		return 0, false
	}
	if c.limits.MaxBytes > 0 && !c.limits.Newest && c.bytes > c.limits.MaxBytes {
		return DropLimit, true
	}
	if c.limits.MaxAge > 0 && c.l.o.Age != nil {
		b := c.backlog()
		if age, known := c.l.o.Age(b.OldestBoot, b.OldestSince); known && age > c.limits.MaxAge {
			return DropAge, true
		}
	}
	return 0, false
}

// beyond says whether a consumer has more, or older, than its limits allow.
// l.mu is held.
func (l *Log) beyond() bool {
	for _, c := range l.consumers {
		if _, yes := c.over(); yes {
			return true
		}
	}
	return false
}

// old says whether a record is beyond the age limit.
func (c *Consumer) old(boot uint64, since int64) bool {
	age, known := c.l.o.Age(boot, since)
	return known && age > c.limits.MaxAge
}

// Trim drops, and counts, the oldest records of consumers that have more or
// older ones than their limits allow. It reads the disk. The log does this by
// itself after a commit; call it now and then for records that grow old
// without any.
func (l *Log) Trim() {
	l.mu.Lock()
	if !l.closed {
		l.trim()
	}
	l.mu.Unlock()
	l.say()
}

// trim is Trim; l.mu is held at both ends.
func (l *Log) trim() {
	if l.trimming {
		return
	}
	l.trimming = true
	defer func() { l.trimming = false }()
	var todo []*Consumer
	for _, c := range l.consumers {
		if _, yes := c.over(); yes {
			todo = append(todo, c)
		}
	}
	for _, c := range todo {
		before := c.drops
		for {
			reason, yes := c.over()
			if !yes || !c.dropFirst(reason) {
				break
			}
		}
		for reason := range dropReasons {
			if n := c.drops[reason] - before[reason]; n > 0 {
				l.note("records dropped: more or older ones than the limits of their destination allow", "consumer", c.name, "records", n, "reason", reason.String())
			}
		}
	}
}

// dropFirst drops from the first segment that holds records for the consumer,
// or from the tail, until the limits are kept or that place has no more. What is
// set aside is no part of the bytes that are limited, and stays. false: nothing
// could be dropped. l.mu is held at both ends.
func (c *Consumer) dropFirst(reason DropReason) bool {
	l := c.l
	for above := uint64(0); ; {
		s := c.dropsFrom(above, reason)
		if s == nil {
			return c.dropTail(reason, noRecord)
		}
		if c.fleeting.first() < s.last && c.dropTail(reason, s.last) {
			return true
		}
		if h := s.share(c.id); c.wholeShare(s, h, reason) {
			l.dropShare(c, s, h, reason)
			return true
		}
		if dropped, through := c.dropSome(s, reason); dropped || !through {
			return dropped
		}
		above = s.seq
	}
}

// dropsFrom is the first segment behind a sequence that holds something to be
// dropped. l.mu is held.
func (c *Consumer) dropsFrom(above uint64, reason DropReason) *segment {
	for _, s := range c.l.segments {
		h := s.share(c.id)
		if s.seq <= above || s.doomed || h == nil || h.done == h.count {
			continue
		}
		if reason == DropLimit && h.count-h.done == c.asideAmong(h.first, h.last) {
			continue
		}
		return s
	}
	return nil
}

// asideAmong counts the marks within a range. l.mu is held.
func (c *Consumer) asideAmong(first, last uint64) (n uint64) {
	for _, a := range c.aside {
		if a.number >= first && a.number <= last && !c.l.tail.fleeting.has(a.number) {
			n++
		}
	}
	return n
}

// wholeShare says whether all that a segment holds for the consumer has to go.
func (c *Consumer) wholeShare(s *segment, h *share, reason DropReason) bool {
	if c.asideWithin(h.first, h.last) {
		return false // that is looked at one by one
	}
	if reason == DropLimit {
		return c.bytes-(h.bytes-h.doneBytes) >= c.limits.MaxBytes
	}
	for _, later := range c.l.segments { // whose first record is younger than all of s
		if x := later.share(c.id); later.seq > s.seq && x != nil && x.count > 0 {
			return c.old(x.boot, x.since)
		}
	}
	return false
}

// dropShare gives up all that a segment holds for one consumer. l.mu is held.
func (l *Log) dropShare(c *Consumer, s *segment, h *share, reason DropReason) (n uint64) {
	n = h.count - h.done
	aside, asideBytes := c.forget(s)
	c.records -= min(c.records, n-min(n, aside))
	c.bytes = max(0, c.bytes-(h.bytes-h.doneBytes-asideBytes))
	c.drops[reason] += n
	c.dirty, c.counted = true, true
	l.stats.Dropped += n
	s.finish(h, n, h.bytes-h.doneBytes)
	return n
}

// dropSome reads a segment and drops the consumer's records in it, from the
// first on, as far as the limits want. dropped: it did, or the segment is
// another one by now. through: the limits want more than it holds. l.mu is held
// at both ends.
func (c *Consumer) dropSome(s *segment, reason DropReason) (dropped, through bool) {
	l := c.l
	w := extent{end: s.end, last: s.last, count: s.share(c.id).count}
	sd := s.seed()
	l.mu.Unlock()
	list, err := c.listed(s, sd, w.end)
	l.mu.Lock()
	if errors.Is(err, errReplaced) || s.doomed || s.replaced {
		return true, false // look again
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.note("what is beyond the limits of a destination cannot be dropped", "consumer", c.name, "file", s.name, "error", err)
		}
		return false, false
	}
	if c.removed || l.closed {
		return false, false
	}
	h := s.share(c.id) // a commit may have added shares meanwhile
	for _, r := range list {
		switch {
		case reason == DropLimit && c.bytes <= c.limits.MaxBytes:
			return dropped, false
		case c.fleeting.first() < r.number: // that is younger than the limit, or has to be
			return dropped, false
		case c.isAside(r.number) >= 0:
			if reason == DropAge && c.old(r.boot, r.since) {
				dropped = c.dropOne(s, h, r.number, r.size, reason) || dropped
			}
			continue
		case reason == DropAge && c.waits(r.number) && !c.old(r.boot, r.since):
			h.boot, h.since = r.boot, r.since // what is before it waits no more
			return dropped, false
		}
		dropped = c.dropOne(s, h, r.number, r.size, reason) || dropped
		c.pass(r.number)
	}
	if !dropped { // the rest was lost to damage
		before := h.done
		c.settleUp(s, h, &w)
		dropped = h.done > before
	}
	return dropped, true
}

// listedRecord is a record as it stands in a segment.
type listedRecord struct {
	number, boot uint64
	since        int64
	size         uint32
}

// listed reads which records of a segment name the consumer. l.mu is not held.
func (c *Consumer) listed(s *segment, sd seed, end int64) (list []listedRecord, err error) {
	l := c.l
	f, err := l.openSegment(s)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sc := scanner{buf: l.borrow()}
	defer func() { l.giveBack(sc.buf) }()
	sc.reset(f, sd, dataStart, end)
	for {
		b, ok, err := sc.next()
		if !ok || err != nil {
			return list, err
		}
		it := b.items()
		for v, ok := it.record(); ok; v, ok = it.record() {
			if v.has(c.id) {
				list = append(list, listedRecord{v.number, v.boot, v.since, v.size()})
			}
		}
	}
}

// dropOne drops one stored record if it is open for the consumer. l.mu is held.
func (c *Consumer) dropOne(s *segment, h *share, number uint64, size uint32, reason DropReason) bool {
	switch i := c.pending(number); {
	case i >= 0:
		c.unwindow(i)
	case c.isAside(number) >= 0:
		c.unmark(c.isAside(number))
		s.finish(h, 1, int64(size))
		c.drops[reason]++
		c.l.stats.Dropped++
		c.counted = true
		return true
	case number <= c.horizon:
		return false
	case c.isEarly(number):
		if !c.earlyOf(number).counted {
			s.finish(h, 1, int64(size))
			c.records -= min(c.records, 1)
			c.bytes = max(0, c.bytes-int64(size))
		}
		return false
	}
	c.records -= min(c.records, 1)
	c.bytes = max(0, c.bytes-int64(size))
	s.finish(h, 1, int64(size))
	c.drops[reason]++
	c.l.stats.Dropped++
	c.dirty, c.counted = true, true
	return true
}

// dropTail drops records up to a number that are in the tail only. l.mu is held
// at both ends.
func (c *Consumer) dropTail(reason DropReason, upto uint64) (dropped bool) {
	l, t := c.l, &c.l.tail
	var done []Range
	for i := t.head; i < len(t.records) && t.records[i].number <= upto; {
		r := &t.records[i]
		if r.state != waiting {
			if r.state != gone {
				break // a commit has it: it will be a stored one
			}
			i++
			continue
		}
		v := t.view(r)
		if v.has(c.id) && c.waitsFor(r) {
			aside := c.isAside(r.number)
			if aside >= 0 && (reason == DropLimit || !c.old(v.boot, v.since)) {
				i++
				continue
			}
			if reason == DropLimit && c.bytes <= c.limits.MaxBytes || reason == DropAge && !c.old(v.boot, v.since) {
				break
			}
			c.giveUp(r, reason)
			dropped = true
			done = c.dropped(done, r)
		}
		i++
	}
	if dropped {
		l.mu.Unlock()
		l.tell(done, false)
		l.mu.Lock()
	}
	return dropped
}

// dropped takes the consumer off a record that was given up for it: that is
// settled when the count is durable, unless it was for memory only. l.mu is held.
func (c *Consumer) dropped(done []Range, r *tailRecord) []Range {
	l := c.l
	switch {
	case r.fleeting: // what is stored may be to come before it
		return l.acked(done, r, c)
	case l.tail.forMemory(r, c.id):
	case r.memory > 0 && r.firm == 1 && r.open > 1 && !r.must:
		r.open--
		r.firm--
		l.tail.owe(r)
		l.turnFleeting(r)
		c.counted = true
		c.pass(r.number)
		return done
	default:
		r.must, c.counted = true, true
	}
	c.pass(r.number)
	return l.acked(done, r, c)
}

// unwindow takes a record out of the window. l.mu is held.
func (c *Consumer) unwindow(i int) {
	p := c.window[i]
	if i+1 < len(c.window) {
		c.window[i+1].after = c.window[i+1].after || p.after
	} else {
		c.trail = c.trail || p.after
	}
	if i == c.head {
		c.head++
		return
	}
	c.window = append(c.window[:i], c.window[i+1:]...)
}

// unmark takes a mark away. l.mu is held.
func (c *Consumer) unmark(i int) {
	c.aside = append(c.aside[:i], c.aside[i+1:]...)
	c.marked = true
}

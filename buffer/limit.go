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
	sc.reset(f, sd, end)
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

package buffer

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"sync"
)

// Entry is a record as one consumer sees it. Data and Body are valid until
// the next call of Next or Rewind on that consumer, and must not be changed.
type Entry struct {
	Number uint64
	Boot   uint64
	Since  int64
	Data   []byte // of this consumer's destination
	Body   []byte // head and payload
}

// Backlog is what waits for one consumer.
type Backlog struct {
	Records     uint64 // neither acknowledged, nor set aside, nor dropped
	Bytes       int64  // of those records, as stored
	Aside       uint64
	Dropped     uint64 // since the consumer was made
	OldestBoot  uint64 // time of the oldest that waits (a lower bound after a restart); 0 if none does
	OldestSince int64
}

// DropReason says why a record was given up.
type DropReason uint8

const (
	DropSize   DropReason = iota // the directory had reached MaxSize
	DropSpace                    // the file system had no more than MinFree left, or was full
	DropAside                    // more records were set aside than a consumer may have
	DropLost                     // damage on the disk
	DropLimit                    // the consumer had reached its own limit
	DropAge                      // older than the consumer's records may be
	DropMemory                   // kept in memory only, where its share was used up, or until the log was closed
	dropReasons
)

// String is one word for a status page.
func (r DropReason) String() string {
	switch r {
	case DropSize:
		return "max-size"
	case DropSpace:
		return "min-free"
	case DropAside:
		return "set-aside"
	case DropLost:
		return "lost"
	case DropLimit:
		return "limit"
	case DropAge:
		return "age"
	case DropMemory:
		return "memory"
	}
	return fmt.Sprintf("drop(%d)", uint8(r))
}

// pending is a record that Next gave out and that is not acknowledged.
type pending struct {
	number uint64
	since  int64
	boot   uint64
	size   uint32
	after  bool // records between the one before and this one were acknowledged
}

// earlyRange is acknowledged before Next came to it.
type earlyRange struct {
	Range
	counted bool // in the backlog and the segments' shares already
}

type asideRecord struct {
	number uint64
	size   uint32
	found  bool // only while the log is being opened
}

// Consumer reads the records that name it, in number order. Everything but
// Next, Rewind and Ack may be called by anybody.
type Consumer struct {
	l     *Log
	id    uint32
	name  string
	ready chan struct{}

	// Guarded by l.mu.
	removed bool
	limits  Limits
	window  []pending // from head on
	head    int
	trail   bool         // records above the window's last were acknowledged
	horizon uint64       // records up to it were given out, or passed for a reason
	cursor  uint64       // Next goes on above it
	early   []earlyRange // acknowledged above the horizon
	aside   []asideRecord
	records uint64
	bytes   int64
	drops   [dropReasons]uint64
	named   uint64 // a record that Append is taking names it
	fresh   bool   // the name waits for a commit
	dirty   bool   // the position does
	marked  bool   // the set-aside marks do
	counted bool   // the drop counters do
	lossy   bool   // the drop counters changed; the next commit has them, and need not be made for it

	fleeting numbers // records that are in the tail only, and stay there until the consumer has done with them
	overflow bool    // it was told that of these some were dropped

	read sync.Mutex // guards what follows: the reading side
	in   reader
}

// Consumer gives the consumer of that name and makes it if there is none. Its
// number is never used again for another. A new one becomes durable with, or
// before, the first record that names it. It sees records appended from now
// on.
func (l *Log) Consumer(name string) (*Consumer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if c := l.names[name]; c != nil {
		return c, nil
	}
	if len(name) > maxKey || l.last == 1<<32-1 {
		return nil, fmt.Errorf("%w: consumer name of %d bytes, limit %d", ErrTooLarge, len(name), maxKey)
	}
	// Their state is written at the head of each segment.
	if limit := l.o.SegmentSize / 1024; int64(len(l.consumers)) >= limit {
		return nil, fmt.Errorf("%w: %d consumers, limit %d with segments of %d bytes", ErrTooLarge, len(l.consumers), limit, l.o.SegmentSize)
	}
	more := int64(len(name)) + nameOverhead
	if limit := l.o.SegmentSize / 8; l.nameBytes+more > limit {
		return nil, fmt.Errorf("%w: consumer names would take %d bytes, limit %d", ErrTooLarge, l.nameBytes+more, limit)
	}
	l.nameBytes += more
	l.last++
	c := l.newConsumer(l.last, name)
	c.horizon, c.cursor = l.number-1, l.number-1
	c.fresh, c.dirty = true, true
	return c, nil
}

func (l *Log) newConsumer(id uint32, name string) *Consumer {
	c := &Consumer{l: l, id: id, name: name, ready: make(chan struct{}, 1)}
	l.consumers[id], l.names[name] = c, c
	return c
}

// Consumers calls f for every consumer, by number, until f says false.
func (l *Log) Consumers(f func(c *Consumer) bool) {
	l.mu.Lock()
	var cs []*Consumer
	for _, c := range l.consumers {
		cs = append(cs, c)
	}
	l.mu.Unlock()
	sort.Slice(cs, func(i, j int) bool { return cs[i].id < cs[j].id })
	for _, c := range cs {
		if !f(c) {
			return
		}
	}
}

// RemoveConsumer forgets a consumer and what waits for it, durable with the
// next commit. Next on it then fails with ErrRemoved. Removing one that does
// not exist is no error.
func (l *Log) RemoveConsumer(name string) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	c := l.names[name]
	if c == nil {
		l.mu.Unlock()
		return nil
	}
	var done []Range
	t := &l.tail
	for i := t.head; i < len(t.records); i++ {
		r := &t.records[i]
		if r.state == gone {
			continue
		}
		v := t.view(r)
		if _, ok := v.dest(c.id); ok && c.waitsFor(r) {
			done = l.acked(done, r, c)
			i = max(i, t.head-1)
		}
	}
	for _, s := range l.segments {
		if h := s.share(c.id); h != nil {
			s.finish(h, h.count-h.done, h.bytes-h.doneBytes)
		}
	}
	delete(l.consumers, c.id)
	delete(l.names, name)
	l.buried = append(l.buried, c.id)
	l.nameBytes -= int64(len(name)) + nameOverhead
	c.removed = true
	c.signal()
	room := l.roomNow()
	l.mu.Unlock()
	l.tell(done, room)
	return nil
}

// ID is the consumer's number, to be named in Dest.
func (c *Consumer) ID() uint32 { return c.id }

// Name is what the consumer was made with.
func (c *Consumer) Name() string { return c.name }

// Ready has one place and is signalled when Next may have more: after an
// Append for this consumer, when the log is closed, and when the consumer is
// removed. Read it only after Next returned nothing.
func (c *Consumer) Ready() <-chan struct{} { return c.ready }

func (c *Consumer) signal() {
	if len(c.ready) == 0 {
		select {
		case c.ready <- struct{}{}:
		default:
		}
	}
}

// waits reports whether a record that names this consumer is still open for
// it: not acknowledged, not dropped. A record set aside is open. l.mu is held.
func (c *Consumer) waits(number uint64) bool {
	if c.isAside(number) >= 0 {
		return true
	}
	if number > c.horizon {
		return !c.isEarly(number)
	}
	return c.pending(number) >= 0
}

// pending is the index of a record in the window, or -1.
func (c *Consumer) pending(number uint64) int {
	w := c.window[c.head:]
	i := sort.Search(len(w), func(i int) bool { return w[i].number >= number })
	if i == len(w) || w[i].number != number {
		return -1
	}
	return c.head + i
}

func (c *Consumer) isEarly(number uint64) bool { return c.earlyOf(number) != nil }

func (c *Consumer) earlyOf(number uint64) *earlyRange {
	i := sort.Search(len(c.early), func(i int) bool { return c.early[i].Last >= number })
	if i < len(c.early) && c.early[i].First <= number {
		return &c.early[i]
	}
	return nil
}

func (c *Consumer) isAside(number uint64) int {
	i := sort.Search(len(c.aside), func(i int) bool { return c.aside[i].number >= number })
	if i == len(c.aside) || c.aside[i].number != number {
		return -1
	}
	return i
}

// give notes that Next hands out a record above the horizon. l.mu is held.
func (c *Consumer) give(e *Entry, size uint32) {
	if c.head > 0 && c.head == len(c.window) {
		c.window, c.head = c.window[:0], 0
	} else if c.head > 64 && c.head > len(c.window)/2 {
		c.window, c.head = c.window[:copy(c.window, c.window[c.head:])], 0
	}
	c.window = append(c.window, pending{number: e.Number, since: e.Since, boot: e.Boot, size: size, after: c.trail})
	c.trail = false
}

// pass moves the horizon and the cursor up to number. l.mu is held.
func (c *Consumer) pass(number uint64) {
	c.cursor = max(c.cursor, number)
	if number <= c.horizon {
		return
	}
	c.horizon = number
	k := 0
	for k < len(c.early) && c.early[k].First <= number {
		c.trail = true
		if c.early[k].Last > number {
			c.early[k].First = number + 1
			break
		}
		k++
	}
	c.early = slices.Delete(c.early, 0, k)
}

// addEarly notes an acknowledged range above the horizon, as far as it is not
// noted yet. l.mu is held.
func (c *Consumer) addEarly(r Range, counted bool) {
	for r.First <= r.Last {
		i := sort.Search(len(c.early), func(i int) bool { return c.early[i].Last >= r.First })
		piece, next := r, r.Last+1
		if i < len(c.early) && c.early[i].First <= r.Last {
			piece.Last, next = c.early[i].First-1, c.early[i].Last+1
		}
		if piece.First <= piece.Last {
			c.insertEarly(i, earlyRange{piece, counted})
		}
		if next == 0 {
			return
		}
		r.First = next
	}
}

func (c *Consumer) insertEarly(i int, e earlyRange) {
	if i > 0 && c.early[i-1].counted == e.counted && c.early[i-1].Last+1 == e.First {
		c.early[i-1].Last = e.Last
		return
	}
	if len(c.early) < maxRanges { // beyond it forgotten: they come again, none is lost
		c.early = slices.Insert(c.early, i, e)
	}
}

func (c *Consumer) appendDrops(dst []byte) []byte {
	for _, n := range c.drops {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func (c *Consumer) parseDrops(p []byte) {
	for i := range c.drops {
		n, k := binary.Uvarint(p)
		if k <= 0 {
			return
		}
		c.drops[i], p = n, p[k:]
	}
}

// Backlog says what waits for the consumer.
func (c *Consumer) Backlog() Backlog {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	return c.backlog()
}

// backlog is Backlog. l.mu is held.
func (c *Consumer) backlog() Backlog {
	b := Backlog{Records: c.records, Bytes: c.bytes, Aside: uint64(len(c.aside))}
	for _, n := range c.drops {
		b.Dropped += n
	}
	if w := c.window[c.head:]; len(w) > 0 {
		b.OldestBoot, b.OldestSince = w[0].boot, w[0].since
		return b
	}
	if c.records == 0 {
		return b
	}
	above := c.fleeting.above(c.cursor)
	for _, s := range c.l.segments {
		if h := s.share(c.id); h != nil && !s.doomed && h.done < h.count && h.last > c.cursor && h.first < above {
			b.OldestBoot, b.OldestSince = h.boot, h.since
			return b
		}
	}
	t := &c.l.tail
	for i := t.after(c.cursor); i < len(t.records); i++ {
		if r := &t.records[i]; r.state != gone {
			if v := t.view(r); v.has(c.id) {
				b.OldestBoot, b.OldestSince = v.boot, v.since
				return b
			}
		}
	}
	return b
}

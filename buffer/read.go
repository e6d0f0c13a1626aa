package buffer

import (
	"errors"
	"io/fs"
)

// reader is the reading side of a consumer: where it is in the segments, and
// the memory of what it handed out last.
type reader struct {
	seg   *segment
	file  File
	scan  scanner
	block block  // the block being handed out
	items items  // of it, from the first on that was not looked at yet
	ahead uint64 // the consumer's next record in the segment, where that was seen; 0: it was not
	room  []byte // bodies that were put together
	pins  []*chunk
	sizes []uint32 // of the records handed out
}

// Next gives the consumer's next records: those above what it gave before,
// that are neither acknowledged nor set aside, in number order, from the disk
// and the tail as one. It never waits for an append or a commit; it reads the
// disk when the records are there. n is 0 when there are none now (wait for
// Ready); n < len(dst) says nothing about what is left. An error leaves the
// place as it is.
func (c *Consumer) Next(dst []Entry) (n int, err error) {
	c.read.Lock()
	defer c.read.Unlock()
	l := c.l
	l.mu.Lock()
	c.unpin()
	for n == 0 && len(dst) > 0 && err == nil {
		if err = c.usable(); err != nil {
			break
		}
		p := c.where()
		s := p.s
		c.leaveBehind(s)
		if p.tail {
			if n = c.fromTail(dst, p.below); p.below == noRecord {
				break
			}
			continue
		}
		w := extent{end: s.end, cursor: c.cursor, below: p.below, last: s.last, count: s.share(c.id).count}
		l.mu.Unlock()
		var k int
		k, err = c.fromSegment(s, &w, dst)
		l.mu.Lock()
		if err == nil {
			n = c.admit(s, &w, dst[:k])
		}
	}
	say := len(l.reports) > 0
	l.mu.Unlock()
	if n == 0 {
		c.leave()
	}
	if say {
		l.say()
	}
	return n, err
}

// extent is what was known of a segment when reading it began, and how far
// the reading came.
type extent struct {
	end    int64
	cursor uint64
	below  uint64 // the next record in memory: what is stored above it comes later
	last   uint64 // record numbers
	count  uint64 // of the consumer's records
	at     uint64 // looked at up to here
	over   bool   // the end was reached
	met    bool   // below was reached
}

func (c *Consumer) usable() error {
	if c.l.closed {
		return ErrClosed
	}
	if c.removed {
		return ErrRemoved
	}
	return nil
}

// fromTail gives records below a number in place, and passes all of them if it
// gives none. l.mu is held.
func (c *Consumer) fromTail(dst []Entry, below uint64) (n int) {
	t := &c.l.tail
	for i := t.after(c.cursor); i < len(t.records) && t.records[i].number < below && n < len(dst); i++ {
		r := &t.records[i]
		if r.state == gone || r.state == settled {
			continue
		}
		v := t.view(r)
		data, ok := v.dest(c.id)
		if ok && c.isAside(r.number) < 0 && c.waitsFor(r) {
			e := Entry{Number: r.number, Boot: v.boot, Since: v.since, Data: data, Body: v.whole}
			if r.number > c.horizon {
				c.give(&e, r.size)
			}
			dst[n] = e
			n++
			if k := len(c.in.pins); k == 0 || c.in.pins[k-1] != r.chunk {
				t.pin(r.chunk)
				c.in.pins = append(c.in.pins, r.chunk)
			}
		}
		c.pass(r.number)
	}
	if n == 0 && below != noRecord {
		c.pass(below - 1)
	}
	return n
}

// fromSegment reads blocks of s until one holds something, and gives the
// consumer's records of it above the cursor, acknowledged ones included, up to
// where one in memory comes between.
// l.mu is not held.
func (c *Consumer) fromSegment(s *segment, w *extent, dst []Entry) (k int, err error) {
	in := &c.in
	if in.seg != s {
		if err := c.enter(s); errors.Is(err, errReplaced) {
			return 0, nil // Next looks again
		} else if errors.Is(err, fs.ErrNotExist) {
			c.damage(s, w.cursor, w.last)
			w.at, w.over = w.last, true
			return 0, nil
		} else if err != nil {
			return 0, err
		}
	}
	in.scan.limit, in.scan.above = w.end, w.cursor
	in.sizes, in.room = in.sizes[:0], in.room[:0]
	w.at = w.cursor
	for {
		k = c.fromBlock(w, dst, k)
		if k == len(dst) || w.met {
			return k, nil
		}
		in.scan.held = k > 0
		b, ok, err := in.scan.next()
		if errors.Is(err, errHeld) {
			return k, nil
		}
		if err != nil {
			return k, err
		}
		if in.scan.bad > 0 {
			upper := w.last
			if ok && b.count > 0 {
				upper = b.first
			}
			c.damage(s, w.at, upper)
			in.scan.bad, in.scan.badBy = 0, 0
		}
		if !ok {
			w.over = true
			return k, nil
		}
		in.block, in.items = b, b.items()
	}
}

// fromBlock takes the consumer's records out of what is left of a block.
func (c *Consumer) fromBlock(w *extent, dst []Entry, k int) int {
	in := &c.in
	for k < len(dst) {
		before := in.items
		v, ok := in.items.record()
		if !ok {
			break
		}
		if v.number <= w.cursor {
			continue
		}
		data, ok := v.dest(c.id)
		if ok && v.number >= w.below {
			in.items, in.ahead, w.met = before, v.number, true
			break
		}
		w.at = v.number
		if ok {
			dst[k] = Entry{Number: v.number, Boot: v.boot, Since: v.since, Data: data, Body: v.body(&in.room)}
			in.sizes = append(in.sizes, v.size())
			k++
		}
	}
	return k
}

// enter opens a segment and places the scanner at its start.
func (c *Consumer) enter(s *segment) error {
	c.leave()
	f, err := c.l.openSegment(s)
	if err != nil {
		return err
	}
	if c.in.scan.buf == nil {
		c.in.scan.buf = c.l.borrow()
	}
	if c.in.room == nil && s.features&featureLike != 0 {
		c.in.room = c.l.borrow()
	}
	if c.in.scan.plain == nil && s.features&featurePacked != 0 {
		c.in.scan.plain = c.l.borrow()
	}
	c.in.seg, c.in.file = s, f
	c.in.scan.reset(f, s.seed(), 0)
	return nil
}

// leave closes the segment that is being read and gives the memory back.
// Entries given before are no longer valid.
func (c *Consumer) leave() {
	in := &c.in
	if in.file != nil {
		in.file.Close()
	}
	in.seg, in.file, in.items, in.ahead = nil, nil, items{}, 0
	in.scan.f = nil
	if in.room != nil {
		c.l.giveBack(in.room)
		in.room = nil
	}
	if in.scan.plain != nil { // the larger one first: enter takes it last
		c.l.giveBack(in.scan.plain)
		in.scan.plain = nil
	}
	if in.scan.buf != nil {
		c.l.giveBack(in.scan.buf)
		in.scan.buf = nil
	}
}

// admit takes what was read from s into the window and leaves out what is
// acknowledged, set aside, or dropped meanwhile. l.mu is held.
func (c *Consumer) admit(s *segment, w *extent, got []Entry) (n int) {
	if s.replaced { // by a file with the same records: it is entered anew
		c.in.seg = nil
		return 0
	}
	if s.doomed || c.removed {
		c.in.seg = nil
		c.passTo(s.last)
		return 0
	}
	h := s.share(c.id)
	for i := range got {
		e := &got[i]
		if e.Number <= c.cursor || c.isAside(e.Number) >= 0 {
			continue
		}
		size := c.in.sizes[i]
		switch {
		case e.Number <= c.horizon:
			if c.pending(e.Number) < 0 {
				continue
			}
		case c.isEarly(e.Number):
			if !c.earlyOf(e.Number).counted {
				s.finish(h, 1, int64(size))
				c.records -= min(c.records, 1)
				c.bytes = max(0, c.bytes-int64(size))
			}
			c.pass(e.Number)
			continue
		default:
			c.give(e, size)
		}
		c.pass(e.Number)
		got[n] = *e
		n++
	}
	c.pass(min(w.at, w.below-1))
	if w.met {
		c.pass(w.below - 1)
	}
	if w.over && n == 0 {
		c.settleUp(s, h, w)
	}
	return n
}

// leaveBehind settles up with the segment that was read, when reading goes on
// somewhere else. l.mu is held.
func (c *Consumer) leaveBehind(next *segment) {
	s := c.in.seg
	if s == nil || s == next || s.doomed {
		return
	}
	c.in.seg = nil
	if s.replaced {
		return
	}
	if h := s.share(c.id); h != nil && h.last <= c.cursor && h.done < h.count {
		c.settleUp(s, h, &extent{last: s.last, count: h.count})
	}
}

// settleUp is called at the end of a segment: what is neither in the window
// nor set aside by now was lost to damage, and is not waited for. l.mu is held.
func (c *Consumer) settleUp(s *segment, h *share, w *extent) {
	var open uint64
	fleeting := &c.l.tail.fleeting
	for _, p := range c.window[c.head:] {
		if p.number >= s.first && p.number <= w.last && !fleeting.has(p.number) {
			open++
		}
	}
	for _, a := range c.aside {
		if a.number >= s.first && a.number <= w.last && !fleeting.has(a.number) {
			open++
		}
	}
	c.passTo(w.last)
	if w.count <= h.done+open {
		return
	}
	lost := w.count - h.done - open
	s.finish(h, lost, 0)
	s.damaged = true
	c.records -= min(c.records, lost)
	c.drops[DropLost] += lost
	c.counted = true
	c.l.stats.Lost += lost
	c.l.note("stored records are lost to damage", "consumer", c.name, "records", lost, "file", s.name)
}

// damage notes, once for each place, that blocks of a segment cannot be read.
func (c *Consumer) damage(s *segment, above, below uint64) {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.doomed || s.replaced || s.passed >= below { // a file that is used again is not damaged
		return
	}
	s.passed = below
	s.damaged = true
	l.stats.Damaged++
	l.note("a part of the log cannot be read; reading goes on behind it", "file", s.name, "above", above, "upto", below)
}

// Rewind makes Next start again at the first record that is neither
// acknowledged nor set aside, as after a lost connection.
func (c *Consumer) Rewind() {
	c.read.Lock()
	defer c.read.Unlock()
	c.leave()
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.unpin()
	c.cursor = c.low()
	if c.records > 0 {
		c.signal()
	}
}

// unpin ends the life of entries that were given in place. l.mu is held.
func (c *Consumer) unpin() {
	for i, k := range c.in.pins {
		c.l.tail.unpin(k)
		c.in.pins[i] = nil
	}
	c.in.pins = c.in.pins[:0]
}

// borrow and giveBack share read buffers among the consumers, so that one
// that has caught up holds none.
func (l *Log) borrow() []byte {
	l.poolMu.Lock()
	defer l.poolMu.Unlock()
	if k := len(l.pool); k > 0 {
		b := l.pool[k-1]
		l.pool = l.pool[:k-1]
		return b[:0]
	}
	return make([]byte, 0, blockLimit)
}

func (l *Log) giveBack(b []byte) {
	l.poolMu.Lock()
	defer l.poolMu.Unlock()
	if len(l.pool) < 8 && cap(b) <= 2*blockLimit {
		l.pool = append(l.pool, b)
	}
}

package buffer

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

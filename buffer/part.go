package buffer

import "fmt"

// writePart writes what was planned and takes the outcome into memory.
// l.mu is held at both ends.
func (l *Log) writePart(roll bool) error {
	var spare string
	if k := len(l.spares); roll { // before the lock is let go: rewriting and snapshots take some too
		spare, l.spares = l.spares[k-1], l.spares[:k-1]
	}
	l.mu.Unlock()
	var fresh *segment
	var err error
	if roll {
		fresh, err = l.writeSegment(spare)
	} else {
		err = l.writeBlocks(l.c.file, &l.active.segmentHeader, nil, l.active.end, !l.active.state)
		if err == nil {
			err = l.sync(l.c.file)
		}
	}
	l.mu.Lock()
	l.countWrites()
	if err != nil {
		l.undo(roll)
		return err
	}
	if roll {
		if l.active != nil {
			l.active.sealed = true
		}
		l.active = fresh
		l.segments = append(l.segments, fresh)
	}
	l.done()
	return nil
}

// countWrites takes what was written into the counters. l.mu is held.
func (l *Log) countWrites() {
	c, s := &l.c, &l.stats
	s.Written, s.Saved, s.Syncs, s.Padding = s.Written+c.wrote, s.Saved+c.saved, s.Syncs+c.syncs, c.padding
	c.usual += (c.wrote - c.usual) / 8
	c.wrote, c.saved, c.syncs = 0, 0, 0
}

// sync makes what was written to f durable. l.mu is not held.
func (l *Log) sync(f File) error {
	l.c.syncs++
	return f.Sync()
}

// writeBlocks writes the planned blocks from off on, each with one write,
// compressed if the segment allows it. head goes in front of the first, at the
// start of the file. l.mu is not held.
func (l *Log) writeBlocks(f File, s *segmentHeader, head []byte, off int64, reset bool) error {
	c, sd := &l.c, s.seed()
	c.counted.emptied()
	c.keyed = false
	block, written := c.block, c.written
	var bytes, saved int64
	for i := range c.blocks {
		b := &c.blocks[i]
		h := blockHeader{number: block, count: b.records, written: written, boot: c.boot, run: uint32(l.run), flags: c.flags(i, reset)}
		if b.records > 0 {
			h.first, h.span = b.first, uint32(b.last-b.first)
		}
		buf := append(c.buf[:0], head...)
		at := len(buf)
		buf = append(buf, zeros[:blockHeadLen]...)
		if i == 0 {
			buf = append(buf, c.state...)
		}
		c.bases.begin()
		for k := b.from; k < b.to; k++ {
			buf = c.add(buf, at+blockHeadLen, c.spans[k].bytes, &h)
		}
		h.length = uint32(len(buf) - at - blockHeadLen)
		planned := pages(blockHeadLen + b.size)
		if l.o.Compress && s.features&featurePacked != 0 {
			if stored, ok := c.packer.pack(buf[at+blockHeadLen:]); ok {
				buf = append(buf[:at+blockHeadLen], stored...)
				h.length, h.codec = uint32(len(stored)), codecZstd
			}
		}
		saved += planned - h.room()
		h.encode(buf[at:], sd, off)
		buf = append(buf, zeros[:h.room()-int64(len(buf)-at)]...)
		c.buf = buf
		if cap(c.buf) > 2*packLimit {
			c.buf = nil // a large record: do not keep its room
		}
		if err := writeAt(f, buf, off-int64(at)); err != nil {
			return err
		}
		bytes += int64(len(buf))
		c.padding += h.room() - blockHeadLen - int64(h.length)
		off += h.room()
		block++
		written += uint64(b.records)
		head = nil
	}
	c.counted.end = off
	c.wrote += bytes
	c.saved += saved
	return nil
}

var zeros [page]byte

func writeAt(f File, p []byte, off int64) error {
	n, err := f.WriteAt(p, off)
	if err == nil && n < len(p) {
		err = fmt.Errorf("wrote %d of %d bytes", n, len(p))
	}
	return err
}

// flags are those of the i-th planned block.
func (c *committer) flags(i int, reset bool) (flags uint16) {
	if i == 0 {
		flags |= flagFirst
		if reset {
			flags |= flagReset
		}
	}
	if i == len(c.blocks)-1 {
		flags |= flagLast
	}
	return flags
}

// add appends the items of a span to buf, whose bytes from `from` on are the
// body of block h, and takes them into the part's shares.
func (c *committer) add(buf []byte, from int, p []byte, h *blockHeader) []byte {
	for len(p) > 0 {
		item, rest, ok := nextItem(p)
		if !ok {
			break
		}
		whole := p[:len(p)-len(rest)]
		p = rest
		if v, ok := parseRecord(item, h.first, h.boot); ok {
			c.counted.hold(&v)
			buf = c.bases.add(buf, from, &v, whole)
		} else {
			c.keyed = true
			buf = append(buf, whole...)
		}
	}
	return buf
}

// done takes a part that is durable into the index and settles its records.
// l.mu is held.
func (l *Log) done() {
	c, a, t := &l.c, l.active, &l.tail
	a.end = c.counted.end
	a.state = true
	l.counting = false // after a failure all of them were in this one
	if len(c.taken) > 0 || c.keyed {
		a.keyed = c.block + uint64(len(c.blocks)) - 1
	}
	c.taken = c.taken[:0]
	a.join(&c.counted)
	if c.counted.records > 0 {
		a.upper = c.counted.last
	}
	c.block += uint64(len(c.blocks))
	c.written += c.counted.records
	l.stats.Stored += c.counted.records
	l.stats.Commits++
	var settledNow []Range
	if c.first != 0 {
		for i := t.after(c.first - 1); i < len(t.records) && t.records[i].number <= c.last; {
			r := &t.records[i]
			number := r.number
			if r.state == writing || r.state == settled {
				if r.open < r.dests {
					l.storedDone(r)
				}
				if r.keyed > 0 {
					l.keysStored(r.bytes()[r.size:])
				}
				if r.state == writing && !r.told {
					settledNow = l.settle(settledNow, number)
				}
				t.drop(r)
			}
			i = t.after(number)
		}
	}
	clear(c.spans)
	room := l.roomNow()
	if settledNow != nil || room {
		l.mu.Unlock()
		l.tell(settledNow, room)
		l.mu.Lock()
	}
}

// storedDone counts the destinations of a stored record that are done with it
// already. l.mu is held.
func (l *Log) storedDone(r *tailRecord) {
	v := l.tail.view(r)
	rest := v.dests
	for range v.ndest {
		who, _, next, _ := nextDest(rest)
		rest = next
		id := uint32(who >> 1)
		if c := l.consumers[id]; c == nil || !c.waits(r.number) {
			if h := l.active.share(id); h != nil && (c == nil || c.named != r.number) {
				l.active.finish(h, 1, int64(r.size))
			}
			if c != nil {
				c.named = r.number
				c.dirty = c.dirty || r.state == settled
			}
		}
	}
}

// undo puts a part that could not be made durable back. The file it was
// written to is never synced again: the next part begins a new segment.
// l.mu is held.
func (l *Log) undo(roll bool) {
	c, t := &l.c, &l.tail
	l.stateFailed()
	if c.first != 0 {
		for i := t.after(c.first - 1); i < len(t.records) && t.records[i].number <= c.last; {
			r := &t.records[i]
			number := r.number
			switch r.state {
			case writing:
				r.state = waiting
				if r.told {
					l.turnFleeting(r)
				}
			case settled:
				t.drop(r)
			}
			i = t.after(number)
		}
	}
	if !roll {
		l.abandon()
	}
}

// abandon seals the active segment at its last good block. l.mu is held.
func (l *Log) abandon() {
	if l.active == nil {
		return
	}
	l.active.failed, l.active.sealed = true, true
	l.active = nil
	f := l.c.file
	l.c.file = nil
	l.mu.Unlock()
	f.Close() // nothing written since the last sync counts
	l.mu.Lock()
}

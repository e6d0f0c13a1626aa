package buffer

import (
	"bytes"
	"encoding/binary"
	"maps"
)

// extents finds where each segment's blocks end, from its summary, from what
// the next segment says of it, or by reading it.
func (r *recovery) extents() {
	l := r.l
	r.needed = make([]bool, len(l.segments))
	for i, s := range l.segments {
		last := i == len(l.segments)-1
		if !last && !s.damaged && r.summary(s) {
			s.summed = true
			if r.full {
				r.needed[i] = true
				r.summaries[s] = s.takeOut()
			}
			continue
		}
		r.needed[i] = true
		limit := s.size - page
		if s.damaged {
			limit = s.size // the file was cut: the page of the summary went first
		}
		if !last && l.segments[i+1].prevSeq == s.seq {
			if end := l.segments[i+1].prevEnd; end >= dataStart && end <= limit {
				s.end = end // blocks behind it were given up, and written again
				continue
			}
		}
		s.end = r.whole(s, limit, last)
	}
}

func (r *recovery) summary(s *segment) bool {
	f, err := r.l.fs.Open(s.name, false)
	if err != nil {
		return false
	}
	defer f.Close()
	var p [page]byte
	off := s.size - page
	n, _ := f.ReadAt(p[:], off)
	return s.readSummary(p[:n], off)
}

// blocks walks the sound blocks of a segment up to limit, leaving out those
// that a torn commit left behind, whose run or number is not above what stands
// before them.
func (r *recovery) blocks(s *segment, limit int64, f func(b *block)) error {
	return r.blocksUntil(s, limit, func(b *block) bool { f(b); return true })
}

// blocksUntil is blocks, ended by f with false.
func (r *recovery) blocksUntil(s *segment, limit int64, f func(b *block) bool) error {
	file, err := r.l.fs.Open(s.name, false)
	if err != nil {
		return err
	}
	defer file.Close()
	r.scan.reset(file, s.seed(), limit)
	var run uint32
	number := s.firstBlock
	for {
		b, ok, err := r.scan.next()
		if err != nil || !ok {
			return err
		}
		if b.run < run || b.number < number {
			continue
		}
		run, number = b.run, b.number+1
		if !f(&b) {
			return nil
		}
	}
}

// whole finds the end of the last whole commit of a segment. What stands
// behind it was never settled, unless the disk is damaged.
func (r *recovery) whole(s *segment, limit int64, last bool) int64 {
	end := int64(dataStart)
	var next uint64 // block that goes on with the commit being read; 0: none is
	var tail uint64
	err := r.blocks(s, limit, func(b *block) {
		if b.flags&flagFirst != 0 {
			next, tail = b.number, 0
		}
		if next != b.number {
			tail += uint64(b.count)
			next = 0
			return
		}
		tail += uint64(b.count)
		next++
		if b.flags&flagLast != 0 {
			end, tail, next = b.off+b.room(), 0, 0
		}
	})
	s.unread = s.unread || err != nil
	if last && (tail > 0 || r.garbage(s, end, limit)) {
		r.l.recovery.Torn = true
		r.l.recovery.TornBytes = r.tornBytes
	}
	return end
}

// garbage reports whether anything but zeros and pages of an earlier life may
// stand behind the end: a block header of this segment.
func (r *recovery) garbage(s *segment, end, limit int64) bool {
	file, err := r.l.fs.Open(s.name, false)
	if err != nil {
		return false
	}
	defer file.Close()
	var p [blockHeadLen]byte
	r.tornBytes = 0
	sd := s.seed()
	for off := end; off < limit; off += page {
		n, _ := file.ReadAt(p[:], off)
		if h, ok := decodeBlockHeader(p[:n], sd, off, limit-off); ok {
			r.tornBytes = off + h.room() - end
		}
	}
	return r.tornBytes > 0
}

// keyed reads the keyed state: the last whole reset and what follows it.
func (r *recovery) keyed() {
	l := r.l
	from := -1
	for i := len(l.segments) - 1; i >= 0 && from < 0; i-- {
		s := l.segments[i]
		r.blocks(s, s.end, func(b *block) {
			if b.flags&flagReset != 0 {
				from = i
				s.state = true
			}
		})
	}
	r.holder = from
	r.state = map[string]string{}
	for i, s := range l.segments {
		if i < from && s.summed && s.keyed <= l.inSnapshot() {
			continue // nothing of it is missing
		}
		told := s.summed && s.keyed <= l.inSnapshot() // a rewritten one has no numbers to compare
		s.keyed = 0
		before, hole := s.firstBlock-1, false // the block before
		r.blocks(s, s.end, func(b *block) {
			r.run = max(r.run, b.run)
			if !hole && !told {
				r.follows(b.number, before)
			}
			before, hole = b.number, b.flags&flagHole != 0 // what a hole stands for was told by the repair
			if b.flags&flagReset != 0 {
				clear(r.state)
			}
			if r.apply(b.body, b.number > l.inSnapshot()) {
				s.keyed = b.number
			}
		})
		if i+1 < len(l.segments) && l.segments[i+1].prevSeq == s.seq && !hole && !told {
			r.follows(l.segments[i+1].firstBlock, before)
		}
	}
	l.c.block = max(l.c.block, l.inSnapshot()+1)
	r.load()
}

// follows notes that keys may be lost if blocks are missing between two, of which no snapshot has the changes: their numbers
// rise by one.
func (r *recovery) follows(number, before uint64) {
	if number > before+1 && number > r.l.inSnapshot()+1 {
		r.l.recovery.KeysLost = true
	}
}

// apply takes the keyed items of a block; those of keys only if no snapshot
// has them. keyed: there were some.
func (r *recovery) apply(body []byte, fresh bool) (keyed bool) {
	for {
		item, rest, ok := nextItem(body)
		if !ok {
			return keyed
		}
		body = rest
		if item[0] == tagRecord || item[0] == tagLike {
			continue
		}
		key, value, put, ok := parseKeyed(item)
		if !ok || len(key) == 0 {
			continue
		}
		switch name := string(key); {
		case key[0] == spaceUser:
			keyed = true
			if fresh && put {
				r.l.keys[name[1:]] = bytes.Clone(value)
			} else if fresh {
				delete(r.l.keys, name[1:])
			}
		case put:
			r.state[name] = string(value)
		default:
			delete(r.state, name)
		}
	}
}

// load makes consumers and keys of the state.
func (r *recovery) load() {
	l := r.l
	for k, v := range r.state {
		if k[0] == spaceName && len(k) == 5 {
			id := binary.BigEndian.Uint32([]byte(k[1:]))
			l.last = max(l.last, id)
			if l.names[v] == nil {
				l.newConsumer(id, v)
				l.nameBytes += int64(len(v)) + nameOverhead
			}
		}
	}
	for k, v := range l.keys {
		l.keyBytes += int64(len(k)+len(v)) + keyOverhead
	}
	for k, v := range r.state {
		switch {
		case k[0] == spaceLast:
			n, _ := binary.Uvarint([]byte(v))
			l.last = max(l.last, uint32(n))
		case len(k) == 5:
			if c := l.consumers[binary.BigEndian.Uint32([]byte(k[1:]))]; c != nil {
				c.load(k[0], []byte(v))
			}
		}
	}
}

func (c *Consumer) load(space byte, v []byte) {
	switch space {
	case spacePosition:
		low, done := parsePosition(v)
		c.horizon, c.cursor = low, low
		for _, d := range done {
			c.early = append(c.early, earlyRange{d, true})
		}
	case spaceAside:
		for _, n := range parseAside(v) {
			c.aside = append(c.aside, asideRecord{number: n})
		}
	case spaceDrops:
		c.parseDrops(v)
	}
}

// records reads the segments that have no summary, record by record. A record
// is taken once: numbers rise through the log.
func (r *recovery) records() {
	l := r.l
	var last uint64
	for i, s := range l.segments {
		if r.needed[i] {
			l.recovery.Scanned++
			r.read(s, last)
		}
		last = max(last, s.last)
		s.upper = last
		l.recovery.Records += s.records
	}
	l.recovery.Segments = len(l.segments)
}

func (r *recovery) read(s *segment, last uint64) {
	l := r.l
	seen := s.written
	err := r.blocks(s, s.end, func(b *block) {
		if b.number >= l.c.block {
			l.c.block = b.number + 1
		}
		r.run = max(r.run, b.run)
		if r.watch != nil {
			r.watch(s, b)
		}
		if b.flags&flagHole != 0 && b.written > seen {
			s.holes += b.written - seen
			seen = b.written
		}
		if b.count == 0 {
			return
		}
		if b.written > seen {
			r.lose(b.written-seen, last, b.first, s)
		}
		seen = max(seen, b.written+uint64(b.count))
		it := b.items()
		for v, ok := it.record(); ok; v, ok = it.record() {
			if v.number > last {
				s.hold(&v)
				last = v.number
			}
		}
	})
	s.unread = s.unread || err != nil
	s.after = seen
}

// lose notes records that are missing inside a segment.
func (r *recovery) lose(n, above, below uint64, s *segment) {
	s.damaged = true
	r.l.recovery.Lost = append(r.l.recovery.Lost, Loss{Records: n, Above: above, Below: below, File: s.name})
}

// gaps compares what each segment says was written before it with what the
// one before it ends with, less what was freed on purpose.
func (r *recovery) gaps() {
	l := r.l
	seq, written, freed := parseFreed([]byte(r.state[string(rune(spaceFreed))]))
	gone := map[uint64]uint64{}
	for _, f := range freed {
		gone[f.seq] = f.records
	}
	l.freed = freed
	maps.Copy(gone, r.gone)
	if len(l.segments) == 0 {
		return
	}
	known, above := written, uint64(0)
	if seq == 0 {
		seq, known = l.segments[0].seq, l.segments[0].written
	}
	for _, s := range l.segments {
		if _, is := gone[s.prevSeq]; !is && s.prevSeq >= seq && l.bySeq(s.prevSeq) == nil && s.firstBlock > l.inSnapshot()+1 {
			l.recovery.KeysLost = true
			r.noKeys = append(r.noKeys, Loss{Above: above, Below: s.firstOr(), File: s.name})
		}
		if s.written > known && s.seq >= seq {
			missing := s.written - known
			for q, n := range gone {
				if q >= seq && q < s.seq && l.bySeq(q) == nil {
					missing -= min(missing, n)
				}
			}
			if missing > 0 {
				l.recovery.Lost = append(l.recovery.Lost, Loss{Records: missing, Above: above, Below: s.firstOr(), File: s.name})
			}
		}
		end := max(s.written+s.records, s.after) + s.omitted
		known, above = max(known, end), max(above, s.last)
		if _, is := gone[s.seq]; is || s.seq < seq {
			s.doomed = true
		}
		seq = max(seq, s.seq+1)
		l.c.block = max(l.c.block, s.firstBlock)
		l.c.written = max(l.c.written, known)
	}
	l.freedNew = true
}

// firstOr is the first record number, or the lowest it could be.
func (s *segment) firstOr() uint64 {
	if s.records > 0 {
		return s.first
	}
	return uint64(s.run+1) << counterBits
}

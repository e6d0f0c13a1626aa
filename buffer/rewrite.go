package buffer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
)

// rewriting makes a smaller file of a segment, most of which is padding or
// records that nobody waits for any more: the same numbers in the same order,
// synced and renamed over it. Readers keep the old file open as long as they
// need it. It is done only when room is short: each byte saved was written
// twice.
type rewriting struct {
	l     *Log
	s     *segment // as it was
	next  *segment // what takes its place
	f     File
	seed  seed
	off   int64
	block uint64
	h     blockHeader
	buf   []byte // the block being filled, header included
	kept  []keptRecord
	bases bases
	item  []byte // of the record being added
}

// keptRecord is what has to be known of a record until the new file counts.
type keptRecord struct {
	number uint64
	size   uint32
	dests  []uint32
}

// spareDead rewrites the segment that gains most, if that gains half a segment.
// Only the goroutine that runs the commit does so. l.mu is held at both ends. It reports whether there is more room than before.
func (l *Log) spareDead() bool {
	var best *segment
	var gain int64
	last := len(l.segments) - 2 // the one before the active is what recovery falls back to
	for i, s := range l.segments {
		if i >= last || s.doomed || s == l.active || s.failed || s.damaged || s.unread || !s.sealed || s.open == 0 || s.keyed > l.spared() || s.tried == s.open {
			continue
		}
		if g := s.size - s.dense(); g > gain {
			best, gain = s, g
		}
	}
	if best == nil || gain < l.o.SegmentSize/2 {
		return false
	}
	best.tried = best.open
	before := l.total
	r := rewriting{l: l, s: best}
	if err := r.run(); err != nil {
		l.note("a segment cannot be rewritten", "file", best.name, "error", err)
		return false
	}
	return l.total < before
}

// dense is about how large the segment would be if it held only what somebody
// waits for.
func (s *segment) dense() int64 {
	var open int64
	for i := range s.shares {
		open += s.shares[i].bytes - s.shares[i].doneBytes
	}
	open = min(open, s.bytes)
	if used := s.end - dataStart; used < s.bytes { // it is compressed
		open = open * used / s.bytes
	}
	return dataStart + pages(open+open/512+blockHeadLen) + page
}

// run does all of it. l.mu is held at both ends and released for I/O.
func (r *rewriting) run() error {
	l, s := r.l, r.s
	r.next = &segment{segmentHeader: s.segmentHeader, name: s.name, upper: s.upper, sealed: true, summed: true}
	r.next.incarnation++
	rand.Read(r.next.salt[:])
	r.next.features = l.o.features()
	r.seed, r.block, r.off = r.next.seed(), s.firstBlock, dataStart
	temp := newPrefix + "dense-" + s.name
	end, sd := s.end, s.seed()
	l.mu.Unlock()
	err := r.write(temp, end, sd)
	l.mu.Lock()
	if err == nil && (s.doomed || l.uncounted()) {
		err = errors.New("it changed meanwhile")
	}
	if err != nil {
		l.mu.Unlock()
		l.fs.Remove(temp)
		l.mu.Lock()
		l.dropFile(temp)
		return err
	}
	return r.replace(temp)
}

// uncounted says whether counts of what was dropped wait for a commit: a
// record may not go from the disk before its count is there. l.mu is held.
func (l *Log) uncounted() bool {
	for _, c := range l.consumers {
		if c.counted {
			return true
		}
	}
	return false
}

// write makes the new file. l.mu is not held.
func (r *rewriting) write(temp string, end int64, sd seed) error {
	l, s := r.l, r.s
	from, err := l.openSegment(s)
	if err != nil {
		return err
	}
	defer from.Close()
	if !l.fits(temp, r.most()) && (!l.giveSpare() || !l.fits(temp, r.most())) {
		return errNoRoom
	}
	if r.f, err = l.fs.Create(temp); outOfSpace(err) && l.giveSpare() {
		r.f, err = l.fs.Create(temp)
	}
	if err != nil {
		return err
	}
	err = r.copy(from, end, sd)
	if outOfSpace(err) && l.giveSpare() {
		err = r.again(from, end, sd)
	}
	if err == nil {
		err = r.finish()
	}
	return errors.Join(err, r.f.Close())
}

// most is how large the new file may become: it has to gain half a segment.
func (r *rewriting) most() int64 { return r.s.size - r.l.o.SegmentSize/2 }

// fits says whether a file of that size is under the cap: it counts from then
// on. l.mu is not held.
func (l *Log) fits(name string, size int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total+size > l.o.MaxSize {
		return false
	}
	l.addFile(name, size)
	return true
}

// again begins anew in the same file, after room was made.
func (r *rewriting) again(from File, end int64, sd seed) error {
	r.block, r.off, r.kept, r.h, r.buf = r.s.firstBlock, dataStart, nil, blockHeader{}, nil
	return r.copy(from, end, sd)
}

// giveSpare removes a spare, for its room. l.mu is not held.
func (l *Log) giveSpare() bool {
	l.mu.Lock()
	k := len(l.spares)
	if k == 0 {
		l.mu.Unlock()
		return false
	}
	name := l.spares[k-1]
	l.spares = l.spares[:k-1]
	l.mu.Unlock()
	if l.fs.Remove(name) != nil {
		return false // it counts, and is swept at the next start
	}
	l.mu.Lock()
	l.dropFile(name)
	l.mu.Unlock()
	return true
}

// copy takes over the records that somebody waits for.
func (r *rewriting) copy(from File, end int64, sd seed) error {
	sc := scanner{buf: r.l.borrow()}
	defer func() { r.l.giveBack(sc.buf) }()
	sc.reset(from, sd, dataStart, end)
	for {
		b, ok, err := sc.next()
		if err != nil {
			return err
		}
		if sc.bad > 0 || ok && b.flags&flagHole != 0 {
			return errors.New("it is damaged")
		}
		if !ok {
			return r.flush()
		}
		it := b.items()
		for v, ok := it.record(); ok; v, ok = it.record() {
			if err := r.take(&b, &v); err != nil {
				return err
			}
		}
	}
}

// take adds a record to the block being filled, unless nobody waits for it.
func (r *rewriting) take(b *block, v *recordView) error {
	dests := r.l.openDests(v)
	if len(dests) == 0 {
		return nil
	}
	limit := min(blockLimit, r.l.o.SegmentSize/8)
	if r.h.count > 0 && (r.h.run != b.run || r.h.boot != b.boot || int64(len(r.buf)+int(v.size())) > limit) {
		if err := r.flush(); err != nil {
			return err
		}
	}
	if r.h.count == 0 {
		r.h = blockHeader{number: r.block, first: v.number, written: r.next.written + uint64(len(r.kept)), boot: b.boot, run: b.run, flags: flagFirst | flagLast}
		r.buf = append(r.buf[:0], zeros[:blockHeadLen]...)
		r.bases.begin()
	}
	r.item = v.appendWhole(r.item[:0])
	item, _, _ := nextItem(r.item)
	whole, _ := parseRecord(item, b.first, b.boot)
	r.buf = r.bases.add(r.buf, blockHeadLen, &whole, r.item)
	r.h.count++
	r.h.span = uint32(v.number - r.h.first)
	r.kept = append(r.kept, keptRecord{v.number, v.size(), dests})
	return nil
}

// openDests lists the consumers that a record names, each once, if anybody
// still waits for it.
func (l *Log) openDests(v *recordView) (dests []uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := false
	rest := v.dests
	for range v.ndest {
		who, _, next, _ := nextDest(rest)
		rest = next
		id := uint32(who >> 1)
		if slices.Contains(dests, id) {
			continue
		}
		dests = append(dests, id)
		if c := l.consumers[id]; c != nil && c.counts(v.number) {
			open = true
		}
	}
	if !open {
		return nil
	}
	return dests
}

// counts reports whether a stored record is among what the consumer's backlog
// and the segment's share count as open: it waits, or it was acknowledged
// before Next came to it, and Next will count it when it does. l.mu is held.
func (c *Consumer) counts(number uint64) bool {
	if c.waits(number) {
		return true
	}
	e := c.earlyOf(number)
	return number > c.horizon && e != nil && !e.counted
}

// flush writes the block that was filled.
func (r *rewriting) flush() error {
	if r.h.count == 0 {
		return nil
	}
	r.h.length = uint32(len(r.buf) - blockHeadLen)
	if r.next.features&featurePacked != 0 {
		if stored, ok := r.l.c.packer.pack(r.buf[blockHeadLen:]); ok {
			r.buf = append(r.buf[:blockHeadLen], stored...)
			r.h.length, r.h.codec = uint32(len(stored)), codecZstd
		}
	}
	r.h.encode(r.buf, r.seed, r.off)
	r.buf = append(r.buf, zeros[:r.h.room()-int64(len(r.buf))]...)
	if r.off+int64(len(r.buf))+page > r.most() {
		return errors.New("it would not become smaller by half a segment")
	}
	if err := writeAt(r.f, r.buf, r.off); err != nil {
		return err
	}
	r.off += r.h.room()
	r.block++
	r.h = blockHeader{}
	return nil
}

// finish writes summary and headers, and syncs.
func (r *rewriting) finish() error {
	n := r.next
	n.end, n.size = r.off, r.off+page
	r.count()
	n.omitted = r.s.omitted + r.s.records - n.records
	p, ok := n.appendSummary(nil, r.off)
	if !ok {
		return errors.New("its consumers do not fit a summary")
	}
	if err := writeAt(r.f, p, r.off); err != nil {
		return err
	}
	head := n.segmentHeader.append(nil)
	head = n.segmentHeader.append(head)
	if err := writeAt(r.f, head, 0); err != nil {
		return err
	}
	return r.f.Sync()
}

// count makes the shares of the new segment out of what was kept.
func (r *rewriting) count() {
	l, n := r.l, r.next
	l.mu.Lock()
	defer l.mu.Unlock()
	n.shares, n.records, n.bytes, n.open = nil, 0, 0, 0
	n.boot, n.since = r.s.boot, r.s.since
	for i := range r.kept {
		k := &r.kept[i]
		if n.records == 0 {
			n.first = k.number
		}
		n.last = k.number
		n.records++
		n.bytes += int64(k.size)
		for _, id := range k.dests {
			h := n.shareFor(id)
			if h.count == 0 {
				h.first = k.number
				if old := r.s.share(id); old != nil {
					h.boot, h.since = old.boot, old.since // no later than its first one
				}
			}
			h.last = k.number
			h.count++
			h.bytes += int64(k.size)
			n.open++
		}
	}
}

// openSegment opens the file of a segment for reading. errReplaced: another
// segment stands in its place by now. l.mu is not held.
func (l *Log) openSegment(s *segment) (File, error) {
	l.exchange.RLock()
	defer l.exchange.RUnlock()
	l.mu.Lock()
	name, replaced := s.name, s.replaced
	l.mu.Unlock()
	if replaced {
		return nil, errReplaced
	}
	return l.fs.Open(name, false)
}

var errReplaced = errors.New("segment was rewritten")

// replace puts the new file in the place of the old one. l.mu is held at both
// ends. What was acknowledged since the records were looked at is counted
// under the same lock as the exchange. A reader opens either the old file with
// the old checksums or the new one with the new: see openSegment.
func (r *rewriting) replace(temp string) error {
	l, s, n := r.l, r.s, r.next
	l.mu.Unlock()
	l.exchange.Lock()
	defer l.exchange.Unlock()
	err := l.fs.Rename(temp, s.name)
	if err != nil {
		l.fs.Remove(temp)
	}
	l.mu.Lock()
	l.dropFile(temp)
	if err != nil {
		return err
	}
	for i := range r.kept {
		k := &r.kept[i]
		for _, id := range k.dests {
			h := n.share(id)
			if c := l.consumers[id]; c == nil || !c.counts(k.number) {
				n.finish(h, 1, int64(k.size))
			}
		}
	}
	for i, old := range l.segments {
		if old == s {
			l.segments[i] = n
		}
	}
	s.replaced = true
	n.doomed = s.doomed
	l.addFile(n.name, n.size)
	l.stats.Rewritten++
	l.stats.Syncs++
	l.stats.Written += n.size
	l.mu.Unlock()
	err = l.fs.SyncDir()
	l.mu.Lock()
	if err != nil {
		return fmt.Errorf("after %s was rewritten: %w", n.name, err)
	}
	return nil
}

package buffer

import (
	"crypto/rand"
	"errors"
	"slices"
)

// rewriting makes a smaller file of a segment, most of which is padding or
// records that nobody waits for any more: the same numbers in the same order in
// full blocks, synced, and put in its place. Readers keep the old file open as
// long as they need it. It is done when the log would have to grow otherwise, or
// room is short.
type rewriting struct {
	l      *Log
	s      *segment // as it was
	next   *segment // what takes its place
	temp   string   // what that is called until then
	f      File     // nil before there is something to write
	seed   seed
	off    int64
	block  uint64
	blocks uint64 // the next segment begins with this one
	open   int64  // bytes of the records that are waited for, about
	h      blockHeader
	buf    []byte // the block being filled, header included
	packer packer
	kept   []keptRecord
	bytes  int64 // of them
	bases  bases
	item   []byte // of the record being added
}

var (
	errNoGain  = errors.New("it would not become smaller by half a segment")
	errChanged = errors.New("it changed meanwhile")
)

// keptRecord is what has to be known of a record until the new file counts.
type keptRecord struct {
	number uint64
	size   uint32
	dests  []uint32
}

// run does all of it. l.mu is held at both ends and released for I/O.
func (r *rewriting) run(aside bool) error {
	l, s := r.l, r.s
	r.next = &segment{segmentHeader: s.segmentHeader, name: s.name, upper: s.upper, sealed: true, summed: true}
	r.next.incarnation++
	rand.Read(r.next.salt[:])
	r.next.features = l.o.features()
	r.seed, r.block, r.off = r.next.seed(), s.firstBlock, dataStart
	end, sd := s.end, s.seed()
	l.mu.Unlock()
	err := r.write(end, sd)
	l.mu.Lock()
	l.stats.Written += r.off - dataStart
	l.stats.Rewriting += r.off - dataStart
	if err == nil {
		err = r.settled(aside)
	}
	if s.doomed || l.closed {
		err = errChanged
	}
	if err == nil {
		return r.replace()
	}
	if r.f != nil {
		l.mu.Unlock()
		l.fs.Remove(r.temp)
		l.mu.Lock()
	}
	l.dropFile(r.temp)
	return err
}

// settled sees to it that the counts of what was dropped are durable: a record
// may not go from the disk before. aside: it has them committed; the goroutine
// that runs the commit cannot, and begins anew another time. l.mu is held at both
// ends.
func (r *rewriting) settled(aside bool) error {
	l := r.l
	if !l.uncounted() {
		return nil
	}
	if !aside {
		return errChanged
	}
	l.densing = false // that commit waits for nobody
	l.cond.Broadcast()
	l.mu.Unlock()
	err := l.Commit()
	l.mu.Lock()
	for l.densing {
		l.cond.Wait()
	}
	l.densing = true
	return err
}

// write makes the new file. l.mu is not held.
func (r *rewriting) write(end int64, sd seed) error {
	from, err := r.l.openSegment(r.s)
	if err != nil {
		return err
	}
	defer from.Close()
	err = r.copy(from, end, sd)
	if outOfSpace(err) && r.f != nil && r.l.giveSpare() {
		err = r.again(from, end, sd)
	}
	if err == nil {
		err = r.finish()
	}
	if r.f != nil {
		err = errors.Join(err, r.f.Close())
	}
	return err
}

// create makes the file, when it is known that it is worth it.
func (r *rewriting) create() (err error) {
	l := r.l
	if r.f != nil {
		return nil
	}
	if !l.fits(r.temp, r.most()) && (!l.giveSpare() || !l.fits(r.temp, r.most())) {
		return errNoRoom
	}
	if r.f, err = l.fs.Create(r.temp); outOfSpace(err) && l.giveSpare() {
		r.f, err = l.fs.Create(r.temp)
	}
	if err != nil {
		r.f = nil
	}
	return err
}

// most is how large the new file may become: it has to gain half a segment.
func (r *rewriting) most() int64 { return r.s.size - r.l.o.SegmentSize/2 }

// worth says whether it can still become as small as that with a block of n
// bytes: if what is to come packs like what was taken so far.
func (r *rewriting) worth(n int64) error {
	size := r.off + n - dataStart
	if r.bytes > 0 {
		r.s.packs = float64(size) / float64(r.bytes)
		size = max(size, int64(r.s.packs*float64(r.open)))
	}
	if dataStart+size+page > r.most() {
		return errNoGain
	}
	if r.block >= r.blocks {
		return errors.New("it would have more blocks than before")
	}
	return nil
}

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
	r.block, r.off, r.kept, r.bytes, r.h, r.buf = r.s.firstBlock, dataStart, nil, 0, blockHeader{}, nil
	return r.copy(from, end, sd)
}

// copy takes over the records that somebody waits for.
func (r *rewriting) copy(from File, end int64, sd seed) error {
	sc := scanner{buf: r.l.borrow()}
	defer func() { r.l.giveBack(sc.buf) }()
	sc.reset(from, sd, end)
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
	limit := min(blockLimit, max(r.s.size, r.l.o.SegmentSize)/8)
	if (r.s.features|r.next.features)&featurePacked != 0 { // fuller than before, in any case
		limit = min(packLimit, max(r.s.size, r.l.o.SegmentSize)/8)
	}
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
	r.bytes += int64(v.size())
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
		if stored, ok := r.packer.pack(r.buf[blockHeadLen:]); ok {
			r.buf = append(r.buf[:blockHeadLen], stored...)
			r.h.length, r.h.codec = uint32(len(stored)), codecZstd
		}
	}
	r.h.encode(r.buf, r.seed, r.off)
	r.buf = append(r.buf, zeros[:r.h.room()-int64(len(r.buf))]...)
	if err := r.worth(int64(len(r.buf))); err != nil {
		return err
	}
	if err := r.create(); err != nil {
		return err
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
	if err := r.create(); err != nil {
		return err
	}
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

package buffer

import "sort"

// chunk is a piece of tail memory. Records are copied in once and never move;
// the chunk is reused when no record lives in it and nobody reads from it.
type chunk struct {
	buf      []byte // len: used
	live     int    // records not yet gone, plus one while it is being filled
	fleeting bool   // of fleeting records
	pins     int    // consumers that were given entries in place
}

// States of a record in the tail.
const (
	waiting = iota // not on disk, not in a running commit
	writing        // in a running commit
	settled        // in a running commit, and acknowledged by all meanwhile
	gone           // not here any more
)

// tailRecord is a record in memory.
type tailRecord struct {
	number   uint64
	chunk    *chunk
	off      uint32 // of the item, length prefix included
	size     uint32
	keyed    uint32 // bytes of keyed items behind it
	open     uint32 // destinations that have not acknowledged it
	dests    uint32
	memory   uint16 // destinations for memory, the last ones
	firm     uint16 // of open, if there are any for memory: the others
	must     bool
	told     bool // settled, although some have not acknowledged it
	fleeting bool // only destinations for memory are left: it is not written
	owed     bool // a fleeting one that is settled by the next commit
	state    uint8
}

// bytes are the record's item and the keyed items behind it.
func (t *tailRecord) bytes() []byte { return t.chunk.buf[t.off : t.off+t.size+t.keyed] }

const tailRecordSize = 48 // memory of a tailRecord, counted against the limit

// tail holds the records that no sound block holds yet, in number order.
type tail struct {
	limit   int64
	piece   int          // size of a usual chunk
	records []tailRecord // from head on; gone ones may stand between
	head    int
	live    int   // records that are not gone
	bytes   int64 // of them
	charged int64 // bytes of chunks that hold live records
	current *chunk
	free    []*chunk

	passed          uint64  // of those up to this number only fleeting ones are left
	fleeting        numbers // records that are not written
	fleetingBytes   int64   // of them
	fleetingCharged int64   // of charged: chunks of them
	currentFleeting *chunk
	owed            int // fleeting records that are not settled

	boot   uint64 // of records that carry none; set by the first record
	booted bool
}

func (t *tail) init(limit int64) {
	t.limit = limit
	t.piece = int(min(chunkLimit, max(page, limit/16)))
}

// place finds n bytes of chunk memory, which fleeting records have of their own;
// nil when the limit is reached, unless it has to be.
func (t *tail) place(n int, fleeting, always bool) *chunk {
	current := &t.current
	if fleeting {
		current = &t.currentFleeting
	}
	if c := *current; c != nil && cap(c.buf)-len(c.buf) >= n {
		if !always && !t.fits(0) {
			return nil
		}
		return c
	}
	size := max(t.piece, n)
	if c := *current; c != nil && c.live == 1 && size <= cap(c.buf) && c.pins == 0 {
		c.buf = c.buf[:0]
		return c
	}
	if !always && !t.fits(size) {
		return nil
	}
	if c := *current; c != nil {
		*current = nil
		t.leave(c)
	}
	var c *chunk
	if k := len(t.free); k > 0 && size == t.piece {
		c, t.free = t.free[k-1], t.free[:k-1]
	} else {
		c = &chunk{buf: make([]byte, 0, size)}
	}
	c.live, c.fleeting = 1, fleeting
	t.charged += int64(cap(c.buf))
	if fleeting {
		t.fleetingCharged += int64(cap(c.buf))
	}
	*current = c
	return c
}

// fits says whether another record finds room in so many bytes more of chunks.
// One does if nothing else waits to be written.
func (t *tail) fits(more int) bool {
	return t.firm() == 0 || t.charged+int64(more)+int64(t.live+1)*tailRecordSize <= t.limit
}

// leave takes one live record (or the filling) out of a chunk.
func (t *tail) leave(c *chunk) {
	c.live--
	if c.live == 0 {
		t.charged -= int64(cap(c.buf))
		if c.fleeting {
			t.fleetingCharged -= int64(cap(c.buf))
		}
		t.recycle(c)
	}
}

func (t *tail) pin(c *chunk) { c.pins++ }

func (t *tail) unpin(c *chunk) {
	c.pins--
	t.recycle(c)
}

func (t *tail) recycle(c *chunk) {
	if c.live > 0 || c.pins > 0 || cap(c.buf) != t.piece || int64(len(t.free)*t.piece) > t.limit/4 {
		return
	}
	c.buf = c.buf[:0]
	t.free = append(t.free, c)
}

// add copies a record in. ok is false when there is no room.
func (t *tail) add(r *Record, number uint64, fleeting bool) (rec *tailRecord, ok bool) {
	if !t.booted {
		t.boot, t.booted = r.Boot, true
	}
	own := r.Boot != t.boot
	n := recordLen(r, own)
	size, keyed := n+uvarintLen(uint64(n)), keysLen(r.Keys)
	c := t.place(size+keyed, fleeting, false)
	if c == nil {
		return nil, false
	}
	off := len(c.buf)
	c.buf = appendRecord(c.buf, r, number, n, own)
	for i := range r.Keys {
		c.buf = appendPut(c.buf, string(rune(spaceUser))+r.Keys[i].Key, r.Keys[i].Value)
	}
	c.live++
	t.tidy()
	t.records = append(t.records, tailRecord{number: number, chunk: c, off: uint32(off), size: uint32(size), keyed: uint32(keyed),
		open: uint32(len(r.Dests)), dests: uint32(len(r.Dests))})
	t.live++
	t.bytes += int64(size + keyed)
	rec = &t.records[len(t.records)-1]
	if fleeting {
		t.noteFleeting(rec)
	}
	return rec, true
}

// tidy closes holes when they are the greater part, so that memory follows
// what is live.
func (t *tail) tidy() {
	if len(t.records) < cap(t.records) || len(t.records) < 64 || t.live > len(t.records)/2 {
		return
	}
	kept := t.records[:0]
	for _, r := range t.records[t.head:] {
		if r.state != gone {
			kept = append(kept, r)
		}
	}
	clear(t.records[len(kept):])
	t.records, t.head = kept, 0
}

// drop lets a record go.
func (t *tail) drop(r *tailRecord) {
	c := r.chunk
	t.live--
	t.bytes -= int64(r.size + r.keyed)
	if r.fleeting {
		t.fleeting.remove(r.number)
		t.fleetingBytes -= int64(r.size)
	}
	r.state, r.chunk = gone, nil
	t.leave(c)
	for t.head < len(t.records) && t.records[t.head].state == gone {
		t.head++
	}
	if t.head == len(t.records) {
		t.records, t.head = t.records[:0], 0
	}
}

// after is the index of the first record above number.
func (t *tail) after(number uint64) int {
	rs := t.records[t.head:]
	if len(rs) == 0 || rs[0].number > number {
		return t.head
	}
	if at := number - rs[0].number + 1; at <= uint64(len(rs)) && rs[at-1].number == number {
		return t.head + int(at) // no holes were closed: the usual case
	}
	return t.head + sort.Search(len(rs), func(i int) bool { return rs[i].number > number })
}

// find gives a record that is still here, or nil.
func (t *tail) find(number uint64) *tailRecord {
	i := t.after(number)
	if i == t.head || t.records[i-1].number != number || t.records[i-1].state == gone {
		return nil
	}
	return &t.records[i-1]
}

// view reads a record in place.
func (t *tail) view(r *tailRecord) recordView {
	item, _, _ := nextItem(r.bytes())
	v, _ := parseRecord(item, r.number, t.boot)
	return v
}

package buffer

import (
	"slices"
	"sort"
)

// A record is fleeting when only destinations for memory are left of it. It
// stays in the tail, where commits pass it, until those have acknowledged it,
// and is never written. See doc.go.

// fleetingRecordSize is what one takes besides its bytes: its place in the tail
// and in the lists of what is fleeting.
const fleetingRecordSize = tailRecordSize + 32

// numbers is a rising list of record numbers, mostly added to at its end and
// taken from at its front.
type numbers struct {
	list []uint64 // from head on
	head int
}

func (n *numbers) len() int { return len(n.list) - n.head }

// first is the lowest, noRecord if there is none.
func (n *numbers) first() uint64 {
	if n.head == len(n.list) {
		return noRecord
	}
	return n.list[n.head]
}

// above is the lowest above a number, noRecord if there is none.
func (n *numbers) above(number uint64) uint64 {
	if first := n.first(); first > number {
		return first
	}
	if i := n.place(number + 1); i < len(n.list) {
		return n.list[i]
	}
	return noRecord
}

func (n *numbers) has(number uint64) bool {
	i := n.place(number)
	return i < len(n.list) && n.list[i] == number
}

func (n *numbers) place(number uint64) int {
	w := n.list[n.head:]
	return n.head + sort.Search(len(w), func(i int) bool { return w[i] >= number })
}

func (n *numbers) add(number uint64) {
	if k := len(n.list); k == n.head || n.list[k-1] < number {
		if n.head > k/2 {
			n.list, n.head = n.list[:copy(n.list, n.list[n.head:])], 0
		}
		n.list = append(n.list, number)
		return
	}
	if i := n.place(number); n.list[i] != number {
		n.list = slices.Insert(n.list, i, number)
	}
}

func (n *numbers) remove(number uint64) {
	i := n.place(number)
	switch {
	case i == len(n.list) || n.list[i] != number:
	case i == n.head:
		n.head++
	default:
		n.list = slices.Delete(n.list, i, i+1)
	}
}

// firm is how many records the next commit has to write. l.mu is held.
func (t *tail) firm() int { return t.live - t.fleeting.len() }

// unsettled is what the next commit settles, if it is not acknowledged before,
// and its bytes. l.mu is held.
func (t *tail) unsettled() (records int, bytes int64) {
	return t.firm() + t.owed, t.bytes - t.fleetingBytes
}

// forMemory says whether a record is for this consumer in memory only. Such
// destinations stand behind the others.
func (t *tail) forMemory(r *tailRecord, consumer uint32) bool {
	v := t.view(r)
	rest := v.dests
	for i := range v.ndest {
		who, _, next, _ := nextDest(rest)
		if uint32(who>>1) == consumer {
			return i >= v.ndest-int(r.memory)
		}
		rest = next
	}
	return false
}

// parted gives a record whose destinations for memory stand behind the others:
// the one given if they do. l.mu is held.
func (l *Log) parted(r *Record) *Record {
	memory := 0
	for i := range r.Dests {
		if r.Dests[i].Memory {
			memory++
		} else if memory > 0 {
			memory = -1
			break
		}
	}
	if memory >= 0 {
		return r
	}
	l.parts = l.parts[:0]
	for _, last := range []bool{false, true} {
		for i := range r.Dests {
			if r.Dests[i].Memory == last {
				l.parts = append(l.parts, r.Dests[i])
			}
		}
	}
	l.admitted = *r
	l.admitted.Dests = l.parts
	return &l.admitted
}

// keysApart puts the keys of a record that is about to be fleeting, since it
// will have no block. They were charged. l.mu is held.
func (l *Log) keysApart(keys []KeyValue) {
	for _, k := range keys {
		old, had := l.keys[k.Key]
		l.change(k.Key, old, had)
		if had {
			l.keyBytes -= int64(len(k.Key)+len(old)) + keyOverhead
		}
		l.keys[k.Key] = append(make([]byte, 0, len(k.Value)), k.Value...)
	}
}

// turnFleeting is called when the last destination of a record that was to be
// written has done with it, and others wait in memory. Its bytes move to where
// they hold up no memory of records that are written. l.mu is held.
func (l *Log) turnFleeting(r *tailRecord) {
	t := &l.tail
	old, item := r.chunk, r.bytes()
	k := t.place(len(item), true, true)
	r.chunk, r.off = k, uint32(len(k.buf))
	k.buf = append(k.buf, item...)
	k.live++
	t.leave(old)
	t.noteFleeting(r)
	v := t.view(r)
	rest := v.dests
	for i := range v.ndest {
		who, _, next, _ := nextDest(rest)
		rest = next
		if c := l.consumers[uint32(who>>1)]; i >= v.ndest-int(r.memory) && c != nil && c.waits(r.number) && c.isAside(r.number) < 0 {
			c.fleeting.add(r.number)
		}
	}
}

// noteFleeting lists a record as fleeting. l.mu is held.
func (t *tail) noteFleeting(r *tailRecord) {
	r.fleeting = true
	t.fleeting.add(r.number)
	t.fleetingBytes += int64(r.size)
}

// boundFleeting drops the oldest of what is fleeting until it, with a record of
// size bytes more, takes at most half of the tail: a destination that is away
// for long must leave room for what is written. l.mu is held.
func (l *Log) boundFleeting(done []Range, size int) []Range {
	t := &l.tail
	at := uint64(0)
	for t.overFleeting(size) {
		if at = t.fleeting.above(at); at == noRecord {
			break
		}
		l.sayDropping(t.find(at))
		done = l.dropFleeting(done, at)
	}
	return done
}

// sayDropping notes, once until nothing fleeting waits for it any more, that
// records of a consumer are dropped. l.mu is held.
func (l *Log) sayDropping(r *tailRecord) {
	v := l.tail.view(r)
	rest := v.dests
	for range v.ndest {
		who, _, next, _ := nextDest(rest)
		rest = next
		if c := l.consumers[uint32(who>>1)]; c != nil && c.fleeting.has(r.number) && !c.overflow {
			c.overflow = true
			l.note("records kept in memory only are dropped, the oldest first: their share of the tail is used up", "consumer", c.name, "records", c.fleeting.len())
		}
	}
}

// overFleeting says whether there is no room in the share of what is fleeting
// for so many bytes more. l.mu is held.
func (t *tail) overFleeting(size int) bool {
	more, records := 0, t.fleeting.len()
	if size > 0 {
		records++
		if c := t.currentFleeting; c == nil || cap(c.buf)-len(c.buf) < size {
			more = max(t.piece, size)
		}
	}
	return t.fleetingCharged+int64(more)+int64(records)*fleetingRecordSize > t.limit/2
}

// dropFleeting drops a fleeting record for all who wait for it. l.mu is held.
func (l *Log) dropFleeting(done []Range, number uint64) []Range {
	r := l.tail.find(number)
	v := l.tail.view(r)
	rest := v.dests
	for range v.ndest {
		who, _, next, _ := nextDest(rest)
		rest = next
		c := l.consumers[uint32(who>>1)]
		if c == nil || r.open == 0 || !c.waitsFor(r) {
			continue
		}
		c.giveUp(r, DropMemory)
		done = l.acked(done, r, c)
	}
	return done
}

// waitsFor is waits for a record of the tail that names the consumer. One that
// is fleeting may be done with before the horizon has come to it. l.mu is held.
func (c *Consumer) waitsFor(r *tailRecord) bool {
	if !r.fleeting {
		return c.waits(r.number)
	}
	return c.fleeting.has(r.number) || c.isAside(r.number) >= 0
}

// giveUp counts a record of the tail as dropped and takes it out of the window
// or the marks. acked is to be called next. l.mu is held.
func (c *Consumer) giveUp(r *tailRecord, reason DropReason) {
	if i := c.isAside(r.number); i >= 0 {
		c.unmark(i)
	} else {
		if k := c.pending(r.number); k >= 0 {
			c.unwindow(k)
		}
		c.records -= min(c.records, 1)
		c.bytes = max(0, c.bytes-int64(r.size))
	}
	c.drops[reason]++
	c.l.stats.Dropped++
	c.lossy = true
}

// owe makes a fleeting record one that is settled by the next commit, which has
// the reason for it: a count or a key. l.mu is held.
func (t *tail) owe(r *tailRecord) {
	r.owed = true
	t.owed++
}

// passFleeting is called when a commit of all records up to upto is durable:
// whatever is left of them is fleeting. l.mu is held at both ends.
func (l *Log) passFleeting(upto uint64) {
	t := &l.tail
	t.passed = max(t.passed, upto)
	if t.owed == 0 {
		return
	}
	var done []Range
	for n := t.fleeting.first(); n <= upto; n = t.fleeting.above(n) {
		r := t.find(n)
		if !r.owed {
			continue
		}
		r.owed = false
		t.owed--
		r.told = true
		done = l.settle(done, n)
		if r.open == 0 {
			t.drop(r)
		}
	}
	room := l.roomNow()
	l.mu.Unlock()
	l.tell(done, room)
	l.mu.Lock()
}

// discardFleeting gives up what the end of the process takes, and counts it.
func (l *Log) discardFleeting() {
	l.mu.Lock()
	var done []Range
	before := l.stats.Dropped
	for at := l.tail.fleeting.first(); at != noRecord && !l.closed; at = l.tail.fleeting.above(at) {
		done = l.dropFleeting(done, at)
	}
	n := l.stats.Dropped - before
	for _, c := range l.consumers {
		c.counted = c.counted || c.lossy
	}
	l.mu.Unlock()
	l.tell(done, false)
	if n > 0 {
		l.log.Warn("records kept in memory only are given up with the process", "records", n)
	}
}

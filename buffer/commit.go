package buffer

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// errNoRoom: no segment can be had: the cap is reached, or the disk is full,
// and nothing can be given up.
var errNoRoom = errors.New("no room for another segment")

// span is a run of whole items in tail memory.
type span struct {
	chunk *chunk
	off   uint32
	bytes []byte // of the chunk; they never change while they are in the tail
}

// blockPlan is one block of a part: which spans it holds.
type blockPlan struct {
	from, to    int
	size        int64
	first, last uint64
	records     uint32
}

// committer is what only the goroutine that runs the commit touches. Its
// slices keep their memory from commit to commit.
type committer struct {
	file    File   // of the active segment
	block   uint64 // number of the next block
	seq     uint64 // of the next segment
	written uint64 // records in the log
	spare   uint64 // names the next spare
	padding int64  // bytes that filled pages
	wrote   int64  // bytes, since the counters were told
	saved   int64  // of them by packing
	usual   int64  // bytes of a commit, as they were lately
	syncs   uint64 // since the counters were told
	buf     []byte
	packer  packer
	bases   bases
	state   []byte
	taken   []string // keys in it
	before  []prior  // what those were in the commit before
	more    bool     // keys that changed are left for another part
	spans   []span
	blocks  []blockPlan
	counted segment // what the part holds for whom
	keyed   bool    // records of the part have keys with them
	boot    uint64  // of records that name none
	first   uint64  // records of the part
	last    uint64
	full    bool // the part is the whole tail up to where it was asked for
}

// Commit makes durable everything that was appended, put, acknowledged or
// marked before it was called, in one write (of blocks of at most 128 KiB for
// a large tail, 256 KiB before compression) and one sync; callers that come
// while a commit runs share the next one. With nothing to do it does no I/O.
// After an error nothing of it is settled or lost: it is all tried again, in a
// new segment, by the next Commit.
func (l *Log) Commit() error {
	if r := l.joining.Load(); r != nil { // it takes what was there before this
		r.callers.Add(1)
		return r.wait()
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	r, leads := l.round, false
	if (l.tail.firm() > 0 || l.tail.owed > 0) && l.number > l.covered || l.stateDirty() {
		if leads = l.next == nil; leads {
			l.next = &round{done: make(chan struct{}, 1)}
			l.joining.Store(l.next)
		}
		r = l.next
	}
	if r == nil { // nothing to do
		err := l.outcome
		l.mu.Unlock()
		l.say()
		return err
	}
	r.callers.Add(1)
	if leads {
		l.lead(r)
	}
	l.mu.Unlock()
	err := r.wait()
	if leads {
		l.say()
	}
	return err
}

// round is one commit and those who wait for it. The first of them runs it;
// the others need no lock to come along, or to learn how it ended. It is open to
// them until its commit decides what it takes, under the lock that all changes
// are made under: who sees it open has made theirs before that.
//
// They are told one by one, each by the one before it. Told all at once, they
// come back with their next records on all processors at the same moment, and
// with 256 of them most of the time goes into waiting for the lock: on two
// processors a record cost three times as much.
type round struct {
	done    chan struct{} // capacity 1: holds an element when err is set, but while somebody passes it on
	err     error
	callers atomic.Int64
}

// wait returns the outcome when it is known.
func (r *round) wait() error {
	<-r.done
	r.done <- struct{}{}
	return r.err
}

// end tells the outcome. Called once.
func (r *round) end(err error) {
	r.err = err
	r.done <- struct{}{}
}

// lead runs a commit when the one before it has ended. l.mu is held at both
// ends.
func (l *Log) lead(r *round) {
	for l.running {
		l.cond.Wait()
	}
	if l.closed {
		l.next = nil
		l.joining.Store(nil)
		r.end(ErrClosed)
		return
	}
	l.running = true
	l.assemble(r) // whoever comes now still comes along
	l.next, l.round = nil, r
	l.joining.Store(nil)
	l.runCommit(l.number - 1)
	l.running = false
	l.covered = 0
	l.cond.Broadcast()
}

// assemble looks so often in vain: once for each 20 µs that the last commit took,
// which makes less than a hundredth of it, as a look takes 0.15 µs.
const (
	assembleShare = 20 * time.Microsecond
	assembleMost  = 4096
)

// assemble lets those who waited for the last commit come with their next
// records before another one begins: without it the first to be woken would
// commit alone. It waits for nobody who is not about to run, and the shorter the
// shorter the last commit was: where syncs cost little it is best that half of
// them are on their way while the other half's is made, where they cost much that
// each serves all. l.mu is held at both ends.
func (l *Log) assemble(r *round) {
	came := r.callers.Load()
	if came >= l.served {
		return
	}
	served, patience := l.served, min(16+int(l.took/assembleShare), assembleMost)
	l.mu.Unlock()
	for idle := 0; came < served && idle < patience; idle++ {
		runtime.Gosched()
		if now := r.callers.Load(); now > came {
			came, idle = now, 0
		}
	}
	l.mu.Lock()
}

// runCommit makes one commit of the tail up to upto. l.mu is held at both ends and
// released for I/O, and while it tells its callers the outcome, who come back at
// once. Then it tidies up.
func (l *Log) runCommit(upto uint64) {
	l.covered = upto + 1
	begun := time.Now()
	var err error
	for {
		var roll bool
		if roll, err = l.plan(upto, false); roll && err == nil {
			if err = l.makeReady(); err == nil {
				_, err = l.plan(upto, true)
			}
		}
		if err != nil {
			break
		}
		if err = l.writePart(roll); err != nil || l.c.full {
			break
		}
		l.keepHouse()
	}
	if err == nil {
		l.passFleeting(upto)
	}
	l.retry = err != nil
	if err != nil {
		err = fmt.Errorf("buffer: commit: %w", err)
		l.stats.Failed++
	}
	r := l.round
	l.outcome = err
	l.served, l.took, l.round = r.callers.Load(), time.Since(begun), nil
	l.mu.Unlock()
	r.end(err)
	l.mu.Lock()
	if err == nil {
		l.keepHouse()
	}
}

// plan decides what the next part holds. It reports that a new segment is
// needed, or lays the part out: the state, the blocks, and every record of it
// marked as being written. l.mu is held.
func (l *Log) plan(upto uint64, roll bool) (needRoll bool, err error) {
	c := &l.c
	a := l.active
	if !roll && a == nil {
		return true, nil
	}
	l.noteAcked(upto)
	if roll {
		l.giveWay()
		next := segmentHeader{seq: c.seq, written: c.written}
		c.state, c.more = l.appendState(c.state[:0], true, &next)
		whole := l.layOut(l.upto(upto), l.o.SegmentSize-dataStart-page)
		return l.take(whole)
	}
	l.giveUpDone()
	room := a.size - page - a.end
	c.state, c.more = l.appendState(c.state[:0], !a.state, &a.segmentHeader)
	upto = l.upto(upto)
	if l.tail.firm() == 0 && len(l.spares) == 0 && l.layOut(0, room) {
		return l.take(true)
	}
	room -= reserve
	if l.layOut(upto, room) {
		return l.take(true)
	}
	if len(c.blocks) > 1 && room >= a.size/16 {
		return l.take(false)
	}
	return true, nil
}

// upto is the number up to which records go into a part: none while keys are
// left that were changed before them.
func (l *Log) upto(upto uint64) uint64 {
	if l.c.more {
		return 0
	}
	return upto
}

// noteAcked marks the positions of consumers that have acknowledged records
// which are about to be stored all the same.
func (l *Log) noteAcked(upto uint64) {
	t := &l.tail
	for i := t.after(t.passed); i < len(t.records) && t.records[i].number <= upto; i++ {
		r := &t.records[i]
		if r.state == gone || r.fleeting || r.open == r.dests {
			continue
		}
		v := t.view(r)
		rest := v.dests
		for range v.ndest {
			who, _, next, _ := nextDest(rest)
			rest = next
			if c := l.consumers[uint32(who>>1)]; c != nil && !c.waits(r.number) {
				c.dirty = true
			}
		}
	}
}

// layOut fills c.spans and c.blocks with the records up to upto, as far as
// they fit room, less those that are never written. It reports whether all did.
func (l *Log) layOut(upto uint64, room int64) (whole bool) {
	c, t := &l.c, &l.tail
	c.spans, c.blocks = c.spans[:0], c.blocks[:0]
	b := blockPlan{size: int64(len(c.state))}
	limit := min(blockLimit, l.o.SegmentSize/8)
	if l.o.Compress { // fewer pages that are not full
		limit = min(packLimit, l.o.SegmentSize/8)
	}
	var used int64
	for i := t.after(t.passed); i < len(t.records) && t.records[i].number <= upto; i++ {
		r := &t.records[i]
		if r.state == gone || r.fleeting {
			continue
		}
		size := int64(r.size + r.keyed)
		if b.size > 0 && blockHeadLen+b.size+size > limit {
			used += pages(blockHeadLen + b.size)
			c.blocks = append(c.blocks, b)
			b = blockPlan{from: len(c.spans), to: len(c.spans)}
		}
		if used+pages(blockHeadLen+b.size+size) > room {
			if b.size > 0 {
				c.blocks = append(c.blocks, b)
			}
			return false
		}
		if b.records == 0 {
			b.first = r.number
		}
		b.last = r.number
		b.records++
		b.size += size
		if k := len(c.spans); k > b.from && c.spans[k-1].chunk == r.chunk && c.spans[k-1].off+uint32(len(c.spans[k-1].bytes)) == r.off {
			s := &c.spans[k-1]
			s.bytes = r.chunk.buf[s.off : r.off+r.size+r.keyed]
		} else {
			c.spans = append(c.spans, span{r.chunk, r.off, r.bytes()})
		}
		b.to = len(c.spans)
	}
	c.blocks = append(c.blocks, b)
	return used+pages(blockHeadLen+b.size) <= room
}

// take marks the laid out records as being written and the state as taken.
func (l *Log) take(whole bool) (bool, error) {
	c, t := &l.c, &l.tail
	c.first, c.last, c.full, c.boot = 0, 0, whole && !c.more, t.boot
	for i := range c.blocks {
		if b := &c.blocks[i]; b.records > 0 {
			if c.first == 0 {
				c.first = b.first
			}
			c.last = b.last
		}
	}
	if !whole && c.first == 0 {
		return false, fmt.Errorf("%w: the live state of %d bytes leaves none for a record", errNoRoom, len(c.state))
	}
	if c.first != 0 {
		for i := t.after(c.first - 1); i < len(t.records) && t.records[i].number <= c.last; i++ {
			if t.records[i].state == waiting && !t.records[i].fleeting {
				t.records[i].state = writing
			}
		}
	}
	l.stateTaken()
	return false, nil
}

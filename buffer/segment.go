package buffer

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

const (
	segmentSuffix = ".log"
	badSuffix     = ".bad" // a damaged segment that was freed, kept while there is room
	sparePrefix   = "spare-"
	newPrefix     = "new-" // a spare that is being written
)

func segmentName(seq uint64) string { return fmt.Sprintf("%016x%s", seq, segmentSuffix) }

// segmentOf reads the sequence out of a file name.
func segmentOf(name string) (seq uint64, ok bool) {
	hex, found := strings.CutSuffix(name, segmentSuffix)
	if !found || len(hex) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(hex, 16, 64)
	return seq, err == nil
}

// share is what a segment holds for one consumer.
type share struct {
	id          uint32
	first, last uint64 // record numbers
	count       uint64
	done        uint64 // acknowledged or dropped, of count
	bytes       int64
	doneBytes   int64
	boot        uint64 // of the first record
	since       int64
}

// segment is a file of the log, as memory knows it: what it holds for whom.
type segment struct {
	segmentHeader
	name      string
	end       int64 // blocks end here
	first     uint64
	last      uint64 // highest record number, 0 if it holds none
	records   uint64
	bytes     int64
	boot      uint64 // of the first record
	since     int64
	shares    []share // by consumer number
	tried     uint64  // so much was open when rewriting it was tried
	packs     float64 // how much smaller its items become in full blocks, when that was tried; else 0
	upper     uint64  // no record of this or an earlier segment is above it
	holes     uint64  // records that holes stand for, if it was read in full: a summary would not say it
	after     uint64  // records written up to its end, if it was read in full
	keyed     uint64  // the last block in it that may hold changes of keys; 0: none does
	open      uint64  // records times consumers that are neither acknowledged nor dropped
	state     bool    // a whole reset of keyed state stands in it
	sealed    bool
	failed    bool   // a sync of it failed: never synced, never recycled
	damaged   bool   // a block of it cannot be read
	unread    bool   // it could not be read at start: only the cap takes it
	renewed   bool   // it is being rewritten
	replacing bool   // and the new file gets its name just now
	replaced  bool   // rewritten: another one stands in its place
	doomed    bool   // given up: the next commit says so, then the file goes
	passed    uint64 // damage up to this record was reported
	summed    bool   // its summary was written, or tried
}

func (s *segment) share(id uint32) *share {
	i := sort.Search(len(s.shares), func(i int) bool { return s.shares[i].id >= id })
	if i < len(s.shares) && s.shares[i].id == id {
		return &s.shares[i]
	}
	return nil
}

// shareFor is share, made if it is new.
func (s *segment) shareFor(id uint32) *share {
	i := sort.Search(len(s.shares), func(i int) bool { return s.shares[i].id >= id })
	if i == len(s.shares) || s.shares[i].id != id {
		s.shares = append(s.shares, share{})
		copy(s.shares[i+1:], s.shares[i:])
		s.shares[i] = share{id: id, first: noRecord}
	}
	return &s.shares[i]
}

// hold counts a record that a block of the segment holds.
func (s *segment) hold(v *recordView) {
	if s.records == 0 {
		s.first, s.boot, s.since = v.number, v.boot, v.since
	}
	s.last = v.number
	s.records++
	s.bytes += int64(v.size())
	rest := v.dests
	for range v.ndest {
		who, _, r, _ := nextDest(rest)
		rest = r
		h := s.shareFor(uint32(who >> 1))
		if h.count > 0 && h.last == v.number {
			continue // named twice
		}
		if h.count == 0 {
			h.first, h.boot, h.since = v.number, v.boot, v.since
		}
		h.last = v.number
		h.count++
		h.bytes += int64(v.size())
		s.open++
	}
}

// finish counts records of one consumer as acknowledged or dropped.
func (s *segment) finish(h *share, n uint64, bytes int64) {
	n = min(n, h.count-h.done)
	h.done += n
	h.doneBytes += bytes
	s.open -= n
}

// join adds what a commit wrote into the segment.
func (s *segment) join(w *segment) {
	if w.records == 0 {
		return
	}
	if s.records == 0 {
		s.first, s.boot, s.since = w.first, w.boot, w.since
	}
	s.last = w.last
	s.records += w.records
	s.bytes += w.bytes
	s.open += w.open
	for i := range w.shares {
		a := &w.shares[i]
		if a.count == 0 {
			continue
		}
		h := s.shareFor(a.id)
		if h.count == 0 {
			h.first, h.boot, h.since = a.first, a.boot, a.since
		}
		h.last = a.last
		h.count += a.count
		h.bytes += a.bytes
	}
}

// takeOut gives what the segment is said to hold, and leaves it holding
// nothing, to be read.
func (s *segment) takeOut() *segment {
	said := *s
	s.first, s.last, s.records, s.bytes, s.boot, s.since, s.shares, s.open = 0, 0, 0, 0, 0, 0, nil, 0
	return &said
}

// emptied makes w ready to count another commit without giving memory back.
func (s *segment) emptied() {
	for i := range s.shares {
		s.shares[i] = share{id: s.shares[i].id, first: noRecord}
	}
	s.first, s.last, s.records, s.bytes, s.open = 0, 0, 0, 0, 0
}

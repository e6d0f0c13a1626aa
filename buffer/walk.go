package buffer

import (
	"errors"
	"io/fs"
)

// Stored is a record on the disk. Its slices are valid during the call that
// gives it, and must not be changed.
type Stored struct {
	Number  uint64
	Boot    uint64
	Since   int64 // nanoseconds since that boot
	Size    int   // bytes it counts for: what it takes where it stands whole
	Segment string
	Body    []byte // head and payload
	Dests   []StoredDest
}

// StoredDest is a destination of a stored record.
type StoredDest struct {
	Consumer uint32
	Name     string // empty when the consumer was removed
	Must     bool
	Data     []byte
	State    DestState
}

// DestState says how far a record is with one of its consumers.
type DestState uint8

const (
	DestWaits   DestState = iota // neither acknowledged, nor set aside, nor dropped
	DestDone                     // acknowledged or dropped
	DestAside                    // set aside: refused by whom it is for
	DestRemoved                  // there is no such consumer any more
)

// String is one word for a listing.
func (s DestState) String() string {
	return [...]string{"waits", "done", "aside", "removed"}[min(s, DestRemoved)]
}

// Done reports whether the record neither waits for anybody nor is set aside.
func (s *Stored) Done() bool {
	for i := range s.Dests {
		if d := s.Dests[i].State; d == DestWaits || d == DestAside {
			return false
		}
	}
	return true
}

// For gives the destination of one consumer, nil if the record has none.
func (s *Stored) For(consumer uint32) *StoredDest {
	for i := range s.Dests {
		if s.Dests[i].Consumer == consumer {
			return &s.Dests[i]
		}
	}
	return nil
}

// Records gives f every stored record numbered from or above, in order, until
// f says false; those that are done with too, as long as they are there. With
// a consumer other than 0 it may leave out records that are not for it.
// Segments that were freed since are passed over in silence; skipped counts
// the records of those still there that could not be read.
func (v *View) Records(from uint64, consumer uint32, f func(*Stored) bool) (skipped uint64, err error) {
	w := follow{v: v, from: from, f: f}
	for _, s := range v.l.segments {
		if s.records == 0 || s.last < from || consumer != 0 && s.share(consumer) == nil {
			continue
		}
		missing, err := w.segment(s)
		skipped += missing
		if err != nil || w.over {
			return skipped, err
		}
	}
	return skipped, nil
}

// follow walks records through the segments.
type follow struct {
	v    *View
	from uint64
	f    func(*Stored) bool
	last uint64 // number of the last record that was given
	over bool   // f said so
	body []byte // of a record that is put together
}

// segment gives the records of a segment, and says how many cannot be read. If
// it was rewritten meanwhile, the new file has what anybody waits for.
func (w *follow) segment(s *segment) (missing uint64, err error) {
	for {
		seen, written := uint64(0), s.written // seen: of those a summary counts, in holes too
		err := w.v.r.blocksUntil(s, s.end, func(b *block) bool {
			if b.flags&flagHole != 0 && b.written > written {
				seen += b.written - written
			}
			written = max(written, b.written+uint64(b.count))
			return w.block(s, b, &seen)
		})
		if w.over || err == nil && seen >= s.records {
			return 0, nil
		}
		now, there, changed := w.v.now(s)
		switch {
		case !there:
			return 0, nil // freed: who wanted its records has them
		case changed:
			s = now
			continue
		case err != nil:
			return 0, &OpenError{w.v.l.o.Dir, "read " + s.name, err}
		}
		return s.records - seen, nil
	}
}

func (w *follow) block(s *segment, b *block, seen *uint64) (more bool) {
	it := b.items()
	for r, ok := it.record(); ok; r, ok = it.record() {
		*seen++
		if r.number <= w.last || r.number < w.from {
			continue
		}
		w.last, w.body = r.number, w.body[:0]
		if w.over = !w.f(w.v.stored(s, &r, r.body(&w.body))); w.over {
			return false
		}
	}
	return true
}

// now gives what stands in the place of a segment: nothing, the same, or what
// it was rewritten to. Of that, how many records it holds is not asked.
func (v *View) now(s *segment) (now *segment, there, changed bool) {
	h, ok, err := v.r.header(FileInfo{Name: s.name})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, false
	case err != nil || !ok || h.salt == s.salt:
		return s, true, false
	}
	return &segment{segmentHeader: h, name: s.name, end: h.size - page, doomed: s.doomed}, true, true
}

// stored is a record with what its consumers have done with it.
func (v *View) stored(s *segment, r *recordView, body []byte) *Stored {
	out := &Stored{Number: r.number, Boot: r.boot, Since: r.since, Size: int(r.size()), Segment: s.name, Body: body}
	rest := r.dests
	for range r.ndest {
		who, data, after, _ := nextDest(rest)
		rest = after
		id := uint32(who >> 1)
		if out.For(id) != nil {
			continue // named twice
		}
		d := StoredDest{Consumer: id, Must: who&1 != 0, Data: data, State: DestRemoved}
		if c := v.l.consumers[id]; c != nil {
			d.Name, d.State = c.name, c.stateOf(r.number)
			if s.doomed && d.State == DestWaits {
				d.State = DestDone
			}
		}
		out.Dests = append(out.Dests, d)
	}
	return out
}

// stateOf tells how far a stored record is with a consumer that has not read
// anything since the log was opened.
func (c *Consumer) stateOf(number uint64) DestState {
	switch {
	case c.isAside(number) >= 0:
		return DestAside
	case number <= c.horizon || c.isEarly(number):
		return DestDone
	}
	return DestWaits
}

// Oldest gives f the first record that waits for a consumer; it is false if
// none does.
func (v *View) Oldest(consumer uint32, f func(*Stored)) (some bool) {
	c := v.l.consumers[consumer]
	if c == nil || c.records == 0 {
		return false
	}
	v.Records(c.horizon+1, consumer, func(s *Stored) bool {
		if d := s.For(consumer); d == nil || d.State != DestWaits {
			return true
		}
		f(s)
		some = true
		return false
	})
	return some
}

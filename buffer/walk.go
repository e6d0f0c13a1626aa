package buffer

// Stored is a record on the disk. Its slices are valid during the call that
// gives it, and must not be changed.
type Stored struct {
	Number  uint64
	Boot    uint64
	Since   int64 // nanoseconds since that boot
	Size    int   // bytes it takes in its block
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

// Waits reports whether anybody still wants the record.
func (s *Stored) Waits() bool {
	for i := range s.Dests {
		if s.Dests[i].State == DestWaits {
			return true
		}
	}
	return false
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
	var last uint64
	more := true
	for _, s := range v.l.segments {
		if s.records == 0 || s.last < from || consumer != 0 && s.share(consumer) == nil {
			last = max(last, s.last)
			continue
		}
		seen := uint64(0)
		err := v.r.blocksUntil(s, s.end, func(b *block) bool {
			for rest := b.body; more && b.count > 0; {
				item, after, ok := nextItem(rest)
				if !ok {
					break
				}
				if r, ok := parseRecord(item, b.first, b.boot); ok && r.number > last {
					last = r.number
					seen++
					if r.number >= from {
						more = f(v.stored(s, &r, len(rest)-len(after)))
					}
				}
				rest = after
			}
			return more
		})
		if !more {
			return skipped, nil
		}
		if err == nil && seen >= s.records {
			continue
		}
		if !v.r.still(s, FileInfo{Name: s.name}) {
			continue // freed meanwhile: who wanted its records has them
		}
		if err != nil {
			return skipped, &OpenError{v.l.o.Dir, "read " + s.name, err}
		}
		skipped += s.records - seen
	}
	return skipped, nil
}

// stored is a record with what its consumers have done with it.
func (v *View) stored(s *segment, r *recordView, size int) *Stored {
	out := &Stored{Number: r.number, Boot: r.boot, Since: r.since, Size: size, Segment: s.name, Body: r.body}
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

// Oldest gives the first record that waits for a consumer; ok is false if none
// does.
func (v *View) Oldest(consumer uint32) (boot uint64, since int64, ok bool) {
	c := v.l.consumers[consumer]
	if c == nil || c.records == 0 {
		return 0, 0, false
	}
	v.Records(c.horizon+1, consumer, func(s *Stored) bool {
		if d := s.For(consumer); d == nil || d.State != DestWaits {
			return true
		}
		boot, since, ok = s.Boot, s.Since, true
		return false
	})
	return boot, since, ok
}

package buffer

import (
	"fmt"
	"slices"
)

// Append takes records in order, gives them consecutive numbers and returns
// the first of those. It copies everything and never waits for the disk.
// n < len(batch) means that the tail is full: the first n records were taken,
// OnRoom tells when to go on. On an error none was taken.
func (l *Log) Append(batch []Record) (first uint64, n int, err error) {
	l.mu.Lock()
	if err := l.check(batch); err != nil {
		l.mu.Unlock()
		return 0, 0, err
	}
	if err := l.chargeKeys(batch); err != nil {
		l.mu.Unlock()
		return 0, 0, err
	}
	first = l.number
	done := l.boundFleeting(nil, 0)
	for i := range batch {
		batch[i].Refused = false
		r := l.parted(l.admit(&batch[i]))
		open, firm, must := l.living(r, l.number)
		if open == 0 && !must {
			l.countRefused(&batch[i])
			done = l.settle(done, l.number)
			l.number++
			n++
			continue
		}
		var ok bool
		if done, ok = l.keep(done, r, open, firm, must); !ok {
			l.hungry = true
			for j := range r.Dests {
				if c := l.consumers[r.Dests[j].Consumer]; c != nil {
					c.named = 0 // the number will be another record's
				}
			}
			l.unchargeKeys(batch[i:])
			break
		}
		l.countRefused(&batch[i])
		l.number++
		n++
	}
	l.stats.Appended += uint64(n)
	say := len(l.reports) > 0
	l.mu.Unlock()
	l.tell(done, false)
	if say {
		l.say()
	}
	return first, n, nil
}

// keep takes the next record into the tail. ok is false when there is no room.
// l.mu is held.
func (l *Log) keep(done []Range, r *Record, open, firm uint32, must bool) (_ []Range, ok bool) {
	fleeting, keys := open > 0 && firm == 0, r.Keys
	if fleeting {
		size := recordLen(r, true) + 4
		if done = l.boundFleeting(done, size); l.tail.owed > 0 && l.tail.overFleeting(size) {
			return done, false // a commit has to come first
		}
		if len(keys) > 0 {
			l.admitted = *r
			l.admitted.Keys = nil
			r = &l.admitted
		}
	}
	t, ok := l.tail.add(r, l.number, fleeting)
	if !ok {
		return done, false
	}
	t.open, t.firm, t.must = open, uint16(firm), must && !fleeting
	switch {
	case fleeting && must:
		l.keysApart(keys)
		l.tail.owe(t)
	case fleeting: // nobody asked for it to be kept
		t.told = true
		done = l.settle(done, l.number)
	}
	for j := range r.Dests {
		if r.Dests[j].Memory {
			t.memory++
		}
		if c := l.consumers[r.Dests[j].Consumer]; c != nil && c.named == l.number {
			c.named = 0
			if fleeting {
				c.fleeting.add(l.number)
			}
			c.records++
			c.bytes += int64(t.size)
			c.signal()
		}
	}
	return done, true
}

// admit gives a record without the destinations that refuse it: the one given
// if none does. l.mu is held.
func (l *Log) admit(r *Record) *Record {
	l.refused = l.refused[:0]
	size := int64(0)
	for i := range r.Dests {
		d := &r.Dests[i]
		if !d.Drop && !l.limited && !l.o.Newest {
			continue
		}
		if c := l.consumers[d.Consumer]; c != nil && !slices.ContainsFunc(l.refused, func(x refusal) bool { return x.c == c }) {
			if size == 0 {
				size = int64(recordLen(r, true) + 4)
			}
			if d.Drop {
				l.refused = append(l.refused, refusal{c, DropLimit, !d.Memory})
			} else if reason, yes := c.refuses(size, d.Memory); yes {
				l.refused = append(l.refused, refusal{c, reason, !d.Memory})
			}
		}
	}
	if len(l.refused) == 0 {
		return r
	}
	l.admitted = *r
	for _, x := range l.refused {
		l.admitted.Must = l.admitted.Must || x.firm
	}
	l.dests = l.dests[:0]
	for _, d := range r.Dests {
		if c := l.consumers[d.Consumer]; c != nil && !slices.ContainsFunc(l.refused, func(x refusal) bool { return x.c == c }) {
			l.dests = append(l.dests, d)
		}
	}
	if l.admitted.Dests = l.dests; len(l.dests) == 0 {
		l.admitted.Head, l.admitted.Payload, l.admitted.Keys = nil, nil, nil // what was refused may come again
	}
	return &l.admitted
}

// refusal is a destination that does not take the record being appended.
type refusal struct {
	c      *Consumer
	reason DropReason
	firm   bool // the count has to be durable
}

// countRefused counts what admit left out of a record that was taken. l.mu is held.
func (l *Log) countRefused(r *Record) {
	for _, x := range l.refused {
		x.c.drops[x.reason]++
		x.c.counted, x.c.lossy = x.c.counted || x.firm, true
		l.stats.Dropped++
	}
	if r.Refused = len(l.refused) > 0 && len(l.dests) == 0; r.Refused {
		l.uncharge(r.Keys)
	}
}

// check refuses what could never be stored. l.mu is held.
func (l *Log) check(batch []Record) error {
	if l.closed {
		return ErrClosed
	}
	for i := range batch {
		r := &batch[i]
		if len(r.Dests) >= maxDests {
			return fmt.Errorf("%w: record %d of the batch has %d destinations, limit %d", ErrTooLarge, i, len(r.Dests), maxDests-1)
		}
		for j := range r.Dests {
			d := &r.Dests[j]
			if d.Consumer == 0 || d.Consumer > l.last {
				return fmt.Errorf("%w: number %d in record %d of the batch", ErrUnknownConsumer, d.Consumer, i)
			}
			if len(d.Data) > maxData {
				return fmt.Errorf("%w: destination data of %d bytes, limit %d", ErrTooLarge, len(d.Data), maxData)
			}
		}
		if n := recordLen(r, true) + keysLen(r.Keys); int64(n)+16 > l.maxRecord() {
			return fmt.Errorf("%w: record of %d bytes, limit %d", ErrTooLarge, n, l.maxRecord())
		}
	}
	return nil
}

// maxRecord bounds one record so that it fits a fresh segment and the tail.
func (l *Log) maxRecord() int64 { return min(l.o.SegmentSize/2, l.o.TailSize/2) }

// living counts the living destinations of a record, and of them those that are
// not for memory, and marks their consumers as named by it. l.mu is held.
func (l *Log) living(r *Record, number uint64) (open, firm uint32, must bool) {
	must = r.Must || len(r.Keys) > 0
	for i := range r.Dests {
		d := &r.Dests[i]
		c := l.consumers[d.Consumer]
		if c == nil {
			continue
		}
		must = must || d.Must && !d.Memory
		if c.named != number {
			c.named = number
			open++
			if !d.Memory {
				firm++
			}
		}
	}
	return open, firm, must
}

package buffer

import (
	"errors"
	"fmt"
	"slices"
)

// ErrNoRecord: the log does not hold such a record for this consumer.
var ErrNoRecord = errors.New("buffer: no such record")

// Aside lists the records that are set aside, oldest first.
func (c *Consumer) Aside() (numbers []uint64) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	for _, a := range c.aside {
		numbers = append(numbers, a.number)
	}
	return numbers
}

// Find reads one record that the consumer has not acknowledged, from the tail or the disk, without moving its place. The
// entry is a copy. It is for single records: on the disk it looks through the segment. ErrNoRecord: there is none.
func (c *Consumer) Find(number uint64) (Entry, error) {
	l := c.l
	l.mu.Lock()
	if err := c.usable(); err != nil {
		l.mu.Unlock()
		return Entry{}, err
	}
	if t := l.tail.find(number); t != nil {
		v := l.tail.view(t)
		e, ok := c.entry(&v)
		l.mu.Unlock()
		if !ok {
			return Entry{}, fmt.Errorf("%w: %d is for others", ErrNoRecord, number)
		}
		return e, nil
	}
	for {
		s := l.segmentOf(number)
		var end int64
		if s != nil {
			end = s.end
		}
		l.mu.Unlock()
		if s == nil {
			return Entry{}, fmt.Errorf("%w: %d", ErrNoRecord, number)
		}
		e, err := c.findStored(s, end, number)
		if err == nil {
			return e, nil
		}
		l.mu.Lock()
		if !s.replaced { // else it may be another file by now: look again
			l.mu.Unlock()
			return e, err
		}
	}
}

// entry copies what a record holds for the consumer.
func (c *Consumer) entry(v *recordView) (Entry, bool) {
	data, ok := v.dest(c.id)
	return Entry{Number: v.number, Boot: v.boot, Since: v.since, Data: slices.Clone(data), Body: slices.Clone(v.body(new([]byte)))}, ok
}

func (c *Consumer) findStored(s *segment, end int64, number uint64) (Entry, error) {
	f, err := c.l.openSegment(s)
	if err != nil {
		return Entry{}, fmt.Errorf("find record %d: %w", number, err)
	}
	defer f.Close()
	scan := scanner{buf: c.l.borrow()}
	defer func() { c.l.giveBack(scan.buf) }()
	scan.reset(f, s.seed(), end)
	scan.above = number - 1
	for {
		b, ok, err := scan.next()
		if err != nil {
			return Entry{}, fmt.Errorf("find record %d: %w", number, err)
		}
		if !ok || b.count > 0 && b.first > number {
			return Entry{}, fmt.Errorf("%w: %d", ErrNoRecord, number)
		}
		it := b.items()
		for v, ok := it.record(); ok; v, ok = it.record() {
			if v.number != number {
				continue
			}
			if e, ok := c.entry(&v); ok {
				return e, nil
			}
		}
	}
}

package buffer

// place is where the consumer's next records are: in the tail or a segment.
type place struct {
	s     *segment // to be read, or, with tail, to be gone on with; may be nil then
	tail  bool
	below uint64 // records from this one on are elsewhere
}

// where finds the next records above the cursor: in the first segment that
// holds something for this consumer, or in the tail if none does, or if what
// stands there between the stored ones, never to be written, comes first. l.mu
// is held.
func (c *Consumer) where() place {
	l := c.l
	fleeting := c.fleeting.above(c.cursor)
	for i := l.segmentAbove(c.cursor); i < len(l.segments); i++ {
		s := l.segments[i]
		if s.doomed {
			continue
		}
		if h := s.share(c.id); h != nil && h.last > c.cursor && h.done < h.count {
			switch {
			case fleeting < h.first: // before all of the segment
				return place{tail: true, below: h.first}
			case fleeting > c.cursor+1: // there may be stored ones before it
				return place{s: s, below: fleeting}
			case c.in.seg == s && c.in.ahead > fleeting: // others up to there as well
				return place{s: s, tail: true, below: c.in.ahead}
			}
			return place{s: s, tail: true, below: fleeting + 1}
		}
		if s.records > 0 {
			c.passTo(s.last)
		}
	}
	return place{tail: true, below: noRecord}
}

// passTo moves the horizon and the cursor up to number, but not over a record
// in memory that has not been given. l.mu is held.
func (c *Consumer) passTo(number uint64) {
	c.pass(min(number, c.fleeting.above(c.cursor)-1))
}

package buffer

import "encoding/binary"

const (
	maxRanges = 4096  // acknowledged ranges kept in a position
	maxAside  = 65536 // records set aside per consumer
)

// appendPosition encodes where a consumer stands:
// low-water record, then acknowledged ranges above it as gap and length.
func (c *Consumer) appendPosition(dst []byte) []byte {
	low := c.low()
	limit := len(dst) + c.l.positionRoom()
	dst = binary.AppendUvarint(dst, low)
	at, n := low, 0
	c.doneRanges(func(r Range) bool {
		dst = binary.AppendUvarint(dst, r.First-at)
		dst = binary.AppendUvarint(dst, r.Last-r.First)
		at = r.Last
		n++
		return n < maxRanges && len(dst) < limit
	})
	return dst
}

// parsePosition is the reverse. What cannot be read ends the list: a position
// that lacks ranges repeats records, it loses none.
func parsePosition(p []byte) (low uint64, done []Range) {
	low, k := binary.Uvarint(p)
	if k <= 0 {
		return 0, nil
	}
	at := low
	for p = p[k:]; len(p) > 0 && len(done) < maxRanges; {
		gap, i := binary.Uvarint(p)
		if i <= 0 {
			break
		}
		length, j := binary.Uvarint(p[i:])
		first := at + gap
		if j <= 0 || first < at || first+length < first || gap == 0 {
			break
		}
		done = append(done, Range{first, first + length})
		at, p = first+length, p[i+j:]
	}
	return low, done
}

// positionRoom bounds one encoded position, so that the positions of all
// consumers fit the head of a segment. Ranges beyond it are left out: their
// records are repeated after a crash, not lost. l.mu is held.
func (l *Log) positionRoom() int {
	return int(l.o.SegmentSize/8/int64(max(1, len(l.consumers)))) - 40
}

// appendAside and parseAside: the numbers set aside, as differences.
func (c *Consumer) appendAside(dst []byte) []byte {
	var at uint64
	for _, a := range c.aside {
		dst = binary.AppendUvarint(dst, a.number-at)
		at = a.number
	}
	return dst
}

func parseAside(p []byte) (aside []uint64) {
	var at uint64
	for len(p) > 0 && len(aside) < maxAside {
		d, k := binary.Uvarint(p)
		if k <= 0 || at+d < at || d == 0 {
			break
		}
		at += d
		aside, p = append(aside, at), p[k:]
	}
	return aside
}

// low is the number up to which every record of the consumer is acknowledged,
// set aside or dropped.
func (c *Consumer) low() uint64 {
	if w := c.window[c.head:]; len(w) > 0 {
		return w[0].number - 1
	}
	return c.horizon
}

// doneRanges walks the acknowledged ranges above low.
func (c *Consumer) doneRanges(yield func(Range) bool) {
	w := c.window[c.head:]
	for i := 1; i < len(w); i++ {
		if w[i].after && w[i].number-w[i-1].number > 1 {
			if !yield(Range{w[i-1].number + 1, w[i].number - 1}) {
				return
			}
		}
	}
	if len(w) > 0 && c.trail && c.horizon > w[len(w)-1].number {
		if !yield(Range{w[len(w)-1].number + 1, c.horizon}) {
			return
		}
	}
	for _, r := range c.early {
		if r.Last <= c.low() {
			continue
		}
		if !yield(r.Range) {
			return
		}
	}
}

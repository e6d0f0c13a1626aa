package quality

import (
	"math"
	"slices"
	"time"
)

// mostMedian is the longest window of a median.
const mostMedian = 5

// median takes single spikes out: each value is replaced by the median of the
// last few.
type median struct {
	last [mostMedian]float64
	n    int // values in last
	next int // where the next one goes
}

// add takes a value into a window of the given size, 3 or 5, and returns the
// median of what is in it, which are fewer at the beginning.
func (m *median) add(size int, v float64) float64 {
	size = min(size, mostMedian)
	m.last[m.next] = v
	m.next = (m.next + 1) % size
	m.n = min(m.n+1, size)
	var sorted [mostMedian]float64
	in := sorted[:copy(sorted[:], m.last[:m.n])]
	slices.Sort(in)
	if m.n%2 == 1 {
		return in[m.n/2]
	}
	return in[m.n/2-1]/2 + in[m.n/2]/2 // halved first: the sum may be too large for a number
}

// smooth is exponential smoothing by time, so that a missed reading counts as
// the time that has passed.
type smooth struct {
	on    bool
	value float64
	at    time.Duration
}

// add takes a value and returns the smoothed one: after a step it has gone 63 %
// of the way when the time constant has passed.
func (s *smooth) add(constant, at time.Duration, v float64) float64 {
	if !s.on {
		*s = smooth{on: true, value: v, at: at}
		return v
	}
	part := -math.Expm1(-max(at-s.at, 0).Seconds() / constant.Seconds())
	s.value, s.at = s.value*(1-part)+v*part, at
	return s.value
}

package quality

import "time"

// The tendency is that of weather observations: the change within three hours,
// positive if the pressure rose.
const (
	tendencySpan = 3 * time.Hour
	tendencyStep = 5 * time.Minute  // between values that are remembered
	tendencyGap  = 30 * time.Minute // the longest that is bridged by a straight line
	tendencyKept = 40               // values: the span, and more than a step at either end
)

// tendency remembers a value every few minutes, for a little more than three
// hours.
type tendency struct {
	ring [tendencyKept]remembered
	n    int // in the ring
	next int
}

type remembered struct {
	at    time.Duration
	value float64
}

// back is the value i places before the newest.
func (h *tendency) back(i int) remembered {
	return h.ring[(h.next-1-i+2*tendencyKept)%tendencyKept]
}

// add takes a value and returns how much it has changed in three hours, if what
// was three hours ago is known.
func (h *tendency) add(at time.Duration, v float64) (change float64, ok bool) {
	if h.n > 0 && at < h.back(0).at {
		return 0, false
	}
	if h.n == 0 || at-h.back(0).at >= tendencyStep {
		h.ring[h.next] = remembered{at, v}
		h.next = (h.next + 1) % tendencyKept
		h.n = min(h.n+1, tendencyKept)
	}
	before, ok := h.value(at - tendencySpan)
	return v - before, ok
}

// value is the one at a time, between two that are near enough or from one
// beside it. The newest is never asked for.
func (h *tendency) value(at time.Duration) (float64, bool) {
	for i := 1; i < h.n; i++ {
		older, newer := h.back(i), h.back(i-1)
		if older.at > at {
			continue
		}
		gap := newer.at - older.at
		switch {
		case gap <= tendencyGap:
			part := float64(at-older.at) / float64(gap)
			return older.value + (newer.value-older.value)*part, true
		case at-older.at <= tendencyStep:
			return older.value, true
		case newer.at-at <= tendencyStep:
			return newer.value, true
		}
		return 0, false
	}
	return 0, false
}

package gateway

import (
	"math"
	"time"
)

// schedule gives the slots at which a sensor is read: start + phase + k*every, on the monotonic clock, so that it does
// not drift; the first one is at the start itself. A slot that has passed is skipped and counted, never made up for.
// After failures it leaves slots out.
//
// With wall, slots are moved to whole multiples of every since 1970 in UTC, each by at most half of every: however the
// clock is set, no slot comes twice, and a new one follows the clock within one slot.
type schedule struct {
	start    time.Time
	every    time.Duration
	phase    time.Duration                         // not used with wall
	wall     func(t time.Time) (ns int64, ok bool) // the wall clock at a moment, if it is trusted; nil: none is asked
	failures int                                   // in a row
	missed   uint64                                // slots that passed while a read was running or the machine slept
}

// backOffMax bounds how long a failing sensor is left alone, unless its interval is longer than that.
const backOffMax = 8 * time.Second

// next is the slot to wait for when the read of a slot has ended at now.
func (s *schedule) next(slot, now time.Time) time.Time {
	following := slot.Add(s.every)
	if s.phase > 0 && slot.Equal(s.start) && s.wall == nil {
		following = s.start.Add(s.phase)
		if 2*s.phase < s.every {
			following = following.Add(s.every)
		}
	}
	if late := now.Sub(following); late >= 0 {
		passed := late/s.every + 1
		s.missed += uint64(passed)
		following = following.Add(passed * s.every)
	}
	return s.aligned(following.Add(s.pause().Truncate(s.every)), now)
}

// aligned moves a slot to the nearest whole multiple.
func (s *schedule) aligned(slot, now time.Time) time.Time {
	if s.wall == nil {
		return slot
	}
	wall, ok := s.wall(slot)
	if !ok {
		return slot
	}
	past := time.Duration(wall % int64(s.every))
	if past > s.every/2 {
		past -= s.every
	}
	if slot = slot.Add(-past); !slot.After(now) {
		slot = slot.Add(s.every)
	}
	return slot
}

// mostPhase is the longest time over which sensors with the same interval are spread.
const mostPhase = 10 * time.Second

// phaseOf spreads sensors so that many do not want their buses at the same moment: the parts of the golden ratio fill a
// time evenly, however many there are.
func phaseOf(n int, every time.Duration) time.Duration {
	_, part := math.Modf(float64(n) * (math.Sqrt(5) - 1) / 2)
	return time.Duration(part * float64(min(every, mostPhase)))
}

// pause is how much longer than its interval a failing sensor is left alone: 0, then 1, 3, 7... intervals.
func (s *schedule) pause() time.Duration {
	if s.failures < 2 {
		return 0
	}
	longest := max(backOffMax-s.every, 0)
	pause := s.every
	for range min(s.failures-2, 10) {
		pause = min(2*pause+s.every, longest)
	}
	return min(pause, longest)
}

// done notes how a read went.
func (s *schedule) done(ok bool) {
	if ok {
		s.failures = 0
	} else {
		s.failures++
	}
}

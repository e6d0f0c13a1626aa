package gateway

import "time"

// schedule gives the slots at which a sensor is read: start + k*every, on the monotonic clock, so that it does not
// drift. A slot that has passed is skipped and counted, never made up for. After failures it leaves slots out.
type schedule struct {
	start    time.Time
	every    time.Duration
	failures int    // in a row
	missed   uint64 // slots that passed while a read was running or the machine slept
}

// backOffMax bounds how long a failing sensor is left alone, unless its interval is longer than that.
const backOffMax = 8 * time.Second

// next is the slot to wait for when the read of a slot has ended at now.
func (s *schedule) next(slot, now time.Time) time.Time {
	following := slot.Add(s.every)
	if late := now.Sub(following); late >= 0 {
		passed := late/s.every + 1
		s.missed += uint64(passed)
		following = following.Add(passed * s.every)
	}
	return following.Add(s.pause().Truncate(s.every))
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

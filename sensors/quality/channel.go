package quality

import (
	"math"
	"time"

	"weir/sensors"
)

// Channel judges and corrects the readings of one quantity of one sensor. It is
// used by one goroutine at a time.
type Channel struct {
	c Config

	rate   rate
	frozen frozen
	median median
	smooth smooth
}

// NewChannel returns a channel that has seen nothing.
func NewChannel(c Config) *Channel {
	if c.Gain == 0 {
		c.Gain = 1
	}
	if c.Rearm == 0 {
		c.Rearm = 3
	}
	return &Channel{c: c}
}

// Apply judges r, measured at the given time of a clock that never goes back,
// and corrects it in place. A bad reading has the value 0; no other has one that
// is not finite.
func (ch *Channel) Apply(at time.Duration, r *sensors.Reading) {
	if !(r.Resolution >= 0) || math.IsInf(r.Resolution, 0) {
		r.Resolution = 0
	}
	why := r.Quality.Reason
	if r.Quality.Level != sensors.Bad {
		if why = ch.fault(at, r); why == "" {
			why = ch.correct(at, r)
		}
		if why == "" {
			return
		}
	}
	r.Value, r.Quality = 0, sensors.Quality{Level: sensors.Bad, Reason: why}
}

// Lost says that readings have failed to come: what was before is not mixed
// with what comes. What rates are compared with stays.
func (ch *Channel) Lost() {
	ch.median, ch.frozen = median{}, frozen{}
}

// Reset forgets everything, as another device answers now.
func (ch *Channel) Reset() { *ch = Channel{c: ch.c} }

// fault returns why a measured value cannot be, "" if it can.
func (ch *Channel) fault(at time.Duration, r *sensors.Reading) sensors.Reason {
	v := r.Value
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return sensors.NotANumber
	case (r.Min != 0 || r.Max != 0) && (v < r.Min || v > r.Max):
		return sensors.OutsideChip
	case (ch.c.Min != 0 || ch.c.Max != 0) && (v < ch.c.Min || v > ch.c.Max):
		return sensors.OutsideUser
	}
	believed, jumped := ch.rate.judge(&ch.c, at, r)
	switch {
	case !believed:
		return sensors.TooFast
	case jumped:
		ch.median, ch.smooth = median{}, smooth{}
	}
	if ch.c.Frozen > 0 && ch.frozen.judge(at, r) >= ch.c.Frozen {
		return sensors.Frozen
	}
	return ""
}

// correct changes a value that is believed.
func (ch *Channel) correct(at time.Duration, r *sensors.Reading) sensors.Reason {
	if ch.c.Median > 1 {
		r.Value = ch.median.add(ch.c.Median, r.Value)
	}
	value, slope := ch.c.calibrated(r.Value)
	r.Value, r.Resolution = value, r.Resolution*slope
	if ch.c.Smooth > 0 {
		r.Value = ch.smooth.add(ch.c.Smooth, at, r.Value)
	}
	if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) || math.IsInf(r.Resolution, 0) || math.IsNaN(r.Resolution) {
		ch.smooth = smooth{}
		return sensors.NotANumber
	}
	return ""
}

// calibrated is the true value for a measured one, and how many steps of the
// result one step of the measured value is. Outside the points the first or the
// last line goes on.
func (c *Config) calibrated(v float64) (value, slope float64) {
	if len(c.Points) < 2 {
		return v*c.Gain + c.Offset, math.Abs(c.Gain)
	}
	i := 1
	for i < len(c.Points)-1 && v > c.Points[i].Measured {
		i++
	}
	a, b := c.Points[i-1], c.Points[i]
	slope = (b.True - a.True) / (b.Measured - a.Measured)
	return a.True + (v-a.Measured)*slope, math.Abs(slope)
}

// rate notices changes that are too fast to be true.
type rate struct {
	accepted   bool          // value and since are those of the reading accepted last
	value      float64       // as measured
	since      time.Duration // when it was measured
	doubtful   float64       // the last reading that was too fast
	doubtSince time.Duration
	agreeing   int // how many such readings in a row agree with each other
}

// judge tells whether a value is believed, and whether it is far from the last
// one that was.
func (s *rate) judge(c *Config, at time.Duration, r *sensors.Reading) (believed, jumped bool) {
	v := r.Value
	if c.MaxRate > 0 && s.accepted && tooFast(c.MaxRate, v-s.value, at-s.since, r.Resolution) {
		if s.agreeing > 0 && !tooFast(c.MaxRate, v-s.doubtful, at-s.doubtSince, r.Resolution) {
			s.agreeing++
		} else {
			s.agreeing = 1
		}
		s.doubtful, s.doubtSince = v, at
		if s.agreeing < c.Rearm {
			return false, false
		}
		jumped = true
	}
	s.accepted, s.value, s.since, s.agreeing = true, v, at, 0
	return true, jumped
}

// tooFast compares a change with the rate; one step of the resolution is no
// change.
func tooFast(most, change float64, over time.Duration, resolution float64) bool {
	return math.Abs(change) > most*max(over, 0).Seconds()+resolution
}

// frozen notices a device whose word does not change.
type frozen struct {
	raw   int64
	value float64
	since time.Duration
	seen  int // times in a row
}

// leastFrozen is how often a word must come before it can be called frozen,
// however long it took.
const leastFrozen = 10

// judge is how long the word has been the same; 0 while it came only a few times.
func (f *frozen) judge(at time.Duration, r *sensors.Reading) time.Duration {
	if f.seen == 0 || r.Raw != f.raw || r.Value != f.value {
		*f = frozen{raw: r.Raw, value: r.Value, since: at}
	}
	if f.seen = min(f.seen+1, leastFrozen); f.seen < leastFrozen {
		return 0
	}
	return at - f.since
}

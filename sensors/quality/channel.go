package quality

import (
	"math"
	"time"

	"weir/sensors"
)

// Config says how the readings of one quantity are judged. All numbers are in
// the unit of the reading (°C, Pa, %RH). The zero value changes nothing and
// publishes everything.
type Config struct {
	Min, Max         float64       // accepted range; both zero: any
	MaxRate          float64       // largest believable change per second; 0: any
	Rearm            int           // readings that must agree before a faster change is believed; 0: 3
	Gain             float64       // 0: 1
	Offset           float64       // added after the gain
	Deadband         float64       // smaller changes than this are not published; 0: none
	DeadbandFraction float64       // the same as a part of the value published last: 0.01 is 1 %
	Heartbeat        time.Duration // publish at least this often while readings come; 0: no such promise
}

// Channel judges the readings of one quantity of one sensor, in order. It is
// used by one goroutine at a time.
type Channel struct {
	c Config

	accepted   bool          // value and since are those of the reading accepted last
	value      float64       // as measured
	since      time.Duration // when it was measured
	doubtful   float64       // the last reading that was too fast
	doubtSince time.Duration
	agreeing   int // how many such readings in a row agree with each other

	told     bool // the fields below are those published last
	toldAt   time.Duration
	toldWhat sensors.Reading
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
// and corrects it in place. It reports whether r is worth publishing: the first
// reading, each change of quality, each change beyond the deadband, and a
// heartbeat. A bad reading has the value 0.
func (ch *Channel) Apply(at time.Duration, r *sensors.Reading) (publish bool) {
	if r.Quality.Level != sensors.Bad {
		if why := ch.fault(at, r); why != "" {
			r.Quality = sensors.Quality{Level: sensors.Bad, Reason: why}
		} else {
			r.Value = r.Value*ch.c.Gain + ch.c.Offset
			r.Resolution *= math.Abs(ch.c.Gain)
		}
	}
	if r.Quality.Level == sensors.Bad {
		r.Value = 0
	}
	if !ch.worthTelling(at, r) {
		return false
	}
	ch.told, ch.toldAt, ch.toldWhat = true, at, *r
	return true
}

// Lost says that readings have failed to come: the next one is published
// whatever it is. What rates are compared with stays.
func (ch *Channel) Lost() { ch.told = false }

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
	case ch.c.MaxRate > 0 && ch.accepted && ch.tooFast(v-ch.value, at-ch.since, r.Resolution) && !ch.rearmed(v, at, r.Resolution):
		return sensors.TooFast
	}
	ch.accepted, ch.value, ch.since, ch.agreeing = true, v, at, 0
	return ""
}

// tooFast compares a change with the rate; one step of the resolution is no
// change.
func (ch *Channel) tooFast(change float64, over time.Duration, resolution float64) bool {
	return math.Abs(change) > ch.c.MaxRate*over.Seconds()+resolution
}

// rearmed counts readings that are too far from the accepted value but agree
// with each other, and believes them when there are enough.
func (ch *Channel) rearmed(v float64, at time.Duration, resolution float64) bool {
	if ch.agreeing > 0 && !ch.tooFast(v-ch.doubtful, at-ch.doubtSince, resolution) {
		ch.agreeing++
	} else {
		ch.agreeing = 1
	}
	ch.doubtful, ch.doubtSince = v, at
	return ch.agreeing >= ch.c.Rearm
}

func (ch *Channel) worthTelling(at time.Duration, r *sensors.Reading) bool {
	switch {
	case !ch.told, r.Quality != ch.toldWhat.Quality:
		return true
	case ch.c.Heartbeat > 0 && at-ch.toldAt >= ch.c.Heartbeat:
		return true
	case r.Quality.Level == sensors.Bad:
		return false
	case ch.c.Deadband == 0 && ch.c.DeadbandFraction == 0:
		return true
	}
	change := math.Abs(r.Value - ch.toldWhat.Value)
	relative := ch.c.DeadbandFraction * math.Abs(ch.toldWhat.Value)
	return ch.c.Deadband > 0 && change >= ch.c.Deadband || ch.c.DeadbandFraction > 0 && change >= relative && change > 0
}

package gateway

import (
	"math"
	"slices"
	"time"

	"weir/broker/packet"
	"weir/gateway/config"
	"weir/sensors"
	"weir/sensors/quality"
)

// judge holds what becomes of each quantity of one sensor. Used by one goroutine at a time.
type judge struct {
	c       *config.Sensor
	driver  *sensors.Driver // nil: nothing is known of it
	start   time.Time
	derive  *quality.Deriver // nil: nothing is computed
	outlets []*outlet        // one for each quantity that has been seen
	chip    string           // that answered last
}

// outlet is how one quantity is judged and published.
type outlet struct {
	quantity sensors.Quantity
	channel  *quality.Channel
	gate     *quality.Gate
	shape    shape

	payload  []byte                 // of the message in the batch
	unitText []byte                 // likewise
	user     [2]packet.UserProperty // likewise

	text []byte // the newest value as it is published; guarded by sampler.mu, as are the next three
	unit sensors.Unit
	last sensors.Quality
	at   time.Time
}

func newJudge(c *config.Sensor, driver *sensors.Driver) *judge {
	j := &judge{c: c, driver: driver, start: time.Now()}
	if len(c.Derive) > 0 {
		place := quality.Place{Outdoors: c.Outdoors}
		if c.Elevation != nil {
			place.Elevation = *c.Elevation
		}
		j.derive = quality.NewDeriver(c.Derive, place)
	}
	return j
}

// outlet finds or makes the one of a reading's quantity.
func (j *judge) outlet(r *sensors.Reading) *outlet {
	for _, o := range j.outlets {
		if o.quantity == r.Quantity {
			return o
		}
	}
	o := &outlet{
		quantity: r.Quantity, channel: quality.NewChannel(j.limits(r)), gate: quality.NewGate(j.gate(r)), shape: shapeOf(j.c, r.Quantity),
	}
	j.outlets = append(j.outlets, o)
	return o
}

// apply judges and corrects the readings of a sample in place, and adds those that are computed from them.
func (j *judge) apply(s *sensors.Sample, at time.Time) {
	since := at.Sub(j.start)
	j.known(s)
	measured := len(s.Readings)
	for i := range s.Readings {
		j.outlet(&s.Readings[i]).channel.Apply(since, &s.Readings[i])
	}
	if j.derive == nil || measured == 0 {
		return
	}
	j.derive.Add(since, s)
	for i := measured; i < len(s.Readings); i++ {
		j.outlet(&s.Readings[i]).channel.Apply(since, &s.Readings[i])
	}
}

// known forgets what was when another chip answers than before: another kind, or one with another calibration.
func (j *judge) known(s *sensors.Sample) {
	other := s.Chip != "" && j.chip != "" && s.Chip != j.chip ||
		slices.ContainsFunc(s.Readings, func(r sensors.Reading) bool { return r.Quality.Reason == sensors.OtherChip })
	if s.Chip != "" {
		j.chip = s.Chip
	}
	if !other {
		return
	}
	for _, o := range j.outlets {
		o.channel.Reset()
		o.gate.Lost()
	}
	if j.derive != nil {
		j.derive.Reset()
	}
}

// lost says that a read has failed.
func (j *judge) lost() {
	for _, o := range j.outlets {
		o.channel.Lost()
		o.gate.Lost()
	}
}

// scale is between the unit of a reading and the one that is published, which settings are in.
type scale struct{ inside, shown sensors.Unit }

func (s scale) in(v float64) float64 {
	if converted, ok := sensors.Convert(v, s.shown, s.inside); ok && !math.IsInf(v, 0) {
		return converted
	}
	return v
}

func (s scale) out(v float64) float64 {
	if converted, ok := sensors.Convert(v, s.inside, s.shown); ok {
		return converted
	}
	return v
}

// step is about differences.
func (s scale) step(v float64) float64 {
	if converted, ok := sensors.ConvertStep(v, s.shown, s.inside); ok {
		return converted
	}
	return v
}

func (j *judge) scale(r *sensors.Reading) scale {
	return scale{inside: r.Unit, shown: config.Own(j.c, j.c.Units, r.Quantity, r.Shown())}
}

// limits are the rules of the configuration for a quantity, in the unit of its readings.
func (j *judge) limits(r *sensors.Reading) quality.Config {
	c, q, unit := j.c, r.Quantity, j.scale(r)
	l := quality.Config{
		MaxRate: unit.step(config.Own(c, c.MaxRate, q, 0)), Rearm: c.Rearm,
		Frozen: config.Of(c.Stuck, q, j.frozen(q)), Median: config.Of(c.Median, q, 1), Smooth: config.Of(c.Smooth, q, 0),
	}
	if c.Derives(q) {
		l.Frozen = c.Stuck[q] // what it is computed from is judged already
	}
	low, high := unit.in(config.Own(c, c.Min, q, math.Inf(-1))), unit.in(config.Own(c, c.Max, q, math.Inf(1)))
	if !math.IsInf(low, 0) || !math.IsInf(high, 0) {
		l.Min, l.Max = low, high
	}
	for _, p := range config.Own(c, c.Calibrate, q, nil) {
		l.Points = append(l.Points, quality.Point{Measured: unit.in(p[0]), True: unit.in(p[1])})
	}
	l.Gain, l.Offset = config.Own(c, c.Gain, q, 1), config.Own(c, c.Offset, q, 0)
	if l.Gain == 1 {
		l.Offset = unit.step(l.Offset)
	} else { // a line stays one in another unit, through another point
		l.Offset = unit.in(l.Gain*unit.out(0) + l.Offset)
	}
	return l
}

// frozen is how long the word of a working chip can stay the same.
func (j *judge) frozen(q sensors.Quantity) time.Duration {
	if j.driver == nil {
		return 0
	}
	for _, m := range j.driver.Delivers(j.c.Settings) {
		if m.Quantity == q {
			return m.Frozen
		}
	}
	return 0
}

// gate is which readings of a quantity are published.
func (j *judge) gate(r *sensors.Reading) quality.GateConfig {
	c, q := j.c, r.Quantity
	return quality.GateConfig{
		Deadband: j.scale(r).step(config.Own(c, c.Deadband, q, 0)), DeadbandFraction: config.Of(c.DeadbandPercent, q, 0) / 100,
		Heartbeat: config.Of(c.Heartbeat, q, 0), Interval: config.Of(c.MinInterval, q, 0),
		Every: config.Of(c.PublishEvery, q, 0), Mean: config.Of(c.Publish, q, "last") == "mean", Sampling: c.Every,
	}
}

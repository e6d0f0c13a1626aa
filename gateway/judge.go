package gateway

import (
	"math"
	"time"

	"weir/gateway/config"
	"weir/sensors"
	"weir/sensors/quality"
)

// judge holds the quality pipeline of each quantity of one sensor. Used by one goroutine at a time.
type judge struct {
	c        *config.Sensor
	start    time.Time
	channels map[sensors.Quantity]*quality.Channel
}

func newJudge(c *config.Sensor) *judge {
	return &judge{c: c, start: time.Now(), channels: map[sensors.Quantity]*quality.Channel{}}
}

// apply judges and corrects the readings of a sample in place.
func (j *judge) apply(s *sensors.Sample, at time.Time) {
	for i := range s.Readings {
		r := &s.Readings[i]
		channel := j.channels[r.Quantity]
		if channel == nil {
			channel = quality.NewChannel(limits(j.c, r))
			j.channels[r.Quantity] = channel
		}
		channel.Apply(at.Sub(j.start), r)
	}
}

// limits are the rules of the configuration for a quantity, in the unit of its readings.
func limits(c *config.Sensor, r *sensors.Reading) quality.Config {
	shown := of(c.Units, r.Quantity, r.Shown())
	inside := func(m map[sensors.Quantity]float64, otherwise float64) float64 {
		v := of(m, r.Quantity, otherwise)
		if math.IsInf(v, 0) {
			return v
		}
		if converted, ok := sensors.Convert(v, shown, r.Unit); ok {
			return converted
		}
		return v
	}
	q := quality.Config{}
	q.Offset = of(c.Offset, r.Quantity, 0)
	if step, ok := sensors.ConvertStep(q.Offset, shown, r.Unit); ok {
		q.Offset = step
	}
	low, high := inside(c.Min, math.Inf(-1)), inside(c.Max, math.Inf(1))
	if !math.IsInf(low, 0) || !math.IsInf(high, 0) {
		q.Min, q.Max = low, high
	}
	return q
}

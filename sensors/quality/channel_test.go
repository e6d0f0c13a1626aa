package quality

import (
	"math"
	"testing"
	"time"

	"weir/sensors"
)

// step is a reading going in and what has to come out.
type step struct {
	at      float64 // seconds
	in      float64
	want    float64
	level   sensors.Level
	reason  sensors.Reason
	publish bool
}

func good(at, in, want float64, publish bool) step {
	return step{at, in, want, sensors.Good, "", publish}
}

func bad(at, in float64, why sensors.Reason, publish bool) step {
	return step{at, in, 0, sensors.Bad, why, publish}
}

func TestChannel(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name   string
		config Config
		steps  []step
	}{
		{"nothing set", Config{}, []step{good(0, 20, 20, true), good(1, 20, 20, true), good(2, -300, -300, true)}},
		{"no number", Config{}, []step{good(0, 20, 20, true), bad(1, nan, sensors.NotANumber, true), bad(2, inf, sensors.NotANumber, false), good(3, 20, 20, true)}},
		{"user range", Config{Min: -10, Max: 50}, []step{
			good(0, -10, -10, true), good(1, 50, 50, true), bad(2, 50.1, sensors.OutsideUser, true), bad(3, -10.1, sensors.OutsideUser, false), good(4, 0, 0, true)}},
		{"only a lower limit", Config{Min: -5, Max: inf}, []step{bad(0, -6, sensors.OutsideUser, true), good(1, 1e9, 1e9, true)}},
		{"range is of the measured value", Config{Min: 0, Max: 10, Offset: 100}, []step{good(0, 5, 105, true), bad(1, 105, sensors.OutsideUser, true)}},
		{"gain and offset", Config{Gain: 2, Offset: -1}, []step{good(0, 10, 19, true), good(1, -10, -21, true)}},
		{"rate", Config{MaxRate: 1}, []step{
			good(0, 20, 20, true), good(1, 21, 21, true), bad(2, 23, sensors.TooFast, true), good(3, 22, 22, true), good(13, 12, 12, true)}},
		{"rate, a real step is believed", Config{MaxRate: 1, Rearm: 3}, []step{
			good(0, 20, 20, true), bad(1, 80, sensors.TooFast, true), bad(2, 80.5, sensors.TooFast, false), good(3, 80, 80, true), good(4, 80, 80, true)}},
		{"rate, noise is not", Config{MaxRate: 1, Rearm: 3}, []step{
			good(0, 20, 20, true), bad(1, 80, sensors.TooFast, true), bad(2, -40, sensors.TooFast, false), bad(3, 85, sensors.TooFast, false),
			bad(4, -30, sensors.TooFast, false), good(5, 20, 20, true)}},
		{"rate, counting starts anew after a good one", Config{MaxRate: 1, Rearm: 2}, []step{
			good(0, 20, 20, true), bad(1, 80, sensors.TooFast, true), good(2, 20, 20, true), bad(3, 80, sensors.TooFast, true), good(4, 80, 80, true)}},
		{"rate, the distance grows with time", Config{MaxRate: 1}, []step{good(0, 0, 0, true), bad(1, 50, sensors.TooFast, true), good(60, 50, 50, true)}},
		{"deadband", Config{Deadband: 0.5}, []step{
			good(0, 20, 20, true), good(1, 20.4, 20.4, false), good(2, 20.5, 20.5, true), good(3, 20.1, 20.1, false), good(4, 20, 20, true)}},
		{"deadband against what was published last", Config{Deadband: 1}, []step{
			good(0, 0, 0, true), good(1, 0.4, 0.4, false), good(2, 0.8, 0.8, false), good(3, 1.2, 1.2, true)}},
		{"deadband in percent", Config{DeadbandFraction: 0.01}, []step{
			good(0, 1000, 1000, true), good(1, 1009, 1009, false), good(2, 1010, 1010, true), good(3, 1000, 1000, false)}},
		{"deadband in percent at zero", Config{DeadbandFraction: 0.01}, []step{good(0, 0, 0, true), good(1, 0, 0, false), good(2, 0.1, 0.1, true)}},
		{"either deadband", Config{Deadband: 5, DeadbandFraction: 0.5}, []step{good(0, 4, 4, true), good(1, 5, 5, false), good(2, 6, 6, true), good(3, 11, 11, true)}},
		{"heartbeat", Config{Deadband: 1, Heartbeat: 10 * time.Second}, []step{
			good(0, 20, 20, true), good(9, 20, 20, false), good(10, 20, 20, true), good(19, 20, 20, false), good(20, 20.1, 20.1, true)}},
		{"heartbeat of a bad one", Config{Heartbeat: 10 * time.Second, Max: 1}, []step{
			bad(0, 20, sensors.OutsideUser, true), bad(9, 20, sensors.OutsideUser, false), bad(10, 20, sensors.OutsideUser, true)}},
		{"quality change always goes out", Config{Deadband: 100, Max: 50}, []step{
			good(0, 20, 20, true), good(1, 21, 21, false), bad(2, 51, sensors.OutsideUser, true), good(3, 21, 21, true), good(4, 21, 21, false)}},
	} {
		ch := NewChannel(c.config)
		for i, s := range c.steps {
			r := sensors.Reading{Value: s.in, Quality: sensors.Quality{Level: sensors.Good}}
			publish := ch.Apply(time.Duration(s.at*float64(time.Second)), &r)
			if r.Quality != (sensors.Quality{Level: s.level, Reason: s.reason}) || math.Abs(r.Value-s.want) > 1e-9 || publish != s.publish {
				t.Errorf("%s, step %d: %v became %v %v, publish %v; want %v %v %v, publish %v",
					c.name, i, s.in, r.Value, r.Quality, publish, s.want, s.level, s.reason, s.publish)
			}
		}
	}
}

func TestChannelKeepsTheDriversVerdict(t *testing.T) {
	ch := NewChannel(Config{Offset: 5, MaxRate: 1})
	r := sensors.Reading{Value: 3, Quality: sensors.Quality{Level: sensors.Bad, Reason: sensors.NoHumidity}}
	if !ch.Apply(0, &r) || r.Value != 0 || r.Quality.Reason != sensors.NoHumidity {
		t.Errorf("got %+v, want bad with the driver's reason and no value", r)
	}
	r = sensors.Reading{Value: 3, Quality: sensors.Quality{Level: sensors.Uncertain, Reason: sensors.OtherChip}}
	if !ch.Apply(time.Second, &r) || r.Value != 8 || r.Quality.Level != sensors.Uncertain {
		t.Errorf("got %+v, want 8, uncertain", r)
	}
	r = sensors.Reading{Value: 90, Min: -40, Max: 85, Quality: sensors.Quality{Level: sensors.Good}}
	if ch.Apply(2*time.Second, &r); r.Quality != (sensors.Quality{Level: sensors.Bad, Reason: sensors.OutsideChip}) {
		t.Errorf("got %v, want outside the chip's range", r.Quality)
	}
}

func TestChannelResolutionIsNoRate(t *testing.T) {
	ch := NewChannel(Config{MaxRate: 0.001})
	for i, v := range []float64{20, 20.5, 20, 20.5} {
		r := sensors.Reading{Value: v, Resolution: 0.5, Quality: sensors.Quality{Level: sensors.Good}}
		if ch.Apply(time.Duration(i)*time.Second, &r); r.Quality.Level != sensors.Good {
			t.Errorf("reading %d: %v", i, r.Quality)
		}
	}
}

func TestLostPublishesTheNext(t *testing.T) {
	ch := NewChannel(Config{Deadband: 10})
	r := func() *sensors.Reading {
		return &sensors.Reading{Value: 20, Quality: sensors.Quality{Level: sensors.Good}}
	}
	first, second := ch.Apply(0, r()), ch.Apply(1, r())
	ch.Lost()
	if third := ch.Apply(2, r()); !first || second || !third {
		t.Errorf("published %v %v %v, want true false true", first, second, third)
	}
}

func TestApplyAllocatesNothing(t *testing.T) {
	ch := NewChannel(Config{Min: -10, Max: 50, MaxRate: 1, Gain: 1.01, Deadband: 0.1, Heartbeat: time.Minute})
	at := time.Duration(0)
	if n := testing.AllocsPerRun(100, func() {
		r := sensors.Reading{Value: 20, Quality: sensors.Quality{Level: sensors.Good}}
		at += time.Second
		ch.Apply(at, &r)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkApply(b *testing.B) {
	b.ReportAllocs()
	ch := NewChannel(Config{Min: -10, Max: 50, MaxRate: 1, Gain: 1.01, Deadband: 0.1, Heartbeat: time.Minute})
	at := time.Duration(0)
	for b.Loop() {
		r := sensors.Reading{Value: 20, Quality: sensors.Quality{Level: sensors.Good}}
		at += time.Second
		ch.Apply(at, &r)
	}
}

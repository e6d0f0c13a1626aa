package quality

import (
	"math"
	"testing"
	"time"

	"weir/sensors"
)

// telling is a reading at a gate, and whether it has to pass, with what value.
type telling struct {
	at   float64 // seconds
	in   float64
	pass bool
	want float64
	bad  bool
}

func passes(at, in float64) telling      { return telling{at, in, true, in, false} }
func stops(at, in float64) telling       { return telling{at, in, false, in, false} }
func tells(at, in, mean float64) telling { return telling{at, in, true, mean, false} }
func state(at float64, pass bool) telling {
	return telling{at, 0, pass, 0, true}
}

func TestGate(t *testing.T) {
	for _, c := range []struct {
		name   string
		config GateConfig
		steps  []telling
	}{
		{"nothing set", GateConfig{}, []telling{passes(0, 20), passes(1, 20), state(2, true), state(3, false), passes(4, 20)}},
		{"deadband", GateConfig{Deadband: 0.5}, []telling{
			passes(0, 20), stops(1, 20.4), passes(2, 20.5), stops(3, 20.1), passes(4, 20)}},
		{"deadband against what was published last", GateConfig{Deadband: 1}, []telling{
			passes(0, 0), stops(1, 0.4), stops(2, 0.8), passes(3, 1.2)}},
		{"deadband in percent", GateConfig{DeadbandFraction: 0.01}, []telling{
			passes(0, 1000), stops(1, 1009), passes(2, 1010), stops(3, 1000)}},
		{"deadband in percent at zero", GateConfig{DeadbandFraction: 0.01}, []telling{passes(0, 0), stops(1, 0), passes(2, 0.1)}},
		{"either deadband", GateConfig{Deadband: 5, DeadbandFraction: 0.5}, []telling{passes(0, 4), stops(1, 5), passes(2, 6), passes(3, 11)}},
		{"heartbeat", GateConfig{Deadband: 1, Heartbeat: 10 * time.Second}, []telling{
			passes(0, 20), stops(9, 20), passes(10, 20), stops(19, 20), passes(20, 20.1)}},
		{"heartbeat a little early", GateConfig{Deadband: 1, Heartbeat: 10 * time.Second, Sampling: time.Second}, []telling{
			passes(0, 20), stops(9.01, 20), passes(9.99, 20), stops(19, 20), passes(19.98, 20)}},
		{"heartbeat of a bad one", GateConfig{Heartbeat: 10 * time.Second}, []telling{state(0, true), state(9, false), state(10, true)}},
		{"quality change always goes out", GateConfig{Deadband: 100, Interval: time.Hour, Every: time.Hour}, []telling{
			passes(0, 20), stops(1, 21), state(2, true), passes(3, 21), stops(4, 21)}},
		{"interval", GateConfig{Interval: 10 * time.Second}, []telling{
			passes(0, 20), stops(5, 30), stops(9, 40), passes(10, 50), stops(19, 60), passes(20, 70)}},
		{"interval and deadband", GateConfig{Interval: 10 * time.Second, Deadband: 5}, []telling{
			passes(0, 20), stops(5, 30), stops(10, 21), passes(11, 25)}},
		{"last of a minute", GateConfig{Every: 60 * time.Second}, []telling{
			passes(0, 1), stops(20, 2), stops(40, 3), passes(60, 4), stops(80, 5), stops(100, 6), passes(121, 7), stops(170, 8), passes(180, 9)}},
		{"mean of a minute", GateConfig{Every: 60 * time.Second, Mean: true}, []telling{
			passes(0, 10), stops(20, 1), stops(40, 2), tells(60, 6, 3), stops(80, 5), stops(100, 6), tells(120, 7, 6)}},
		{"mean of a minute, a little early", GateConfig{Every: 60 * time.Second, Mean: true, Sampling: 20 * time.Second}, []telling{
			passes(0, 10), stops(20, 1), stops(39.9, 2), tells(59.9, 6, 3), stops(80, 5), stops(100, 6), tells(119.8, 7, 6)}},
		{"mean of a minute with a gap", GateConfig{Every: 60 * time.Second, Mean: true}, []telling{
			passes(0, 10), stops(20, 1), tells(200, 3, 2), stops(239, 7), tells(240, 9, 8)}},
		{"a bad one belongs to no mean", GateConfig{Every: 60 * time.Second, Mean: true}, []telling{
			passes(0, 10), stops(20, 1), state(40, true), state(50, false), passes(55, 30), stops(65, 2), tells(115, 4, 3)}},
		{"mean and deadband", GateConfig{Every: 10 * time.Second, Mean: true, Deadband: 5}, []telling{
			passes(0, 10), stops(5, 20), {10, 9, false, 14.5, false}, stops(15, 20), tells(20, 22, 21)}},
		{"mean of large ones", GateConfig{Every: 10 * time.Second, Mean: true}, []telling{
			passes(0, 0), stops(5, math.MaxFloat64), tells(10, math.MaxFloat64, math.MaxFloat64), stops(15, math.MaxFloat64), tells(20, -math.MaxFloat64, 0)}},
	} {
		g := NewGate(c.config)
		for i, s := range c.steps {
			r := sensors.Reading{Value: s.in, Quality: sensors.Quality{Level: sensors.Good}}
			if s.bad {
				r.Quality = sensors.Quality{Level: sensors.Bad, Reason: sensors.OutsideUser}
			}
			pass := g.Pass(time.Duration(s.at*float64(time.Second)), &r)
			if pass != s.pass || math.Abs(r.Value-s.want) > 1e-9*max(1, math.Abs(s.want)) {
				t.Errorf("%s, step %d: %v passed %v as %v; want %v as %v", c.name, i, s.in, pass, r.Value, s.pass, s.want)
			}
		}
	}
}

func TestLostPublishesTheNext(t *testing.T) {
	g := NewGate(GateConfig{Deadband: 10, Interval: time.Hour})
	r := func() *sensors.Reading {
		return &sensors.Reading{Value: 20, Quality: sensors.Quality{Level: sensors.Good}}
	}
	first, second := g.Pass(0, r()), g.Pass(1, r())
	g.Lost()
	if third := g.Pass(2, r()); !first || second || !third {
		t.Errorf("published %v %v %v, want true false true", first, second, third)
	}
}

// TestChangesOfReasonGoOut: a reading that is bad for another reason than before is told.
func TestChangesOfReasonGoOut(t *testing.T) {
	g := NewGate(GateConfig{})
	for i, why := range []sensors.Reason{sensors.OutsideChip, sensors.TooFast, sensors.OutsideChip} {
		if !g.Pass(time.Duration(i), &sensors.Reading{Quality: sensors.Quality{Level: sensors.Bad, Reason: why}}) {
			t.Errorf("%q was not told", why)
		}
	}
}

package quality

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"weir/sensors"
)

// step is a reading going in and what has to come out.
type step struct {
	at     float64 // seconds
	in     float64
	want   float64
	level  sensors.Level
	reason sensors.Reason
}

func good(at, in, want float64) step { return step{at, in, want, sensors.Good, ""} }

func bad(at, in float64, why sensors.Reason) step { return step{at, in, 0, sensors.Bad, why} }

// same are n equal readings, a second apart.
func same(from, n int, in float64) (steps []step) {
	for i := range n {
		steps = append(steps, good(float64(from+i), in, in))
	}
	return steps
}

func TestChannel(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	half := 1 - 1/math.E // what a smoothing has done after its time constant
	for _, c := range []struct {
		name   string
		config Config
		steps  []step
	}{
		{"nothing set", Config{}, []step{good(0, 20, 20), good(1, 20, 20), good(2, -300, -300)}},
		{"no number", Config{}, []step{good(0, 20, 20), bad(1, nan, sensors.NotANumber), bad(2, inf, sensors.NotANumber), good(3, 20, 20)}},
		{"user range", Config{Min: -10, Max: 50}, []step{
			good(0, -10, -10), good(1, 50, 50), bad(2, 50.1, sensors.OutsideUser), bad(3, -10.1, sensors.OutsideUser), good(4, 0, 0)}},
		{"only a lower limit", Config{Min: -5, Max: inf}, []step{bad(0, -6, sensors.OutsideUser), good(1, 1e9, 1e9)}},
		{"range is of the measured value", Config{Min: 0, Max: 10, Offset: 100}, []step{good(0, 5, 105), bad(1, 105, sensors.OutsideUser)}},
		{"gain and offset", Config{Gain: 2, Offset: -1}, []step{good(0, 10, 19), good(1, -10, -21)}},
		{"beyond all numbers", Config{Gain: 1e300}, []step{bad(0, 1e300, sensors.NotANumber), good(1, 1, 1e300)}},
		{"beyond all numbers, smoothed", Config{Gain: 1e300, Smooth: time.Second}, []step{bad(0, 1e300, sensors.NotANumber), good(1, 1, 1e300)}},

		{"two points", Config{Points: []Point{{1, 0}, {99, 100}}}, []step{good(0, 1, 0), good(1, 99, 100), good(2, 50, 50), good(3, -48, -50)}},
		{"three points", Config{Points: []Point{{0, 0}, {10, 20}, {20, 25}}}, []step{
			good(0, 5, 10), good(1, 10, 20), good(2, 15, 22.5), good(3, -1, -2), good(4, 30, 30)}},
		{"points go before gain", Config{Points: []Point{{0, 0}, {1, 1}}, Gain: 7, Offset: 3}, []step{good(0, 5, 5)}},

		{"rate", Config{MaxRate: 1}, []step{
			good(0, 20, 20), good(1, 21, 21), bad(2, 23, sensors.TooFast), good(3, 22, 22), good(13, 12, 12)}},
		{"rate, a real step is believed", Config{MaxRate: 1, Rearm: 3}, []step{
			good(0, 20, 20), bad(1, 80, sensors.TooFast), bad(2, 80.5, sensors.TooFast), good(3, 80, 80), good(4, 80, 80)}},
		{"rate, noise is not", Config{MaxRate: 1, Rearm: 3}, []step{
			good(0, 20, 20), bad(1, 80, sensors.TooFast), bad(2, -40, sensors.TooFast), bad(3, 85, sensors.TooFast),
			bad(4, -30, sensors.TooFast), good(5, 20, 20)}},
		{"rate, counting starts anew after a good one", Config{MaxRate: 1, Rearm: 2}, []step{
			good(0, 20, 20), bad(1, 80, sensors.TooFast), good(2, 20, 20), bad(3, 80, sensors.TooFast), good(4, 80, 80)}},
		{"rate, the distance grows with time", Config{MaxRate: 1}, []step{good(0, 0, 0), bad(1, 50, sensors.TooFast), good(60, 50, 50)}},
		{"rate, two of the same moment", Config{MaxRate: 1}, []step{good(5, 0, 0), good(5, 0, 0), bad(4, 1, sensors.TooFast)}},

		{"frozen", Config{Frozen: 20 * time.Second}, append(same(0, 20, 7), bad(20, 7, sensors.Frozen), bad(21, 7, sensors.Frozen), good(22, 7.1, 7.1), good(23, 7, 7))},
		{"not frozen, only slow", Config{Frozen: time.Minute}, []step{good(0, 7, 7), good(60, 7, 7), good(120, 7, 7), good(180, 7, 7)}},
		{"frozen, slow", Config{Frozen: time.Minute}, []step{good(0, 7, 7), good(60, 7, 7), good(120, 7, 7), good(180, 7, 7), good(240, 7, 7),
			good(300, 7, 7), good(360, 7, 7), good(420, 7, 7), good(480, 7, 7), bad(540, 7, sensors.Frozen)}},
		{"never frozen", Config{}, same(0, 100, 0)},

		{"median of three", Config{Median: 3}, []step{good(0, 10, 10), good(1, 12, 11), good(2, 90, 12), good(3, 11, 12), good(4, 11, 11)}},
		{"median of five", Config{Median: 5}, []step{good(0, 1, 1), good(1, 3, 2), good(2, 2, 2), good(3, 90, 2.5), good(4, 91, 3), good(5, 4, 4), good(6, 4, 4)}},
		{"median of what is believed", Config{Median: 3, Max: 50}, []step{good(0, 10, 10), bad(1, 90, sensors.OutsideUser), good(2, 12, 11), good(3, 11, 11)}},
		{"median begins anew at a step", Config{Median: 3, MaxRate: 1, Rearm: 2}, []step{
			good(0, 10, 10), good(1, 10, 10), bad(2, 90, sensors.TooFast), good(3, 90, 90)}},
		{"median before calibration", Config{Median: 3, Offset: 1}, []step{good(0, 10, 11), good(1, 10, 11), good(2, 90, 11)}},

		{"smoothing", Config{Smooth: 10 * time.Second}, []step{good(0, 0, 0), good(10, 100, 100*half), good(10, 0, 100*half), good(20, 100, 100*half+(100-100*half)*half)}},
		{"smoothing counts the time, not the readings", Config{Smooth: 10 * time.Second}, []step{good(0, 0, 0), good(5, 100, 100*(1-math.Exp(-0.5))), good(10, 100, 100*half)}},
		{"smoothing begins anew at a step", Config{Smooth: time.Hour, MaxRate: 1, Rearm: 2}, []step{good(0, 0, 0), bad(1, 90, sensors.TooFast), good(2, 90, 90)}},
		{"smoothing after calibration", Config{Smooth: 10 * time.Second, Points: []Point{{0, 0}, {1, 2}}}, []step{good(0, 0, 0), good(10, 50, 100*half)}},
	} {
		ch := NewChannel(c.config)
		for i, s := range c.steps {
			r := sensors.Reading{Value: s.in, Quality: sensors.Quality{Level: sensors.Good}}
			ch.Apply(time.Duration(s.at*float64(time.Second)), &r)
			if r.Quality != (sensors.Quality{Level: s.level, Reason: s.reason}) || math.Abs(r.Value-s.want) > 1e-9*max(1, math.Abs(s.want)) {
				t.Errorf("%s, step %d: %v became %v %v; want %v %v %v", c.name, i, s.in, r.Value, r.Quality, s.want, s.level, s.reason)
			}
		}
	}
}

func TestChannelKeepsTheDriversVerdict(t *testing.T) {
	ch := NewChannel(Config{Offset: 5, MaxRate: 1})
	r := sensors.Reading{Value: 3, Quality: sensors.Quality{Level: sensors.Bad, Reason: sensors.NoHumidity}}
	if ch.Apply(0, &r); r.Value != 0 || r.Quality.Reason != sensors.NoHumidity {
		t.Errorf("got %+v, want bad with the driver's reason and no value", r)
	}
	r = sensors.Reading{Value: 3, Quality: sensors.Quality{Level: sensors.Uncertain, Reason: sensors.OtherChip}}
	if ch.Apply(time.Second, &r); r.Value != 8 || r.Quality.Level != sensors.Uncertain {
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

// TestFrozenLooksAtTheWord: a value that stays while the device's word moves is that of a coarse computation, and the
// other way round a value that moves is not frozen.
func TestFrozenLooksAtTheWord(t *testing.T) {
	ch := NewChannel(Config{Frozen: time.Second})
	for i := range 100 {
		r := sensors.Reading{Value: 20, Raw: int64(i % 2), Quality: sensors.Quality{Level: sensors.Good}}
		if ch.Apply(time.Duration(i)*time.Second, &r); r.Quality.Level != sensors.Good {
			t.Fatalf("reading %d: %v", i, r.Quality)
		}
	}
}

// TestResetForgets: what another device measured does not count, neither as a rate nor in a median nor as frozen.
func TestResetForgets(t *testing.T) {
	ch := NewChannel(Config{MaxRate: 1, Median: 5, Smooth: time.Hour, Frozen: 5 * time.Second})
	apply := func(at int, v float64) sensors.Reading {
		r := sensors.Reading{Value: v, Quality: sensors.Quality{Level: sensors.Good}}
		ch.Apply(time.Duration(at)*time.Second, &r)
		return r
	}
	for i := range 9 {
		apply(i, 20)
	}
	ch.Reset()
	if r := apply(10, 90); r.Value != 90 || r.Quality.Level != sensors.Good {
		t.Errorf("got %+v, want 90, good", r)
	}
}

// TestLostBeginsTheMedianAnew: a value of before an outage is not mixed with those of after it, but a change faster than
// the rate allows is still one.
func TestLostBeginsTheMedianAnew(t *testing.T) {
	ch := NewChannel(Config{Median: 3, MaxRate: 1})
	apply := func(at int, v float64) sensors.Reading {
		r := sensors.Reading{Value: v, Quality: sensors.Quality{Level: sensors.Good}}
		ch.Apply(time.Duration(at)*time.Second, &r)
		return r
	}
	apply(0, 20)
	apply(1, 20)
	ch.Lost()
	if r := apply(60, 30); r.Value != 30 {
		t.Errorf("got %+v, want 30", r)
	}
	ch.Lost()
	if r := apply(61, 80); r.Quality.Reason != sensors.TooFast {
		t.Errorf("got %+v, want too fast", r)
	}
}

func TestCalibrationScalesTheResolution(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   float64
	}{{Config{Gain: -2}, 0.2}, {Config{Points: []Point{{0, 0}, {1, 0.5}, {2, 5}}}, 0.05}} {
		r := sensors.Reading{Value: 0.5, Resolution: 0.1, Quality: sensors.Quality{Level: sensors.Good}}
		if NewChannel(c.config).Apply(0, &r); math.Abs(r.Resolution-c.want) > 1e-12 {
			t.Errorf("%+v: %v, want %v", c.config, r.Resolution, c.want)
		}
	}
}

// FuzzPipeline: whatever a device says, nothing that is not bad leaves without being a number, bad ones have no value,
// and what the chip cannot measure is never believed.
func FuzzPipeline(f *testing.F) {
	seed := func(values ...float64) {
		var b []byte
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		f.Add(b, 1.0, 0.0, uint8(3), int64(time.Second))
		f.Add(b, -1e308, 1e308, uint8(5), int64(0))
	}
	seed(20, 21, 22, 1e308, -1e308, math.NaN(), math.Inf(-1), math.SmallestNonzeroFloat64, 0, 0)
	seed(101325, 50, 20, 101300, 0, -300, 90000, 100, -273.15)
	f.Fuzz(func(t *testing.T, data []byte, gain, offset float64, window uint8, pause int64) {
		c := Config{Min: -1e300, Max: 1e300, MaxRate: 1e299, Frozen: time.Second, Median: int(window % 6), Gain: gain, Offset: offset, Smooth: time.Duration(pause % int64(time.Hour)).Abs()}
		if window >= 128 {
			c.Points = []Point{{-gain, offset}, {gain, 1e308}, {math.Abs(gain) + 1, -1e308}}
		}
		names := []sensors.Quantity{sensors.Pressure, sensors.Humidity, sensors.Temperature}
		var channels []*Channel
		for range names {
			channels = append(channels, NewChannel(c))
		}
		var derived []sensors.Quantity
		for _, d := range sensors.Derivations {
			derived = append(derived, d.Quantity)
		}
		deriver := NewDeriver(derived, Place{Elevation: offset, Outdoors: window%2 == 0})
		gates := map[sensors.Quantity]*Gate{}
		var s sensors.Sample
		at := time.Duration(0)
		for len(data) >= 8*len(names) {
			s.Reset()
			for i, q := range names {
				unit, _ := q.Base()
				r := sensors.Reading{Quantity: q, Unit: unit, Value: math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:])), Resolution: gain, Min: -1e200, Max: 1e305,
					Quality: sensors.Quality{Level: sensors.Good}}
				measured := r.Value
				channels[i].Apply(at, &r)
				if r.Quality.Level != sensors.Bad && !(measured >= r.Min && measured <= r.Max) {
					t.Fatalf("%v, which the chip cannot measure, is %v", measured, r.Quality)
				}
				s.Readings = append(s.Readings, r)
			}
			deriver.Add(at, &s)
			for i := range s.Readings {
				r := &s.Readings[i]
				if gates[r.Quantity] == nil {
					gates[r.Quantity] = NewGate(GateConfig{Every: time.Duration(pause), Mean: true, Deadband: offset})
				}
				passed := gates[r.Quantity].Pass(at, r)
				switch {
				case math.IsNaN(r.Value) || math.IsInf(r.Value, 0):
					t.Fatalf("%s: %v, passed %v", r.Quantity, r, passed)
				case r.Quality.Level == sensors.Bad && (r.Value != 0 || r.Quality.Reason == ""):
					t.Fatalf("%s: %v, want no value and a reason", r.Quantity, r)
				}
			}
			data = data[8*len(names):]
			at += time.Duration(pause)
		}
	})
}

func TestPipelineAllocatesNothing(t *testing.T) {
	run := pipeline()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkPipeline(b *testing.B) {
	run := pipeline()
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

// pipeline is one reading of three quantities with everything on.
func pipeline() func() {
	var channels [3]*Channel
	var gates [3]*Gate
	for i := range channels {
		channels[i] = NewChannel(Config{Min: -10, Max: 2e5, MaxRate: 1, Frozen: time.Hour, Median: 5, Gain: 1.01, Smooth: time.Minute})
		gates[i] = NewGate(GateConfig{Deadband: 0.1, Heartbeat: time.Minute, Every: 10 * time.Second, Mean: true})
	}
	deriver := NewDeriver([]sensors.Quantity{sensors.SeaLevelPressure, sensors.DewPoint, sensors.PressureTendency}, Place{Elevation: 500, Outdoors: true})
	var s sensors.Sample
	at := time.Duration(0)
	return func() {
		s.Reset()
		at += time.Second
		for i, v := range [...]float64{21, 100000, 45} {
			m := sensors.Measure{Quantity: [...]sensors.Quantity{sensors.Temperature, sensors.Pressure, sensors.Humidity}[i]}
			m.Unit, _ = m.Quantity.Base()
			s.Add(m, v+float64(at%(3*time.Second))/1e10, 0.01, int64(at))
			channels[i].Apply(at, &s.Readings[i])
		}
		deriver.Add(at, &s)
		for i := range gates {
			r := s.Readings[i]
			gates[i].Pass(at, &r)
		}
	}
}

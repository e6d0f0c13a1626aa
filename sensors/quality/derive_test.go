package quality

import (
	"fmt"
	"math"
	"testing"
	"time"

	"weir/sensors"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %v, want %v ± %v", what, got, want, tolerance)
	}
}

// TestFormulas holds the numbers of others. Where they use other constants the tolerance says so: the saturation pressures
// are those of Buck's formula, the dew point of 22 °C and 64 % and the altitude of 100736.516 Pa are those of a library
// with an exponent of 1/5.255.
func TestFormulas(t *testing.T) {
	near(t, "sea level of 1000 hPa, 111.14 m", SeaLevel(100000, 111.14, 15), 101325, 0.5)
	near(t, "sea level of 950 hPa, 546.89 m", SeaLevel(95000, 546.89, 15), 101323, 3)
	near(t, "sea level of 900 hPa, 1010.83 m", SeaLevel(90000, 1010.83, 15), 101320, 6)
	near(t, "sea level of 950 hPa, 546.89 m, 50 %", MoistSeaLevel(95000, 546.89, 15, 50), 101301, 1)
	near(t, "sea level of 950 hPa, 546.89 m, dry", MoistSeaLevel(95000, 546.89, 15, 0), 101323, 1)
	near(t, "altitude of 900 hPa", Altitude(90000), 988.50, 0.005)
	near(t, "altitude of 1000 hPa", Altitude(100000), 110.88, 0.005)
	near(t, "altitude of 1007.36516 hPa", Altitude(100736.516), 49.1096, 0.01)
	near(t, "dew point of 20 °C, 50 %", first(DewPoint(20, 50)), 9.255, 0.0005)
	near(t, "dew point of 25 °C, 60 %", first(DewPoint(25, 60)), 16.693, 0.0005)
	near(t, "dew point of 22 °C, 64 %", first(DewPoint(22, 64)), 14.87, 0.01)
	near(t, "dew point of saturated air", first(DewPoint(-7, 100)), -7, 1e-9)
	near(t, "saturation at 0 °C", SaturationPressure(0), 611.2, 0.05)
	near(t, "saturation at 25 °C", SaturationPressure(25), 3168.7, 0.003*3168.7)
	near(t, "saturation at 30 °C", SaturationPressure(30), 4245.2, 0.003*4245.2)
	near(t, "absolute humidity of 20 °C, 50 %", AbsoluteHumidity(20, 50), 8.62, 0.005)
	near(t, "density at 35 °C", AirDensity(101325, 35, 0), 1.1455, 5e-5)
	near(t, "density at 0 °C", AirDensity(101325, 0, 0), 1.2922, 1e-4)
	near(t, "density at -25 °C", AirDensity(101325, -25, 0), 1.4224, 1e-4)
	if AirDensity(101325, 30, 90) >= AirDensity(101325, 30, 0) {
		t.Error("moist air is heavier than dry air")
	}
	for _, height := range []float64{-400, 0, 111, 2500, 8800} { // of the standard atmosphere there and back
		pressure := seaLevel * math.Pow(1-height/isaScale, 1/isaExponent)
		near(t, "altitude", Altitude(pressure), height, 1e-6)
		near(t, "standard sea level", StandardSeaLevel(pressure, height), seaLevel, 1e-6)
		near(t, "sea level with the temperature of the standard atmosphere", SeaLevel(pressure, height, 15-lapse*height), seaLevel, 40)
	}
}

func first(v float64, _ bool) float64 { return v }

// air is a sample of what is given; NaN leaves one out, and the quality is for all.
func air(pressure, temperature, humidity float64) *sensors.Sample {
	s := &sensors.Sample{}
	for _, in := range []struct {
		q sensors.Quantity
		v float64
	}{{sensors.Pressure, pressure}, {sensors.Temperature, temperature}, {sensors.Humidity, humidity}} {
		if unit, _ := in.q.Base(); !math.IsNaN(in.v) {
			s.Add(sensors.Measure{Quantity: in.q, Unit: unit}, in.v, 0.5, 1)
		}
	}
	return s
}

// spoil makes the reading of a quantity bad or uncertain.
func spoil(s *sensors.Sample, q sensors.Quantity, level sensors.Level) *sensors.Sample {
	for i := range s.Readings {
		if r := &s.Readings[i]; r.Quantity == q {
			r.Quality = sensors.Quality{Level: level, Reason: sensors.TooFast}
			if level == sensors.Bad {
				r.Value = 0
			}
		}
	}
	return s
}

func TestDeriver(t *testing.T) {
	none := math.NaN()
	p, temp, h := sensors.Pressure, sensors.Temperature, sensors.Humidity
	badly := func(why sensors.Reason) string { return "bad: " + string(why) }
	for _, c := range []struct {
		name   string
		what   sensors.Quantity
		place  Place
		in     *sensors.Sample
		want   float64
		digits float64
		judged string
	}{
		{"sea level inside", sensors.SeaLevelPressure, Place{Elevation: 111.14}, air(100000, 25, 90), 101328, 5, "good"},
		{"sea level inside needs no temperature", sensors.SeaLevelPressure, Place{Elevation: 111.14}, air(100000, none, none), 101328, 5, "good"},
		{"sea level outside", sensors.SeaLevelPressure, Place{111.14, true}, air(100000, 15, none), 101325, 0.5, "good"},
		{"sea level outside, moist", sensors.SeaLevelPressure, Place{546.89, true}, air(95000, 15, 50), 101301, 1, "good"},
		{"sea level outside, humidity bad", sensors.SeaLevelPressure, Place{111.14, true}, spoil(air(100000, 15, 50), h, sensors.Bad), 101325, 0.5, "good"},
		{"sea level outside, temperature bad", sensors.SeaLevelPressure, Place{111.14, true}, spoil(air(100000, 15, 50), temp, sensors.Bad), 0, 0, badly(sensors.NoTemperature)},
		{"sea level outside, no temperature", sensors.SeaLevelPressure, Place{111.14, true}, air(100000, none, none), 0, 0, badly(sensors.NoInput)},
		{"sea level, pressure bad", sensors.SeaLevelPressure, Place{}, spoil(air(100000, 15, 50), p, sensors.Bad), 0, 0, badly(sensors.NoPressure)},
		{"below the sea", sensors.SeaLevelPressure, Place{Elevation: -400}, air(106200, 15, 50), 101290, 300, "good"},
		{"altitude", sensors.Altitude, Place{}, air(90000, none, none), 988.50, 0.005, "good"},
		{"altitude, no pressure", sensors.Altitude, Place{}, air(none, 20, 50), 0, 0, badly(sensors.NoInput)},
		{"dew point", sensors.DewPoint, Place{}, air(none, 20, 50), 9.255, 0.0005, "good"},
		{"dew point of saturated air", sensors.DewPoint, Place{}, air(none, 20, 100), 20, 1e-9, "good"},
		{"dew point of dry air", sensors.DewPoint, Place{}, air(none, 20, 0), 0, 0, badly(sensors.DryAir)},
		{"dew point, humidity bad", sensors.DewPoint, Place{}, spoil(air(none, 20, 50), h, sensors.Bad), 0, 0, badly(sensors.NoMoisture)},
		{"dew point, temperature bad", sensors.DewPoint, Place{}, spoil(air(none, 20, 50), temp, sensors.Bad), 0, 0, badly(sensors.NoTemperature)},
		{"dew point, temperature uncertain", sensors.DewPoint, Place{}, spoil(air(none, 20, 50), temp, sensors.Uncertain), 9.255, 0.0005, "uncertain: " + string(sensors.TooFast)},
		{"dew point, humidity uncertain", sensors.DewPoint, Place{}, spoil(air(none, 20, 50), h, sensors.Uncertain), 9.255, 0.0005, "uncertain: " + string(sensors.TooFast)},
		{"dew point where the formula has a pole", sensors.DewPoint, Place{}, air(none, -243.12, 50), 0, 0, badly(sensors.NotANumber)},
		{"absolute humidity", sensors.AbsoluteHumidity, Place{}, air(none, 20, 50), 8.62, 0.005, "good"},
		{"absolute humidity of dry air", sensors.AbsoluteHumidity, Place{}, air(none, 20, 0), 0, 0, "good"},
		{"absolute humidity, no humidity", sensors.AbsoluteHumidity, Place{}, air(100000, 20, none), 0, 0, badly(sensors.NoInput)},
		{"density", sensors.AirDensity, Place{}, air(101325, 35, none), 1.1455, 5e-5, "good"},
		{"density, no temperature", sensors.AirDensity, Place{}, air(101325, none, none), 0, 0, badly(sensors.NoInput)},
	} {
		before := len(c.in.Readings)
		NewDeriver([]sensors.Quantity{c.what}, c.place).Add(0, c.in)
		if len(c.in.Readings) != before+1 {
			t.Errorf("%s: %d readings, want one more than %d", c.name, len(c.in.Readings), before)
			continue
		}
		r := c.in.Readings[before]
		if r.Quality.String() != c.judged || r.Quantity != c.what {
			t.Errorf("%s: %s %v, want %v", c.name, r.Quantity, r.Quality, c.judged)
		}
		if r.Quality.Level == sensors.Bad && r.Value != 0 {
			t.Errorf("%s: bad, but %v", c.name, r.Value)
		}
		near(t, c.name, r.Value, c.want, c.digits)
	}
}

// TestDeriverTakesNoOtherUnits: a pressure in a unit that is none of ours is not computed with, nor is a gauge pressure.
func TestDeriverTakesNoOtherUnits(t *testing.T) {
	s := &sensors.Sample{}
	s.Add(sensors.Measure{Quantity: sensors.Pressure, Unit: "baros"}, 10000, 1, 0)
	NewDeriver([]sensors.Quantity{sensors.Altitude}, Place{}).Add(0, s)
	if r := s.Readings[1]; r.Quality.Reason != sensors.NoInput {
		t.Errorf("got %+v, want bad for want of a pressure", r)
	}
	s.Reset()
	s.Add(sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Gauge: true}, 100000, 1, 0)
	NewDeriver([]sensors.Quantity{sensors.Altitude}, Place{}).Add(0, s)
	if r := s.Readings[1]; r.Quality.Reason != sensors.NoInput {
		t.Errorf("from a gauge pressure: %+v, want bad for want of an absolute one", r)
	}
}

// tell runs a deriver of the tendency and says what it told at each time, "" for nothing.
func tell(d *Deriver, at time.Duration, pressure float64) string {
	s := air(pressure, math.NaN(), math.NaN())
	d.Add(at, s)
	if len(s.Readings) == 1 {
		return ""
	}
	r := s.Readings[1]
	if r.Quality.Level == sensors.Bad {
		return r.Quality.String()
	}
	return fmt.Sprintf("%.1f", r.Value)
}

func tendencyOnly() *Deriver {
	return NewDeriver([]sensors.Quantity{sensors.PressureTendency}, Place{})
}

// TestTendency: after three hours and not before, what the pressure has changed in three hours; rising is positive, as in
// weather observations.
func TestTendency(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 10 * time.Second, 7 * time.Minute, time.Hour} {
		for _, perHour := range []float64{120, -60, 0} {
			d := tendencyOnly()
			for at := time.Duration(0); at <= 8*time.Hour; at += every {
				got, want := tell(d, at, 100000+perHour*at.Hours()), fmt.Sprintf("%.1f", 3*perHour)
				if at < 3*time.Hour {
					want = ""
				}
				if got != want {
					t.Fatalf("every %v, %v Pa/h, after %v: %q, want %q", every, perHour, at, got, want)
				}
			}
		}
	}
}

// TestTendencyAfterAGap: across a short gap a line is drawn; what was three hours ago inside a long one is not known.
func TestTendencyAfterAGap(t *testing.T) {
	for _, c := range []struct {
		gap   time.Duration
		known bool
	}{{20 * time.Minute, true}, {2 * time.Hour, false}} {
		d := tendencyOnly()
		rise := func(at time.Duration) float64 { return 100000 + 100*at.Hours() }
		at := time.Duration(0)
		for ; at < 4*time.Hour; at += time.Minute {
			tell(d, at, rise(at))
		}
		middle := at + c.gap/2
		for at += c.gap; at < middle+3*time.Hour; at += time.Minute {
			tell(d, at, rise(at))
		}
		got := tell(d, middle+3*time.Hour, rise(middle+3*time.Hour))
		if want := map[bool]string{true: "300.0"}[c.known]; got != want {
			t.Errorf("three hours after a gap of %v: %q, want %q", c.gap, got, want)
		}
		if got := tell(d, middle+c.gap+3*time.Hour+time.Minute, rise(middle+c.gap+3*time.Hour+time.Minute)); got != "300.0" {
			t.Errorf("three hours after the end of a gap of %v: %q, want it known again", c.gap, got)
		}
	}
}

// TestTendencyOfABadPressure: it is bad as soon as there is any history, and the history goes on.
func TestTendencyOfABadPressure(t *testing.T) {
	d := tendencyOnly()
	broken := func(at time.Duration) string {
		s := spoil(air(100000, math.NaN(), math.NaN()), sensors.Pressure, sensors.Bad)
		d.Add(at, s)
		if len(s.Readings) == 1 {
			return ""
		}
		return s.Readings[1].Quality.String()
	}
	if got := broken(0); got != "" {
		t.Errorf("before everything: %q", got)
	}
	for at := time.Duration(0); at <= 3*time.Hour; at += time.Minute {
		tell(d, at, 100000)
	}
	if got, want := broken(3*time.Hour+time.Minute), "bad: "+string(sensors.NoPressure); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := tell(d, 3*time.Hour+2*time.Minute, 100050); got != "50.0" {
		t.Errorf("after it: %q, want 50.0", got)
	}
	d.Reset()
	if got := tell(d, 3*time.Hour+3*time.Minute, 100050); got != "" {
		t.Errorf("after a reset: %q, want nothing", got)
	}
}

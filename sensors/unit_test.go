package sensors

import (
	"errors"
	"io/fs"
	"math"
	"strconv"
	"testing"
)

func TestConvert(t *testing.T) {
	for _, c := range []struct {
		v        float64
		from, to Unit
		want     float64
	}{
		{0, Celsius, Kelvin, 273.15}, {-40, Celsius, Fahrenheit, -40}, {100, Celsius, Fahrenheit, 212}, {32, Fahrenheit, Celsius, 0}, {300, Kelvin, Fahrenheit, 80.33},
		{101325, Pascal, Hectopascal, 1013.25}, {101325, Pascal, Millibar, 1013.25}, {101325, Pascal, Kilopascal, 101.325}, {101325, Pascal, Bar, 1.01325},
		{101325, Pascal, PSI, 14.6959}, {101325, Pascal, InchHg, 29.9213}, {101325, Pascal, MillimetreHg, 760.002}, {29.9870, InchHg, Hectopascal, 1015.476},
		{2.5, Megapascal, Bar, 25}, {45, RelativeHumidity, RelativeHumidity, 45}, {5, "m³/h", "m³/h", 5},
		{1, KilogramForcePerSquareCentimetre, MetreWater, 10}, {1000, GramForcePerSquareCentimetre, KilogramForcePerSquareCentimetre, 1}, {1, Atmosphere, Torr, 760},
		{1, MetreHg, MillimetreHg, 1000}, {12, InchWater, FootWater, 1}, {25.4, MillimetreWater, InchWater, 1}, {1, Bar, KilogramForcePerSquareCentimetre, 1.01972},
	} {
		if got, ok := Convert(c.v, c.from, c.to); !ok || math.Abs(got-c.want) > 1e-3 {
			t.Errorf("%v %s: got %v %s, %v, want %v", c.v, c.from, got, c.to, ok, c.want)
		}
	}
	for _, c := range [][2]Unit{{Celsius, Pascal}, {Celsius, "m³/h"}, {"m³/h", Pascal}} {
		if _, ok := Convert(1, c[0], c[1]); ok {
			t.Errorf("%s became %s", c[0], c[1])
		}
	}
	if got, ok := ConvertStep(1.8, Fahrenheit, Celsius); !ok || math.Abs(got-1) > 1e-12 {
		t.Errorf("a step of 1.8 °F is %v °C, want 1", got)
	}
}

func TestShown(t *testing.T) {
	for in, want := range map[Unit]Unit{Pascal: Hectopascal, Bar: Hectopascal, Celsius: Celsius, Kelvin: Celsius, RelativeHumidity: RelativeHumidity, "lx": "lx"} {
		if got := in.Shown(); got != want {
			t.Errorf("%s is shown in %s, want %s", in, got, want)
		}
	}
}

func TestAppendValue(t *testing.T) {
	for _, c := range []struct {
		v        float64
		decimals int
		want     string
	}{
		{75, 2, "75"}, {75, 0, "75"}, {21.5, 2, "21.5"}, {21.499999999999996, 2, "21.5"}, {1013.2500000001, 2, "1013.25"}, {-0.001, 2, "0"}, {-0.0, 1, "0"},
		{0.1 + 0.2, 9, "0.3"}, {0.5, 0, "0"}, {1.5, 0, "2"}, {2.5, 0, "2"}, {0.125, 2, "0.12"}, {2.675, 2, "2.68"}, {1.005, 2, "1"}, {1.015, 2, "1.02"}, {-2.5, 0, "-2"}, {-21.0625, 2, "-21.06"},
		{100, 0, "100"}, {100, 3, "100"}, {1e15, 2, "1000000000000000"}, {123456789012345680, 3, "123456789012345680"}, {-10, 1, "-10"},
		{1e-10, 9, "0"}, {5, -1, "5"}, {1.23456789012, 50, "1.23456789"}, {math.NaN(), 1, "null"}, {math.Inf(-1), 1, "null"},
	} {
		if got := string(AppendValue([]byte("x="), c.v, c.decimals)); got != "x="+c.want {
			t.Errorf("%v with %d decimals: got %s, want x=%s", c.v, c.decimals, got, c.want)
		}
	}
	buffer := make([]byte, 0, 32)
	if n := testing.AllocsPerRun(100, func() { buffer = AppendValue(buffer[:0], 1013.25, 2) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestDecimals(t *testing.T) {
	for resolution, want := range map[float64]int{1: 0, 5: 0, 0.5: 1, 0.1: 1, 0.0625: 2, 0.01: 2, 0.001: 3, 1e-12: 9, 0: 3, -1: 3} {
		if got := Decimals(resolution); got != want {
			t.Errorf("%v: got %d, want %d", resolution, got, want)
		}
	}
	for n := range 9 { // a hundredth written as 1/100 and as a tenth of a tenth
		if got := Decimals(math.Pow10(-n)); got != n {
			t.Errorf("10^-%d: got %d", n, got)
		}
	}
}

func FuzzAppendValue(f *testing.F) {
	f.Add(21.499999999999996, 2)
	f.Add(-0.0005, 3)
	f.Fuzz(func(t *testing.T, v float64, decimals int) {
		out := string(AppendValue(nil, v, decimals))
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		back, err := strconv.ParseFloat(out, 64)
		if err != nil || out == "-0" {
			t.Fatalf("%v became %q", v, out)
		}
		half := 0.5*math.Pow10(-min(max(decimals, 0), 9)) + 1e-8*math.Max(1, math.Abs(v))
		if math.Abs(back-v) > half {
			t.Errorf("%v became %q", v, out)
		}
	})
}

func TestErrors(t *testing.T) {
	err := error(&Error{Fault: Gone, Where: "bus 1", Text: "pulled out", Err: fs.ErrNotExist})
	if err.Error() != "bus 1: gone: pulled out: file does not exist" || !errors.Is(err, fs.ErrNotExist) || FaultOf(err) != Gone || FaultOf(errors.New("x")) != 0 {
		t.Errorf("got %v, class %v", err, FaultOf(err))
	}
	for f, want := range map[Fault]bool{NotAnswering: true, Garbage: true, Timeout: true, WrongChip: true, Gone: false, Refused: false, Ambiguous: false, Stuck: false} {
		if f.Retryable() != want {
			t.Errorf("%v: retryable %v, want %v", f, !want, want)
		}
	}
	if Fault(99).String() != "fault(99)" || Level(7).String() != "level(7)" || Connection(9).String() != "connection(9)" {
		t.Error("unknown values do not print as such")
	}
	if (Quality{Bad, NoHumidity}).String() != "bad: "+string(NoHumidity) || (Quality{Level: Good}).String() != "good" {
		t.Error("quality does not print level and reason")
	}
}

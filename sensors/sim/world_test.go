package sim

import (
	"math"
	"strings"
	"testing"
	"time"
)

var morning = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

func TestRamp(t *testing.T) {
	from, to := Climate{10, 100000, 20}, Climate{20, 102000, 60}
	w := Ramp(from, to, morning, morning.Add(time.Hour))
	for _, v := range []struct {
		after time.Duration
		want  Climate
	}{
		{-time.Minute, from},
		{0, from},
		{15 * time.Minute, Climate{12.5, 100500, 30}},
		{time.Hour, to},
		{2 * time.Hour, to},
	} {
		if got := w.At(morning.Add(v.after)); got != v.want {
			t.Errorf("after %v: %+v, want %+v", v.after, got, v.want)
		}
	}
}

// The worlds must stay inside what they promise, never jump, and differ by seed.
func TestWorldsAreBelievable(t *testing.T) {
	for _, v := range []struct {
		name      string
		world     func(uint64) World
		low, high Climate
		perMinute Climate // the largest change
	}{
		{"weather", Weather, Climate{5, 98500, 15}, Climate{23, 104000, 98}, Climate{0.15, 60, 1.5}},
		{"room", Room, Climate{19.5, 98500, 5}, Climate{22.5, 104000, 95}, Climate{0.2, 60, 3}},
	} {
		for seed := range uint64(20) {
			w := v.world(seed)
			before := w.At(morning)
			for minute := 1; minute < 14*24*60; minute++ {
				now := w.At(morning.Add(time.Duration(minute) * time.Minute))
				if !inside(now, v.low, v.high) {
					t.Fatalf("%s %d minute %d: %+v, want from %+v to %+v", v.name, seed, minute, now, v.low, v.high)
				}
				step := Climate{math.Abs(now.Temperature - before.Temperature), math.Abs(now.Pressure - before.Pressure), math.Abs(now.Humidity - before.Humidity)}
				if !inside(step, Climate{}, v.perMinute) {
					t.Fatalf("%s %d minute %d: jumps by %+v, want at most %+v", v.name, seed, minute, step, v.perMinute)
				}
				before = now
			}
		}
		if v.world(1).At(morning) == v.world(2).At(morning) {
			t.Errorf("%s: seeds 1 and 2 are the same", v.name)
		}
	}
}

func inside(c, low, high Climate) bool {
	return c.Temperature >= low.Temperature && c.Temperature <= high.Temperature &&
		c.Pressure >= low.Pressure && c.Pressure <= high.Pressure &&
		c.Humidity >= low.Humidity && c.Humidity <= high.Humidity
}

func TestReplay(t *testing.T) {
	records, err := ReadRecords(strings.NewReader("second,temperature,pressure,humidity\n100,20,1000,40\n110,22,1010,50\n130,20,1000,40\n"))
	if err != nil {
		t.Fatal(err)
	}
	w := Replay(records, morning)
	for _, v := range []struct {
		after time.Duration
		want  Climate
	}{
		{-time.Second, Climate{20, 100000, 40}},
		{5 * time.Second, Climate{21, 100500, 45}},
		{10 * time.Second, Climate{22, 101000, 50}},
		{20 * time.Second, Climate{21, 100500, 45}},
		{35 * time.Second, Climate{21, 100500, 45}},
	} {
		if got := w.At(morning.Add(v.after)); got != v.want {
			t.Errorf("after %v: %+v, want %+v", v.after, got, v.want)
		}
	}
}

func TestReadRecordsRefuses(t *testing.T) {
	for _, v := range []struct{ text, want string }{
		{"", "no rows"},
		{"second,t,p,h\n", "no rows"},
		{"1,2,3\n", "wrong number of fields"},
		{"1,20,1000,40\n1,20,1000,40\n", "line 2: second 1 after second 1"},
		{"1,20,1000,40\n2,x,1000,40\n", `line 2: strconv.ParseFloat: parsing "x"`},
		{"1,20,1000,40\n2,NaN,1000,40\n", "line 2: got NaN"},
		{"0,20,1000,40\n1e11,20,1000,40\n", "line 2: 1e+11 s after"},
	} {
		if _, err := ReadRecords(strings.NewReader(v.text)); err == nil || !strings.Contains(err.Error(), v.want) {
			t.Errorf("%q: %v, want %q", v.text, err, v.want)
		}
	}
}

func FuzzReadRecords(f *testing.F) {
	f.Add("second,temperature,pressure,humidity\n100,20,1000,40\n110,22,1010,50\n", int64(3e9))
	f.Add("1,20,1000,40\n1,20,1000,40\n", int64(0))
	f.Add("0,1e12,-1e12,0\n3e9,0,0,0\n", int64(-1))
	f.Fuzz(func(t *testing.T, text string, after int64) {
		records, err := ReadRecords(strings.NewReader(text))
		if err != nil {
			return
		}
		c := Replay(records, morning).At(morning.Add(time.Duration(after)))
		if math.IsNaN(c.Temperature) || math.IsNaN(c.Pressure) || math.IsNaN(c.Humidity) {
			t.Errorf("%q at %d: %+v", text, after, c)
		}
	})
}

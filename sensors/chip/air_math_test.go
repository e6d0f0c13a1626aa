package chip

import (
	"context"
	"math"
	"testing"
	"time"

	"weir/sensors"
)

// What the data sheets and public tests print for a word.
func TestAirVectors(t *testing.T) {
	for _, v := range []struct {
		name   string
		f      func(uint32) float64
		raw    uint32
		want   float64
		within float64
	}{
		{"SHT3x 25 °C", sht3xCelsius, 0x6666, 25, 1e-9},
		{"SHT3x coldest", sht3xCelsius, 0, -45, 0},
		{"SHT3x hottest", sht3xCelsius, 0xffff, 130, 1e-9},
		{"SHT3x half", sht3xPercent, 0x8000, 50.0008, 5e-5},
		{"SHT3x full", sht3xPercent, 0xffff, 100, 1e-9},
		{"SHT4x half", sht4xPercent, 0x8000, 56.501, 5e-4},
		{"SHT4x dry end", sht4xPercent, 0, -6, 0},
		{"SHT4x wet end", sht4xPercent, 0xffff, 119, 1e-9},
		{"SHTC3 half", shtc3Percent, 0x8000, 50, 0},
		{"SHTC3 half", shtc3Celsius, 0x8000, 42.5, 0},
		{"HTU21D sheet", sht2xCelsius, 0x6838, 24.686, 5e-4}, // 683A without its status bits
		{"HTU21D sheet", sht2xPercent, 0x7c80, 54.79, 5e-3},
		{"HTU21D sheet", sht2xPercent, 0x4e84, 32.33, 1e-2},
		{"HDC1080", hdc1080Celsius, 0x6666, 25.999, 1e-3},
		{"HDC1080", hdc1080Percent, 0x8000, 50, 0},
		{"HDC1080 coldest", hdc1080Celsius, 0, -40, 0},
		{"HDC302x periph", sht3xCelsius, 0xd41c, 100, 5e-3},
	} {
		if got := v.f(v.raw); math.Abs(got-v.want) > v.within {
			t.Errorf("%s: %04x gives %v, want %v", v.name, v.raw, got, v.want)
		}
	}
}

func TestAHTVectors(t *testing.T) {
	for _, v := range []struct {
		name    string
		reply   []byte
		celsius float64
		percent float64
	}{
		{"periph aht20", []byte{0x18, 0x75, 0x52, 0x05, 0x8e, 0x40, 0x7f}, 19.44580, 45.82825},
		{"elixir aht20", []byte{0x1c, 0x26, 0x9a, 0x76, 0x42, 0xe7, 0x76}, 28.2667, 15.0794},
		{"ends", []byte{0x18, 0x00, 0x00, 0x0f, 0xff, 0xff, 0}, 150 - 200.0/(1<<20), 0},
	} {
		if v.name != "ends" && !ahtChecked(v.reply) {
			t.Errorf("%s: checksum is said to be wrong", v.name)
		}
		raw, rawH := parseAHT(v.reply)
		near(t, v.name+" temperature", ahtCelsius(raw), v.celsius, 5e-5)
		near(t, v.name+" humidity", ahtPercent(rawH), v.percent, 5e-5)
	}
}

func TestChecked(t *testing.T) {
	for _, v := range []struct {
		name    string
		initial byte
		b       []byte
		want    bool
	}{
		{"SHT3x reply", crcFromFF, []byte{0x66, 0x66, 0x93, 0x80, 0x00, 0xa2}, true},
		{"second word flipped", crcFromFF, []byte{0x66, 0x66, 0x93, 0x80, 0x01, 0xa2}, false},
		{"other initial value", crcFrom0, []byte{0x66, 0x66, 0x93}, false},
		{"SHT2x", crcFrom0, []byte{0x68, 0x3a, 0x7c}, true},
		{"part of a word", crcFromFF, []byte{0x66, 0x66}, false},
		{"nothing", crcFromFF, nil, false},
		{"all 00", crcFromFF, make([]byte, 6), false},
		{"all FF", crcFromFF, []byte{0xff, 0xff, 0xff}, false},
	} {
		if got := checked(v.initial, v.b); got != v.want {
			t.Errorf("%s: %v, want %v", v.name, got, v.want)
		}
	}
}

func TestClipped(t *testing.T) {
	for _, v := range []struct {
		percent, want float64
		sane          bool
	}{
		{50, 50, true}, {-4, 0, true}, {-5.1, 0, false}, {104, 100, true}, {110.1, 100, false}, {0, 0, true}, {100, 100, true},
	} {
		if got, sane := clipped(v.percent); got != v.want || sane != v.sane {
			t.Errorf("%v: %v, %v, want %v, %v", v.percent, got, sane, v.want, v.sane)
		}
	}
	if _, sane := clipped(math.NaN()); sane {
		t.Error("no number is a sane humidity")
	}
}

// kinds are all kinds whose words fill judges.
var kinds = map[string]*airKind{
	"sht3x":   {lowest: -40, highest: 125, full: 0xffff, celsius: sht3xCelsius, percent: sht3xPercent},
	"sht4x":   {lowest: -40, highest: 125, full: 0xffff, celsius: sht3xCelsius, percent: sht4xPercent},
	"shtc3":   {lowest: -40, highest: 125, full: 0xffff, celsius: shtc3Celsius, percent: shtc3Percent},
	"sht2x":   {lowest: -40, highest: 125, full: 0xfffc, celsius: sht2xCelsius, percent: sht2xPercent},
	"hdc1080": {lowest: -40, highest: 125, full: 0xfffc, celsius: hdc1080Celsius, percent: hdc1080Percent},
	"aht20":   {lowest: -40, highest: 85, full: 1<<20 - 1, celsius: ahtCelsius, percent: ahtPercent},
}

// judged returns the sample of two words.
func (k *airKind) judged(t, h uint32) sensors.Sample {
	d := air{kind: k, measures: [2]sensors.Measure{k.temperature(), airHumidity}}
	var s sensors.Sample
	d.fill(&s, t, h)
	return s
}

// Whatever words come: what is called good is finite, and a humidity lies from 0 to 100.
func FuzzAirWords(f *testing.F) {
	f.Add(uint32(0), uint32(0))
	f.Add(uint32(0x6666), uint32(0x8000))
	f.Add(uint32(0xffff), uint32(0xffff))
	f.Add(uint32(1<<20-1), uint32(0x0c00))
	f.Fuzz(func(t *testing.T, rawT, rawH uint32) {
		for name, k := range kinds {
			s := k.judged(rawT&(1<<20-1), rawH&(1<<20-1))
			temp, hum := s.Readings[0], s.Readings[1]
			if math.IsNaN(temp.Value) || math.IsInf(temp.Value, 0) {
				t.Errorf("%s: %v °C", name, temp.Value)
			}
			if hum.Quality.Level == sensors.Good && (!(hum.Value >= 0 && hum.Value <= 100) || temp.Quality.Level != sensors.Good || !within(k.temperature(), temp.Value)) {
				t.Errorf("%s: %v %%RH is good at %v °C, %v", name, hum.Value, temp.Value, temp.Quality)
			}
		}
	})
}

// scripted is a connection on which one reply is heard, whatever is written.
type scripted struct{ reply []byte }

func (c *scripted) String() string { return "0x44 on bus 1" }
func (c *scripted) Close() error   { return nil }
func (c *scripted) Tx(_ context.Context, _, r []byte) error {
	copy(r, c.reply)
	return nil
}

// Replies of any bytes: no parser panics, and words come only from replies whose
// checksums are right.
func FuzzAirReplies(f *testing.F) {
	f.Add([]byte{0x66, 0x66, 0x93, 0x80, 0x00, 0xa2, 0})
	f.Add([]byte{0x18, 0x75, 0x52, 0x05, 0x8e, 0x40, 0x7f})
	f.Add([]byte{0x10, 0x00, 0x66, 0x66})
	f.Add([]byte{0x68, 0x3a, 0x7c, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, reply []byte) {
		if len(reply) > 32 {
			return
		}
		padded := append(append([]byte{}, reply...), make([]byte, 8)...)
		d := &air{kind: kinds["sht3x"], way: precision{takes: time.Nanosecond}}
		d.conn = &scripted{padded}
		if _, _, err := d.twoWords(t.Context()); (err == nil) != checked(crcFromFF, padded[:6]) {
			t.Errorf("% x: two words with %v", padded[:6], err)
		}
		if _, _, err := d.wordsAHT(padded[:7]); err == nil && !ahtChecked(padded[:7]) {
			t.Errorf("% x: taken as a reply of an AHT20", padded[:7])
		}
		if raw, err := d.oneSHT2x(t.Context(), "temperature", sht2xTemperature, 0, 0); err == nil && (raw&3 != 0 || !checked(crcFrom0, padded[:3])) {
			t.Errorf("% x: taken as a word %04x of an SHT2x", padded[:3], raw)
		}
		if _, _, err := d.wordsAHT(padded[:6]); err == nil && busFault(padded[1:6]) {
			t.Errorf("% x: taken as a reply of an AHT10", padded[:6])
		}
	})
}

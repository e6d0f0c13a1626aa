package chip

import (
	"math"
	"testing"

	"weir/sensors"
)

// The register dump and the results of the elixir bmp3xx project's BMP388.
var bytesBMP3 = [bmp3CalSize]byte{0x23, 0x6b, 0x58, 0x49, 0xf6, 0x5c, 0xff, 0xce, 0xf4, 0x23, 0x00, 0xea, 0x63, 0x6e, 0x79, 0xf3, 0xf6, 0xaa, 0x43, 0x12, 0xc4}

func TestBMP388Vector(t *testing.T) {
	c := parseBMP3(&bytesBMP3)
	celsius := c.temperature(little24([]byte{0x73, 0xd8, 0x85}))
	near(t, "temperature", celsius, 30.4993144539, 1e-9)
	near(t, "pressure", c.pressure(little24([]byte{0x97, 0x9f, 0x6d}), celsius), 100876.006347, 1e-5)
}

// Every word at the ends of its sign: read from its bytes, with its sign and its
// scale, and from no others.
func TestBMP388WordBoundaries(t *testing.T) {
	fields := func(c bmp3Calibration) []float64 {
		return []float64{c.t1, c.t2, c.t3, c.p1, c.p2, c.p3, c.p4, c.p5, c.p6, c.p7, c.p8, c.p9, c.p10, c.p11}
	}
	words := []struct {
		at     int
		bits   uint
		signed bool
		minus  float64 // taken from the word before it is scaled
		power  float64 // of two that it is multiplied by
	}{
		{0, 16, false, 0, 8}, {2, 16, false, 0, -30}, {4, 8, true, 0, -48},
		{5, 16, true, 1 << 14, -20}, {7, 16, true, 1 << 14, -29}, {9, 8, true, 0, -32}, {10, 8, true, 0, -37},
		{11, 16, false, 0, 3}, {13, 16, false, 0, -6}, {15, 8, true, 0, -8}, {16, 8, true, 0, -15},
		{17, 16, true, 0, -48}, {19, 8, true, 0, -48}, {20, 8, true, 0, -65},
	}
	for i, w := range words {
		top := uint32(1) << (w.bits - 1)
		for _, word := range []uint32{0, 1, top - 1, top, top | 1, 2*top - 1} {
			var b [bmp3CalSize]byte
			b[w.at] = byte(word)
			if w.bits == 16 {
				b[w.at+1] = byte(word >> 8)
			}
			value := float64(word)
			if w.signed && word >= top {
				value -= float64(2 * top)
			}
			for j, got := range fields(parseBMP3(&b)) {
				want := -words[j].minus * math.Exp2(words[j].power)
				if i == j {
					want = (value - w.minus) * math.Exp2(w.power)
				}
				if got != want {
					t.Errorf("word %d = %x: coefficient %d is %v, want %v", i, word, j, got, want)
				}
			}
		}
	}
}

func FuzzBMP388Compensation(f *testing.F) {
	f.Add(bytesBMP3[:], uint32(0x6d9f97), uint32(0x85d873))
	f.Add(make([]byte, bmp3CalSize), uint32(0), uint32(0xffffff))
	f.Fuzz(func(t *testing.T, cal []byte, rawP, rawT uint32) {
		d := bmp3{}
		var words [bmp3CalSize]byte
		copy(words[:], cal)
		d.cal = parseBMP3(&words)
		var s sensors.Sample
		d.fill(&s, rawP&0xffffff, rawT&0xffffff)
		wantSoundSample(t, &s, 2)
	})
}

// wantSoundSample checks what no data may break: every quantity is there once, with
// a number, and none is good that is computed with a temperature that cannot be.
func wantSoundSample(t *testing.T, s *sensors.Sample, n int) {
	t.Helper()
	if len(s.Readings) != n {
		t.Fatalf("%d readings, want %d", len(s.Readings), n)
	}
	celsius := s.Readings[0]
	useless := celsius.Quality.Level == sensors.Bad || celsius.Value < celsius.Min || celsius.Value > celsius.Max
	for _, r := range s.Readings {
		if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
			t.Errorf("%s is %v", r.Quantity, r.Value)
		}
		if r.Quality.Level == sensors.Bad && (r.Value != 0 || r.Quality.Reason == "") {
			t.Errorf("%s: bad with value %v and reason %q", r.Quantity, r.Value, r.Quality.Reason)
		}
		computed := r.Quantity == sensors.Pressure || r.Quantity == sensors.Humidity
		if computed && useless && r.Quality.Level != sensors.Bad {
			t.Errorf("%s is %v although the temperature is %v, %v", r.Quantity, r.Quality, celsius.Value, celsius.Quality)
		}
	}
}

package chip

import (
	"math/rand/v2"
	"testing"

	"periph.io/x/conn/v3/physic"

	"weir/sensors/sim"
)

var sheetBMP180 = bmp180Calibration{ // data sheet page 15
	ac1: 408, ac2: -72, ac3: -14383, ac4: 32741, ac5: 32757, ac6: 23153,
	b1: 6190, b2: 4, mb: -32768, mc: -8711, md: 2868,
}

var bytesBMP180 = [22]byte{35, 136, 251, 103, 199, 169, 135, 91, 98, 137, 80, 22, 25, 115, 0, 46, 128, 0, 209, 246, 10, 123}

func TestBMP180Vectors(t *testing.T) {
	for _, v := range []struct {
		name             string
		cal              bmp180Calibration
		ut, up           uint32
		oss              uint
		deci, b5, pascal int64
	}{
		{"data sheet page 15", sheetBMP180, 27898, 23843, 0, 150, 2400, 69964},
		{"a real chip", parseBMP180(&bytesBMP180), 0x71bf, 0xab9600 >> 8, 0, 253, 4043, 100570},
	} {
		deci, b5, ok := v.cal.temperature(v.ut)
		if deci != v.deci || b5 != v.b5 || !ok {
			t.Errorf("%s: temperature %d, B5 %d, %v, want %d and %d", v.name, deci, b5, ok, v.deci, v.b5)
		}
		if p, ok := v.cal.pressure(v.up, b5, v.oss); p != v.pascal || !ok {
			t.Errorf("%s: pressure %d, %v, want %d", v.name, p, ok, v.pascal)
		}
	}
}

func TestBMP180ImpossibleCalibration(t *testing.T) {
	c := sheetBMP180
	c.ac6, c.md = 27898, 0 // X1 + MD = 0
	if _, _, ok := c.temperature(27898); ok {
		t.Error("a division by zero counts as a temperature")
	}
	c = sheetBMP180
	c.ac4 = 0
	if _, ok := c.pressure(23843, 2400, 0); ok {
		t.Error("a division by zero counts as a pressure")
	}
}

func TestBMP180WordBoundaries(t *testing.T) {
	fields := func(c bmp180Calibration) []int64 {
		return []int64{c.ac1, c.ac2, c.ac3, c.ac4, c.ac5, c.ac6, c.b1, c.b2, c.mb, c.mc, c.md}
	}
	for i := range 11 {
		for _, word := range []int64{1, 0x00ff, 0x7fff, 0x8000, 0x8001, 0xffff} {
			var b [22]byte
			b[2*i], b[2*i+1] = byte(word>>8), byte(word)
			want := word
			if signed := i < 3 || i > 5; signed && word >= 0x8000 {
				want -= 0x10000
			}
			for j, got := range fields(parseBMP180(&b)) {
				if expected := map[bool]int64{true: want, false: 0}[i == j]; got != expected {
					t.Errorf("word %d = %04x: field %d is %d, want %d", i, word, j, got, expected)
				}
			}
		}
	}
}

// periph divides towards zero where the sheet shifts, in two places: up to 8 Pa.
func TestBMP180AgainstPeriph(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		trim := sim.SheetTrimBMP180()
		trim.AC1 += int16(r.IntN(8000))
		trim.AC2 -= int16(r.IntN(1000))
		trim.AC4 += uint16(r.IntN(2000))
		trim.B2 += int16(r.IntN(60))
		raw := sim.RawBMP180{Temperature: uint32(25000 + r.IntN(6000)), Pressure: uint32(30000 + r.IntN(15000))}
		cal := bmp180Calibration{
			ac1: int64(trim.AC1), ac2: int64(trim.AC2), ac3: int64(trim.AC3), ac4: int64(trim.AC4), ac5: int64(trim.AC5), ac6: int64(trim.AC6),
			b1: int64(trim.B1), b2: int64(trim.B2), mb: int64(trim.MB), mc: int64(trim.MC), md: int64(trim.MD),
		}
		deci, b5, ok := cal.temperature(raw.Temperature)
		if !ok {
			t.Fatalf("temperature of %+v", raw)
		}
		pascal, ok := cal.pressure(raw.Pressure, b5, 0)
		if !ok {
			t.Fatalf("pressure of %+v", raw)
		}
		env := periphReads(t, func(w *sim.Bus) {
			c := sim.NewBMP180(sim.Steady(sim.Climate{}))
			c.SetTrim(trim)
			c.Hold(&raw)
			w.Add(0x77, c)
		}, 0x77)
		near(t, "temperature", float64(deci)/10, env.Temperature.Celsius(), 0.051)
		near(t, "pressure", float64(pascal), float64(env.Pressure)/float64(physic.Pascal), 8)
	}
}

func FuzzBMP180Compensation(f *testing.F) {
	f.Add(bytesBMP180[:], uint32(0x71bf), uint32(0xab96), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, ut, up uint32, oss uint8) {
		var cal [22]byte
		copy(cal[:], b)
		c := parseBMP180(&cal)
		if _, b5, ok := c.temperature(ut & 0xffff); ok {
			c.pressure(up&0x7ffff, b5, uint(oss&3)) // must not divide by zero
		}
	})
}

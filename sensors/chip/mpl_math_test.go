package chip

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestMPL3115Vectors(t *testing.T) {
	for _, v := range []struct {
		bytes           [5]byte
		celsius, pascal float64
	}{
		{[5]byte{0x62, 0xf3, 0x40, 0x19, 0x00}, 25, 101325},
		{[5]byte{0x62, 0xf3, 0x50, 0x19, 0x10}, 25.0625, 101325.25},
		{[5]byte{0x00, 0x00, 0x10, 0xff, 0xf0}, -0.0625, 0.25}, // the sign, which some leave out
		{[5]byte{0xff, 0xff, 0xf0, 0x80, 0x00}, -128, 262143.75},
		{[5]byte{0x80, 0x00, 0x00, 0x7f, 0xf0}, 127.9375, 131072},
		{[5]byte{0x7f, 0xff, 0xf0, 0xd8, 0x00}, -40, 131071.75},
	} {
		celsius, pascal, _, _ := mpl3115Values(v.bytes[:])
		if celsius != v.celsius || pascal != v.pascal {
			t.Errorf("% x: got %v °C, %v Pa, want %v, %v", v.bytes, celsius, pascal, v.celsius, v.pascal)
		}
	}
}

// The example of AN3785.
var sheetMPL115 = [8]byte{0x3e, 0xce, 0xb3, 0xf9, 0xc5, 0x17, 0x33, 0xc8}

func TestMPL115Vector(t *testing.T) {
	c := parseMPL115(&sheetMPL115)
	near(t, "a0", c.a0, 2009.75, 0)
	near(t, "b1", c.b1, -2.37585, 5e-6)
	near(t, "b2", c.b2, -0.92047, 5e-6)
	near(t, "c12", c.c12, 0.000790, 5e-7)
	near(t, "pressure", c.pressure(410, 507), 96587, 0.5)
	near(t, "typical temperature", mpl115Celsius(472), 25, 0)
	near(t, "warmer has fewer counts", mpl115Celsius(472-53.5), 35, 1e-9)
}

func TestMPL115CoefficientBoundaries(t *testing.T) {
	scales := [4]float64{8, 8192, 16384, 1 << 24}
	for i, scale := range scales {
		for _, word := range []uint16{4, 0x00fc, 0x7ffc, 0x8000, 0x8004, 0xfffc} {
			var b [8]byte
			b[2*i], b[2*i+1] = byte(word>>8), byte(word)
			c := parseMPL115(&b)
			for j, got := range []float64{c.a0, c.b1, c.b2, c.c12} {
				if want := map[bool]float64{true: float64(int16(word)) / scale, false: 0}[i == j]; got != want {
					t.Errorf("word %d = %04x: field %d is %v, want %v", i, word, j, got, want)
				}
			}
		}
	}
	// The two bits below the fourteen are no part of c12, and it rounds down.
	if c := parseMPL115(&[8]byte{6: 0xff, 7: 0xfd}); c.c12 != -1.0/(1<<22) {
		t.Errorf("c12 of fffd is %v", c.c12*(1<<22))
	}
}

// The sheet's sum in its own order, with 200 bits.
func TestMPL115AgainstBigFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(115, 2))
	n := func(v float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(v) }
	for range 20000 {
		var b [8]byte
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		c := parseMPL115(&b)
		p, temp := float64(r.IntN(1024)), float64(r.IntN(1024))
		c12x2 := n(0).Mul(n(c.c12), n(temp))
		a1 := n(0).Add(n(c.b1), c12x2)
		y1 := n(0).Add(n(c.a0), n(0).Mul(a1, n(p)))
		comp := n(0).Add(y1, n(0).Mul(n(c.b2), n(temp)))
		kilo := n(0).Add(n(0).Quo(n(0).Mul(comp, n(115-50)), n(1023)), n(50))
		want, _ := n(0).Mul(kilo, n(1000)).Float64()
		if got := c.pressure(p, temp); math.Abs(got-want) > 1e-6 {
			t.Fatalf("%+v of %v, %v: %v, want %v", c, p, temp, got, want)
		}
	}
}

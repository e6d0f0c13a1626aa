package chip

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// A real chip's coefficients, of an issue of Infineon's library, and a synthetic set.
// Linux's driver is no oracle for the pressure: it seems to overflow 64 bits. Nor is
// Infineon's own, which halves c0 as an unsigned number: half a degree off when it
// is odd, garbage when it is negative.
func TestDPS310Vectors(t *testing.T) {
	real := dps310Calibration{c0: 222, c1: -297, c00: 79832, c10: -56308, c01: -2295, c11: 1444, c20: -9701, c21: 111, c30: -1289}
	near(t, "temperature of a real chip", real.temperature(200498.0/524288), -2.578, 0.001)
	synthetic := dps310Calibration{c0: 209, c1: -260, c00: 81059, c10: -53500, c01: -2150, c11: 1300, c20: -9700, c21: 130, c30: -1000}
	near(t, "temperature", synthetic.temperature(100000.0/524288), 54.908936, 1e-6)
	near(t, "pressure", synthetic.pressure(-300000.0/524288, 100000.0/524288), 108139.4976, 1e-4)
}

func TestDPS310Scale(t *testing.T) {
	for step, want := range map[byte]float64{0: 100000.0 / 524288, 1: 100000.0 / 1572864, 2: 100000.0 / 3670016, 3: 100000.0 / 7864320} {
		got, raw := scaledDPS310([]byte{0x01, 0x86, 0xa0}, step)
		near(t, "positive word", got, want, 1e-12)
		if raw != 100000 {
			t.Errorf("raw %d, want 100000", raw)
		}
		got, raw = scaledDPS310([]byte{0xfe, 0x79, 0x60}, step)
		near(t, "negative word", got, -want, 1e-12)
		if raw != -100000 {
			t.Errorf("raw %d, want -100000", raw)
		}
	}
}

// Every coefficient has bits of its own and a sign. INAV once read c11 from where
// c01 is.
func TestDPS310CoefficientBoundaries(t *testing.T) {
	fields := func(c dps310Calibration) []float64 {
		return []float64{c.c0, c.c1, c.c00, c.c10, c.c01, c.c11, c.c20, c.c21, c.c30}
	}
	first := 0
	for i, bits := range []int{12, 12, 20, 20, 16, 16, 16, 16, 16} {
		top := int64(1) << (bits - 1)
		for _, want := range []int64{1, top - 1, -top, -top + 1, -1, 0x55, -0x56} {
			var b [18]byte
			for bit := range bits { // most significant first
				if want>>(bits-1-bit)&1 != 0 {
					b[(first+bit)/8] |= 0x80 >> ((first + bit) % 8)
				}
			}
			for j, got := range fields(parseDPS310(&b)) {
				if expected := map[bool]float64{true: float64(want), false: 0}[i == j]; got != expected {
					t.Errorf("coefficient %d = %d: field %d is %v, want %v", i, want, j, got, expected)
				}
			}
		}
		first += bits
	}
	if first != 18*8 {
		t.Errorf("the coefficients have %d bits", first)
	}
}

// The sheet's sums as they stand there, term by term, with 200 bits.
func TestDPS310AgainstBigFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(310, 1))
	number := func(bits int) float64 { return float64(r.Int64N(1<<bits) - 1<<(bits-1)) }
	for range 20000 {
		c := dps310Calibration{
			c0: number(12), c1: number(12), c00: number(20), c10: number(20),
			c01: number(16), c11: number(16), c20: number(16), c21: number(16), c30: number(16),
		}
		step := byte(r.IntN(4))
		rawT, rawP := number(24), number(24)
		ts, ps := rawT/dps310Scale[step], rawP/dps310Scale[step]
		wantT, wantP := bigDPS310(&c, rawT, rawP, dps310Scale[step])
		if got := c.temperature(ts); math.Abs(got-wantT) > 1e-9*math.Max(1, math.Abs(wantT)) {
			t.Fatalf("%+v of %v: %v °C, want %v", c, rawT, got, wantT)
		}
		// The terms are up to 2^15 * 16^3; what is left after they cancel is that exact.
		if got := c.pressure(ps, ts); math.Abs(got-wantP) > 1e-6 {
			t.Fatalf("%+v of %v, %v: %v Pa, want %v", c, rawT, rawP, got, wantP)
		}
	}
}

func bigDPS310(c *dps310Calibration, rawT, rawP, k float64) (celsius, pascal float64) {
	n := func(v float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(v) }
	product := func(factors ...*big.Float) *big.Float {
		v := n(1)
		for _, f := range factors {
			v.Mul(v, f)
		}
		return v
	}
	sum := func(terms ...*big.Float) float64 {
		v := n(0)
		for _, term := range terms {
			v.Add(v, term)
		}
		f, _ := v.Float64()
		return f
	}
	t, p := new(big.Float).SetPrec(200).Quo(n(rawT), n(k)), new(big.Float).SetPrec(200).Quo(n(rawP), n(k))
	celsius = sum(product(n(0.5), n(c.c0)), product(n(c.c1), t))
	pascal = sum(n(c.c00), product(n(c.c10), p), product(n(c.c20), p, p), product(n(c.c30), p, p, p),
		product(n(c.c01), t), product(n(c.c11), t, p), product(n(c.c21), t, p, p))
	return celsius, pascal
}

func FuzzDPS310Compensation(f *testing.F) {
	f.Add([]byte("123456789012345678"), []byte{1, 2, 3, 4, 5, 6}, uint8(3))
	f.Fuzz(func(t *testing.T, coefficients, words []byte, step uint8) {
		var b [18]byte
		var w [6]byte
		copy(b[:], coefficients)
		copy(w[:], words)
		c := parseDPS310(&b)
		ts, _ := scaledDPS310(w[3:], step%4)
		ps, _ := scaledDPS310(w[:3], step%4)
		if v := c.temperature(ts) + c.pressure(ps, ts); math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("%+v of % x: %v", c, w, v)
		}
	})
}

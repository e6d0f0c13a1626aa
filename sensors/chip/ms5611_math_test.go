package chip

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

var (
	sheetMS5611 = ms56Calibration{c: [6]int64{40127, 36924, 23317, 23282, 33464, 28312}}
	sheetMS5607 = ms56Calibration{c: [6]int64{46372, 43981, 29059, 27842, 31553, 28165}, doubled: 1}
)

// The examples of the two sheets, and betaflight's for the second order. TE's own
// generic driver and libdriver's have the second order of the MS5637, which is up to
// 4.4 °C and 2.5 kPa off below 20 °C: they are no oracles.
func TestMS56Vectors(t *testing.T) {
	for _, v := range []struct {
		name          string
		cal           ms56Calibration
		d1, d2        uint32
		centi, pascal int64
	}{
		{"MS5611 sheet, figure 2", sheetMS5611, 9085466, 8569150, 2007, 100009},
		{"MS5611 below 20 °C", sheetMS5611, 9085466, 8069150, 205, 96512},
		{"MS5611 below -15 °C", sheetMS5611, 9085466, 7369150, -2710, 90613},
		{"MS5607 sheet, figure 2", sheetMS5607, 6465444, 8077636, 2000, 110002},
	} {
		if c, p := v.cal.values(v.d1, v.d2); c != v.centi || p != v.pascal {
			t.Errorf("%s: got %d and %d, want %d and %d", v.name, c, p, v.centi, v.pascal)
		}
	}
}

// The PROM of betaflight's test of the checksum. Linux refuses a checksum of 0,
// which is as good as any other.
func TestMS56Checksum(t *testing.T) {
	prom := [16]byte{0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x0b}
	if got := crc4MS56(&prom); got != 0x0b {
		t.Errorf("got %x, want b", got)
	}
	if _, ok := parseMS56(&prom, 0); !ok {
		t.Error("a valid PROM is refused")
	}
	prom[15] = 0xfb // the upper half of the last byte is not part of it
	if _, ok := parseMS56(&prom, 0); !ok || crc4MS56(&prom) != 0x0b {
		t.Error("the upper half of the last byte counts")
	}
	for bit := range 16*8 - 8 {
		damaged := prom
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, ok := parseMS56(&damaged, 0); ok {
			t.Errorf("bit %d flipped, and the PROM is accepted", bit)
		}
	}
	zero := prom
	for zero[1] = 0; crc4MS56(&zero) != 0; zero[1]++ {
	}
	zero[15] = 0
	if _, ok := parseMS56(&zero, 0); !ok {
		t.Error("a valid checksum of 0 is refused")
	}
	for _, b := range []byte{0, 0xff} {
		var same [16]byte
		for i := range same {
			same[i] = b
		}
		if _, ok := parseMS56(&same, 0); ok {
			t.Errorf("all %02x is accepted", b)
		}
	}
}

func TestMS56WordBoundaries(t *testing.T) {
	for i := range 6 {
		for _, word := range []int64{1, 0x00ff, 0x7fff, 0x8000, 0xff00, 0xfffe} {
			var prom [16]byte
			prom[2+2*i], prom[3+2*i] = byte(word>>8), byte(word)
			c, _ := parseMS56(&prom, 0)
			for j, got := range c.c {
				if want := map[bool]int64{true: word, false: 0}[i == j]; got != want { // none is signed
					t.Errorf("word %d = %04x: field %d is %d, want %d", i+1, word, j+1, got, want)
				}
			}
		}
	}
}

// The sheets' figures once more, in numbers without a limit: no step of ours
// overflows, whatever the words are.
func TestMS56AgainstBigIntegers(t *testing.T) {
	r := rand.New(rand.NewPCG(56, 11))
	extreme := []uint32{0, 1, 0x7fffff, 0x800000, 0xffffff}
	for i := range 20000 {
		c := ms56Calibration{doubled: uint(i % 2)}
		for j := range c.c {
			c.c[j] = r.Int64N(65536)
			if r.IntN(4) == 0 {
				c.c[j] = []int64{0, 1, 32767, 32768, 65535}[r.IntN(5)]
			}
		}
		d1, d2 := r.Uint32N(1<<24), r.Uint32N(1<<24)
		if i%5 == 0 {
			d1, d2 = extreme[r.IntN(5)], extreme[r.IntN(5)]
		}
		if i%3 == 0 { // near the reference temperature, where chips live
			d2 = uint32(min(max(c.c[4]<<8+r.Int64N(1<<20)-1<<19, 0), 1<<24-1))
		}
		gotT, gotP := c.values(d1, d2)
		wantT, wantP := bigMS56(&c, int64(d1), int64(d2))
		if big.NewInt(gotT).Cmp(wantT) != 0 || big.NewInt(gotP).Cmp(wantP) != 0 {
			t.Fatalf("%+v of %d and %d: got %d and %d, want %v and %v", c, d1, d2, gotT, gotP, wantT, wantP)
		}
	}
}

func bigMS56(c *ms56Calibration, d1, d2 int64) (temp, p *big.Int) {
	n := big.NewInt
	mul := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	add := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	sub := func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
	half := func(a *big.Int, times uint) *big.Int { return new(big.Int).Rsh(a, times) } // rounds down
	power := func(e int64) *big.Int { return new(big.Int).Exp(n(2), n(e), nil) }

	offScale, offShift, sensScale, sensShift := int64(16), uint(7), int64(15), uint(8)
	if c.doubled == 1 {
		offScale, offShift, sensScale, sensShift = 17, 6, 16, 7
	}
	dt := sub(n(d2), mul(n(c.c[4]), power(8)))
	temp = add(n(2000), half(mul(dt, n(c.c[5])), 23))
	off := add(mul(n(c.c[1]), power(offScale)), half(mul(n(c.c[3]), dt), offShift))
	sens := add(mul(n(c.c[0]), power(sensScale)), half(mul(n(c.c[2]), dt), sensShift))
	if temp.Cmp(n(2000)) < 0 {
		t2 := half(mul(dt, dt), 31)
		off2, sens2 := n(0), n(0)
		square := mul(sub(temp, n(2000)), sub(temp, n(2000)))
		deep := n(0)
		if temp.Cmp(n(-1500)) < 0 {
			deep = mul(add(temp, n(1500)), add(temp, n(1500)))
		}
		if c.doubled == 1 {
			off2 = add(half(mul(n(61), square), 4), mul(n(15), deep))
			sens2 = add(mul(n(2), square), mul(n(8), deep))
		} else {
			off2 = add(half(mul(n(5), square), 1), mul(n(7), deep))
			sens2 = add(half(mul(n(5), square), 2), half(mul(n(11), deep), 1))
		}
		temp, off, sens = sub(temp, t2), sub(off, off2), sub(sens, sens2)
	}
	return temp, half(sub(half(mul(n(d1), sens), 21), off), 15)
}

func FuzzMS56PROM(f *testing.F) {
	f.Add([]byte("1234567890123456"), uint32(9085466), uint32(8569150), true)
	f.Fuzz(func(t *testing.T, b []byte, d1, d2 uint32, doubled bool) {
		var prom [16]byte
		copy(prom[:], b)
		n := uint(0)
		if doubled {
			n = 1
		}
		c, ok := parseMS56(&prom, n)
		c.values(d1&0xffffff, d2&0xffffff)
		if ok && (busFault(prom[:]) || prom[15]&0x0f != crc4MS56(&prom)) {
			t.Errorf("% x is accepted", prom)
		}
	})
}

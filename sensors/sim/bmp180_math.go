package sim

// Sheet: Bosch BMP180, BST-BMP180-DS000-09 revision 2.5, section 3.5 (page 15, the
// algorithm and its worked example, the same in BMP085, BST-BMP085-DS000-06) and
// table 5 (page 13, the calibration words).
//
// The sheet writes divisions by powers of two; Bosch's own code shifts, which
// rounds down. So does this.

import "encoding/binary"

// TrimBMP180 holds the calibration words of one BMP180.
type TrimBMP180 struct {
	AC1, AC2, AC3      int16
	AC4, AC5, AC6      uint16
	B1, B2, MB, MC, MD int16
}

// SheetTrimBMP180 is the worked example of the sheet.
func SheetTrimBMP180() TrimBMP180 {
	return TrimBMP180{
		AC1: 408, AC2: -72, AC3: -14383, AC4: 32741, AC5: 32757, AC6: 23153,
		B1: 6190, B2: 4, MB: -32768, MC: -8711, MD: 2868,
	}
}

// layout returns the image of the words at 0xAA, high byte first.
func (c *TrimBMP180) layout() (image [22]byte) {
	words := [11]uint16{
		uint16(c.AC1), uint16(c.AC2), uint16(c.AC3), c.AC4, c.AC5, c.AC6,
		uint16(c.B1), uint16(c.B2), uint16(c.MB), uint16(c.MC), uint16(c.MD),
	}
	for i, w := range words {
		binary.BigEndian.PutUint16(image[2*i:], w)
	}
	return image
}

// b5 returns the temperature in 1/160 °C, and false where the formula would divide
// by zero.
func (c *TrimBMP180) b5(ut int64) (int64, bool) {
	x1 := (ut - int64(c.AC6)) * int64(c.AC5) >> 15
	divisor := x1 + int64(c.MD)
	if divisor == 0 {
		return 0, false
	}
	return x1 + int64(c.MC)<<11/divisor, true
}

// deci returns the temperature in 0.1 °C.
func deci(b5 int64) int64 { return (b5 + 8) >> 4 }

// pressure returns Pa, and false where the formula would divide by zero.
func (c *TrimBMP180) pressure(up, b5 int64, oss uint) (int64, bool) {
	b6 := b5 - 4000
	square := b6 * b6 >> 12
	x3 := int64(c.B2)*square>>11 + int64(c.AC2)*b6>>11
	b3 := ((int64(c.AC1)*4+x3)<<oss + 2) >> 2
	x3 = (int64(c.AC3)*b6>>13 + int64(c.B1)*square>>16 + 2) >> 2
	b4 := int64(c.AC4) * (x3 + 32768) >> 15
	b7 := (up - b3) * (50000 >> oss)
	if b4 == 0 {
		return 0, false
	}
	p := b7 * 2 / b4
	if b7 >= 1<<31 {
		p = b7 / b4 * 2
	}
	x1 := (p >> 8) * (p >> 8) * 3038 >> 16
	x2 := -7357 * p >> 16
	return p + (x1+x2+3791)>>4, true
}

// rawTemperature returns UT. Below the pole of the formula, far colder than any
// chip works, temperature does not rise with UT; the search stays above it.
func (c *TrimBMP180) rawTemperature(celsius float64) int64 {
	lowest := int64(c.AC6) - int64(c.MD)<<15/max(int64(c.AC5), 1) + 1
	return nearest(min(max(lowest, 0), full16), full16, celsius*160, func(ut int64) float64 {
		b5, _ := c.b5(ut)
		return float64(b5)
	})
}

// rawPressure returns UP, 16+oss bits.
func (c *TrimBMP180) rawPressure(pascal float64, b5 int64, oss uint) int64 {
	return nearest(0, 1<<(16+oss)-1, pascal, func(up int64) float64 {
		p, _ := c.pressure(up, b5, oss)
		return float64(p)
	})
}

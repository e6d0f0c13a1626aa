package chip

// bmp180Calibration are the 11 words of the EEPROM: data sheet table 5, page 13.
type bmp180Calibration struct {
	ac1, ac2, ac3      int64 // signed
	ac4, ac5, ac6      int64 // unsigned
	b1, b2, mb, mc, md int64 // signed
}

// parseBMP180 reads the 22 bytes from 0xaa, big endian.
func parseBMP180(b *[22]byte) bmp180Calibration {
	unsigned := func(i int) int64 { return int64(word16(b[2*i:])) }
	word := func(i int) int64 { return int64(int16(unsigned(i))) }
	return bmp180Calibration{
		ac1: word(0), ac2: word(1), ac3: word(2),
		ac4: unsigned(3), ac5: unsigned(4), ac6: unsigned(5),
		b1: word(6), b2: word(7), mb: word(8), mc: word(9), md: word(10),
	}
}

// The algorithm is that of the data sheet, figure 4 (page 15), in 64 bits. All
// shifts round down; the one division that can be negative rounds to zero.

// temperature returns tenths of °C and B5, which the pressure needs. It is not
// ok if the calibration makes it divide by zero.
func (c *bmp180Calibration) temperature(ut uint32) (deci, b5 int64, ok bool) {
	x1 := (int64(ut) - c.ac6) * c.ac5 >> 15
	if x1+c.md == 0 {
		return 0, 0, false
	}
	b5 = x1 + (c.mc<<11)/(x1+c.md)
	return (b5 + 8) >> 4, b5, true
}

// pressure returns Pa. It is not ok if the words make it divide by zero or fall
// below it, which no real chip's do.
func (c *bmp180Calibration) pressure(up uint32, b5 int64, oss uint) (pascal int64, ok bool) {
	b6 := b5 - 4000
	square := b6 * b6 >> 12
	x3 := (c.b2*square)>>11 + (c.ac2*b6)>>11
	b3 := ((c.ac1*4+x3)<<oss + 2) >> 2
	x3 = ((c.ac3*b6)>>13 + (c.b1*square)>>16 + 2) >> 2
	b4 := c.ac4 * (x3 + 32768) >> 15
	b7 := (int64(up) - b3) * (50000 >> oss)
	if b4 <= 0 || b7 < 0 {
		return 0, false
	}
	p := b7 / b4 * 2
	if b7 < 1<<31 {
		p = b7 * 2 / b4
	}
	x1 := (p >> 8) * (p >> 8) * 3038 >> 16
	x2 := -7357 * p >> 16
	return p + (x1+x2+3791)>>4, true
}

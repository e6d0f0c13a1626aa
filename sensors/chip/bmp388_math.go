package chip

// bmp3CalSize is the number of calibration bytes from 0x31 on.
const bmp3CalSize = 21

// bmp3Calibration are the trimming coefficients as numbers: BMP388 data sheet 9.1,
// BMP390 data sheet 8.4 (conversion of the words into floating point).
type bmp3Calibration struct {
	t1, t2, t3                                   float64
	p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11 float64
}

// parseBMP3 reads the words of table 24 (trimming coefficients), low bytes first,
// and scales them.
func parseBMP3(b *[bmp3CalSize]byte) bmp3Calibration {
	c := coefficients(b[:])
	return bmp3Calibration{
		t1: c.unsigned(0) * (1 << 8), t2: c.unsigned(2) / (1 << 30), t3: c.small(4) / (1 << 48),
		p1: (c.word(5) - 1<<14) / (1 << 20), p2: (c.word(7) - 1<<14) / (1 << 29),
		p3: c.small(9) / (1 << 32), p4: c.small(10) / (1 << 37),
		p5: c.unsigned(11) * (1 << 3), p6: c.unsigned(13) / (1 << 6),
		p7: c.small(15) / (1 << 8), p8: c.small(16) / (1 << 15),
		p9: c.word(17) / (1 << 48), p10: c.small(19) / (1 << 48), p11: c.small(20) / 36893488147419103232, // 2 to the 65th
	}
}

// usable reports whether the words can be those of a chip: with T2 at zero every
// temperature would be 0 °C.
func (c *bmp3Calibration) usable() bool { return c.t1 != 0 && c.t2 != 0 }

// The compensation is the floating point one of the sheets (BMP388 9.2 and 9.3,
// BMP390 8.5 and 8.6), in double precision throughout; the published code raises
// its powers in single precision, which moves the last digits.

// temperature returns °C.
func (c *bmp3Calibration) temperature(raw uint32) float64 {
	d := float64(raw) - c.t1
	return d*c.t2 + d*d*c.t3
}

// pressure returns Pa at a temperature in °C.
func (c *bmp3Calibration) pressure(raw uint32, t float64) float64 {
	r := float64(raw)
	offset := c.p5 + t*(c.p6+t*(c.p7+t*c.p8))
	slope := c.p1 + t*(c.p2+t*(c.p3+t*c.p4))
	return offset + r*(slope+r*(c.p9+c.p10*t+r*c.p11))
}

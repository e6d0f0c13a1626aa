package chip

import "math"

// bmxCalibration are the trimming parameters: BMP280 data sheet table 17 (page
// 21), BME280 data sheet table 16 (page 24). All little endian.
type bmxCalibration struct {
	t1, t2, t3                         float64
	p1, p2, p3, p4, p5, p6, p7, p8, p9 float64
	h1, h2, h3, h4, h5, h6             float64
}

// parseBMX reads the 24 bytes from 0x88, the byte at 0xa1 and the 7 from 0xe1.
func parseBMX(b *[24 + 1 + 7]byte, humid bool) bmxCalibration {
	unsigned, word := coefficients(b[:]).unsigned, coefficients(b[:]).word
	c := bmxCalibration{
		t1: unsigned(0), t2: word(2), t3: word(4),
		p1: unsigned(6), p2: word(8), p3: word(10), p4: word(12), p5: word(14),
		p6: word(16), p7: word(18), p8: word(20), p9: word(22),
	}
	if !humid {
		return c
	}
	h := b[25:] // 0xe1 to 0xe7
	c.h1 = float64(b[24])
	c.h2 = word(25)
	c.h3 = float64(h[2])
	c.h4 = float64(signed(uint32(h[3])<<4|uint32(h[4])&0x0f, 12)) // 0xe4 and the low half of 0xe5
	c.h5 = float64(signed(uint32(h[5])<<4|uint32(h[4])>>4, 12))   // 0xe6 and the high half of 0xe5
	c.h6 = float64(int8(h[6]))
	return c
}

// usable reports whether the compensation cannot divide by zero. No part is
// shipped with these words at zero.
func (c *bmxCalibration) usable() bool { return c.t1 != 0 && c.p1 != 0 }

// The compensation is the floating point one of the data sheets (BMP280 8.1,
// page 44; BME280 appendix 8.1, page 49), with the fine temperature kept as it
// is: the published code cuts it to an integer in between, which moves the
// pressure by up to 0.05 Pa.

// temperature returns °C, and the fine temperature the other two need.
func (c *bmxCalibration) temperature(raw uint32) (celsius, fine float64) {
	a := float64(raw)
	v1 := (a/16384 - c.t1/1024) * c.t2
	v2 := a/131072 - c.t1/8192
	fine = v1 + v2*v2*c.t3
	return fine / 5120, fine
}

// pressure returns Pa, NaN if the calibration makes it divide by zero.
func (c *bmxCalibration) pressure(raw uint32, fine float64) float64 {
	v1 := fine/2 - 64000
	v2 := v1*v1*c.p6/32768 + v1*c.p5*2
	v2 = v2/4 + c.p4*65536
	v1 = (c.p3*v1*v1/524288 + c.p2*v1) / 524288
	v1 = (1 + v1/32768) * c.p1
	if v1 == 0 {
		return math.NaN()
	}
	p := (1048576 - float64(raw) - v2/4096) * 6250 / v1
	return p + (c.p9*p*p/2147483648+p*c.p8/32768+c.p7)/16
}

// humidity returns %RH, held between 0 and 100 as the data sheet does.
func (c *bmxCalibration) humidity(raw uint32, fine float64) float64 {
	v := fine - 76800
	v = (float64(raw) - (c.h4*64 + c.h5/16384*v)) *
		(c.h2 / 65536 * (1 + c.h6/67108864*v*(1+c.h3/67108864*v)))
	v *= 1 - c.h1*v/524288
	return min(max(v, 0), 100)
}

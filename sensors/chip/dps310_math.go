package chip

// The compensation of DPS310 (Infineon DPS310 data sheet 1.2, sections 4.9.1 to 4.9.3
// and 8.11) and SPL06-001 (Goertek), which is the same.

// dps310Calibration are the coefficients of section 8.11, table 18.
type dps310Calibration struct {
	c0, c1                            float64 // temperature
	c00, c10, c20, c30, c01, c11, c21 float64 // pressure
}

// parseDPS310 takes the coefficients out of the 18 bytes from 0x10: two of 12 bits,
// two of 20, then words of 16, all signed, high bits first.
func parseDPS310(b *[18]byte) dps310Calibration {
	high := func(i int) uint32 { return uint32(b[i]) }
	word := func(i int) float64 { return float64(signed(high(i)<<8|high(i+1), 16)) }
	return dps310Calibration{
		c0:  float64(signed(high(0)<<4|high(1)>>4, 12)),
		c1:  float64(signed(high(1)<<8|high(2), 12)),
		c00: float64(signed(high(3)<<12|high(4)<<4|high(5)>>4, 20)),
		c10: float64(signed(high(5)<<16|high(6)<<8|high(7), 20)),
		c01: word(8), c11: word(10), c20: word(12), c21: word(14), c30: word(16),
	}
}

// usable reports whether values depend on what is measured at all.
func (c *dps310Calibration) usable() bool { return c.c1 != 0 && c.c10 != 0 && c.c00 != 0 }

// dps310Scale are the divisors of raw words, by oversampling 1, 2, 4 and 8: table 9.
var dps310Scale = [...]float64{524288, 1572864, 3670016, 7864320}

// scaledDPS310 reads a raw word of three bytes, high byte first.
func scaledDPS310(b []byte, step byte) (scaled float64, raw int32) {
	raw = signed(word24(b), 24)
	return float64(raw) / dps310Scale[step], raw
}

// temperature returns °C of a scaled word.
func (c *dps310Calibration) temperature(t float64) float64 { return c.c0/2 + c.c1*t }

// pressure returns Pa of scaled words of pressure and temperature.
func (c *dps310Calibration) pressure(p, t float64) float64 {
	return c.c00 + p*(c.c10+p*(c.c20+p*c.c30)) + t*c.c01 + t*p*(c.c11+p*c.c21)
}

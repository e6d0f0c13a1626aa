package sim

// Sheets: TE Connectivity MS5611-01BA03 and MS5607-02BA03, figures 2 and 3 (flow
// chart of the calculation, second order temperature compensation) and application
// note AN520 (the CRC of the PROM). Results are 0.01 °C and 0.01 mbar, whole numbers;
// divisions by powers of two are shifts, which round down.

// TrimMS5611 holds the six calibration words of one chip.
type TrimMS5611 struct{ C1, C2, C3, C4, C5, C6 uint16 }

// SheetTrimMS5611 is the worked example of the MS5611's sheet.
func SheetTrimMS5611() TrimMS5611 {
	return TrimMS5611{C1: 40127, C2: 36924, C3: 23317, C4: 23282, C5: 33464, C6: 28312}
}

// SheetTrimMS5607 is the worked example of the MS5607's sheet.
func SheetTrimMS5607() TrimMS5611 {
	return TrimMS5611{C1: 46372, C2: 43981, C3: 29059, C4: 27842, C5: 31553, C6: 28165}
}

// layout returns the eight words of the PROM: one of the factory, the calibration,
// and a serial number with the checksum.
func (c *TrimMS5611) layout() [8]uint16 {
	words := [8]uint16{0x0056, c.C1, c.C2, c.C3, c.C4, c.C5, c.C6, 0x4C00}
	words[7] |= uint16(crc4(words))
	return words
}

// crc4 is the checksum of a PROM over all but the low byte of its last word.
func crc4(words [8]uint16) byte {
	words[7] &= 0xFF00
	var rest uint16
	for _, w := range words {
		for _, b := range [2]uint16{w >> 8, w & 0xFF} {
			rest ^= b
			for range 8 {
				top := rest & 0x8000
				rest <<= 1
				if top != 0 {
					rest ^= 0x3000
				}
			}
		}
	}
	return byte(rest >> 12)
}

// temperature returns 0.01 °C, and before the second order with dT.
func (c *TrimMS5611) temperature(d2 int64) (centi, first, dT int64) {
	dT = d2 - int64(c.C5)<<8
	first = 2000 + dT*int64(c.C6)>>23
	if first < 2000 {
		return first - dT*dT>>31, first, dT
	}
	return first, first, dT
}

// pressure returns Pa. Half says that it is an MS5607, whose words count half as
// much.
func (c *TrimMS5611) pressure(d1, d2 int64, half bool) int64 {
	_, first, dT := c.temperature(d2)
	off := int64(c.C2)<<16 + int64(c.C4)*dT>>7
	sens := int64(c.C1)<<15 + int64(c.C3)*dT>>8
	if half {
		off = int64(c.C2)<<17 + int64(c.C4)*dT>>6
		sens = int64(c.C1)<<16 + int64(c.C3)*dT>>7
	}
	if first < 2000 {
		off2, sens2 := ms56Cold(first, half)
		off, sens = off-off2, sens-sens2
	}
	return (d1*sens>>21 - off) >> 15
}

// ms56Cold is the second order of figure 3, below 20 °C and below -15 °C.
func ms56Cold(first int64, half bool) (off2, sens2 int64) {
	cold, frost := (first-2000)*(first-2000), int64(0)
	if first < -1500 {
		frost = (first + 1500) * (first + 1500)
	}
	if half {
		return 61*cold>>4 + 15*frost, 2*cold + 8*frost
	}
	return 5*cold>>1 + 7*frost, 5*cold>>2 + 11*frost>>1
}

// rawTemperature returns D2.
func (c *TrimMS5611) rawTemperature(celsius float64) int64 {
	return nearest(0, full24, celsius*100, func(d2 int64) float64 {
		centi, _, _ := c.temperature(d2)
		return float64(centi)
	})
}

// rawPressure returns D1.
func (c *TrimMS5611) rawPressure(pascal float64, d2 int64, half bool) int64 {
	return nearest(0, full24, pascal, func(d1 int64) float64 { return float64(c.pressure(d1, d2, half)) })
}

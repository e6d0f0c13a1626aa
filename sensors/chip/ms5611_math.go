package chip

// The compensation of MS5611-01BA03 and MS5607-02BA03, TE Connectivity (before:
// Measurement Specialties), in integers as their data sheets have it: figure 2 (first
// order) and figure 3 (second order), and of application note AN520 the checksum of
// the PROM. The two differ in the scale of their calibration only.

// ms56Calibration are words 1 to 6 of the PROM, and whose they are.
type ms56Calibration struct {
	c       [6]int64 // sensitivity, offset, their temperature coefficients, reference temperature, its coefficient
	doubled uint     // 1: an MS5607, whose sensitivity and offset are twice as large
}

// parseMS56 takes the words out of the 16 bytes of the PROM, big endian. It is not
// ok if the checksum is wrong or a word is empty.
func parseMS56(prom *[16]byte, doubled uint) (c ms56Calibration, ok bool) {
	c.doubled = doubled
	ok = crc4MS56(prom) == prom[15]&0x0f
	for i := range c.c {
		word := prom[2+2*i : 4+2*i]
		ok = ok && !busFault(word)
		c.c[i] = int64(word16(word))
	}
	return c, ok
}

// crc4MS56 is the checksum of a PROM, over all bits but those of its last byte.
func crc4MS56(prom *[16]byte) byte {
	remainder := uint16(0)
	for i, b := range prom {
		if i == 15 {
			b = 0
		}
		remainder ^= uint16(b)
		for range 8 {
			top := remainder&0x8000 != 0
			remainder <<= 1
			if top {
				remainder ^= 0x3000
			}
		}
	}
	return byte(remainder >> 12)
}

// values returns hundredths of °C and Pa of the raw words D1 (pressure) and D2
// (temperature), 24 bits each. All shifts round down.
func (c *ms56Calibration) values(d1, d2 uint32) (centi, pascal int64) {
	dt := int64(d2) - c.c[4]<<8
	temp := 2000 + dt*c.c[5]>>23
	off := c.c[1]<<(16+c.doubled) + c.c[3]*dt>>(7-c.doubled)
	sens := c.c[0]<<(15+c.doubled) + c.c[2]*dt>>(8-c.doubled)
	if temp < 2000 {
		off2, sens2 := c.cold(temp)
		temp -= dt * dt >> 31
		off -= off2
		sens -= sens2
	}
	return temp, (int64(d1)*sens>>21 - off) >> 15
}

// cold is the second order of offset and sensitivity below 20 °C.
func (c *ms56Calibration) cold(temp int64) (off2, sens2 int64) {
	below := (temp - 2000) * (temp - 2000)
	deep := int64(0)
	if temp < -1500 {
		deep = (temp + 1500) * (temp + 1500)
	}
	if c.doubled == 1 {
		return 61*below>>4 + 15*deep, 2*below + 8*deep
	}
	return 5*below>>1 + 7*deep, 5*below>>2 + 11*deep>>1
}

package sim

// Sheets: Bosch BME280, BST-BME280-DS002-15 revision 1.6, section 4.2.3 (pages
// 25-26, integer compensation; the same temperature and pressure code stands in
// BMP280, BST-BMP280-DS001-23 revision 1.23, section 3.11.3) and table 16 (page
// 24, where the trimming words lie).
//
// Of the sheet's variants this is the integer one with 64-bit pressure: right
// shifts round down, results are 0.01 °C, 1/256 Pa and 1/1024 %.

import (
	"encoding/binary"
	"math"
)

// TrimBMx280 holds the trimming words of one BMP280 or BME280. A BMP280 has no
// words H1 to H6.
type TrimBMx280 struct {
	T1                             uint16
	T2, T3                         int16
	P1                             uint16
	P2, P3, P4, P5, P6, P7, P8, P9 int16
	H1                             uint8
	H2                             int16
	H3                             uint8
	H4, H5                         int16 // 12 bits signed
	H6                             int8
}

// SheetTrimBMP280 is the worked example of the BMP280 sheet (section 3.12).
func SheetTrimBMP280() TrimBMx280 {
	return TrimBMx280{
		T1: 27504, T2: 26435, T3: -1000,
		P1: 36477, P2: -10685, P3: 3024, P4: 2855, P5: 140, P6: -7, P7: 15500, P8: -14600, P9: 6000,
	}
}

// TypicalTrimBME280 is a set of words as they are found in real chips.
func TypicalTrimBME280() TrimBMx280 {
	return TrimBMx280{
		T1: 28009, T2: 25654, T3: 50,
		P1: 39145, P2: -10750, P3: 3024, P4: 5667, P5: -120, P6: -7, P7: 15500, P8: -14600, P9: 6000,
		H1: 75, H2: 376, H3: 0, H4: 286, H5: 50, H6: 30,
	}
}

// layout returns the image of the words in the register map: 26 bytes from 0x88
// and 16 bytes from 0xE1.
func (c *TrimBMx280) layout() (low [26]byte, high [16]byte) {
	words := [...]uint16{
		c.T1, uint16(c.T2), uint16(c.T3),
		c.P1, uint16(c.P2), uint16(c.P3), uint16(c.P4), uint16(c.P5),
		uint16(c.P6), uint16(c.P7), uint16(c.P8), uint16(c.P9),
	}
	for i, w := range words {
		binary.LittleEndian.PutUint16(low[2*i:], w)
	}
	low[25] = c.H1 // 0xA1; 0xA0 is reserved
	binary.LittleEndian.PutUint16(high[0:], uint16(c.H2))
	high[2] = c.H3
	high[3] = byte(c.H4 >> 4)
	high[4] = byte(c.H4&0xF) | byte(c.H5&0xF)<<4
	high[5] = byte(c.H5 >> 4)
	high[6] = byte(c.H6)
	return low, high
}

// fine returns t_fine of the sheet: temperature in 1/5120 °C.
func (c *TrimBMx280) fine(raw int64) int64 {
	t1 := int64(c.T1)
	v1 := ((raw>>3 - t1<<1) * int64(c.T2)) >> 11
	d := raw>>4 - t1
	v2 := ((d * d >> 12) * int64(c.T3)) >> 14
	return v1 + v2
}

// centi returns the temperature in 0.01 °C.
func centi(fine int64) int64 { return (fine*5 + 128) >> 8 }

// pressure returns 1/256 Pa, and false where the sheet's formula would divide
// by zero.
func (c *TrimBMx280) pressure(raw, fine int64) (int64, bool) {
	v1 := fine - 128000
	v2 := v1 * v1 * int64(c.P6)
	v2 += (v1 * int64(c.P5)) << 17
	v2 += int64(c.P4) << 35
	v1 = (v1*v1*int64(c.P3))>>8 + (v1*int64(c.P2))<<12
	v1 = ((int64(1)<<47 + v1) * int64(c.P1)) >> 33
	if v1 == 0 {
		return 0, false
	}
	p := 1048576 - raw
	p = ((p<<31 - v2) * 3125) / v1
	v1 = (int64(c.P9) * (p >> 13) * (p >> 13)) >> 25
	v2 = (int64(c.P8) * p) >> 19
	return (p+v1+v2)>>8 + int64(c.P7)<<4, true
}

// humidity returns 1/1024 %.
func (c *TrimBMx280) humidity(raw, fine int64) int64 {
	x := fine - 76800
	a := (raw<<14 - int64(c.H4)<<20 - int64(c.H5)*x + 16384) >> 15
	b := ((x*int64(c.H6))>>10*((x*int64(c.H3))>>11+32768))>>10 + 2097152
	x = a * ((b*int64(c.H2) + 8192) >> 14)
	x -= (((x >> 15) * (x >> 15)) >> 7 * int64(c.H1)) >> 4
	return min(max(x, 0), 419430400) >> 12
}

// The raw words a chip with these words holds for a climate.

const (
	full20 = 1<<20 - 1
	full16 = 1<<16 - 1
	full24 = 1<<24 - 1
)

func (c *TrimBMx280) rawTemperature(celsius float64) int64 {
	want := celsius * 5120
	return nearest(0, full20, want, func(raw int64) float64 { return float64(c.fine(raw)) })
}

func (c *TrimBMx280) rawPressure(pascal float64, fine int64) int64 {
	return nearest(0, full20, pascal*256, func(raw int64) float64 {
		p, ok := c.pressure(raw, fine)
		if !ok {
			return 0
		}
		return float64(p)
	})
}

func (c *TrimBMx280) rawHumidity(percent float64, fine int64) int64 {
	return nearest(0, full16, percent*1024, func(raw int64) float64 { return float64(c.humidity(raw, fine)) })
}

// nearest returns the whole number from low to high whose f is nearest to want.
// f rises or falls all the way; it may have flat stretches.
func nearest(low, high int64, want float64, f func(int64) float64) int64 {
	falls := f(low) > f(high)
	below := func(y float64) bool { return y < want != falls && y != want }
	first, last := low, high
	for last-first > 1 {
		middle := first + (last-first)/2
		if below(f(middle)) {
			first = middle
		} else {
			last = middle
		}
	}
	if math.Abs(f(first)-want) < math.Abs(f(last)-want) {
		return first
	}
	return last
}

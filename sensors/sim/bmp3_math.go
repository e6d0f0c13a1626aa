package sim

// Sheets: Bosch BMP388, BST-BMP388-DS001, section 3.11.1 (the trimming words and
// where they lie) and appendix 9 (how they are scaled, and the compensation in
// floating point); Bosch BMP390, BST-BMP390-DS002, section 3.11.1 and appendix 8,
// the same. Checked against the published dump of a real chip and its result.
//
// The compensation is the floating point one, here in double precision.

import "encoding/binary"

// TrimBMP3 holds the trimming words of one BMP388 or BMP390.
type TrimBMP3 struct {
	T1, T2   uint16
	T3       int8
	P1, P2   int16
	P3, P4   int8
	P5, P6   uint16
	P7, P8   int8
	P9       int16
	P10, P11 int8
}

// TypicalTrimBMP3 is a set of words as they are found in real chips: that of the
// published register dump the tests compare with.
func TypicalTrimBMP3() TrimBMP3 {
	return TrimBMP3{
		T1: 27427, T2: 18776, T3: -10,
		P1: -164, P2: -2866, P3: 35, P4: 0, P5: 25578, P6: 31086, P7: -13, P8: -10, P9: 17322, P10: 18, P11: -60,
	}
}

// layout returns the image of the words at 0x31, low byte first.
func (c *TrimBMP3) layout() (image [21]byte) {
	word := binary.LittleEndian.PutUint16
	word(image[0:], c.T1)
	word(image[2:], c.T2)
	image[4] = byte(c.T3)
	word(image[5:], uint16(c.P1))
	word(image[7:], uint16(c.P2))
	image[9], image[10] = byte(c.P3), byte(c.P4)
	word(image[11:], c.P5)
	word(image[13:], c.P6)
	image[15], image[16] = byte(c.P7), byte(c.P8)
	word(image[17:], uint16(c.P9))
	image[19], image[20] = byte(c.P10), byte(c.P11)
	return image
}

// power2 returns 2 to the n for n from 0 to 63.
func power2(n uint) float64 { return float64(uint64(1) << n) }

// celsius returns the temperature for a raw word.
func (c *TrimBMP3) celsius(raw int64) float64 {
	d := float64(raw) - float64(c.T1)*power2(8)
	return d*float64(c.T2)/power2(30) + d*d*float64(c.T3)/power2(48)
}

// pascal returns the pressure for a raw word at a temperature in °C.
func (c *TrimBMP3) pascal(raw int64, t float64) float64 {
	offset := float64(c.P5)*8 + t*float64(c.P6)/power2(6) + t*t*float64(c.P7)/power2(8) + t*t*t*float64(c.P8)/power2(15)
	slope := (float64(c.P1)-power2(14))/power2(20) + t*(float64(c.P2)-power2(14))/power2(29) +
		t*t*float64(c.P3)/power2(32) + t*t*t*float64(c.P4)/power2(37)
	curve := (float64(c.P9) + t*float64(c.P10)) / power2(48)
	r := float64(raw)
	return offset + r*slope + r*r*curve + r*r*r*float64(c.P11)/power2(63)/4
}

// The raw words a chip with these words holds for a climate: 24 bits.

func (c *TrimBMP3) rawTemperature(celsius float64) int64 {
	return nearest(0, full24, celsius, c.celsius)
}

func (c *TrimBMP3) rawPressure(pascal, celsius float64) int64 {
	return nearest(0, full24, pascal, func(raw int64) float64 { return c.pascal(raw, celsius) })
}

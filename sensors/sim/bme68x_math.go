package sim

// Sheets: Bosch BME680, BST-BME680-DS001-00 revision 1.0: where the calibration words
// lie section 3.3 (tables 11 to 14; page 19 for those of the heater), the heater's
// set value 3.3.5 (page 19), gas resistance 3.4.1 (page 19). Bosch BME688,
// BST-BME688-DS000, section 3.4: its other formula of gas resistance. The formulas of
// temperature, pressure and humidity stand in Bosch's published code, to which the
// sheet refers; checked against the results of another project's tests.
//
// Of the variants this is the floating-point one, here in double precision.

import (
	"encoding/binary"
	"math"
	"time"
)

// TrimBME68x holds the calibration words of one BME680 or BME688.
type TrimBME68x struct {
	T1                     uint16
	T2                     int16
	T3                     int8
	P1                     uint16
	P2                     int16
	P3                     int8
	P4, P5                 int16
	P6, P7                 int8
	P8, P9                 int16
	P10                    uint8
	H1, H2                 uint16 // 12 bits
	H3, H4, H5             int8
	H6                     uint8
	H7                     int8
	G1                     int8
	G2                     int16
	G3                     int8
	HeatRange              uint8 // 2 bits
	HeatValue, SwitchError int8  // of the latter 4 bits
}

// TypicalTrimBME68x is a set of words as they are found in real chips: temperature,
// pressure and humidity are those of the published test the tests compare with.
func TypicalTrimBME68x() TrimBME68x {
	return TrimBME68x{
		T1: 26041, T2: 26469, T3: 3,
		P1: 36673, P2: -10515, P3: 88, P4: 7310, P5: -129, P6: 30, P7: 46, P8: -3177, P9: -2379, P10: 30,
		H1: 676, H2: 1029, H3: 0, H4: 45, H5: 20, H6: 120, H7: -100,
		G1: -30, G2: -5969, G3: 18, HeatRange: 1, HeatValue: 50,
	}
}

// layout returns the image of the words: 23 bytes at 0x8A, 14 at 0xE1, 5 at 0x00.
func (c *TrimBME68x) layout() (low [23]byte, high [14]byte, heat [5]byte) {
	word := binary.LittleEndian.PutUint16
	word(low[0:], uint16(c.T2))
	low[2] = byte(c.T3)
	word(low[4:], c.P1)
	word(low[6:], uint16(c.P2))
	low[8] = byte(c.P3)
	word(low[10:], uint16(c.P4))
	word(low[12:], uint16(c.P5))
	low[14], low[15] = byte(c.P7), byte(c.P6)
	word(low[18:], uint16(c.P8))
	word(low[20:], uint16(c.P9))
	low[22] = c.P10
	high[0] = byte(c.H2 >> 4)
	high[1] = byte(c.H2<<4) | byte(c.H1&0xF)
	high[2] = byte(c.H1 >> 4)
	high[3], high[4], high[5], high[6], high[7] = byte(c.H3), byte(c.H4), byte(c.H5), c.H6, byte(c.H7)
	word(high[8:], c.T1)
	word(high[10:], uint16(c.G2))
	high[12], high[13] = byte(c.G1), byte(c.G3)
	heat[0] = byte(c.HeatValue)
	heat[2] = c.HeatRange & 3 << 4
	heat[4] = byte(c.SwitchError) << 4
	return low, high, heat
}

// fine returns the temperature in 1/5120 °C.
func (c *TrimBME68x) fine(raw int64) float64 {
	a := float64(raw)
	d := a/131072 - float64(c.T1)/8192
	return (a/16384-float64(c.T1)/1024)*float64(c.T2) + d*d*float64(c.T3)*16
}

// pascal returns the pressure, and false where the formula would divide by zero.
func (c *TrimBME68x) pascal(raw int64, fine float64) (float64, bool) {
	x := fine/2 - 64000
	y := x*x*float64(c.P6)/131072 + x*float64(c.P5)*2
	y = y/4 + float64(c.P4)*65536
	x = (float64(c.P3)*x*x/16384 + float64(c.P2)*x) / 524288
	x = (1 + x/32768) * float64(c.P1)
	if x == 0 {
		return 0, false
	}
	p := (1048576 - float64(raw) - y/4096) * 6250 / x
	cube := p / 256 * p / 256 * p / 256
	return p + (float64(c.P9)*p*p/math.Exp2(31)+p*float64(c.P8)/32768+cube*float64(c.P10)/131072+float64(c.P7)*128)/16, true
}

// percent returns the relative humidity at a temperature in °C, not yet held
// between 0 and 100.
func (c *TrimBME68x) percent(raw int64, t float64) float64 {
	a := float64(raw) - (float64(c.H1)*16 + float64(c.H3)/2*t)
	b := a * float64(c.H2) / 262144 * (1 + float64(c.H4)/16384*t + float64(c.H5)/1048576*t*t)
	return b + (float64(c.H6)/16384+float64(c.H7)/2097152*t)*b*b
}

// The raw words a chip with these words holds for a climate.

func (c *TrimBME68x) rawTemperature(celsius float64) int64 {
	return nearest(0, full20, celsius*5120, c.fine)
}

func (c *TrimBME68x) rawPressure(pascal, fine float64) int64 {
	return nearest(0, full20, pascal, func(raw int64) float64 {
		p, _ := c.pascal(raw, fine)
		return p
	})
}

func (c *TrimBME68x) rawHumidity(percent, celsius float64) int64 {
	return nearest(0, full16, percent, func(raw int64) float64 { return c.percent(raw, celsius) })
}

// The ranges of the BME680's gas converter: the sheet's two lookup tables.
var (
	bme680Gain = [16]float64{1, 1, 1, 1, 1, 0.99, 1, 0.992, 1, 1, 0.998, 0.995, 1, 0.99, 1, 1}
	bme680Ohms = [16]float64{
		8000000, 4000000, 2000000, 1000000, 499500.4995, 248262.1648, 125000, 63004.03226,
		31281.28128, 15625, 7812.5, 3906.25, 1953.125, 976.5625, 488.28125, 244.140625,
	}
)

const full10 = 1<<10 - 1

// ohms returns the gas resistance of a word of a range on a BME680.
func (c *TrimBME68x) ohms(raw int64, place int) float64 {
	v := (1340 + 5*float64(c.SwitchError)) * bme680Gain[place]
	return v * bme680Ohms[place] / (float64(raw) - 512 + v)
}

// bme688Ohms is ohms on a BME688.
func bme688Ohms(raw int64, place int) float64 {
	return 1e6 * float64(int64(262144)>>place) / (4096 + 3*float64(raw-512))
}

// rawGas returns the word for a resistance and the range the chip chooses for it:
// the one in which the word is nearest to the middle.
func rawGas(ohms float64, of func(raw int64, place int) float64) (raw int64, place int) {
	best := int64(math.MaxInt64)
	for i := range 16 {
		word := nearest(0, full10, ohms, func(raw int64) float64 { return of(raw, i) })
		if off := max(word-512, 512-word); off < best {
			best, raw, place = off, word, i
		}
	}
	return raw, place
}

// heaterCelsius returns the temperature a set value of the heater means in air of
// this temperature: the sheet's formula, turned round.
func (c *TrimBME68x) heaterCelsius(set byte, ambient float64) float64 {
	v1 := float64(c.G1)/16 + 49
	v2 := float64(c.G2)/32768*0.0005 + 0.00235
	v3 := float64(c.G3) / 1024
	v5 := (float64(set)/3.4 + 25) * (4 + float64(c.HeatRange)) / 4 * (1 + float64(c.HeatValue)*0.002)
	return ((v5-v3*ambient)/v1 - 1) / v2
}

// heaterTime is the meaning of a gas_wait register: a number of milliseconds and a
// factor of 1, 4, 16 or 64.
func heaterTime(wait byte) time.Duration {
	return time.Duration(wait&0x3F) * time.Millisecond << (2 * (wait >> 6))
}

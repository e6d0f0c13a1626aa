package chip

import (
	"math"
	"time"

	"weir/sensors"
)

const (
	bme68xCalSize   = 23 + 14 + 5 // from 0x8a, 0xe1 and 0x00
	bme68xFieldSize = 17
)

// bme68xCalibration are the calibration words: BME680 data sheet tables 11
// (temperature), 12 (pressure), 13 (humidity) and 14 to 16 (gas and heater).
type bme68xCalibration struct {
	t1, t2, t3                              float64
	p1, p2, p3, p4, p5, p6, p7, p8, p9, p10 float64
	h1, h2, h3, h4, h5, h6, h7              float64
	gh1, gh2, gh3                           float64
	heatRange, heatValue, switchError       float64
	humidityEmpty                           bool // all its bytes are 00 or FF
}

// parseBME68x reads the words out of the three blocks.
func parseBME68x(b *[bme68xCalSize]byte) bme68xCalibration {
	c := coefficients(b[:])
	return bme68xCalibration{
		t1: c.unsigned(31), t2: c.word(0), t3: c.small(2),
		p1: c.unsigned(4), p2: c.word(6), p3: c.small(8), p4: c.word(10), p5: c.word(12),
		p6: c.small(15), p7: c.small(14), p8: c.word(18), p9: c.word(20), p10: float64(b[22]),
		h1: float64(uint16(b[25])<<4 | uint16(b[24])&15), h2: float64(uint16(b[23])<<4 | uint16(b[24])>>4),
		h3: c.small(26), h4: c.small(27), h5: c.small(28), h6: float64(b[29]), h7: c.small(30),
		gh1: c.small(35), gh2: c.word(33), gh3: c.small(36),
		heatValue: c.small(37), heatRange: float64(b[39] >> 4 & 3), switchError: float64(signed(uint32(b[41])>>4, 4)),
		humidityEmpty: busFault(b[23:31]),
	}
}

// usable reports whether the compensation cannot divide by zero. No part is
// shipped with these words at zero.
func (c *bme68xCalibration) usable() bool { return c.t1 != 0 && c.p1 != 0 }

// The compensation is the floating point one of the sheets (3.3.1 to 3.3.3 of the
// BME680), with all digits kept; the integer variant differs by up to 5 Pa.

// temperature returns °C, and the fine temperature the pressure needs.
func (c *bme68xCalibration) temperature(raw uint32) (celsius, fine float64) {
	a := float64(raw)
	d := a/131072 - c.t1/8192
	fine = (a/16384-c.t1/1024)*c.t2 + d*d*c.t3*16
	return fine / 5120, fine
}

// pressure returns Pa, NaN if the calibration makes it divide by zero.
func (c *bme68xCalibration) pressure(raw uint32, fine float64) float64 {
	x := fine/2 - 64000
	offset := (x*x*c.p6/131072+x*c.p5*2)/4 + c.p4*65536
	scale := (1 + (c.p3*x*x/16384+c.p2*x)/524288/32768) * c.p1
	if scale == 0 {
		return math.NaN()
	}
	p := (1048576 - float64(raw) - offset/4096) * 6250 / scale
	cube := math.Pow(p/256, 3)
	return p + (c.p9*p*p/2147483648+p*c.p8/32768+cube*c.p10/131072+c.p7*128)/16
}

// humidity returns %RH at a temperature in °C, held between 0 and 100 as the data
// sheet does.
func (c *bme68xCalibration) humidity(raw uint32, t float64) float64 {
	v := float64(raw) - (c.h1*16 + c.h3/2*t)
	v *= c.h2 / 262144 * (1 + c.h4/16384*t + c.h5/1048576*t*t)
	v += (c.h6/16384 + c.h7/2097152*t) * v * v
	return min(max(v, 0), 100)
}

// The corrections of the 16 ranges of the BME680's gas converter in %, 3.4.1.
var (
	gasScale = [16]float64{5: -1, 7: -0.8, 10: -0.2, 11: -0.5, 13: -1}
	gasShift = [16]float64{4: 0.1, 5: 0.7, 7: -0.8, 8: -0.1}
)

// gasLow returns the resistance in ohms for a BME680's words.
func (c *bme68xCalibration) gasLow(word uint32, scale byte) float64 {
	span := (1340 + 5*c.switchError) * (1 + gasScale[scale&15]/100)
	steps := float64(uint32(1) << (scale & 15))
	return 8e6 / ((1 + gasShift[scale&15]/100) * steps * (1 + (float64(word)-512)/span))
}

// gasHigh returns the resistance in ohms for a BME688's words: BME688 3.4.1.
func gasHigh(word uint32, scale byte) float64 {
	return 1e6 * float64(uint32(262144)>>(scale&15)) / (4096 + 3*(float64(word)-512))
}

// heaterResistance returns the register value that heats the layer to the target,
// from the temperature around it, both in °C: 3.3.5.
func (c *bme68xCalibration) heaterResistance(target, ambient float64) byte {
	r := (c.gh1/16 + 49) * (1 + (c.gh2/32768*0.0005+0.00235)*target)
	r += c.gh3 / 1024 * ambient
	r = 3.4 * (r*4/(4+c.heatRange)/(1+c.heatValue*0.002) - 25)
	if math.IsNaN(r) {
		return 0
	}
	return byte(min(max(r, 0), 255))
}

// heatingTime returns the register value for a heating time of at most 4.032 s,
// and the time that it means: a number up to 63 times 1, 4, 16 or 64 ms, rounded
// up (table 18).
func heatingTime(d time.Duration) (register byte, means time.Duration) {
	for factor := range 4 {
		step := time.Millisecond << (2 * factor)
		if n := (d + step - 1) / step; n <= 63 {
			return byte(factor<<6) | byte(n), n * step
		}
	}
	return 0xff, 63 * 64 * time.Millisecond
}

// bme68xRaw are the words of one measurement.
type bme68xRaw struct {
	p, t, h, gas       uint32 // 20, 20, 16 and 10 bits
	scale              byte   // range of the gas word
	gasValid, heatHeld bool
}

// parseField takes the words out of a field of 17 bytes: 5.3.4.
func parseField(b []byte, high bool) bme68xRaw {
	gas := b[13:15]
	if high {
		gas = b[15:17]
	}
	return bme68xRaw{
		p: word20(b[2:5]), t: word20(b[5:8]), h: word16(b[8:]),
		gas: uint32(gas[0])<<2 | uint32(gas[1])>>6, scale: gas[1] & 15,
		gasValid: gas[1]&(1<<5) != 0, heatHeld: gas[1]&(1<<4) != 0,
	}
}

// fill puts the compensated values into s and returns the temperature for the
// next heating. Pressure and humidity are computed with the temperature: with one
// that cannot be they would be wrong and look right.
func (c *bme68xCalibration) fill(s *sensors.Sample, raw bme68xRaw, gas, high bool) (celsius float64) {
	celsius, fine := c.temperature(raw.t)
	addBMX(s, bme68xTemperature, celsius, bmxStepT, raw.t)
	useless := saturated(raw.t) || !within(bme68xTemperature, celsius)
	if useless {
		s.AddBad(bme68xPressure, sensors.NoTemperature, int64(raw.p))
		celsius = 25
	} else {
		addBMX(s, bme68xPressure, c.pressure(raw.p, fine), bmxStepP, raw.p)
	}
	switch {
	case raw.h == bmxSkippedH:
		s.AddBad(bme68xHumidity, sensors.NotMeasured, int64(raw.h))
	case raw.h == 0 || raw.h == bmeFullScaleH:
		s.AddBad(bme68xHumidity, sensors.Saturated, int64(raw.h))
	case useless:
		s.AddBad(bme68xHumidity, sensors.NoTemperature, int64(raw.h))
	case c.humidityEmpty: // clamped to 0 and 100 % it would look right
		s.AddBad(bme68xHumidity, sensors.BadCalibration, int64(raw.h))
	default:
		s.Add(bme68xHumidity, c.humidity(raw.h, celsius), bmeStepH, int64(raw.h))
	}
	if gas {
		c.fillGas(s, raw, high)
	}
	return celsius
}

func (c *bme68xCalibration) fillGas(s *sensors.Sample, raw bme68xRaw, high bool) {
	switch {
	case !raw.gasValid:
		s.AddBad(bme68xGas, sensors.NotMeasured, int64(raw.gas))
	case !raw.heatHeld:
		s.AddBad(bme68xGas, sensors.HeaterCold, int64(raw.gas))
	case high:
		s.Add(bme68xGas, gasHigh(raw.gas, raw.scale), 1, int64(raw.gas))
	default:
		s.Add(bme68xGas, c.gasLow(raw.gas, raw.scale), 1, int64(raw.gas))
	}
}

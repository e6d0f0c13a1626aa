package sim

// The measurement cycle of BMP280 and BME280; the sheets and what is assumed where
// they are silent stand at the head of bmx280.go.

import (
	"math"
	"time"
)

type powerMode byte

// Codes of mode[1:0] in ctrl_meas; 10 is forced mode too.
const (
	sleepMode  powerMode = 0
	forcedMode powerMode = 1
	normalMode powerMode = 3
)

func (c *BMx280) mode() powerMode {
	switch c.ctrlMeas & 3 {
	case 0:
		return sleepMode
	case 3:
		return normalMode
	}
	return forcedMode
}

// control takes a write to ctrl_meas over, and with it ctrl_hum (5.4.3).
func (c *BMx280) control(now time.Time, value byte) {
	c.ctrlMeas = value
	c.osrsH = c.ctrlHum
	if c.mode() != sleepMode {
		c.start(now)
	}
}

func (c *BMx280) start(at time.Time) {
	c.running = true
	c.ends = at.Add(c.conversionTime())
}

// oversampling turns an osrs code into the number of samples, 0 for skipped.
func oversampling(code byte) int {
	switch {
	case code == 0:
		return 0
	case code >= 5:
		return 16
	}
	return 1 << (code - 1)
}

func (c *BMx280) samples() (t, p, h int) {
	t = oversampling(c.ctrlMeas >> 5)
	p = oversampling(c.ctrlMeas >> 2 & 7)
	if c.humid {
		h = oversampling(c.osrsH)
	}
	return t, p, h
}

// conversionTime is that of section 9.1.
func (c *BMx280) conversionTime() time.Duration {
	t, p, h := c.samples()
	base, each, extra := 1250, 2300, 575 // µs
	if c.tuning.typical {
		base, each, extra = 1000, 2000, 500
	}
	µs := base + each*(t+p+h)
	if p > 0 {
		µs += extra
	}
	if h > 0 {
		µs += extra
	}
	return c.tuning.scaled(time.Duration(µs) * time.Microsecond)
}

// standby is t_sb of the config register (table 27; BMP280: table 11).
func (c *BMx280) standby() time.Duration {
	µs := [8]int{500, 62500, 125000, 250000, 500000, 1000000, 10000, 20000}
	if !c.humid {
		µs[6], µs[7] = 2000000, 4000000
	}
	return time.Duration(µs[c.config>>5]) * time.Microsecond
}

// remembered is how many cycles of normal mode are worked out after a long
// silence: the slowest filter has forgotten all before by then.
const remembered = 256

// advance works out what has happened up to now.
func (c *BMx280) advance(now time.Time) {
	for {
		if !c.running {
			if c.mode() != normalMode || now.Before(c.next) {
				return
			}
			c.skip(now)
			c.start(c.next)
		}
		if now.Before(c.ends) {
			return
		}
		c.finish()
	}
}

// skip passes over cycles of normal mode that nobody will see a trace of.
func (c *BMx280) skip(now time.Time) {
	period := c.conversionTime() + c.standby()
	keep := time.Duration(remembered)
	if c.config>>2&7 == 0 {
		keep = 2
	}
	if n := now.Sub(c.next)/period - keep; n > 0 {
		c.next = c.next.Add(n * period)
		c.conversions += int(n)
	}
}

// finish ends the running conversion.
func (c *BMx280) finish() {
	c.running = false
	c.conversions++
	c.sample(c.ends)
	c.next = c.ends.Add(c.standby())
	if c.mode() == forcedMode {
		c.ctrlMeas &^= 3
	}
	if c.waiting >= 0 {
		value := byte(c.waiting)
		c.waiting = -1
		c.control(c.ends, value)
	}
}

// sample puts the climate of a moment into the data registers.
func (c *BMx280) sample(at time.Time) {
	if c.held != nil {
		return
	}
	t, p, h := c.samples()
	air := c.tuning.feels(at, Climate{
		Temperature: noiseOf(t, 0.005, 0.002),
		Pressure:    noiseOf(p, 3.3, 1.3),
		Humidity:    0.07,
	})
	raw := RawBMx280{Pressure: skipped20, Temperature: skipped20, Humidity: skipped16}
	rawT := c.trim.rawTemperature(air.Temperature)
	if t > 0 {
		raw.Temperature = c.converted(&c.filter[1], rawT, t)
		if c.config>>2&7 == 0 { // the pressure is felt at the temperature there is, not at the smoothed one
			rawT = int64(raw.Temperature)
		}
	}
	fine := c.trim.fine(rawT)
	if p > 0 {
		raw.Pressure = c.converted(&c.filter[0], c.trim.rawPressure(air.Pressure, fine), p)
	}
	if h > 0 {
		raw.Humidity = uint32(c.trim.rawHumidity(air.Humidity, fine))
		if raw.Humidity == skipped16 {
			raw.Humidity++
		}
	}
	c.raw = raw
}

// noiseOf is the root mean square noise at an oversampling (BMP280 tables 11 and
// 12, filter off), between that of one sample and that of sixteen.
func noiseOf(samples int, one, sixteen float64) float64 {
	if samples == 0 {
		return 0
	}
	return one * math.Pow(sixteen/one, math.Log2(float64(samples))/4)
}

// filter is the memory of one channel's IIR filter. The zero value takes the next
// value over as it is. A skipped channel keeps its memory (3.4.4).
type filter struct {
	started bool
	memory  float64
}

func (f *filter) step(value int64, coefficient int) int64 {
	if !f.started {
		f.started, f.memory = true, float64(value)
	}
	f.memory += (float64(value) - f.memory) / float64(coefficient)
	return int64(math.Round(f.memory))
}

// converted passes a value of the converter through filter and resolution. That
// is 16 bits and one more per doubling of the samples; with the filter on a BME280
// gives all 20 bits (table 17).
func (c *BMx280) converted(f *filter, value int64, samples int) uint32 {
	code := c.config >> 2 & 7
	if code > 0 {
		value = f.step(value, 1<<min(code, 4))
	}
	step := int64(16 / samples)
	if code > 0 && c.humid {
		step = 1
	}
	return coarse(value, step, full20, skipped20)
}

// coarse rounds a word of a converter to its steps, from 0 to full, and away from
// the code of a skipped channel.
func coarse(value, step, full, skipped int64) uint32 {
	value = min((value+step/2)/step*step, full+1-step)
	if value == skipped {
		value += step
	}
	return uint32(value)
}

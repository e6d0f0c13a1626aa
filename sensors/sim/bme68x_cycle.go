package sim

// The measurement cycle of BME680 and BME688; the sheets and what is assumed where
// they are silent stand at the head of bme68x.go.

import "time"

// runGas reports whether the gas channel is switched on: bit 4 on a BME680, bit 5 on
// a BME688.
func (c *BME68x) runGas() bool { return *c.at(bme68xCtrlGas1)>>(4+c.variant)&1 != 0 }

// measure takes a write to ctrl_meas over; mode 01 starts a measurement.
func (c *BME68x) measure(now time.Time, value byte) {
	*c.at(bme68xCtrlMeas) = value
	if value&3 != 1 {
		return
	}
	c.running, c.fresh = true, false
	c.index = min(*c.at(bme68xCtrlGas1)&0xF, 9)
	c.gasFrom = now.Add(c.tuning.scaled(c.airTime()))
	c.ends = c.gasFrom.Add(c.tuning.scaled(c.gasTime()))
}

func (c *BME68x) samples() (t, p, h int) {
	meas := *c.at(bme68xCtrlMeas)
	return oversampling(meas >> 5), oversampling(meas >> 2 & 7), oversampling(*c.at(bme68xCtrlHum) & 7)
}

// airTime is the time until the gas slot begins, gasTime that of the gas slot, after
// Bosch's code: 1963 µs a sample, 477 µs for each of four changes of the channel and
// of five steps of the gas conversion, 1 ms to wake up.
func (c *BME68x) airTime() time.Duration {
	t, p, h := c.samples()
	return time.Duration(1000+1963*(t+p+h)+4*477) * time.Microsecond
}

func (c *BME68x) gasTime() time.Duration {
	d := 5 * 477 * time.Microsecond
	if c.runGas() {
		d += heaterTime(*c.at(bme68xGasWait + c.index))
	}
	return d
}

// advance works out what has happened up to now.
func (c *BME68x) advance(now time.Time) {
	for c.running && !now.Before(c.ends) {
		c.running, c.fresh = false, true
		c.conversions++
		*c.at(bme68xCtrlMeas) &^= 3
		c.sample(c.ends)
		if c.waiting >= 0 {
			value := byte(c.waiting)
			c.waiting = -1
			c.measure(c.ends, value)
		}
	}
}

// sample puts the climate of a moment into the data registers.
func (c *BME68x) sample(at time.Time) {
	t, p, h := c.samples()
	air := c.tuning.feels(at, Climate{
		Temperature: noiseOf(t, 0.005, 0.002),
		Pressure:    noiseOf(p, 3.3, 1.3),
		Humidity:    0.07,
	})
	raw := RawBME68x{Pressure: skipped20, Temperature: skipped20, Humidity: skipped16}
	rawT := c.trim.rawTemperature(air.Temperature)
	if t > 0 {
		raw.Temperature = c.converted(&c.filter[1], rawT, t)
		if *c.at(bme68xConfig)>>2&7 == 0 { // the pressure is felt at the temperature there is, not at the smoothed one
			rawT = int64(raw.Temperature)
		}
	}
	fine := c.trim.fine(rawT)
	if p > 0 {
		raw.Pressure = c.converted(&c.filter[0], c.trim.rawPressure(air.Pressure, fine), p)
	}
	if h > 0 {
		raw.Humidity = coarse(c.trim.rawHumidity(air.Humidity, fine/5120), 1, full16, skipped16)
	}
	c.smell(&raw, air.Temperature)
	if c.held == nil {
		c.raw = raw
	}
}

// smell measures the gas, if it is switched on.
func (c *BME68x) smell(raw *RawBME68x, celsius float64) {
	c.gasFlags, c.heater = 0, Heating{}
	if !c.runGas() {
		return
	}
	c.gasFlags = bme68xGasValid
	set, heats := *c.at(bme68xResHeat + c.index), heaterTime(*c.at(bme68xGasWait + c.index))
	ohms := c.tuning.ohms
	if *c.at(bme68xCtrlGas0)&bme68xHeaterOff == 0 && set != 0 {
		c.heater = Heating{Celsius: c.trim.heaterCelsius(set, celsius), For: heats}
	}
	if c.heater.Celsius != 0 && heats >= 20*time.Millisecond {
		c.gasFlags |= bme68xHeatGood
	} else {
		ohms /= 2
	}
	of := c.trim.ohms
	if c.variant == 1 {
		of = bme688Ohms
	}
	word, place := rawGas(ohms, of)
	raw.Gas, raw.Range = uint32(word), uint32(place)
}

// converted passes a word of the converter through filter and resolution: 16 bits
// and one more per doubling of the samples, all 20 with the filter on.
func (c *BME68x) converted(f *filter, value int64, samples int) uint32 {
	step := int64(16 / samples)
	if code := *c.at(bme68xConfig) >> 2 & 7; code > 0 {
		value = f.step(value, 1<<code)
		step = 1
	}
	return coarse(value, step, full20, skipped20)
}

package sim

// Sheets: Honeywell TruStability HSC and SSC, Basic ABP: transfer function, output
// table, start-up and update times; Honeywell technical note "I2C communications with
// digital output pressure sensors": bytes and status bits, command mode. Honeywell
// ABP2 and MPR (MicroPressure): command table, status byte table, output formula.
//
// Where the sheets are silent or soft:
//   - transfer functions are the percentages the sheets name, of 2^14 or 2^24 counts,
//     not the rounded counts beside them;
//   - HSC: the start takes 3 ms and the chip acknowledges nothing until then; a
//     measurement is new every 0.46 ms; bytes beyond the fourth are FF;
//   - ABP2 and MPR: the start takes 3 ms as well; a command while busy is ignored;
//     what is read while busy is the status and the words of before; any other
//     command does nothing; bytes beyond the words are FF.

import (
	"math"
	"time"
)

// Transfer says how much of a Honeywell sensor's output its pressure range takes.
type Transfer struct {
	Low, High float64 // shares of the whole output
}

// The transfer functions that the order codes name.
var (
	TransferA = Transfer{0.10, 0.90}
	TransferB = Transfer{0.05, 0.95} // HSC, SSC, ABP
	TransferC = Transfer{0.05, 0.85} // HSC, SSC, ABP
	TransferF = Transfer{0.04, 0.94} // HSC, SSC, ABP

	TransferBOfMPR = Transfer{0.025, 0.225}
	TransferCOfMPR = Transfer{0.20, 0.80}
)

// counts turns a pressure into counts of an output of so many bits.
func (f Transfer) counts(pascal, low, high float64, bits uint) int64 {
	whole := float64(int64(1) << bits)
	at := f.Low + (pascal-low)/(high-low)*(f.High-f.Low)
	return int64(min(max(math.Round(at*whole), 0), whole-1))
}

// celsiusCounts is the output of temperature: from -50 to 150 °C, all counts.
func celsiusCounts(celsius float64, bits uint) int64 {
	whole := float64(int64(1)<<bits - 1)
	return int64(min(max(math.Round((celsius+50)/200*whole), 0), whole))
}

// HSCStatus is what the first two bits of an HSC's answer say.
type HSCStatus byte

// The states; HSCStale is worked out by the chip itself.
const (
	HSCNormal  HSCStatus = 0
	HSCCommand HSCStatus = 1 // it waits for configuration, as after a disturbed start
	HSCStale   HSCStatus = 2 // these words were read before
	HSCFault   HSCStatus = 3
)

const (
	hscStart  = 3 * time.Millisecond
	hscUpdate = 460 * time.Microsecond
)

// HSC is a simulated HSC, SSC or ABP sensor, which has no registers and no id. Safe
// for concurrent use.
type HSC struct {
	barometer
	transfer  Transfer
	low, high float64 // Pa
	status    HSCStatus
	cold      bool  // it has no temperature output
	read      int64 // the number of the update that was read last, -1: none
	started   time.Time
}

// NewHSC returns a sensor whose output says low to high, in Pa, of what the world
// exposes it to. A gauge sensor needs a world whose pressures are relative.
func NewHSC(w World, f Transfer, low, high float64, options ...ChipOption) *HSC {
	c := &HSC{transfer: f, low: low, high: high}
	c.tuning = tune(w, 0, options)
	c.PowerUp(time.Time{})
	return c
}

// Say makes every answer carry this status. HSCNormal ends it.
func (c *HSC) Say(status HSCStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

// WithoutTemperature makes it a sensor that gives pressure only: its third and
// fourth bytes are 0.
func (c *HSC) WithoutTemperature() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cold = true
}

// PowerUp is part of Device.
func (c *HSC) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = now.Add(hscStart)
	c.started, c.read = c.ready, -1
}

// Write is part of Device. Out of command mode nothing is taken.
func (c *HSC) Write(now time.Time, _ []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	return nil
}

// Read is part of Device: status and pressure, temperature.
func (c *HSC) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	update := c.tuning.scaled(hscUpdate)
	number := int64(now.Sub(c.started) / update)
	status := c.status
	if status == HSCNormal && number == c.read {
		status = HSCStale
	}
	c.read = number
	c.conversions = int(number) + 1
	raw := c.words(c.started.Add(time.Duration(number) * update))
	if c.cold {
		raw.Temperature = 0
	}
	answer := [4]byte{
		byte(status)<<6 | byte(raw.Pressure>>8)&0x3F, byte(raw.Pressure),
		byte(raw.Temperature >> 3), byte(raw.Temperature << 5),
	}
	for i := range data {
		data[i] = 0xFF
	}
	copy(data, answer[:])
	return nil
}

func (c *HSC) words(at time.Time) RawWords {
	if c.held != nil {
		return *c.held
	}
	air := c.tuning.feels(at, Climate{Pressure: (c.high - c.low) / 8000, Temperature: 0.1})
	return RawWords{Pressure: c.transfer.counts(air.Pressure, c.low, c.high, 14), Temperature: celsiusCounts(air.Temperature, 11)}
}

// Bits of the status byte of ABP2 and MPR.
const (
	mprPowered   = 1 << 6
	mprBusy      = 1 << 5
	mprMemory    = 1 << 2 // the memory has lost its checksum
	mprSaturated = 1 << 0 // the computation was beyond its range

	mprMeasure = 0xAA
	mprTakes   = 5 * time.Millisecond
)

// MPR is a simulated ABP2 or MPR sensor. Safe for concurrent use.
type MPR struct {
	barometer
	warm      bool // it is an ABP2, which gives temperature as well
	transfer  Transfer
	low, high float64 // Pa
	errors    byte
	data      RawWords // 24 bits each
	running   bool
	ends      time.Time
}

// NewMPR returns an MPR (pressure) whose output says low to high, in Pa, at 0x18.
func NewMPR(w World, f Transfer, low, high float64, options ...ChipOption) *MPR {
	c := &MPR{transfer: f, low: low, high: high}
	c.tuning = tune(w, 0, options)
	c.PowerUp(time.Time{})
	return c
}

// NewABP2 returns an ABP2 (pressure, temperature), at 0x28 and others.
func NewABP2(w World, f Transfer, low, high float64, options ...ChipOption) *MPR {
	c := NewMPR(w, f, low, high, options...)
	c.warm = true
	return c
}

// Fail sets the error bits of every status byte: a memory whose checksum is wrong,
// a computation beyond its range.
func (c *MPR) Fail(memory, saturated bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errors = 0
	if memory {
		c.errors |= mprMemory
	}
	if saturated {
		c.errors |= mprSaturated
	}
}

// PowerUp is part of Device.
func (c *MPR) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = now.Add(hscStart)
	c.data, c.running = RawWords{}, false
}

// Write is part of Device: AA 00 00 starts a measurement.
func (c *MPR) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	c.advance(now)
	if len(data) == 3 && data[0] == mprMeasure && data[1] == 0 && data[2] == 0 && !c.running {
		c.running, c.ends = true, now.Add(c.tuning.scaled(mprTakes))
	}
	return nil
}

// Read is part of Device: status, pressure, and of an ABP2 temperature.
func (c *MPR) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	c.advance(now)
	status := mprPowered | c.errors
	if c.running {
		status |= mprBusy
	}
	p, t := c.data.Pressure, c.data.Temperature
	answer, length := [7]byte{status, byte(p >> 16), byte(p >> 8), byte(p), byte(t >> 16), byte(t >> 8), byte(t)}, 4
	if c.warm {
		length = 7
	}
	for i := range data {
		data[i] = 0xFF
	}
	copy(data, answer[:length])
	return nil
}

func (c *MPR) advance(now time.Time) {
	if !c.running || now.Before(c.ends) {
		return
	}
	c.running = false
	c.conversions++
	c.data = c.words(c.ends)
}

func (c *MPR) words(at time.Time) RawWords {
	if c.held != nil {
		return *c.held
	}
	air := c.tuning.feels(at, Climate{Pressure: (c.high - c.low) / 20000, Temperature: 0.02})
	return RawWords{Pressure: c.transfer.counts(air.Pressure, c.low, c.high, 24), Temperature: celsiusCounts(air.Temperature, 24)}
}

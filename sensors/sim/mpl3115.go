package sim

// Sheet: NXP MPL3115A2 revision 4: register map table 11, status section 14.1, output
// formats 14.2 to 14.4, PT_DATA_CFG 14.11 (table 24), BAR_IN 14.12, control registers
// 14.18 and 14.19, oversampling times table 59.
//
// Where the sheet is silent or soft:
//   - after power-up and reset the chip acknowledges nothing for 10 ms;
//   - the data-ready bits rise only for what PT_DATA_CFG enables (bit 0 temperature,
//     bit 1 pressure);
//   - the registers beside the control registers can be written in standby only;
//   - OST set while a measurement runs is ignored, and so is one that was set before;
//   - the register pointer outlives a stop, after which the real chip begins at 00;
//   - FIFO, alarms, raw output and delta registers do nothing and read as 00.

import (
	"math"
	"time"
)

const (
	mpl3Status  = 0x00
	mpl3Data    = 0x01 // pressure or altitude 3 bytes, temperature 2
	mpl3Status2 = 0x06 // the same, past the data
	mpl3ID      = 0x0C
	mpl3Mode    = 0x11 // SYSMOD: 1 while it is active
	mpl3DataCfg = 0x13
	mpl3BarIn   = 0x14 // 2 bytes: pressure at sea level in 2 Pa
	mpl3Ctrl1   = 0x26
	mpl3Ctrl2   = 0x27 // low four bits: interval in powers of two seconds
	mpl3Last    = 0x2D

	mpl3Active   = 1 << 0 // CTRL_REG1
	mpl3Once     = 1 << 1
	mpl3Reset    = 1 << 2
	mpl3Altitude = 1 << 7

	mpl3New         = 1 << 3 // status: PTDR
	mpl3NewPressure = 1 << 2
	mpl3NewTemper   = 1 << 1

	mpl3Start = 10 * time.Millisecond
)

// By oversampling 1, 2, 4 ... 128: table 59, in ms; noise in Pa.
var (
	mpl3Times = [8]time.Duration{6, 10, 18, 34, 66, 130, 258, 512}
	mpl3Noise = [8]float64{19, 14, 10, 7, 5, 3.5, 2.5, 1.5}
)

// MPL3115A2 is a simulated MPL3115A2. Safe for concurrent use.
type MPL3115A2 struct {
	registerFile[RawWords]
	registers [mpl3Last + 1]byte
	status    byte
	data      RawWords // 24 and 16 bits as they read

	running bool
	ends    time.Time
}

// NewMPL3115A2 returns an MPL3115A2 (pressure, temperature) in this world, at 0x60.
func NewMPL3115A2(w World, options ...ChipOption) *MPL3115A2 {
	c := &MPL3115A2{}
	c.runsOn, c.deaf, c.wraps = true, true, mpl3Status2 // a burst runs round status and data
	c.begin(c, w, 0xC4, options)
	return c
}

func (c *MPL3115A2) reset(now time.Time) {
	c.ready = now.Add(mpl3Start)
	c.registers = [mpl3Last + 1]byte{}
	c.registers[mpl3BarIn], c.registers[mpl3BarIn+1] = 0xC5, 0xE7 // 101,326 Pa
	c.pointer, c.status, c.data, c.running = 0, 0, RawWords{}, false
}

func (c *MPL3115A2) store(now time.Time, register, value byte) {
	standby := c.registers[mpl3Ctrl1]&mpl3Active == 0
	switch {
	case register == mpl3Ctrl1:
		c.control(now, value)
	case register > mpl3Ctrl1 && register <= mpl3Last, standby && register >= 0x0F && register < mpl3Ctrl1 && register != mpl3Mode:
		c.registers[register] = value
	}
}

// control takes a write to CTRL_REG1 over.
func (c *MPL3115A2) control(now time.Time, value byte) {
	if value&mpl3Reset != 0 {
		c.reset(now)
		return
	}
	before := c.registers[mpl3Ctrl1]
	c.registers[mpl3Ctrl1] = value
	switch {
	case value&mpl3Active == 0 && before&mpl3Active != 0:
		c.running = false
	case value&mpl3Active != 0 && before&mpl3Active == 0, value&^before&mpl3Once != 0 && !c.running:
		c.running, c.ends = true, now.Add(c.measuringTime())
	}
}

func (c *MPL3115A2) samples() byte { return c.registers[mpl3Ctrl1] >> 3 & 7 }

func (c *MPL3115A2) measuringTime() time.Duration {
	return c.tuning.scaled(mpl3Times[c.samples()] * time.Millisecond)
}

func (c *MPL3115A2) load(_ time.Time, register byte) byte {
	switch {
	case register > mpl3Last:
		return 0
	case register == mpl3Status, register == mpl3Status2:
		return c.status
	case register == mpl3ID:
		return c.tuning.id
	case register == mpl3Mode:
		return c.registers[mpl3Ctrl1] & mpl3Active
	case register >= mpl3Data && register < mpl3Data+3:
		if register == mpl3Data {
			c.status &^= mpl3NewPressure | mpl3NewPressure<<4 | mpl3New | mpl3New<<4
		}
		return byte(c.data.Pressure >> (8 * (mpl3Data + 2 - register)))
	case register >= mpl3Data+3 && register < mpl3Data+5:
		if register == mpl3Data+3 {
			c.status &^= mpl3NewTemper | mpl3NewTemper<<4 | mpl3New | mpl3New<<4
		}
		return byte(c.data.Temperature >> (8 * (mpl3Data + 4 - register)))
	}
	return c.registers[register]
}

// advance ends the running measurement if its time is over; an active chip starts
// the next one. Of many only the last leaves a trace.
func (c *MPL3115A2) advance(now time.Time) {
	if !c.running || now.Before(c.ends) {
		return
	}
	if c.registers[mpl3Ctrl1]&mpl3Active == 0 {
		c.running = false
		c.registers[mpl3Ctrl1] &^= mpl3Once
		c.finish(c.ends)
		return
	}
	round := max(time.Second<<(c.registers[mpl3Ctrl2]&0x0F), c.measuringTime())
	missed := now.Sub(c.ends) / round
	if missed > 0 {
		c.conversions += int(missed)
		c.status |= c.fresh()
	}
	c.ends = c.ends.Add(missed * round)
	c.finish(c.ends)
	c.ends = c.ends.Add(round)
}

// finish puts the climate of a moment into the data registers.
func (c *MPL3115A2) finish(at time.Time) {
	c.conversions++
	c.data = c.words(at)
	fresh := c.fresh()
	c.status |= c.status&fresh<<4 | fresh // what nobody read was overwritten
}

// fresh returns the status bits that a measurement sets.
func (c *MPL3115A2) fresh() (bits byte) {
	if c.registers[mpl3DataCfg]&(1<<1) != 0 {
		bits |= mpl3NewPressure | mpl3New
	}
	if c.registers[mpl3DataCfg]&(1<<0) != 0 {
		bits |= mpl3NewTemper | mpl3New
	}
	return bits
}

// words returns the words for the climate of a moment: 1/64 Pa of which 1/4 is the
// least step, or 1/256 m of which 1/16 is; and 1/256 °C of which 1/16 is.
func (c *MPL3115A2) words(at time.Time) RawWords {
	if c.held != nil {
		return *c.held
	}
	air := c.tuning.feels(at, Climate{Pressure: mpl3Noise[c.samples()], Temperature: 0.02})
	raw := RawWords{Temperature: clipped(air.Temperature*16, 12) << 4}
	if c.registers[mpl3Ctrl1]&mpl3Altitude == 0 {
		raw.Pressure = int64(min(max(math.Round(air.Pressure*4), 0), 1<<20-1)) << 4
		return raw
	}
	sea := 2 * (float64(c.registers[mpl3BarIn])*256 + float64(c.registers[mpl3BarIn+1]))
	metres := 44330.77 * (1 - math.Pow(max(air.Pressure, 0)/sea, 0.1902632))
	raw.Pressure = clipped(metres*16, 20) << 4
	return raw
}

package sim

// Sheets: ST LPS22HB, LPS33HW and LPS22HH (chapters "Register mapping" and "Register
// description": 0B to 2C; the HH's application note AN5209 for its two conversion
// times), LPS25HB and LPS331AP (the same chapters: 08 to 31).
//
// Where the sheets are silent or soft:
//   - a single conversion takes as long as the shortest output period of the chip:
//     1/75 s, 1/25 s; an LPS331AP with its power-up resolution (7A), which the sheet
//     does not let run at 25 Hz, takes 1/12.5 s;
//   - starting and booting take 4.5 and 2.5 ms, a software reset 50 µs; the chip
//     acknowledges nothing until it has started, and everything while it boots;
//   - the one-shot bit of a chip that runs by itself, or that has its power-down bit
//     at 0, starts nothing and stays set;
//   - registers that nobody has written read as 00 where the sheet names no other
//     default; FIFO, interrupts and reference pressure do nothing.

import (
	"math"
	"time"
)

// lpsKind is what the chips of the family differ in.
type lpsKind struct {
	id           byte
	ctrl1, ctrl2 byte // registers
	bdu          byte // bit of ctrl1
	pressureNew  byte // bit of the status register; the overrun bit is 4 higher
	temperNew    byte // as above
	old          bool // 25HB and 331: bit 7 of an address asks for the next ones too, bit 7 of ctrl1 is power
	resolution   byte // power-up value of register 10, old ones only
	bothNoises   bool // 22HH: bit 1 of ctrl2 chooses the longer, quieter conversion
	periods      [8]time.Duration
}

const (
	lpsResolution = 0x10 // of the old ones
	lpsID         = 0x0F
	lpsStatus     = 0x27
	lpsData       = 0x28 // pressure 3 bytes, temperature 2

	lpsBoot    = 1 << 7 // ctrl2
	lpsAddNext = 1 << 4 // ctrl2 of the newer ones
	lpsReset   = 1 << 2 // ctrl2
	lpsQuiet   = 1 << 1 // ctrl2 of the 22HH
	lpsOnce    = 1 << 0 // ctrl2
	lpsPower   = 1 << 7 // ctrl1 of the old ones

	lpsStartTime = 4500 * time.Microsecond
	lpsBootTime  = 2500 * time.Microsecond
	lpsResetTime = 50 * time.Microsecond
)

// hertz returns the period of a rate.
func hertz(f float64) time.Duration { return time.Duration(math.Round(float64(time.Second) / f)) }

var (
	lps22HB = lpsKind{id: 0xB1, ctrl1: 0x10, ctrl2: 0x11, bdu: 1 << 1, pressureNew: 1 << 0, temperNew: 1 << 1,
		periods: [8]time.Duration{0, hertz(1), hertz(10), hertz(25), hertz(50), hertz(75)}}
	lps22HH = lpsKind{id: 0xB3, ctrl1: 0x10, ctrl2: 0x11, bdu: 1 << 1, pressureNew: 1 << 0, temperNew: 1 << 1, bothNoises: true,
		periods: [8]time.Duration{0, hertz(1), hertz(10), hertz(25), hertz(50), hertz(75), hertz(100), hertz(200)}}
	lps25HB = lpsKind{id: 0xBD, ctrl1: 0x20, ctrl2: 0x21, bdu: 1 << 2, pressureNew: 1 << 1, temperNew: 1 << 0, old: true, resolution: 0x05,
		periods: [8]time.Duration{0, hertz(1), hertz(7), hertz(12.5), hertz(25)}}
	lps331 = lpsKind{id: 0xBB, ctrl1: 0x20, ctrl2: 0x21, bdu: 1 << 2, pressureNew: 1 << 1, temperNew: 1 << 0, old: true, resolution: 0x7A,
		periods: [8]time.Duration{0, hertz(1), hertz(7), hertz(12.5), hertz(25), hertz(7), hertz(12.5), hertz(25)}}
)

// LPS is a simulated LPS22HB, LPS22HH, LPS33HW, LPS25HB or LPS331AP. Safe for
// concurrent use.
type LPS struct {
	barometer
	kind lpsKind

	registers [0x80]byte
	pointer   byte
	next      bool // the pointer moves on
	booted    time.Time
	wasReset  time.Time

	running bool
	ends    time.Time // of the running conversion
	status  byte
	shown   RawWords // what the data registers hold
	waiting RawWords // newer words that block data update keeps back
	locked  [2]bool  // pressure, temperature: the reading of it has begun
	kept    [2]bool  // waiting holds one
}

// NewLPS22HB returns an LPS22HB (pressure, temperature) in this world, at 0x5C or
// 0x5D as all of the family.
func NewLPS22HB(w World, options ...ChipOption) *LPS { return newLPS(w, lps22HB, options) }

// NewLPS33HW returns an LPS33HW, to software an LPS22HB.
func NewLPS33HW(w World, options ...ChipOption) *LPS { return newLPS(w, lps22HB, options) }

// NewLPS22HH returns an LPS22HH.
func NewLPS22HH(w World, options ...ChipOption) *LPS { return newLPS(w, lps22HH, options) }

// NewLPS25HB returns an LPS25HB.
func NewLPS25HB(w World, options ...ChipOption) *LPS { return newLPS(w, lps25HB, options) }

// NewLPS331 returns an LPS331AP.
func NewLPS331(w World, options ...ChipOption) *LPS { return newLPS(w, lps331, options) }

func newLPS(w World, kind lpsKind, options []ChipOption) *LPS {
	c := &LPS{kind: kind}
	c.tuning = tune(w, kind.id, options)
	c.PowerUp(time.Time{})
	return c
}

// PowerUp is part of Device.
func (c *LPS) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = now.Add(lpsStartTime)
	c.booted = c.ready
	c.defaults()
	c.pointer, c.next = 0, false
}

// defaults loads what the registers hold after a start and a software reset.
func (c *LPS) defaults() {
	c.registers = [0x80]byte{}
	c.running, c.status = false, 0
	c.shown, c.waiting = RawWords{}, RawWords{}
	c.locked, c.kept = [2]bool{}, [2]bool{}
	if !c.kind.old {
		c.registers[c.kind.ctrl2] = lpsAddNext
		return
	}
	c.registers[lpsResolution] = c.kind.resolution
	c.shown.Pressure = 0x2F8000 // 760 hPa, the default of 28 to 2A
}

// Write is part of Device: a register, then values for it and, if they are asked
// for, the following ones.
func (c *LPS) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	c.advance(now)
	c.pointer, c.next = data[0], c.registers[c.kind.ctrl2]&lpsAddNext != 0
	if c.kind.old {
		c.pointer, c.next = data[0]&0x7F, data[0]&0x80 != 0
	}
	for _, value := range data[1:] {
		c.store(now, c.pointer, value)
		c.step()
	}
	return nil
}

// Read is part of Device.
func (c *LPS) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	c.advance(now)
	for i := range data {
		data[i] = c.load(now, c.pointer)
		c.step()
	}
	return nil
}

func (c *LPS) step() {
	if c.next {
		c.pointer++
	}
}

func (c *LPS) store(now time.Time, register, value byte) {
	switch {
	case register >= 0x80, register == lpsID, register >= 0x25 && register < lpsData+5 && !(c.kind.old && register == 0x25):
		return // read-only or not there
	case register == c.kind.ctrl2:
		c.control(now, value)
		return
	case register == c.kind.ctrl1:
		c.registers[register] = value
		c.running = false
		if c.period() > 0 {
			c.running, c.ends = true, now.Add(c.conversionTime())
		}
		return
	}
	c.registers[register] = value
}

// control takes a write to the second control register over.
func (c *LPS) control(now time.Time, value byte) {
	if value&lpsBoot != 0 {
		c.booted = now.Add(lpsBootTime)
	}
	if value&lpsReset != 0 {
		c.defaults()
		c.wasReset = now.Add(lpsResetTime)
		return
	}
	c.registers[c.kind.ctrl2] = value &^ (lpsBoot | lpsReset)
	powered := !c.kind.old || c.registers[c.kind.ctrl1]&lpsPower != 0
	if value&lpsOnce != 0 && powered && c.period() == 0 && !c.running {
		c.running, c.ends = true, now.Add(c.conversionTime())
	}
}

// period is the time between two conversions, 0 if they are started one by one or
// the chip is switched off.
func (c *LPS) period() time.Duration {
	ctrl1 := c.registers[c.kind.ctrl1]
	if c.kind.old && ctrl1&lpsPower == 0 {
		return 0
	}
	return c.kind.periods[ctrl1>>4&7]
}

func (c *LPS) conversionTime() time.Duration {
	takes := hertz(75)
	switch {
	case c.kind.bothNoises && c.registers[c.kind.ctrl2]&lpsQuiet != 0:
		takes = 13200 * time.Microsecond
	case c.kind.bothNoises:
		takes = 4700 * time.Microsecond
	case c.kind.id == lps331.id && c.registers[lpsResolution] == c.kind.resolution:
		takes = hertz(12.5)
	case c.kind.old:
		takes = hertz(25)
	}
	return c.tuning.scaled(takes)
}

// load returns what a register reads as, with what reading it does.
func (c *LPS) load(now time.Time, register byte) byte {
	switch {
	case register >= 0x80:
		return 0
	case register >= lpsData && register < lpsData+3:
		return c.pressureByte(register - lpsData)
	case register >= lpsData+3 && register < lpsData+5:
		return c.temperatureByte(register - lpsData - 3)
	}
	switch register {
	case lpsID:
		return c.tuning.id
	case lpsStatus:
		return c.status
	case c.kind.ctrl2:
		value := c.registers[register]
		if now.Before(c.booted) {
			value |= lpsBoot
		}
		if now.Before(c.wasReset) {
			value |= lpsReset
		}
		return value
	}
	return c.registers[register]
}

func (c *LPS) pressureByte(i byte) byte {
	value := byte(c.shown.Pressure >> (8 * i))
	c.locked[0] = i < 2 && c.registers[c.kind.ctrl1]&c.kind.bdu != 0
	if i == 2 {
		c.status &^= c.kind.pressureNew | c.kind.pressureNew<<4
		if c.kept[0] {
			c.shown.Pressure, c.kept[0] = c.waiting.Pressure, false
			c.status |= c.kind.pressureNew
		}
	}
	return value
}

func (c *LPS) temperatureByte(i byte) byte {
	value := byte(c.shown.Temperature >> (8 * i))
	c.locked[1] = i == 0 && c.registers[c.kind.ctrl1]&c.kind.bdu != 0
	if i == 1 {
		c.status &^= c.kind.temperNew | c.kind.temperNew<<4
		if c.kept[1] {
			c.shown.Temperature, c.kept[1] = c.waiting.Temperature, false
			c.status |= c.kind.temperNew
		}
	}
	return value
}

// advance works out what has happened up to now. Of many conversions only the last
// leaves a trace.
func (c *LPS) advance(now time.Time) {
	if !c.running || now.Before(c.ends) {
		return
	}
	period := c.period()
	if period == 0 {
		c.running = false
		c.registers[c.kind.ctrl2] &^= lpsOnce
		c.finish(c.ends)
		return
	}
	if missed := now.Sub(c.ends) / period; missed > 0 {
		c.conversions += int(missed)
		c.status |= c.kind.pressureNew | c.kind.temperNew
		c.ends = c.ends.Add(missed * period)
	}
	c.finish(c.ends)
	c.ends = c.ends.Add(period)
}

// finish puts the climate of a moment into the data registers, or beside them while
// somebody is in the middle of reading.
func (c *LPS) finish(at time.Time) {
	c.conversions++
	raw := c.words(at)
	old := c.status & (c.kind.pressureNew | c.kind.temperNew)
	c.status |= old<<4 | c.kind.pressureNew | c.kind.temperNew
	c.waiting = raw
	c.kept = c.locked
	if !c.locked[0] {
		c.shown.Pressure = raw.Pressure
	}
	if !c.locked[1] {
		c.shown.Temperature = raw.Temperature
	}
}

// words returns the words for the climate of a moment: 1/4096 hPa with 24 bits; 0.01
// °C, or of the old ones 1/480 °C from 42.5 on, with 16.
func (c *LPS) words(at time.Time) RawWords {
	if c.held != nil {
		return *c.held
	}
	air := c.tuning.feels(at, Climate{Pressure: 0.75, Temperature: 0.005})
	raw := RawWords{Pressure: clipped(air.Pressure/100*4096, 24), Temperature: clipped(air.Temperature*100, 16)}
	if c.kind.old {
		raw.Temperature = clipped((air.Temperature-42.5)*480, 16)
	}
	return raw
}

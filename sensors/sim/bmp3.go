package sim

// Sheets: Bosch BMP388, BST-BMP388-DS001: power modes section 3.3, filter 3.4,
// measurement time 3.9.2, memory map 4.2, registers 4.3, I2C write in pairs and
// read with auto-increment section 5.2. Bosch BMP390, BST-BMP390-DS002: the same.
// The facts come from Bosch's published header and from public transcriptions of
// the register chapter; the PDF itself was not at hand, so no page is cited.
//
// Assumed where they are silent or soft:
//   - after a rise of the supply or a soft reset it answers after 1 ms, and for
//     another millisecond says that it takes no command (cmd_rdy 0) and has no
//     trimming words yet (00); commands written then raise cmd_err;
//   - any command but the listed ones raises cmd_err;
//   - while a conversion runs, a request for another one is ignored, and sleep or
//     normal mode is taken over when it ends;
//   - in normal mode a period shorter than the conversion raises conf_err and the
//     chip stays asleep;
//   - oversampling codes 6 and 7 are ×32;
//   - of the 24 bits of a result, 16 and one more per doubling of the samples vary
//     with the filter off, all with it on;
//   - the longest conversion has 2020 µs per sample, the typical one 2000.
//
// Not simulated: the FIFO, the interrupt pin, the sensor time (which reads 00).

import (
	"math"
	"time"
)

// The register map.
const (
	bmp3ID      = 0x00
	bmp3Rev     = 0x01
	bmp3Error   = 0x02
	bmp3Status  = 0x03
	bmp3Data    = 0x04 // pressure 3 bytes, temperature 3, low byte first
	bmp3Event   = 0x10
	bmp3IntStat = 0x11
	bmp3Power   = 0x1B
	bmp3OSR     = 0x1C
	bmp3ODR     = 0x1D
	bmp3Config  = 0x1F
	bmp3Trim    = 0x31
	bmp3Command = 0x7E
)

// Bits of the error and status registers.
const (
	bmp3CommandError = 1 << 1
	bmp3ConfigError  = 1 << 2
	bmp3CommandReady = 1 << 4
	bmp3PressReady   = 1 << 5
	bmp3TempReady    = 1 << 6
	bmp3DataReady    = 1 << 3 // of the interrupt status
)

const (
	bmp3Startup = time.Millisecond
	bmp3Loading = time.Millisecond

	skipped24 = 0x800000 // content of a data register that was never measured
)

// RawBMP3 is the content of the data registers, 24 bits each.
type RawBMP3 struct{ Pressure, Temperature uint32 }

// BMP3 is a simulated BMP388 or BMP390. Safe for concurrent use.
type BMP3 struct {
	registerFile[RawBMP3]

	// Guarded by mu.
	trim  TrimBMP3
	image [21]byte

	loaded                     time.Time // when it takes commands
	errors, flags, event, intr byte      // flags: data ready bits of the status register
	power, osr, odr, config    byte
	raw                        RawBMP3
	filter                     [2]filter // pressure, temperature
	running                    bool      // a conversion is going on
	ends                       time.Time // when it is done
	next                       time.Time // when the next one starts, in normal mode
	waiting                    int       // power control written during a conversion, -1: none
}

// NewBMP388 returns a BMP388 (pressure, temperature) in this world.
func NewBMP388(w World, options ...ChipOption) *BMP3 { return newBMP3(w, 0x50, options) }

// NewBMP390 returns a BMP390 (pressure, temperature) in this world.
func NewBMP390(w World, options ...ChipOption) *BMP3 { return newBMP3(w, 0x60, options) }

func newBMP3(w World, id byte, options []ChipOption) *BMP3 {
	c := &BMP3{}
	c.shown = &c.raw
	c.SetTrim(TypicalTrimBMP3())
	c.begin(c, w, id, options)
	return c
}

// SetTrim changes the trimming words, as when another chip was soldered in.
func (c *BMP3) SetTrim(trim TrimBMP3) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim, c.image = trim, trim.layout()
}

// reset loads the power-up values of the memory map.
func (c *BMP3) reset(now time.Time) {
	c.ready = now.Add(bmp3Startup)
	c.loaded = c.ready.Add(bmp3Loading)
	c.errors, c.flags, c.event, c.intr = 0, 0, 1, 0
	c.power, c.osr, c.odr, c.config = 0, 0x02, 0, 0
	c.raw = RawBMP3{Pressure: skipped24, Temperature: skipped24}
	c.filter = [2]filter{}
	c.running, c.waiting = false, -1
	if c.held != nil {
		c.raw = *c.held
	}
}

// store executes a write to one register; all others are read-only or kept
// nowhere.
func (c *BMP3) store(now time.Time, register, value byte) {
	switch register {
	case bmp3Command:
		c.command(now, value)
	case bmp3Power:
		c.control(now, value&0x33)
	case bmp3OSR:
		c.osr = value & 0x3F
	case bmp3ODR:
		c.odr = value & 0x1F
	case bmp3Config:
		c.config = value & 0x0E
		c.filter = [2]filter{} // 3.4.4: a write to it resets the filter
	}
}

// command is a write to the command register: do nothing, flush the FIFO, extended
// mode, soft reset.
func (c *BMP3) command(now time.Time, value byte) {
	switch {
	case now.Before(c.loaded):
		c.errors |= bmp3CommandError
	case value == 0xB6:
		c.reset(now)
	case value != 0x00 && value != 0xB0 && value != 0x34:
		c.errors |= bmp3CommandError
	}
}

// control takes a write to the power control register.
func (c *BMP3) control(now time.Time, value byte) {
	mode := bmp3Mode(value)
	if c.running {
		if mode != forcedMode {
			c.waiting = int(value)
		}
		return
	}
	c.power = value
	switch {
	case mode == sleepMode:
	case mode == normalMode && c.period() < c.conversionTime():
		c.errors |= bmp3ConfigError
		c.power &^= 0x30
	default:
		c.start(now)
	}
}

func bmp3Mode(power byte) powerMode {
	switch power >> 4 & 3 {
	case 0:
		return sleepMode
	case 3:
		return normalMode
	}
	return forcedMode
}

func (c *BMP3) start(at time.Time) {
	c.running = true
	c.ends = at.Add(c.conversionTime())
	c.next = at.Add(c.period())
}

// samples returns the samples per channel, 0 for a channel that is off.
func (c *BMP3) samples() (p, t int) {
	if c.power&1 != 0 {
		p = 1 << min(c.osr&7, 5)
	}
	if c.power&2 != 0 {
		t = 1 << min(c.osr>>3, 5)
	}
	return p, t
}

// conversionTime is that of section 3.9.2.
func (c *BMP3) conversionTime() time.Duration {
	each := 2020
	if c.tuning.typical {
		each = 2000
	}
	µs := 234
	p, t := c.samples()
	if p > 0 {
		µs += 392 + each*p
	}
	if t > 0 {
		µs += 313 + each*t
	}
	return c.tuning.scaled(time.Duration(µs) * time.Microsecond)
}

// period is that of the output data rate: 5 ms and twice as much per step.
func (c *BMP3) period() time.Duration { return 5 * time.Millisecond << min(c.odr, 17) }

// advance works out what has happened up to now.
func (c *BMP3) advance(now time.Time) {
	for {
		if !c.running {
			if bmp3Mode(c.power) != normalMode || now.Before(c.next) {
				return
			}
			if n := now.Sub(c.next)/c.period() - remembered; n > 0 { // nobody will see a trace of these
				c.next = c.next.Add(n * c.period())
				c.conversions += int(n)
			}
			c.start(c.next)
		}
		if now.Before(c.ends) {
			return
		}
		c.finish()
	}
}

// finish ends the running conversion.
func (c *BMP3) finish() {
	c.running = false
	c.conversions++
	c.sample(c.ends)
	if bmp3Mode(c.power) == forcedMode {
		c.power &^= 0x30
	}
	if c.waiting >= 0 {
		value := byte(c.waiting)
		c.waiting = -1
		c.control(c.ends, value)
	}
}

// sample puts the climate of a moment into the data registers.
func (c *BMP3) sample(at time.Time) {
	p, t := c.samples()
	if p > 0 {
		c.flags |= bmp3PressReady
	}
	if t > 0 {
		c.flags |= bmp3TempReady
	}
	if p > 0 || t > 0 {
		c.intr |= bmp3DataReady
	}
	if c.held != nil {
		return
	}
	// The sheet's noise: 1.2 Pa with one sample, falling with the root of their number.
	air := c.tuning.feels(at, Climate{Temperature: 0.005, Pressure: 1.2 / math.Sqrt(float64(max(p, 1)))})
	raw := RawBMP3{Pressure: skipped24, Temperature: skipped24}
	rawT := c.trim.rawTemperature(air.Temperature)
	if t > 0 {
		raw.Temperature = c.converted(&c.filter[1], rawT, t)
		if c.config>>1 == 0 { // the pressure is felt at the temperature there is, not at the smoothed one
			rawT = int64(raw.Temperature)
		}
	}
	if p > 0 {
		raw.Pressure = c.converted(&c.filter[0], c.trim.rawPressure(air.Pressure, c.trim.celsius(rawT)), p)
	}
	c.raw = raw
}

// converted passes a word of the converter through filter and resolution.
func (c *BMP3) converted(f *filter, value int64, samples int) uint32 {
	step := int64(256 / samples)
	if code := c.config >> 1; code > 0 {
		value = f.step(value, 1<<code)
		step = 1
	}
	return coarse(value, step, full24, skipped24)
}

// load returns what a register reads as. Reading clears errors, events and what
// says that data are ready (4.3.2, 4.3.3, 4.3.9, 4.3.10).
func (c *BMP3) load(now time.Time, register byte) byte {
	switch {
	case register >= bmp3Data && register < bmp3Data+3:
		c.flags &^= bmp3PressReady
		return byte(c.raw.Pressure >> (8 * (register - bmp3Data)))
	case register >= bmp3Data+3 && register < bmp3Data+6:
		c.flags &^= bmp3TempReady
		return byte(c.raw.Temperature >> (8 * (register - bmp3Data - 3)))
	case register >= bmp3Trim && register < bmp3Trim+byte(len(c.image)):
		if now.Before(c.loaded) {
			return 0
		}
		return c.image[register-bmp3Trim]
	}
	switch register {
	case bmp3ID:
		return c.tuning.id
	case bmp3Rev:
		return 1
	case bmp3Error:
		return taken(&c.errors)
	case bmp3Status:
		if now.Before(c.loaded) {
			return c.flags
		}
		return c.flags | bmp3CommandReady
	case bmp3Event:
		return taken(&c.event)
	case bmp3IntStat:
		return taken(&c.intr)
	case bmp3Power:
		return c.power
	case bmp3OSR:
		return c.osr
	case bmp3ODR:
		return c.odr
	case bmp3Config:
		return c.config
	}
	return 0
}

// taken returns the bits of a register that reading clears.
func taken(register *byte) byte {
	bits := *register
	*register = 0
	return bits
}

package sim

// Sheets: Bosch BME280, BST-BME280-DS002-15 revision 1.6: mode transitions page 15
// (3.3.1), modes page 16, measurement flow and filter pages 17-18 (3.4), memory map
// page 27 (table 18), registers pages 27-31 (5.4), I2C write in pairs and read with
// auto-increment page 33 (6.2), measurement time page 51 (9.1). Bosch BMP280,
// BST-BMP280-DS001-23 revision 1.23: resolution page 12 (table 4), filter page 14,
// modes page 16 (3.6), noise tables 11 and 12, shadowing page 20 (3.10), memory map
// page 24, registers pages 24-27 (4.3).
//
// Where the sheets are silent or soft:
//   - a write to config outside sleep mode "may be ignored": it is;
//   - ctrl_meas written during a conversion is taken over when the conversion ends;
//     until then further writes to ctrl_meas and ctrl_hum are ignored (page 15 says
//     so of the mode bits; here it is the whole register);
//   - im_update falls a millisecond after the chip answers again, and the trimming
//     words read as 00 until then; it does not show before each conversion;
//   - reserved registers read as 00 and the read pointer runs from FF on to 00;
//   - a finished conversion never yields the code of a skipped channel;
//   - the filter keeps fractions of its memory.

import "time"

// The register map.
const (
	bmxTrimLow  = 0x88
	bmxID       = 0xD0
	bmxReset    = 0xE0
	bmxTrimHigh = 0xE1
	bmxCtrlHum  = 0xF2
	bmxStatus   = 0xF3
	bmxCtrlMeas = 0xF4
	bmxConfig   = 0xF5
	bmxData     = 0xF7 // pressure 3 bytes, temperature 3, humidity 2

	bmxResetWord = 0xB6
)

const (
	bmxStartup = 2 * time.Millisecond // t_startup, table 1: time to first communication
	bmxCopying = time.Millisecond     // the sheets give no time for im_update; this is an assumption

	skipped20 = 0x80000
	skipped16 = 0x8000
)

// RawBMx280 is the content of the data registers: 20, 20 and 16 bits.
type RawBMx280 struct{ Pressure, Temperature, Humidity uint32 }

// BMx280 is a simulated BMP280 or BME280. Safe for concurrent use.
type BMx280 struct {
	registerFile[RawBMx280]
	humid bool // it is a BME280

	// Guarded by mu.
	trim TrimBMx280
	low  [26]byte // the image of trim
	high [16]byte

	copied   time.Time // when im_update falls
	ctrlHum  byte
	osrsH    byte // as taken over by the last write to ctrl_meas
	ctrlMeas byte
	config   byte
	raw      RawBMx280
	filter   [2]filter // pressure, temperature

	running bool      // a conversion is going on
	ends    time.Time // when it is done
	next    time.Time // when the next one starts, in normal mode
	waiting int       // ctrl_meas written during a conversion, -1: none
}

// NewBME280 returns a BME280 (pressure, temperature, humidity) in this world.
func NewBME280(w World, options ...ChipOption) *BMx280 {
	return newBMx280(w, true, 0x60, TypicalTrimBME280(), options)
}

// NewBMP280 returns a BMP280 (pressure, temperature) in this world.
func NewBMP280(w World, options ...ChipOption) *BMx280 {
	return newBMx280(w, false, 0x58, SheetTrimBMP280(), options)
}

func newBMx280(w World, humid bool, id byte, trim TrimBMx280, options []ChipOption) *BMx280 {
	c := &BMx280{humid: humid}
	c.shown = &c.raw
	c.setTrim(trim)
	c.begin(c, w, id, options)
	return c
}

// SetTrim changes the trimming words, as when another chip was soldered in.
func (c *BMx280) SetTrim(trim TrimBMx280) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setTrim(trim)
}

func (c *BMx280) setTrim(trim TrimBMx280) {
	if !c.humid {
		trim.H1, trim.H2, trim.H3, trim.H4, trim.H5, trim.H6 = 0, 0, 0, 0, 0, 0
	}
	c.trim = trim
	c.low, c.high = trim.layout()
}

// reset loads the power-up values of table 18.
func (c *BMx280) reset(now time.Time) {
	c.ready = now.Add(bmxStartup)
	c.copied = c.ready.Add(bmxCopying)
	c.ctrlHum, c.osrsH, c.ctrlMeas, c.config = 0, 0, 0, 0
	c.raw = RawBMx280{Pressure: skipped20, Temperature: skipped20, Humidity: skipped16}
	c.filter = [2]filter{}
	c.running, c.waiting = false, -1
	if c.held != nil {
		c.raw = *c.held
	}
}

// store executes a write to one register; all others are read-only.
func (c *BMx280) store(now time.Time, register, value byte) {
	switch register {
	case bmxReset:
		if value == bmxResetWord {
			c.reset(now)
		}
	case bmxCtrlHum:
		if c.humid && c.waiting < 0 {
			c.ctrlHum = value & 0x07
		}
	case bmxCtrlMeas:
		if c.running {
			if c.waiting < 0 {
				c.waiting = int(value)
			}
			return
		}
		c.control(now, value)
	case bmxConfig:
		if c.mode() == sleepMode {
			c.config = value & 0xFD
			c.filter = [2]filter{} // 3.4.4: a write to it resets the filter
		}
	}
}

// load returns what a register reads as.
func (c *BMx280) load(now time.Time, register byte) byte {
	copying := now.Before(c.copied)
	switch {
	case register >= bmxTrimLow && register < bmxTrimLow+byte(len(c.low)):
		if copying {
			return 0
		}
		return c.low[register-bmxTrimLow]
	case register >= bmxTrimHigh && register < bmxTrimHigh+byte(len(c.high)):
		if copying {
			return 0
		}
		return c.high[register-bmxTrimHigh]
	case register >= bmxData && register < bmxData+8:
		return c.data(register - bmxData)
	}
	switch register {
	case bmxID:
		return c.tuning.id
	case bmxCtrlHum:
		return c.ctrlHum
	case bmxStatus:
		var status byte
		if c.running {
			status |= 1 << 3
		}
		if copying {
			status |= 1
		}
		return status
	case bmxCtrlMeas:
		return c.ctrlMeas
	case bmxConfig:
		return c.config
	}
	return 0
}

// data returns one of the eight data bytes F7 to FE.
func (c *BMx280) data(i byte) byte {
	p, t, h := c.raw.Pressure, c.raw.Temperature, c.raw.Humidity
	if !c.humid {
		h = 0 // FD and FE are reserved on the BMP280
	}
	return [8]byte{
		byte(p >> 12), byte(p >> 4), byte(p << 4),
		byte(t >> 12), byte(t >> 4), byte(t << 4),
		byte(h >> 8), byte(h),
	}[i]
}

package sim

// Sheet: Sensirion SHT4x, version 6: timing table 5 (power-up and reset 1 ms,
// measurements, heating 1.1 s and 0.11 s), commands table 8, conversion section
// 4.6, heater 4.9; no clock stretching, reads while it measures are not
// acknowledged (4.5). The first reading after an SHT3x was looked for at its
// address is several degrees high: github.com/Sensirion/arduino-sht, issue 27 and
// pull request 32.
//
// Assumed:
//   - whoever writes more than one byte heats the chip a little: the next
//     measurement shows 7.5 °C too much, as the issue shows;
//   - an unknown command is not acknowledged;
//   - the serial number is there after a millisecond, as SENSORS has it;
//   - at full power the heater warms by 60 °C in a second and by half in a tenth,
//     and in proportion; after a second it is all gone.

import "time"

const (
	sht4xReset   = 0x94
	sht4xSerial  = 0x89
	sht4xStartup = time.Millisecond
	sht4xSpoils  = 7.5 // °C
)

var sht4xSpans = map[byte]span{
	0xFD: {8300 * time.Microsecond, 6900 * time.Microsecond},
	0xF6: {4500 * time.Microsecond, 3700 * time.Microsecond},
	0xE0: {1600 * time.Microsecond, 1300 * time.Microsecond},
}

// heating is a command that heats and then measures.
type heating struct {
	span
	warms float64 // °C
}

var sht4xHeatings = map[byte]heating{
	0x39: {span{1100 * time.Millisecond, time.Second}, 60},
	0x32: {span{110 * time.Millisecond, 100 * time.Millisecond}, 30},
	0x2F: {span{1100 * time.Millisecond, time.Second}, 33},
	0x24: {span{110 * time.Millisecond, 100 * time.Millisecond}, 16.5},
	0x1E: {span{1100 * time.Millisecond, time.Second}, 6},
	0x15: {span{110 * time.Millisecond, 100 * time.Millisecond}, 3},
}

// SHT4x is a simulated SHT40, SHT41 or SHT45. Safe for concurrent use.
type SHT4x struct {
	commanded
	warmth    float64   // °C that the next measurement shows too much
	warmUntil time.Time // when that is gone
}

// NewSHT4x returns an SHT4x (temperature, humidity) in this world. It has no
// identity for ChipID to change, only a serial number.
func NewSHT4x(w World, options ...ChipOption) *SHT4x {
	c := &SHT4x{}
	c.tuning = tune(w, 0, options)
	c.PowerUp(time.Time{})
	return c
}

// PowerUp is part of Device.
func (c *SHT4x) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start(now, sht4xStartup)
	c.warmth = 0
}

// Write is part of Device: a command of one byte.
func (c *SHT4x) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf(now) {
		return ErrNack
	}
	if len(data) > 1 { // it was not meant
		c.warm(now, sht4xSpoils)
	}
	command := data[0]
	c.owed = nil
	switch {
	case command == sht4xReset:
		c.start(now, sht4xStartup)
	case command == sht4xSerial:
		c.answer(now.Add(time.Millisecond), c.checked(sensirionStart, 0x0F41, 0x5C2B)...)
	case sht4xSpans[command] != span{}:
		at := c.measureFor(now, sht4xSpans[command])
		c.answer(at, c.measured(at)...)
	case sht4xHeatings[command] != heating{}:
		h := sht4xHeatings[command]
		at := c.measureFor(now, h.span)
		c.warm(at, h.warms)
		c.answer(at, c.measured(at)...)
	default:
		return ErrNack
	}
	return nil
}

func (c *SHT4x) warm(now time.Time, by float64) {
	c.warmth, c.warmUntil = by, now.Add(time.Second)
}

func (c *SHT4x) measured(at time.Time) []byte {
	raw := RawAir{}
	if c.held != nil {
		raw = *c.held
	} else {
		air := c.tuning.feels(at, Climate{Temperature: 0.015, Humidity: 0.03})
		if at.Before(c.warmUntil) {
			air = warmed(air, c.warmth)
		}
		raw = RawAir{Temperature: word16(air.Temperature, celsius175), Humidity: word16(air.Humidity, sht4xPercent)}
	}
	return c.checked(sensirionStart, uint16(raw.Temperature), uint16(raw.Humidity))
}

// sht4xPercent is the formula of section 4.6, which reaches beyond 0 and 100.
func sht4xPercent(raw int64) float64 { return -6 + 125*float64(raw)/65535 }

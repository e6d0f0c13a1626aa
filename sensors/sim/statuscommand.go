package sim

// The command set of the SHT3x, which the HDC302x speaks too: commands of 16 bits
// for single and periodic measurements, a status register, a heater.
//
// Sheets: Sensirion SHT3x-DIS, version 5 and later, sections 4.3 to 4.12 (single
// shot table 9, periodic table 10, fetch table 11, break table 13, reset table 14,
// heater table 16, status tables 17 to 19, checksum table 20); TI HDC302x, SNAS778,
// section 7.5 and the status register 7.6.
//
// Where they are silent:
//   - while it measures by itself, a chip acknowledges no start of another
//     measurement (an SHT3x no reset either, as its users found); all other
//     commands work;
//   - unknown commands are acknowledged and set the command bit of the status;
//   - the commands that stretch the clock (2C..) measure, but a read that comes too
//     early is not acknowledged instead of being stretched;
//   - the heater warms by 3 °C at once.

import (
	"encoding/binary"
	"time"
)

// Bits of the status register.
const (
	statusAlert    = 1 << 15 // some alert is pending; set by a reset
	statusHeater   = 1 << 13
	statusReset    = 1 << 4 // set by a reset of any kind
	statusRefused  = 1 << 1 // the last command was not processed
	statusChecksum = 1 << 0 // the checksum of the last written word was wrong
)

const (
	wordFetch       = 0xE000
	wordBreak       = 0x3093
	wordReset       = 0x30A2
	wordStatus      = 0xF32D
	wordClear       = 0x3041
	wordHeaterOn    = 0x306D
	wordHeaterOff   = 0x3066
	heaterWarms     = 3 // °C
	sensirionStart  = 0xFF
	statusAfterBoot = statusAlert | statusReset
)

// dialect is how one family speaks the commands.
type dialect struct {
	startup     time.Duration // after power-up
	reset       time.Duration // after a soft reset
	gap         time.Duration // shortest time between two commands
	breaks      time.Duration // how long the end of periodic measurements takes
	deafToReset bool          // while it measures by itself
	identity    uint16        // command that reads who made it; 0: none
	single      map[uint16]span
	periodic    map[uint16]rhythm
	noise       Climate
}

// rhythm is one of the periodic measurements.
type rhythm struct {
	every time.Duration
	takes span
}

// wordChip is a chip with this command set.
type wordChip struct {
	commanded
	speech *dialect
	words  map[uint16][]uint16 // what other commands read

	status  uint16
	heard   time.Time // when the last command came
	rhythm  rhythm    // of the periodic measurements; every is 0 if there are none
	since   time.Time // when they began
	fetched int       // how many of them were fetched or passed over
}

// PowerUp is part of Device.
func (c *wordChip) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot(now, c.speech.startup)
}

func (c *wordChip) boot(now time.Time, takes time.Duration) {
	c.start(now, takes)
	c.status, c.heard, c.rhythm, c.fetched = statusAfterBoot, time.Time{}, rhythm{}, 0
}

// Write is part of Device: a command, and for a few of them a word with its
// checksum.
func (c *wordChip) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf(now) || now.Sub(c.heard) < c.speech.gap {
		return ErrNack
	}
	if len(data) < 2 {
		c.status |= statusRefused
		return nil
	}
	c.heard = now
	return c.obey(now, binary.BigEndian.Uint16(data), data[2:])
}

// obey executes a command.
func (c *wordChip) obey(now time.Time, command uint16, argument []byte) error {
	single, measures := c.speech.single[command]
	r, repeats := c.speech.periodic[command]
	if c.rhythm.every > 0 && (measures || repeats || command == wordReset && c.speech.deafToReset) {
		return ErrNack
	}
	c.owed = nil
	if command != wordStatus { // which shows what became of the one before
		c.status &^= statusRefused | statusChecksum
	}
	switch {
	case measures:
		at := c.measureFor(now, single)
		c.answer(at, c.measured(at)...)
	case repeats:
		c.rhythm, c.since, c.fetched = r, now, 0
	default:
		c.command(now, command, argument)
	}
	return nil
}

// command executes those that begin no measurement.
func (c *wordChip) command(now time.Time, command uint16, argument []byte) {
	switch command {
	case c.speech.identity:
		c.answer(now, c.checked(sensirionStart, uint16(c.tuning.id)<<8)...)
	case wordFetch:
		c.fetch(now)
	case wordBreak:
		c.rhythm = rhythm{}
		c.ready = now.Add(c.speech.breaks)
	case wordReset:
		c.boot(now, c.speech.reset)
	case wordStatus:
		c.answer(now, c.checked(sensirionStart, c.status)...)
	case wordClear:
		c.status &= statusHeater
	case wordHeaterOn:
		c.status |= statusHeater
	case wordHeaterOff:
		c.status &^= statusHeater
	default:
		c.other(now, command, argument)
	}
}

// other reads or writes one of the chip's further words.
func (c *wordChip) other(now time.Time, command uint16, argument []byte) {
	words, known := c.words[command]
	switch {
	case !known:
		c.status |= statusRefused
	case len(argument) == 0:
		c.answer(now, c.checked(sensirionStart, words...)...)
	case len(argument) < 3 || checksum(sensirionStart, argument[:2]...) != argument[2]:
		c.status |= statusChecksum
	default:
		words[0] = binary.BigEndian.Uint16(argument)
	}
}

// fetch answers with the newest of the periodic measurements, if it is new.
func (c *wordChip) fetch(now time.Time) {
	if c.rhythm.every == 0 {
		return
	}
	takes := c.rhythm.takes.longest
	if c.tuning.typical {
		takes = c.rhythm.takes.typical
	}
	first := c.since.Add(c.tuning.scaled(takes))
	if now.Before(first) {
		return
	}
	done := int(now.Sub(first)/c.rhythm.every) + 1
	if done == c.fetched {
		return
	}
	c.conversions += done - c.fetched
	c.fetched = done
	c.answer(now, c.measured(first.Add(time.Duration(done-1)*c.rhythm.every))...)
}

// measured is the reply for the climate of a moment.
func (c *wordChip) measured(at time.Time) []byte {
	raw := RawAir{}
	if c.held != nil {
		raw = *c.held
	} else {
		air := c.tuning.feels(at, c.speech.noise)
		if c.status&statusHeater != 0 {
			air = warmed(air, heaterWarms)
		}
		raw = RawAir{Temperature: word16(air.Temperature, celsius175), Humidity: word16(air.Humidity, percent100)}
	}
	return c.checked(sensirionStart, uint16(raw.Temperature), uint16(raw.Humidity))
}

// celsius175 and percent100 are the formulas of section 4.13 of the SHT3x sheet and
// 7.3.3 of the HDC302x sheet.
func celsius175(raw int64) float64 { return -45 + 175*float64(raw)/65535 }
func percent100(raw int64) float64 { return 100 * float64(raw) / 65535 }

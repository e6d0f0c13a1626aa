package sim

// Sheets: Aosong AHT20, version 1.1: power-up 5.1 and 5.4, commands table 9, status
// table 10, reading 5.4, soft reset 5.5, conversion 6; AHT10, draft 0c: the same
// with another command to begin (E1), no checksum and 75 ms. That an AHT20 does not
// acknowledge E1: github.com/adafruit/Adafruit_CircuitPython_AHTx0, issue 17.
//
// Assumed:
//   - power-up takes 40 ms, the time the sheet has one wait; typical times are
//     three quarters of the longest;
//   - an AHT20 is calibrated when it leaves the factory and an AHT10 asks for its
//     first command after each power-up;
//   - without that it measures 20 °C too much;
//   - bit 4 of the status is set on an AHT20 only; bits 6 and 5 read as 0;
//   - while it measures, or begins, it answers with bit 7 and the words of before,
//     with a right checksum; a command is not taken then;
//   - commands with other parameters are not acknowledged.

import (
	"bytes"
	"time"
)

const (
	ahtBusy       = 1 << 7
	ahtFactory    = 1 << 4 // set on an AHT20
	ahtCalibrated = 1 << 3

	ahtStatus   = 0x71
	ahtReset    = 0xBA
	ahtStartup  = 40 * time.Millisecond
	ahtRestart  = 20 * time.Millisecond
	ahtBeginsIn = 10 * time.Millisecond
	ahtBeside   = 20 // °C without calibration
	ahtFull     = 1<<20 - 1
)

var (
	ahtTrigger = []byte{0xAC, 0x33, 0x00}
	aht20Begin = []byte{0xBE, 0x08, 0x00}
	aht10Begin = []byte{0xE1, 0x08, 0x00}
	aht20Takes = span{80 * time.Millisecond, 60 * time.Millisecond}
	aht10Takes = span{75 * time.Millisecond, 56 * time.Millisecond}
)

// AHT20 is a simulated AHT20 or AHT10. Safe for concurrent use.
type AHT20 struct {
	commanded
	old        bool // it is an AHT10
	calibrated bool
	blank      bool      // it lost what the factory gave it
	begins     time.Time // until then it prepares itself
	next       RawAir    // of the measurement that is going on
	words      RawAir    // of the last one
}

// NewAHT20 returns an AHT20 (temperature, humidity) in this world. It has no
// identity for ChipID to change.
func NewAHT20(w World, options ...ChipOption) *AHT20 { return newAHT(w, false, options) }

// NewAHT10 returns an AHT10, the one before, which sends no checksum.
func NewAHT10(w World, options ...ChipOption) *AHT20 { return newAHT(w, true, options) }

func newAHT(w World, old bool, options []ChipOption) *AHT20 {
	c := &AHT20{old: old}
	c.tuning = tune(w, 0, options)
	c.PowerUp(time.Time{})
	return c
}

// Blank makes it come up without its calibration bit from now on, as some parts do.
func (c *AHT20) Blank() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blank, c.calibrated = true, false
}

// PowerUp is part of Device.
func (c *AHT20) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot(now, ahtStartup)
}

func (c *AHT20) boot(now time.Time, takes time.Duration) {
	c.start(now, takes)
	c.calibrated = !c.old && !c.blank
	c.begins, c.words = time.Time{}, RawAir{}
}

// busy brings the chip up to now and says whether it does something.
func (c *AHT20) busy(now time.Time) bool {
	if c.measuring && !now.Before(c.due) {
		c.measuring, c.words = false, c.next
		c.conversions++
	}
	return c.measuring || now.Before(c.begins)
}

// Write is part of Device: a command of one byte or three.
func (c *AHT20) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	begin, takes := aht20Begin, aht20Takes
	if c.old {
		begin, takes = aht10Begin, aht10Takes
	}
	busy := c.busy(now)
	switch {
	case len(data) == 1 && data[0] == ahtStatus: // says what any read says
	case len(data) == 1 && data[0] == ahtReset:
		c.boot(now, ahtRestart)
	case bytes.Equal(data, ahtTrigger):
		if !busy {
			c.next = c.measured(c.measureFor(now, takes))
		}
	case bytes.Equal(data, begin):
		if !busy {
			c.calibrated, c.begins = true, now.Add(ahtBeginsIn)
		}
	default:
		return ErrNack
	}
	return nil
}

// Read is part of Device: always the status and the words that are there.
func (c *AHT20) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	var status byte
	if c.busy(now) {
		status |= ahtBusy
	}
	if c.calibrated && !now.Before(c.begins) {
		status |= ahtCalibrated
	}
	if !c.old {
		status |= ahtFactory
	}
	h, t := c.words.Humidity, c.words.Temperature
	reply := [7]byte{status, byte(h >> 12), byte(h >> 4), byte(h<<4) | byte(t>>16), byte(t >> 8), byte(t), 0xFF}
	if !c.old {
		reply[6] = checksum(sensirionStart, reply[:6]...)
	}
	for i := range data {
		data[i] = 0xFF
	}
	copy(data, reply[:])
	return nil
}

// measured returns the words for the climate of a moment.
func (c *AHT20) measured(at time.Time) RawAir {
	if c.held != nil {
		return *c.held
	}
	air := c.tuning.feels(at, Climate{Temperature: 0.02, Humidity: 0.05})
	if !c.calibrated {
		air.Temperature += ahtBeside
	}
	return RawAir{
		Temperature: uint32(nearest(0, ahtFull, air.Temperature, ahtCelsius)),
		Humidity:    uint32(nearest(0, ahtFull, air.Humidity, ahtPercent)),
	}
}

// The formulas of chapter 6.
func ahtCelsius(raw int64) float64 { return float64(raw)/(1<<20)*200 - 50 }
func ahtPercent(raw int64) float64 { return float64(raw) / (1 << 20) * 100 }

package sim

// Sheet: Sensirion SHTC3, version 4: timing table 5 (power-up and reset 240 µs,
// measurements), commands 5.1 to 5.9 (sleep, wake-up, measurement table 10, reset,
// identity table 15), conversion 5.11.
//
// Assumed: after power-up and reset it is awake; awake already, it acknowledges a
// wake-up; unknown commands are not acknowledged; the commands that stretch the
// clock answer a read that comes too early by not acknowledging it.

import (
	"encoding/binary"
	"time"
)

const (
	shtc3Wake    = 0x3517
	shtc3Sleep   = 0xB098
	shtc3Reset   = 0x805D
	shtc3ID      = 0xEFC8
	shtc3Startup = 240 * time.Microsecond
)

var (
	shtc3Normal   = span{12100 * time.Microsecond, 10800 * time.Microsecond}
	shtc3LowPower = span{800 * time.Microsecond, 700 * time.Microsecond}
)

// shtc3Measurements are the commands of table 10.
var shtc3Measurements = map[uint16]struct {
	takes         span
	humidityFirst bool
}{
	0x7866: {shtc3Normal, false}, 0x7CA2: {shtc3Normal, false}, 0x58E0: {shtc3Normal, true}, 0x5C24: {shtc3Normal, true},
	0x609C: {shtc3LowPower, false}, 0x6458: {shtc3LowPower, false}, 0x401A: {shtc3LowPower, true}, 0x44DE: {shtc3LowPower, true},
}

// SHTC3 is a simulated SHTC3. Safe for concurrent use.
type SHTC3 struct {
	commanded
	asleep bool
}

// NewSHTC3 returns an SHTC3 (temperature, humidity) in this world. ChipID changes
// the low byte of its identity, 87.
func NewSHTC3(w World, options ...ChipOption) *SHTC3 {
	c := &SHTC3{}
	c.tuning = tune(w, 0x87, options)
	c.PowerUp(time.Time{})
	return c
}

// PowerUp is part of Device.
func (c *SHTC3) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start(now, shtc3Startup)
	c.asleep = false
}

// Asleep reports whether it acknowledges nothing but a wake-up.
func (c *SHTC3) Asleep() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asleep
}

// Read is part of Device.
func (c *SHTC3) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asleep {
		return ErrNack
	}
	return c.give(now, data)
}

// Write is part of Device: a command of 16 bits.
func (c *SHTC3) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf(now) || len(data) != 2 {
		return ErrNack
	}
	command := binary.BigEndian.Uint16(data)
	if c.asleep && command != shtc3Wake {
		return ErrNack
	}
	c.owed = nil
	m, measures := shtc3Measurements[command]
	switch {
	case measures:
		at := c.measureFor(now, m.takes)
		c.answer(at, c.measured(at, m.humidityFirst)...)
	case command == shtc3Wake && c.asleep:
		c.start(now, shtc3Startup)
		c.asleep = false
	case command == shtc3Wake:
	case command == shtc3Sleep:
		c.asleep = true
	case command == shtc3Reset:
		c.start(now, shtc3Startup)
	case command == shtc3ID:
		c.answer(now, c.checked(sensirionStart, 0x0800|uint16(c.tuning.id))...)
	default:
		return ErrNack
	}
	return nil
}

func (c *SHTC3) measured(at time.Time, humidityFirst bool) []byte {
	raw := RawAir{}
	if c.held != nil {
		raw = *c.held
	} else {
		air := c.tuning.feels(at, Climate{Temperature: 0.05, Humidity: 0.05})
		raw = RawAir{Temperature: word16(air.Temperature, shtc3Celsius), Humidity: word16(air.Humidity, shtc3Percent)}
	}
	if humidityFirst {
		return c.checked(sensirionStart, uint16(raw.Humidity), uint16(raw.Temperature))
	}
	return c.checked(sensirionStart, uint16(raw.Temperature), uint16(raw.Humidity))
}

// The formulas of section 5.11, whose divisor is not that of the other families.
func shtc3Celsius(raw int64) float64 { return -45 + 175*float64(raw)/65536 }
func shtc3Percent(raw int64) float64 { return 100 * float64(raw) / 65536 }

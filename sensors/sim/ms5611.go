package sim

// Sheets: TE Connectivity MS5611-01BA03 and MS5607-02BA03: conversion times and noise
// in the table "Analog digital converter", commands and the remarks on reading too
// early in the sections "Commands" and "Conversion sequence", PROM in "Memory PROM
// mapping", reset in "Reset sequence".
//
// Where the sheets are silent or soft:
//   - the PROM is loaded at power-up as it is by the reset command, and the chip
//     does not acknowledge for these 2.8 ms;
//   - any command during a conversion makes its result wrong, which the sheet says
//     of reading and of another conversion; wrong is here without its lowest 8 bits;
//   - a read that no command went before, and bytes beyond an answer, are FF;
//   - unknown commands are acknowledged and do nothing.

import "time"

const (
	ms56Read     = 0x00
	ms56Reset    = 0x1E
	ms56Pressure = 0x40 // 40, 42 ... 48 by oversampling
	ms56Temp     = 0x50 // 50, 52 ... 58
	ms56PROM     = 0xA0 // A0, A2 ... AE

	ms56Reload = 2800 * time.Microsecond
)

// By oversampling 256, 512, 1024, 2048, 4096.
var (
	ms56Longest = [5]time.Duration{600, 1170, 2280, 4540, 9040} // µs
	ms56Usual   = [5]time.Duration{540, 1060, 2080, 4130, 8220} // µs
	ms56Noise   = [5]Climate{
		{Pressure: 6.5, Temperature: 0.012}, {Pressure: 4.2, Temperature: 0.008}, {Pressure: 2.7, Temperature: 0.005},
		{Pressure: 1.8, Temperature: 0.003}, {Pressure: 1.2, Temperature: 0.002},
	}
)

// MS5611 is a simulated MS5611 or MS5607, which no command tells apart. Safe for
// concurrent use.
type MS5611 struct {
	barometer
	half bool // it is an MS5607
	trim TrimMS5611
	prom [8]uint16

	answer  [3]byte // to the last command
	length  int     // of it
	command byte    // of the running conversion, 0: none
	ends    time.Time
	spoiled bool
	result  uint32 // of the last conversion; 0 when it was read
}

// NewMS5611 returns an MS5611 (pressure, temperature) in this world, at 0x76 or
// 0x77.
func NewMS5611(w World, options ...ChipOption) *MS5611 {
	return newMS56(w, false, SheetTrimMS5611(), options)
}

// NewMS5607 returns an MS5607: other units of its calibration, else the same.
func NewMS5607(w World, options ...ChipOption) *MS5611 {
	return newMS56(w, true, SheetTrimMS5607(), options)
}

func newMS56(w World, half bool, trim TrimMS5611, options []ChipOption) *MS5611 {
	c := &MS5611{half: half}
	c.tuning = tune(w, 0, options)
	c.SetTrim(trim)
	c.PowerUp(time.Time{})
	return c
}

// SetTrim changes the calibration, as when another chip was soldered in.
func (c *MS5611) SetTrim(trim TrimMS5611) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim, c.prom = trim, trim.layout()
}

// SetPROM changes the eight words as they are read, checksum included. What the
// chip measures still follows from its calibration.
func (c *MS5611) SetPROM(words [8]uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.prom = words
}

// PROM returns the eight words as they are read.
func (c *MS5611) PROM() [8]uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.prom
}

// PowerUp is part of Device.
func (c *MS5611) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset(now)
}

func (c *MS5611) reset(now time.Time) {
	c.ready = now.Add(ms56Reload)
	c.length, c.command, c.spoiled, c.result = 0, 0, false, 0
}

// Write is part of Device: the first byte is a command, further ones mean nothing.
func (c *MS5611) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	c.advance(now)
	c.length = 0
	command := data[0]
	if command == ms56Reset {
		c.reset(now)
		return nil
	}
	c.spoiled = c.spoiled || c.command != 0
	switch {
	case command == ms56Read:
		c.answer, c.length = [3]byte{byte(c.result >> 16), byte(c.result >> 8), byte(c.result)}, 3
		c.result = 0
	case command >= ms56PROM && command&1 == 0 && command < ms56PROM+16:
		word := c.prom[(command-ms56PROM)/2]
		c.answer, c.length = [3]byte{byte(word >> 8), byte(word)}, 2
	case ms56Converts(command) && c.command == 0:
		c.command, c.result = command, 0
		step := command & 0x0F / 2
		c.ends = now.Add(c.takes(ms56Longest[step]*time.Microsecond, ms56Usual[step]*time.Microsecond))
	}
	return nil
}

// ms56Converts reports whether a command starts a conversion.
func ms56Converts(command byte) bool {
	kind, step := command&0xF0, command&0x0F
	return (kind == ms56Pressure || kind == ms56Temp) && step&1 == 0 && step <= 8
}

// Read is part of Device.
func (c *MS5611) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	for i := range data {
		data[i] = 0xFF
	}
	copy(data, c.answer[:c.length])
	c.length = 0
	return nil
}

// advance ends the conversion if its time is over.
func (c *MS5611) advance(now time.Time) {
	if c.command == 0 || now.Before(c.ends) {
		return
	}
	raw := c.words(c.ends, c.command&0x0F/2)
	c.result = uint32(raw.Pressure)
	if c.command&0xF0 == ms56Temp {
		c.result = uint32(raw.Temperature)
	}
	if c.spoiled {
		c.result &^= 0xFF
	}
	c.command, c.spoiled = 0, false
	c.conversions++
}

// words returns D1 and D2 for the climate of a moment.
func (c *MS5611) words(at time.Time, step byte) RawWords {
	if c.held != nil {
		return *c.held
	}
	air := c.tuning.feels(at, ms56Noise[step])
	d2 := c.trim.rawTemperature(air.Temperature)
	return RawWords{Pressure: c.trim.rawPressure(air.Pressure, d2, c.half), Temperature: d2}
}

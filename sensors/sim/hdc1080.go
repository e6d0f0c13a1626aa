package sim

// Sheet: TI HDC1080, SNAS672: electrical characteristics 6.5 (conversion times by
// resolution, start 15 ms), measurement and figures 10 to 15 (writing the
// pointer triggers; reads are not acknowledged before the end), registers 8.6.
// HDC1000, HDC1008 and HDC1010, SNAS643, SNAS649 and SNAS685: the same with another
// device identity.
//
// Assumed:
//   - the sheet gives one conversion time, taken as the longest; typical ones are
//     nine tenths of it;
//   - before the first measurement the words read as 0; afterwards they stay;
//   - a pointer to another register during a measurement is not acknowledged;
//   - with both measured by one trigger, a read from pointer 01 gives the humidity;
//   - reserved registers read as 0; the heater warms by 2 °C.

import (
	"encoding/binary"
	"time"
)

const (
	hdcTemperature = 0x00
	hdcHumidity    = 0x01
	hdcConfig      = 0x02
	hdcSerial      = 0xFB // to FD
	hdcMaker       = 0xFE
	hdcDevice      = 0xFF

	hdcResetBit   = 1 << 15
	hdcHeaterBit  = 1 << 13
	hdcBothBit    = 1 << 12
	hdcWritable   = 0xB700 // of the configuration: all but the battery state and reserved bits
	hdcStartup    = 15 * time.Millisecond
	hdcWarms      = 2 // °C
	hdcMakersName = 0x5449
)

// HDC1080 is a simulated HDC1080, HDC1000 or HDC1010. Safe for concurrent use.
type HDC1080 struct {
	commanded
	pointer byte
	config  uint16
	words   [2]uint16 // temperature, humidity
	both    bool      // the last measurement was of both
}

// NewHDC1080 returns an HDC1080 (temperature, humidity) in this world. ChipID
// changes the low byte of its device identity, 1050.
func NewHDC1080(w World, options ...ChipOption) *HDC1080 { return newHDC(w, 0x50, options) }

// NewHDC1010 returns an HDC1010 in this world, which says the same identity, 1000,
// as an HDC1000 and an HDC1008.
func NewHDC1010(w World, options ...ChipOption) *HDC1080 { return newHDC(w, 0x00, options) }

func newHDC(w World, id byte, options []ChipOption) *HDC1080 {
	c := &HDC1080{}
	c.tuning = tune(w, id, options)
	c.PowerUp(time.Time{})
	return c
}

// PowerUp is part of Device.
func (c *HDC1080) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot(now)
}

func (c *HDC1080) boot(now time.Time) {
	c.start(now, hdcStartup)
	c.pointer, c.config, c.words, c.both = 0, hdcBothBit, [2]uint16{}, false
}

// Write is part of Device: a pointer, which may trigger, and a word for the
// configuration.
func (c *HDC1080) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf(now) {
		return ErrNack
	}
	c.pointer = data[0]
	switch {
	case len(data) >= 3 && c.pointer == hdcConfig:
		c.configure(now, binary.BigEndian.Uint16(data[1:]))
	case len(data) == 1 && c.pointer <= hdcHumidity:
		c.measure(now)
	}
	return nil
}

func (c *HDC1080) configure(now time.Time, word uint16) {
	if word&hdcResetBit != 0 {
		c.boot(now)
		return
	}
	c.config = word & hdcWritable
}

// measure begins what the pointer and the configuration ask for.
func (c *HDC1080) measure(now time.Time) {
	c.both = c.config&hdcBothBit != 0
	var takes time.Duration
	if c.both || c.pointer == hdcTemperature {
		takes += c.temperatureTime()
	}
	if c.both || c.pointer == hdcHumidity {
		takes += c.humidityTime()
	}
	at := c.measureFor(now, span{takes, takes * 9 / 10})
	t, h := c.measured(at)
	if c.both || c.pointer == hdcTemperature {
		c.words[0] = t
	}
	if c.both || c.pointer == hdcHumidity {
		c.words[1] = h
	}
}

func (c *HDC1080) temperatureTime() time.Duration {
	if c.config>>10&1 == 1 {
		return 3650 * time.Microsecond // 11 bits
	}
	return 6350 * time.Microsecond // 14 bits
}

func (c *HDC1080) humidityTime() time.Duration {
	switch c.config >> 8 & 3 {
	case 0:
		return 6500 * time.Microsecond // 14 bits
	case 1:
		return 3850 * time.Microsecond // 11 bits
	}
	return 2500 * time.Microsecond // 8 bits
}

// Read is part of Device: words from the pointer on, which stays where it is.
func (c *HDC1080) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf(now) {
		return ErrNack
	}
	word := c.load(c.pointer)
	for i := range data {
		switch i {
		case 0, 1:
			data[i] = byte(word >> (8 - 8*i))
		case 2, 3:
			data[i] = 0xFF
			if c.pointer == hdcTemperature && c.both {
				data[i] = byte(c.words[1] >> (8 - 8*(i-2)))
			}
		default:
			data[i] = 0xFF
		}
	}
	return nil
}

func (c *HDC1080) load(register byte) uint16 {
	switch register {
	case hdcTemperature, hdcHumidity:
		return c.words[register]
	case hdcConfig:
		return c.config
	case hdcSerial, hdcSerial + 1, hdcSerial + 2:
		return [3]uint16{0x0226, 0x4A5C, 0x8E00}[register-hdcSerial]
	case hdcMaker:
		return hdcMakersName
	case hdcDevice:
		return 0x1000 | uint16(c.tuning.id)
	}
	return 0
}

// measured returns the words at the resolutions that are set: the low bits are 0.
func (c *HDC1080) measured(at time.Time) (t, h uint16) {
	if c.held != nil {
		return uint16(c.held.Temperature), uint16(c.held.Humidity)
	}
	air := c.tuning.feels(at, Climate{Temperature: 0.03, Humidity: 0.1})
	if c.config&hdcHeaterBit != 0 {
		air = warmed(air, hdcWarms)
	}
	bitsT, bitsH := 14-3*int(c.config>>10&1), [4]int{14, 11, 8, 8}[c.config>>8&3]
	return rounded(word16(air.Temperature, hdcCelsius), bitsT), rounded(word16(air.Humidity, hdcPercent), bitsH)
}

// rounded keeps the high bits of a word.
func rounded(word uint32, bits int) uint16 {
	step := uint32(1) << (16 - bits)
	return uint16(min((word+step/2)/step*step, full16+1-step))
}

// The formulas of sections 8.6.1 and 8.6.2.
func hdcCelsius(raw int64) float64 { return float64(raw)/65536*165 - 40 }
func hdcPercent(raw int64) float64 { return float64(raw) / 65536 * 100 }

package sim

// Sheet: TI TMP117, SNOS D82: register map (table of section 7.6), configuration
// register 7.6.1.2, conversion cycle table (7.3), power-up and reset times (6.5).
// The sheet was not at hand; this is what is known of it from public drivers
// (Linux tmp117) and its test values.
//
// Where that is silent:
//   - the EEPROM holds the factory's settings and cannot be programmed;
//   - it does not acknowledge for 1.5 ms after its supply rose and for 2 ms after a
//     soft reset;
//   - every write to the configuration begins a new conversion or ends it;
//   - the alert bits are those of alert mode, and reading the configuration clears
//     them;
//   - the noise is 1 step with 1 average, and less by the root of the averages.

import (
	"math"
	"time"
)

const (
	tmp117Temperature = 0x00
	tmp117Config      = 0x01
	tmp117High        = 0x02
	tmp117Low         = 0x03
	tmp117Offset      = 0x07
	tmp117ID          = 0x0F

	tmp117HighAlert = 1 << 15
	tmp117LowAlert  = 1 << 14
	tmp117DataReady = 1 << 13
	tmp117SoftReset = 1 << 1
	tmp117Writable  = 0x0FFC
	tmp117Default   = 0x0220 // continuous, every second, 8 averages
	tmp117Nothing   = 0x8000 // the temperature register before the first conversion

	tmp117Step = 0.0078125 // °C
)

// TMP117 is a simulated TMP117, or TMP116 with ChipID(0x16). Safe for concurrent
// use.
type TMP117 struct {
	repeater[uint16]
	pointer byte
	config  uint16 // without the bits that only show something
	flags   uint16 // those bits
	data    uint16
	high    uint16
	low     uint16
	offset  uint16
}

// NewTMP117 returns a TMP117 (temperature) in this world. ChipID sets the low byte
// of its id.
func NewTMP117(w World, options ...ChipOption) *TMP117 {
	c := &TMP117{}
	c.tuning = tune(w, 0x17, options)
	c.PowerUp(time.Time{})
	return c
}

// PowerUp is part of Device.
func (c *TMP117) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset(now.Add(1500 * time.Microsecond))
}

func (c *TMP117) reset(ready time.Time) {
	c.ready = ready
	c.pointer = tmp117Temperature
	c.config, c.flags = tmp117Default, 0
	c.data, c.high, c.low, c.offset = tmp117Nothing, 0x6000, 0x8000, 0 // 192 and -256 °C
	c.repeated = repeating{}
	c.begin(ready)
}

// mode of bits 11 and 10: 0 and 2 continuous, 1 shutdown, 3 one conversion.
func (c *TMP117) mode() uint16 { return c.config >> 10 & 3 }

func (c *TMP117) averages() int { return [4]int{1, 8, 32, 64}[c.config>>5&3] }

// begin starts converting as the configuration says.
func (c *TMP117) begin(now time.Time) {
	if c.mode() == 1 {
		c.repeated.on = false
		return
	}
	takes := time.Duration(c.averages()) * 15500 * time.Microsecond
	cycles := [8]int{0, 125, 250, 500, 1000, 4000, 8000, 16000} // ms
	every := time.Duration(cycles[c.config>>7&7]) * time.Millisecond
	if least := [4]int{0, 125, 500, 1000}[c.config>>5&3]; every < time.Duration(least)*time.Millisecond {
		every = time.Duration(least) * time.Millisecond
	}
	c.repeated.start(now, c.tuning.scaled(takes), c.tuning.scaled(every), c.mode() == 3)
}

// Write is part of Device: the pointer, then the two bytes of one register.
func (c *TMP117) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	c.advance(now)
	c.pointer = data[0]
	if len(data) < 3 {
		return nil
	}
	word := uint16(data[1])<<8 | uint16(data[2])
	switch c.pointer {
	case tmp117Config:
		if word&tmp117SoftReset != 0 {
			c.reset(now.Add(2 * time.Millisecond))
			return nil
		}
		c.config = word & tmp117Writable
		c.begin(now)
	case tmp117High:
		c.high = word
	case tmp117Low:
		c.low = word
	case tmp117Offset:
		c.offset = word
	}
	return nil
}

// Read is part of Device.
func (c *TMP117) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.ready) {
		return ErrNack
	}
	c.advance(now)
	word := c.load()
	for i := range data {
		data[i] = byte(word >> (8 * (1 - i%2)))
	}
	return nil
}

// load returns the register under the pointer, and clears what reading it clears.
func (c *TMP117) load() uint16 {
	switch c.pointer {
	case tmp117Temperature:
		c.flags &^= tmp117DataReady
		return c.data
	case tmp117Config:
		word := c.config | c.flags
		c.flags = 0
		return word
	case tmp117High:
		return c.high
	case tmp117Low:
		return c.low
	case tmp117Offset:
		return c.offset
	case tmp117ID:
		return 0x0100 | uint16(c.tuning.id)
	}
	return 0
}

// advance takes over the newest conversion that is over.
func (c *TMP117) advance(now time.Time) {
	at, ok := c.repeated.ended(now)
	if !ok {
		return
	}
	if c.mode() == 3 {
		c.config = c.config&^(3<<10) | 1<<10
	}
	air := c.tuning.feels(at, Climate{Temperature: tmp117Step / math.Sqrt(float64(c.averages()))})
	c.data = tmp117Word(air.Temperature + float64(int16(c.offset))*tmp117Step)
	if c.held != nil {
		c.data = *c.held
	}
	c.flags |= tmp117DataReady
	if int16(c.data) > int16(c.high) {
		c.flags |= tmp117HighAlert
	}
	if int16(c.data) < int16(c.low) {
		c.flags |= tmp117LowAlert
	}
}

// tmp117Word returns the temperature register for a temperature; 8000 is never
// measured.
func tmp117Word(celsius float64) uint16 {
	return uint16(nearest(-1<<15+1, 1<<15-1, celsius, func(code int64) float64 { return float64(code) * tmp117Step }))
}

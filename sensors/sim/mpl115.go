package sim

// Sheet: NXP MPL115A2 revision 10: register map table 2, conversion time table 1,
// calculation section 3.1 to 3.4. Application note AN3785 is the same with a second
// example.
//
// Where the sheet is silent or soft:
//   - the converters' words read as 00 before the first conversion;
//   - while a conversion runs the words of before read, and another start is ignored;
//   - the temperature converter gives 472 at 25 °C and 5.35 less for each degree.

import (
	"math"
	"time"
)

const (
	mpl1Coef  = 0x04 // 8 bytes
	mpl1Start = 0x12

	mpl1Power = 5 * time.Millisecond
	mpl1Takes = 3 * time.Millisecond
	mpl1Usual = 1600 * time.Microsecond
)

// TrimMPL115 holds the four coefficients as they lie in the chip.
type TrimMPL115 struct{ A0, B1, B2, C12 int16 }

// SheetTrimMPL115 is the worked example of the application note.
func SheetTrimMPL115() TrimMPL115 {
	word := func(u uint16) int16 { return int16(u) }
	return TrimMPL115{A0: word(0x3ECE), B1: word(0xB3F9), B2: word(0xC517), C12: word(0x33C8)}
}

// pascal is the sheet's calculation: kPa from the counts of both converters.
func (c *TrimMPL115) pascal(p, t int64) float64 {
	a0, b1, b2 := float64(c.A0)/8, float64(c.B1)/8192, float64(c.B2)/16384
	c12 := float64(c.C12>>2) / (1 << 22) // 14 bits, behind nine zeros
	compensated := a0 + (b1+c12*float64(t))*float64(p) + b2*float64(t)
	return (compensated*65/1023 + 50) * 1000
}

// MPL115A2 is a simulated MPL115A2, which has no id. Safe for concurrent use.
type MPL115A2 struct {
	registerFile[RawWords]
	trim    TrimMPL115
	image   [8]byte
	data    RawWords // 10 bits each
	running bool
	ends    time.Time
}

// NewMPL115A2 returns an MPL115A2 (pressure, coarse temperature) in this world, at
// 0x60.
func NewMPL115A2(w World, options ...ChipOption) *MPL115A2 {
	c := &MPL115A2{}
	c.runsOn = true
	c.SetTrim(SheetTrimMPL115())
	c.begin(c, w, 0, options)
	return c
}

// SetTrim changes the coefficients, as when another chip was soldered in.
func (c *MPL115A2) SetTrim(trim TrimMPL115) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim = trim
	for i, w := range [4]int16{trim.A0, trim.B1, trim.B2, trim.C12} {
		c.image[2*i], c.image[2*i+1] = byte(w>>8), byte(w)
	}
}

func (c *MPL115A2) reset(now time.Time) {
	c.ready = now.Add(mpl1Power)
	c.data, c.running = RawWords{}, false
}

func (c *MPL115A2) store(now time.Time, register, _ byte) {
	if register == mpl1Start && !c.running {
		c.running, c.ends = true, now.Add(c.takes(mpl1Takes, mpl1Usual))
	}
}

// load returns what a register reads as: counts stand in the upper ten bits.
func (c *MPL115A2) load(_ time.Time, register byte) byte {
	switch {
	case register < 2:
		return byte(c.data.Pressure << 6 >> (8 - 8*register))
	case register < 4:
		return byte(c.data.Temperature << 6 >> (8 - 8*(register-2)))
	case register < mpl1Coef+8:
		return c.image[register-mpl1Coef]
	}
	return 0
}

func (c *MPL115A2) advance(now time.Time) {
	if !c.running || now.Before(c.ends) {
		return
	}
	c.running = false
	c.conversions++
	c.data = c.words(c.ends)
}

// words returns the counts for the climate of a moment.
func (c *MPL115A2) words(at time.Time) RawWords {
	if c.held != nil {
		return *c.held
	}
	air := c.tuning.feels(at, Climate{Pressure: 75, Temperature: 0.1}) // 0.15 kPa at one conversion, peak to peak about twice
	t := int64(min(max(math.Round(472-5.35*(air.Temperature-25)), 0), 1023))
	return RawWords{Temperature: t, Pressure: nearest(0, 1023, air.Pressure, func(p int64) float64 { return c.trim.pascal(p, t) })}
}

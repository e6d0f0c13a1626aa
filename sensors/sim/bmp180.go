package sim

// Sheet: Bosch BMP180, BST-BMP180-DS000-09 revision 2.5: start-up time table 1 (page
// 6), conversion time and noise table 3 (page 12), control words table 8 (page 21),
// memory map and the sco bit section 4.3 (page 18), I2C sections 5.2 and 5.3 (pages
// 20-22).
//
// BMP085, BST-BMP085-DS000-06 revision 1.3: pages 12, 18 and 19; the same but for the
// soft reset and the sco bit, in whose place it has a pin (EOC).
//
// Where the sheets are silent:
//   - a control word written during a conversion is ignored;
//   - a word without the sco bit, or with another measurement code, only reads back;
//   - the soft reset takes as long as a start;
//   - unused registers read as 00, and so does the control register of a BMP085;
//   - temperature has a noise of 0.01 °C.

import "time"

const (
	b180Trim  = 0xAA
	b180ID    = 0xD0
	b180Reset = 0xE0
	b180Ctrl  = 0xF4
	b180Data  = 0xF6 // 3 bytes

	b180ResetWord   = 0xB6
	b180Sco         = 1 << 5 // a conversion is running
	b180Temperature = 0x0E   // measurement code, low five bits of the control register
	b180Pressure    = 0x14

	b180Startup = 10 * time.Millisecond
)

// Conversion times in ms: temperature as pressure with one sample.
var (
	b180Longest = [4]float64{4.5, 7.5, 13.5, 25.5}
	b180Typical = [4]float64{3, 5, 9, 17}
	b180Noise   = [4]float64{6, 5, 4, 3} // Pa
)

// RawBMP180 holds uncompensated words: UT with 16 bits, UP with 16 to 19.
type RawBMP180 struct{ Temperature, Pressure uint32 }

// BMP180 is a simulated BMP180 or BMP085. Safe for concurrent use.
type BMP180 struct {
	registerFile[RawBMP180]
	old bool // it is a BMP085

	// Guarded by mu.
	trim  TrimBMP180
	image [22]byte

	ctrl byte
	data uint32    // F6 to F8
	ends time.Time // of the conversion, if sco is set
}

// NewBMP180 returns a BMP180 (pressure, temperature) in this world.
func NewBMP180(w World, options ...ChipOption) *BMP180 {
	c := &BMP180{}
	c.SetTrim(SheetTrimBMP180())
	c.begin(c, w, 0x55, options)
	return c
}

// NewBMP085 returns a BMP085, the one before: nothing but time tells that a
// conversion is over.
func NewBMP085(w World, options ...ChipOption) *BMP180 {
	c := NewBMP180(w, options...)
	c.old = true
	return c
}

// SetTrim changes the calibration words, as when another chip was soldered in.
func (c *BMP180) SetTrim(trim TrimBMP180) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim, c.image = trim, trim.layout()
}

func (c *BMP180) reset(now time.Time) {
	c.ready = now.Add(b180Startup)
	c.ctrl = 0
	c.data = 0x800000
}

func (c *BMP180) store(now time.Time, register, value byte) {
	switch {
	case register == b180Reset && value == b180ResetWord && !c.old:
		c.reset(now)
	case register == b180Ctrl && c.ctrl&b180Sco == 0:
		c.start(now, value)
	}
}

// start begins a conversion if the word asks for one.
func (c *BMP180) start(now time.Time, word byte) {
	code := word & 0x1F
	if word&b180Sco == 0 || code != b180Temperature && code != b180Pressure {
		c.ctrl = word &^ b180Sco
		return
	}
	times, oss := &b180Longest, byte(0)
	if c.tuning.typical {
		times = &b180Typical
	}
	if code == b180Pressure {
		oss = word >> 6
	}
	c.ctrl = word
	c.ends = now.Add(c.tuning.scaled(time.Duration(times[oss] * float64(time.Millisecond))))
}

func (c *BMP180) load(_ time.Time, register byte) byte {
	switch {
	case register >= b180Trim && register < b180Trim+byte(len(c.image)):
		return c.image[register-b180Trim]
	case register >= b180Data && register < b180Data+3:
		return byte(c.data >> (16 - 8*(register-b180Data)))
	case register == b180ID:
		return c.tuning.id
	case register == b180Ctrl && !c.old:
		return c.ctrl
	}
	return 0
}

// advance ends the conversion if its time is over.
func (c *BMP180) advance(now time.Time) {
	if c.ctrl&b180Sco == 0 || now.Before(c.ends) {
		return
	}
	oss := uint(c.ctrl >> 6)
	raw := c.convert(c.ends, oss)
	if c.held != nil {
		raw = *c.held
	}
	if c.ctrl&0x1F == b180Temperature {
		c.data = raw.Temperature << 8
	} else {
		c.data = raw.Pressure << (8 - oss)
	}
	c.ctrl &^= b180Sco
	c.conversions++
}

// convert returns the words for the climate of a moment.
func (c *BMP180) convert(at time.Time, oss uint) RawBMP180 {
	air := c.tuning.feels(at, Climate{Temperature: 0.01, Pressure: b180Noise[oss]})
	ut := c.trim.rawTemperature(air.Temperature)
	b5, _ := c.trim.b5(ut)
	return RawBMP180{
		Temperature: uint32(ut),
		Pressure:    uint32(c.trim.rawPressure(air.Pressure, b5, oss)),
	}
}

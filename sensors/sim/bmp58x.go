package sim

// Sheets: Bosch BMP581, BST-BMP581-DS004 revision 1.2: power modes section 4.3 (page
// 17), oversampling and noise table 9 (page 19), filter 4.4.4, data registers 4.5
// (page 22: T = word/65536 °C, P = word/64 Pa), registers chapter 7 (page 66: the
// command register, which does not acknowledge a soft reset over I2C). Bosch BMP585,
// BST-BMP585-DS003: the same registers. The register map, bits and power-up values
// were taken from Bosch's published header and public transcriptions of chapter 7.
//
// Assumed where they are silent or soft:
//   - it answers 2 ms after a rise of the supply or a soft reset, and says 800 µs
//     later that its NVM is ready; nothing is measured before that;
//   - data registers that were never measured, and those of a channel that is off,
//     read 7F 7F 7F, which users see as 127 °C;
//   - the first measurement after a rise of the supply or a reset leaves them so,
//     although it says that data are ready;
//   - conversions take the times that follow from the output rates of table 9, up to
//     a tenth longer, and one millisecond to wake up from standby;
//   - data ready shows in the interrupt status only where the interrupt source has
//     been switched on; reading the status clears it;
//   - a request for another mode during a conversion is taken over when it ends; a
//     request for another forced measurement is ignored;
//   - the filter and data path settings can be written in standby only;
//   - values that follow in a write go to the registers that follow.
//
// Not simulated: FIFO, out-of-range window, NVM programming, the interrupt pin, what
// deep standby changes (it is as standby).

import (
	"math"
	"time"
)

// The register map.
const (
	bmp58xID        = 0x01
	bmp58xRev       = 0x02
	bmp58xIntSource = 0x15
	bmp58xData      = 0x1D // temperature 3 bytes, pressure 3, low byte first
	bmp58xIntStatus = 0x27
	bmp58xStatus    = 0x28
	bmp58xDSP       = 0x30
	bmp58xIIR       = 0x31
	bmp58xOSR       = 0x36
	bmp58xODR       = 0x37
	bmp58xEffective = 0x38
	bmp58xCommand   = 0x7E

	bmp58xResetWord = 0xB6
	bmp58xDataReady = 1 << 0 // of interrupt source and status
	bmp58xPowerUp   = 1 << 4 // of the interrupt status
)

const (
	bmp58xStartup = 2 * time.Millisecond
	bmp58xLoading = 800 * time.Microsecond
	bmp58xWake    = time.Millisecond

	bmp58xNever = 0x7F7F7F
)

// Conversion times in tenths of a millisecond by oversampling code, typical.
var (
	bmp58xTimeT = [8]int{10, 11, 15, 21, 33, 58, 108, 208}
	bmp58xTimeP = [8]int{10, 17, 29, 54, 104, 204, 404, 804}
	bmp58xNoise = [8]float64{0.78, 0.58, 0.41, 0.30, 0.21, 0.15, 0.11, 0.08} // Pa, table 9
)

// RawBMP58x is the content of the data registers, 24 bits each; the temperature is
// signed.
type RawBMP58x struct{ Temperature, Pressure uint32 }

// BMP58x is a simulated BMP581 or BMP585. Safe for concurrent use.
type BMP58x struct {
	registerFile[RawBMP58x]

	// Guarded by mu.
	loaded             time.Time // when its NVM is ready
	source, status     byte      // of interrupts
	dsp, iir, osr, odr byte
	raw                RawBMP58x
	filter             [2]filter // temperature, pressure
	running            bool      // a conversion is going on
	ends               time.Time // when it is done
	next               time.Time // when the next one starts
	waiting            int       // output data rate register written during a conversion, -1: none
	sinceUp            int       // conversions since the supply rose
}

// NewBMP581 returns a BMP581 (pressure, temperature) in this world.
func NewBMP581(w World, options ...ChipOption) *BMP58x { return newBMP58x(w, 0x50, options) }

// NewBMP585 returns a BMP585 (pressure, temperature) in this world.
func NewBMP585(w World, options ...ChipOption) *BMP58x { return newBMP58x(w, 0x51, options) }

func newBMP58x(w World, id byte, options []ChipOption) *BMP58x {
	c := &BMP58x{}
	c.runsOn, c.deaf, c.shown = true, true, &c.raw // a soft reset is not acknowledged: page 66
	c.begin(c, w, id, options)
	return c
}

// reset loads the power-up values.
func (c *BMP58x) reset(now time.Time) {
	c.ready = now.Add(bmp58xStartup)
	c.loaded = c.ready.Add(bmp58xLoading)
	c.source, c.status = 0, bmp58xPowerUp
	c.dsp, c.iir, c.osr, c.odr = 0x23, 0, 0, 0x70
	c.raw = RawBMP58x{Temperature: bmp58xNever, Pressure: bmp58xNever}
	c.filter = [2]filter{}
	c.running, c.waiting, c.sinceUp = false, -1, 0
	if c.held != nil {
		c.raw = *c.held
	}
}

// store executes a write to one register; all others are read-only or kept
// nowhere.
func (c *BMP58x) store(now time.Time, register, value byte) {
	standby := bmp58xMode(c.odr) == sleepMode && !c.running
	switch {
	case register == bmp58xCommand && value == bmp58xResetWord:
		c.reset(now)
	case register == bmp58xIntSource:
		c.source = value & 0x0F
	case register == bmp58xDSP && standby:
		c.dsp = value
		c.filter = [2]filter{}
	case register == bmp58xIIR && standby:
		c.iir = value & 0x3F
		c.filter = [2]filter{}
	case register == bmp58xOSR && !c.running:
		c.osr = value & 0x7F
	case register == bmp58xODR:
		c.control(now, value)
	}
}

// The power modes besides those of the older chips; standby is sleep.
const continuousMode powerMode = 4

func bmp58xMode(odr byte) powerMode {
	return [4]powerMode{sleepMode, normalMode, forcedMode, continuousMode}[odr&3]
}

// control takes a write to the output data rate register, which holds the mode.
func (c *BMP58x) control(now time.Time, value byte) {
	if c.running {
		if bmp58xMode(value) != forcedMode {
			c.waiting = int(value)
		}
		return
	}
	c.odr = value
	if bmp58xMode(value) != sleepMode && !now.Before(c.loaded) {
		if bmp58xMode(value) == forcedMode && c.dsp&(1<<2) != 0 { // iir_flush_forced_en
			c.filter = [2]filter{}
		}
		c.start(now.Add(c.tuning.scaled(bmp58xWake)))
	}
}

func (c *BMP58x) start(at time.Time) {
	c.running = true
	c.ends = at.Add(c.conversionTime())
	c.next = c.ends
	if bmp58xMode(c.odr) == normalMode {
		c.next = at.Add(max(c.period(), c.conversionTime()))
	}
}

// codes returns the oversampling codes; of pressure -1 if it is off.
func (c *BMP58x) codes() (t, p int) {
	if c.osr&(1<<6) == 0 {
		return int(c.osr & 7), -1
	}
	return int(c.osr & 7), int(c.osr >> 3 & 7)
}

func (c *BMP58x) conversionTime() time.Duration {
	t, p := c.codes()
	tenths := bmp58xTimeT[t]
	if p >= 0 {
		tenths += bmp58xTimeP[p]
	}
	d := time.Duration(tenths) * 100 * time.Microsecond
	if !c.tuning.typical {
		d += d / 10
	}
	return c.tuning.scaled(d)
}

// period is that of the output data rate in normal mode, in its coarse steps below
// 10 Hz and in the sheet's list above.
func (c *BMP58x) period() time.Duration {
	hertz := [32]float64{
		240, 218.5, 199.1, 179.2, 160, 149.3, 140, 129.8, 120, 110.1, 100.2, 89.6, 80, 70, 60, 50,
		45, 40, 35, 30, 25, 20, 15, 10, 5, 4, 3, 2, 1, 0.5, 0.25, 0.125,
	}[c.odr>>2&0x1F]
	return time.Duration(float64(time.Second) / hertz)
}

// advance works out what has happened up to now.
func (c *BMP58x) advance(now time.Time) {
	for {
		if !c.running {
			if mode := bmp58xMode(c.odr); mode != normalMode && mode != continuousMode || now.Before(c.next) {
				return
			}
			each := c.conversionTime()
			if bmp58xMode(c.odr) == normalMode {
				each = max(c.period(), each)
			}
			if n := now.Sub(c.next)/each - remembered; n > 0 { // nobody will see a trace of these
				c.next = c.next.Add(n * each)
				c.conversions += int(n)
				c.sinceUp += int(n)
			}
			c.start(c.next)
		}
		if now.Before(c.ends) {
			return
		}
		c.finish()
	}
}

// finish ends the running conversion.
func (c *BMP58x) finish() {
	c.running = false
	c.conversions++
	c.sinceUp++
	c.sample(c.ends)
	if bmp58xMode(c.odr) == forcedMode {
		c.odr &^= 3
	}
	if c.waiting >= 0 {
		value := byte(c.waiting)
		c.waiting = -1
		c.control(c.ends, value)
	}
}

// sample puts the climate of a moment into the data registers.
func (c *BMP58x) sample(at time.Time) {
	c.status |= c.source & bmp58xDataReady
	if c.held != nil || c.sinceUp == 1 {
		return
	}
	_, p := c.codes()
	air := c.tuning.feels(at, Climate{Temperature: 0.002, Pressure: bmp58xNoise[max(p, 0)]})
	t := int64(math.Round(min(max(air.Temperature*65536, -1<<23), 1<<23-1)))
	c.raw.Temperature = uint32(c.filtered(0, t, c.iir&7, 3)) & full24
	c.raw.Pressure = bmp58xNever
	if p >= 0 {
		pascal := int64(math.Round(min(max(air.Pressure*64, 0), full24)))
		c.raw.Pressure = uint32(c.filtered(1, pascal, c.iir>>3, 5))
	}
}

// filtered passes a word through its filter where the data path is set so.
func (c *BMP58x) filtered(channel int, value int64, code byte, selected uint) int64 {
	if code == 0 || c.dsp>>selected&1 == 0 {
		return value
	}
	return c.filter[channel].step(value, 1<<code)
}

// load returns what a register reads as.
func (c *BMP58x) load(now time.Time, register byte) byte {
	switch {
	case register >= bmp58xData && register < bmp58xData+3:
		return byte(c.raw.Temperature >> (8 * (register - bmp58xData)))
	case register >= bmp58xData+3 && register < bmp58xData+6:
		return byte(c.raw.Pressure >> (8 * (register - bmp58xData - 3)))
	}
	switch register {
	case bmp58xID:
		return c.tuning.id
	case bmp58xRev:
		return 0x32
	case bmp58xIntSource:
		return c.source
	case bmp58xIntStatus:
		return taken(&c.status)
	case bmp58xStatus:
		if now.Before(c.loaded) {
			return 0x01 // the core is ready
		}
		return 0x03 // and the NVM
	case bmp58xDSP:
		return c.dsp
	case bmp58xIIR:
		return c.iir
	case bmp58xOSR:
		return c.osr
	case bmp58xODR:
		return c.odr
	case bmp58xEffective:
		return 1<<7 | c.osr&0x3F
	}
	return 0
}

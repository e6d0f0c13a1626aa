package sim

// Sheets: Infineon DPS310 revision 1.2: register map (chapter 7), start-up in the
// table of timing characteristics, measurement times and scale factors in the
// tables of the section on calculating the compensated values, calibration
// coefficients in section 8.11, coefficient source in 8.12. Goertek SPL06-001: the
// same registers and formula. The remedy for parts that read about 60 °C at room
// temperature stands in no sheet; Infineon's and the kernel's drivers have it.
//
// Where the sheets are silent or soft:
//   - the result shift divides by 64: what the scale factors of more than 8 samples
//     amount to; without it such a result loses the bits above its 24;
//   - a temperature takes as long as a pressure with as many samples;
//   - changing from one measurement to another without going idle first is ignored,
//     and so is any write to MEAS_CFG while a single measurement runs, but for 0,
//     which ends it without a result;
//   - the wrong temperature sensor reads 9 °C more;
//   - a temperature far too high is 38 °C too high, until the remedy and one
//     temperature measurement after it; it lasts until the next reset;
//   - the data registers hold 800000 until the first measurement;
//   - FIFO and interrupts do nothing; unused registers read as 00.

import "time"

const (
	dpsData     = 0x00 // pressure 3 bytes, temperature 3, high byte first
	dpsPrsCfg   = 0x06
	dpsTmpCfg   = 0x07
	dpsMeasCfg  = 0x08
	dpsCfg      = 0x09
	dpsReset    = 0x0C
	dpsID       = 0x0D
	dpsCoef     = 0x10 // 18 bytes
	dpsCoefSrce = 0x28
	dpsTrimmed  = 0x32 // bit 1: a part that needs no remedy

	dpsCoefReady   = 1 << 7 // MEAS_CFG
	dpsSensorReady = 1 << 6
	dpsTmpReady    = 1 << 5
	dpsPrsReady    = 1 << 4
	dpsTmpShift    = 1 << 3 // CFG_REG
	dpsPrsShift    = 1 << 2
	dpsSource      = 1 << 7 // TMP_CFG and COEF_SRCE

	dpsAnswers    = 2500 * time.Microsecond // time to first communication
	dpsSensorTime = 12 * time.Millisecond
	dpsCoefTime   = 40 * time.Millisecond
)

// By samples 1, 2, 4 ... 128.
var (
	dpsScale = [8]int64{524288, 1572864, 3670016, 7864320, 253952, 516096, 1040384, 2088960}
	dpsTimes = [8]float64{3.6, 5.2, 8.4, 14.8, 27.6, 53.2, 104.4, 206.8} // ms
	dpsNoise = [8]float64{2.5, 1, 0.5, 0.4, 0.35, 0.3, 0.2, 0.2}         // Pa
)

// dpsRemedy are the writes that heal a part that reads far too hot.
var dpsRemedy = [5][2]byte{{0x0E, 0xA5}, {0x0F, 0x96}, {0x62, 0x02}, {0x0E, 0x00}, {0x0F, 0x00}}

// DPS310 is a simulated DPS310 or SPL06-001. Safe for concurrent use.
type DPS310 struct {
	registerFile[RawWords]
	trim   TrimDPS310
	coef   [18]byte
	source byte // COEF_SRCE
	hot    bool // it needs the remedy

	started           time.Time
	prsCfg, tmpCfg    byte
	cfg, mode         byte
	flags             byte // TMP_RDY, PRS_RDY
	pressure          int64
	temperature       int64
	ends              time.Time // of the running measurement or cycle, if mode is not 0
	cured             int       // how many writes of the remedy were made
	healed, measuredT bool      // all of them; and a temperature was measured since
}

// NewDPS310 returns a DPS310 (pressure, temperature) in this world, at 0x76 or 0x77.
func NewDPS310(w World, options ...ChipOption) *DPS310 {
	c := &DPS310{source: dpsSource}
	c.runsOn = true
	c.SetTrim(PublishedTrimDPS310())
	c.begin(c, w, 0x10, options)
	return c
}

// NewSPL06 returns an SPL06-001, to software a DPS310.
func NewSPL06(w World, options ...ChipOption) *DPS310 { return NewDPS310(w, options...) }

// SetTrim changes the coefficients, as when another chip was soldered in.
func (c *DPS310) SetTrim(trim TrimDPS310) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim, c.coef = trim, trim.layout()
}

// SetSource says whether the coefficients are for the temperature sensor in the
// pressure element, as they usually are, or for the one in the circuit.
func (c *DPS310) SetSource(element bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.source = 0
	if element {
		c.source = dpsSource
	}
}

// ReadHot makes it one of the parts that read about 60 °C at room temperature until
// they are told otherwise after each reset.
func (c *DPS310) ReadHot(hot bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hot = hot
}

func (c *DPS310) reset(now time.Time) {
	c.started, c.ready = now, now.Add(dpsAnswers)
	c.pointer, c.prsCfg, c.tmpCfg, c.cfg, c.mode, c.flags = 0, 0, 0, 0, 0, 0
	c.pressure, c.temperature = 0x800000, 0x800000
	c.cured, c.healed, c.measuredT = 0, false, false
}

func (c *DPS310) store(now time.Time, register, value byte) {
	c.treat(register, value)
	switch register {
	case dpsPrsCfg:
		c.prsCfg = value & 0x7F
	case dpsTmpCfg:
		c.tmpCfg = value
	case dpsMeasCfg:
		c.measure(now, value&7)
	case dpsCfg:
		c.cfg = value
	case dpsReset:
		if value&0x0F == 0x09 {
			c.reset(now)
		}
	}
}

// treat follows the remedy, whose writes come one after the other.
func (c *DPS310) treat(register, value byte) {
	if c.cured < len(dpsRemedy) && [2]byte{register, value} == dpsRemedy[c.cured] {
		c.cured++
		c.healed = c.cured == len(dpsRemedy)
	} else if c.cured < len(dpsRemedy) {
		c.cured = 0
		if [2]byte{register, value} == dpsRemedy[0] {
			c.cured = 1
		}
	}
}

// measure takes MEAS_CTRL over: 0 idle, 1 pressure, 2 temperature, 5 to 7 again and
// again.
func (c *DPS310) measure(now time.Time, mode byte) {
	switch {
	case mode == 0:
		c.mode = 0
		return
	case c.mode != 0, mode == 3, mode == 4, now.Before(c.started.Add(dpsSensorTime)):
		return
	}
	c.mode = mode
	c.ends = now.Add(c.measuringTime())
}

// measuringTime is that of one measurement, or of one round of several.
func (c *DPS310) measuringTime() time.Duration {
	ms := 0.0
	if c.mode&1 != 0 {
		ms += dpsTimes[c.prsCfg&7]
	}
	if c.mode&2 != 0 {
		ms += dpsTimes[c.tmpCfg&7]
	}
	return c.tuning.scaled(time.Duration(ms * float64(time.Millisecond)))
}

func (c *DPS310) load(now time.Time, register byte) byte {
	switch {
	case register < dpsData+3:
		if register == dpsData+2 {
			c.flags &^= dpsPrsReady
		}
		return byte(c.pressure >> (16 - 8*register))
	case register < dpsData+6:
		if register == dpsData+5 {
			c.flags &^= dpsTmpReady
		}
		return byte(c.temperature >> (16 - 8*(register-3)))
	case register >= dpsCoef && register < dpsCoef+18:
		if now.Before(c.started.Add(dpsCoefTime)) {
			return 0
		}
		return c.coef[register-dpsCoef]
	}
	switch register {
	case dpsPrsCfg:
		return c.prsCfg
	case dpsTmpCfg:
		return c.tmpCfg
	case dpsMeasCfg:
		return c.readiness(now) | c.flags | c.mode
	case dpsCfg:
		return c.cfg
	case dpsID:
		return c.tuning.id
	case dpsCoefSrce:
		return c.source
	case dpsTrimmed:
		if !c.hot {
			return 1 << 1
		}
	}
	return 0
}

func (c *DPS310) readiness(now time.Time) (bits byte) {
	if !now.Before(c.started.Add(dpsSensorTime)) {
		bits |= dpsSensorReady
	}
	if !now.Before(c.started.Add(dpsCoefTime)) {
		bits |= dpsCoefReady
	}
	return bits
}

// advance ends the running measurement if its time is over. Of many rounds only the
// last leaves a trace.
func (c *DPS310) advance(now time.Time) {
	if c.mode == 0 || now.Before(c.ends) {
		return
	}
	if c.mode < 4 {
		c.finish(c.ends)
		c.mode = 0
		return
	}
	rate := byte(0)
	if c.mode&1 != 0 {
		rate = c.prsCfg >> 4 & 7
	}
	if c.mode&2 != 0 {
		rate = max(rate, c.tmpCfg>>4&7)
	}
	round := max(time.Second>>rate, c.measuringTime())
	missed := now.Sub(c.ends) / round
	c.conversions += int(missed)
	c.ends = c.ends.Add(missed * round)
	c.finish(c.ends)
	c.ends = c.ends.Add(round)
}

// finish puts the climate of a moment into the data registers that are measured.
func (c *DPS310) finish(at time.Time) {
	c.conversions++
	raw := c.words(at)
	if c.mode&2 != 0 {
		c.temperature = raw.Temperature
		c.flags |= dpsTmpReady
		c.measuredT = c.healed
	}
	if c.mode&1 != 0 {
		c.pressure = raw.Pressure
		c.flags |= dpsPrsReady
	}
}

// words returns the words for the climate of a moment. The compensation of pressure
// uses the temperature of the element, whatever the registers show.
func (c *DPS310) words(at time.Time) RawWords {
	if c.held != nil {
		return *c.held
	}
	p, t := c.prsCfg&7, c.tmpCfg&7
	air := c.tuning.feels(at, Climate{Pressure: dpsNoise[p], Temperature: 0.01})
	shown := air.Temperature
	if c.hot && !c.measuredT {
		shown += 38
	}
	if (c.tmpCfg^c.source)&dpsSource != 0 {
		shown += 9
	}
	raw := RawWords{Temperature: c.trim.rawTemperature(shown, dpsScale[t])}
	raw.Pressure = c.trim.rawPressure(air.Pressure, c.trim.scaled(air.Temperature), dpsScale[p])
	raw.Temperature = dpsShifted(raw.Temperature, t, c.cfg&dpsTmpShift != 0)
	raw.Pressure = dpsShifted(raw.Pressure, p, c.cfg&dpsPrsShift != 0)
	return raw
}

// dpsShifted is a word as it reads with or without the result shift.
func dpsShifted(word int64, samples byte, shift bool) int64 {
	switch {
	case samples > 3 && !shift:
		return wrapped(word<<6, 24)
	case samples <= 3 && shift:
		return word >> 6
	}
	return word
}

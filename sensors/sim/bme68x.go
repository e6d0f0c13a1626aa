package sim

// Sheets: Bosch BME680, BST-BME680-DS001-00 revision 1.0: modes section 3.1 (page
// 14), heater 3.3.5 and readout 3.4 (page 19), status registers 5.3.5 (pages 33-34),
// memory map chapter 5.2. Bosch BME688, BST-BME688-DS000, the same chapters: the gas
// result lies two bytes further on and its switch is another bit. Register addresses,
// bits and conversion times were taken from Bosch's published header and code as
// well.
//
// Assumed where they are silent or soft:
//   - it answers 2 ms after a rise of the supply or a soft reset; the calibration can
//     be read from then on;
//   - the new-data flag falls when the next conversion starts;
//   - ctrl_meas written during a conversion is taken over when it ends, further writes
//     to control registers are ignored until then (page 14 says so of the mode);
//   - a measurement without gas has the dummy slot of page 34, which takes the time of
//     the gas conversion without the heating;
//   - the heater reaches its target if it is on, its set value is not 0 and it heats
//     for at least 20 ms (page 19: "20-30 ms are necessary"); where it does not, the
//     gas result is there, with heat_stab_r 0 and half the resistance;
//   - a finished conversion never yields the code of a skipped channel.
//
// Not simulated: self-heating, the parallel and sequential modes and fields 1 and 2
// of the BME688, SPI.

import "time"

// The register map.
const (
	bme68xHeat     = 0x00 // 5 bytes of calibration
	bme68xField    = 0x1D // 17 bytes
	bme68xResHeat  = 0x5A // 10 set values of the heater
	bme68xGasWait  = 0x64 // 10 heating times
	bme68xCtrlGas0 = 0x70
	bme68xCtrlGas1 = 0x71
	bme68xCtrlHum  = 0x72
	bme68xCtrlMeas = 0x74
	bme68xConfig   = 0x75
	bme68xTrimLow  = 0x8A
	bme68xID       = 0xD0
	bme68xReset    = 0xE0
	bme68xTrimHigh = 0xE1
	bme68xVariant  = 0xF0

	bme68xNewData   = 1 << 7 // of the first byte of the field
	bme68xGasBusy   = 1 << 6
	bme68xBusy      = 1 << 5
	bme68xHeaterOff = 1 << 3 // of ctrl_gas_0
	bme68xGasValid  = 1 << 5 // of the gas result
	bme68xHeatGood  = 1 << 4

	bme68xStartup = 2 * time.Millisecond
)

// RawBME68x is the content of the data registers: 20, 20, 16 and 10 bits, and the
// range of the gas converter.
type RawBME68x struct{ Pressure, Temperature, Humidity, Gas, Range uint32 }

// BME68x is a simulated BME680 or BME688. Safe for concurrent use.
type BME68x struct {
	registerFile[RawBME68x]
	variant byte // 0 BME680, 1 BME688

	// Guarded by mu.
	trim TrimBME68x
	low  [23]byte // the image of trim
	high [14]byte
	heat [5]byte

	control  [0x76 - 0x50]byte // the control registers 50 to 75
	raw      RawBME68x
	gasFlags byte      // of the gas result
	fresh    bool      // new_data
	index    byte      // of the heater profile in use
	filter   [2]filter // pressure, temperature

	running bool // a conversion is going on
	gasFrom time.Time
	ends    time.Time
	waiting int // ctrl_meas written during a conversion, -1: none
	heater  Heating
}

// Heating is what the gas sensor's heater did in the last measurement.
type Heating struct {
	Celsius float64       // what it was set to; 0: it was off
	For     time.Duration // how long it heated
}

// NewBME680 returns a BME680 (pressure, temperature, humidity, gas) in this world.
func NewBME680(w World, options ...ChipOption) *BME68x { return newBME68x(w, 0, options) }

// NewBME688 returns a BME688 (pressure, temperature, humidity, gas) in this world.
func NewBME688(w World, options ...ChipOption) *BME68x { return newBME68x(w, 1, options) }

func newBME68x(w World, variant byte, options []ChipOption) *BME68x {
	c := &BME68x{variant: variant}
	c.shown = &c.raw
	c.SetTrim(TypicalTrimBME68x())
	c.begin(c, w, 0x61, options)
	return c
}

// SetTrim changes the calibration words, as when another chip was soldered in.
func (c *BME68x) SetTrim(trim TrimBME68x) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim = trim
	c.low, c.high, c.heat = trim.layout()
}

// Heater returns what the heater did in the last measurement.
func (c *BME68x) Heater() Heating {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heater
}

// reset loads the power-up values of the memory map.
func (c *BME68x) reset(now time.Time) {
	c.ready = now.Add(bme68xStartup)
	c.control = [len(c.control)]byte{}
	c.raw = RawBME68x{Pressure: skipped20, Temperature: skipped20, Humidity: skipped16}
	c.gasFlags, c.fresh, c.index = 0, false, 0
	c.filter = [2]filter{}
	c.running, c.waiting = false, -1
	if c.held != nil {
		c.raw = *c.held
	}
}

// at returns a control register.
func (c *BME68x) at(register byte) *byte { return &c.control[register-0x50] }

// store executes a write to one register; all others are read-only.
func (c *BME68x) store(now time.Time, register, value byte) {
	switch {
	case register == bme68xReset:
		if value == bmxResetWord {
			c.reset(now)
		}
	case register < 0x50 || register > bme68xConfig || register == 0x73:
	case register == bme68xCtrlMeas && c.running:
		if c.waiting < 0 {
			c.waiting = int(value)
		}
	case c.running: // page 33: not to be changed while it measures
	case register == bme68xCtrlMeas:
		c.measure(now, value)
	case register == bme68xConfig:
		*c.at(register) = value & 0x1D
		c.filter = [2]filter{}
	default:
		*c.at(register) = value & bme68xUsed(register)
	}
}

// bme68xUsed returns the bits of a control register that are kept.
func bme68xUsed(register byte) byte {
	switch register {
	case bme68xCtrlGas0:
		return bme68xHeaterOff
	case bme68xCtrlGas1:
		return 0x3F
	case bme68xCtrlHum:
		return 0x47
	}
	return 0xFF
}

// load returns what a register reads as.
func (c *BME68x) load(now time.Time, register byte) byte {
	switch {
	case register < bme68xHeat+byte(len(c.heat)):
		return c.heat[register-bme68xHeat]
	case register >= bme68xField && register < bme68xField+17:
		return c.field(now, register-bme68xField)
	case register >= 0x50 && register <= bme68xConfig:
		return *c.at(register)
	case register >= bme68xTrimLow && register < bme68xTrimLow+byte(len(c.low)):
		return c.low[register-bme68xTrimLow]
	case register >= bme68xTrimHigh && register < bme68xTrimHigh+byte(len(c.high)):
		return c.high[register-bme68xTrimHigh]
	case register == bme68xID:
		return c.tuning.id
	case register == bme68xVariant:
		return c.variant
	}
	return 0
}

// field returns one of the 17 bytes of field 0.
func (c *BME68x) field(now time.Time, i byte) byte {
	p, t, h := c.raw.Pressure, c.raw.Temperature, c.raw.Humidity
	gas := [17]byte{
		2: byte(p >> 12), 3: byte(p >> 4), 4: byte(p << 4),
		5: byte(t >> 12), 6: byte(t >> 4), 7: byte(t << 4),
		8: byte(h >> 8), 9: byte(h),
	}
	at := 13
	if c.variant == 1 {
		at = 15
	}
	gas[at] = byte(c.raw.Gas >> 2)
	gas[at+1] = byte(c.raw.Gas<<6) | c.gasFlags | byte(c.raw.Range&0xF)
	if i > 0 {
		return gas[i]
	}
	status := c.index
	if c.fresh {
		status |= bme68xNewData
	}
	if c.running {
		status |= bme68xBusy
		if c.runGas() && !now.Before(c.gasFrom) {
			status |= bme68xGasBusy
		}
	}
	return status
}

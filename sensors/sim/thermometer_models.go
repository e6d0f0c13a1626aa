package sim

// Sheets:
//   - LM75: National Semiconductor LM75, DS012658: pointer and registers (section
//     1.7 ff.), data format table 1, conversion time 100 ms.
//   - LM75B: NXP LM75B revision 6.1: section 7.4 (registers), table 10 (11-bit
//     format), conversion 10 ms in a period of 100 ms.
//   - TMP105: TI SBOS648: register tables (pointer, temperature, configuration,
//     limits), conversion time by resolution up to 37.5, 75, 150 and 300 ms.
//   - TMP102, SBOS397, and TMP112, SBOS473: configuration register with OS, AL, EM
//     and conversion rate, 12- and 13-bit formats, conversion 26 ms, up to 35 ms.
//   - TMP1075: TI SBOS854: configuration register, die id 7500 in register 0F,
//     conversion 5.5 ms, up to 7 ms, every 27.5, 55, 110 or 220 ms.
//
// The sheets were not at hand; this is what is known of them from public drivers
// and simulations (Linux lm75 and tmp102, QEMU tmp105) and from their test values.
//
// Where they are silent:
//   - the temperature register reads 0 until the first conversion is over (the
//     TMP102's sheet says so of the TMP102);
//   - a word of the configuration that differs from the one before begins a new
//     conversion at once; shutdown lets the one that is going on end;
//   - reads beyond the register begin it again; a limit of one byte is not stored;
//   - unused registers of an LM75 (4 to 7) read as the byte read last; the others
//     have two bits of pointer, and those with an id register four;
//   - the fault queue counts one, and the alert is that of comparator mode;
//   - OS of TMP105 and TMP1075 reads as 0;
//   - the noise is a quarter of a step.

import "time"

// thermometerModel is what tells the thermometers apart.
type thermometerModel struct {
	id       byte // high byte of register 0F; 0: it has none
	pointer  byte // bits of the pointer that count
	wide     bool // the configuration has two bytes
	config   uint16
	writable uint16
	shutdown uint16 // bits of the configuration
	oneShot  uint16
	startup  time.Duration
	typical  float64 // share of the longest conversion time
	noise    float64 // °C

	times  func(config uint16) (takes, every time.Duration)
	format func(config uint16) thermometerFormat
	shows  func(config uint16, single, alert bool) uint16 // what the configuration reads as
}

// thermometerFormat says how the temperature register holds a temperature.
type thermometerFormat struct {
	bits uint    // of a number in two's complement, at the top of the register
	step float64 // °C
	mark uint16  // set besides
}

// word returns the temperature register for a temperature.
func (m *thermometerModel) word(config uint16, celsius float64) uint16 {
	f := m.format(config)
	half := int64(1) << (f.bits - 1)
	code := nearest(-half, half-1, celsius, func(code int64) float64 { return float64(code) * f.step })
	return uint16(code<<(16-f.bits)) | f.mark
}

func always(f thermometerFormat) func(uint16) thermometerFormat {
	return func(uint16) thermometerFormat { return f }
}

func asWritten(config uint16, _, _ bool) uint16 { return config }

var modelLM75 = thermometerModel{
	pointer: 7, writable: 0x1F, shutdown: 1, typical: 1, noise: 0.125,
	times: func(uint16) (takes, every time.Duration) {
		return 100 * time.Millisecond, 100 * time.Millisecond
	},
	format: always(thermometerFormat{bits: 9, step: 0.5}),
	shows:  asWritten,
}

var modelLM75B = thermometerModel{
	pointer: 3, writable: 0x1F, shutdown: 1, typical: 1, noise: 0.03,
	times: func(uint16) (takes, every time.Duration) {
		return 10 * time.Millisecond, 100 * time.Millisecond
	},
	format: always(thermometerFormat{bits: 11, step: 0.125}),
	shows:  asWritten,
}

var modelTMP105 = thermometerModel{
	pointer: 3, writable: 0x7F, shutdown: 1, oneShot: 0x80, typical: 27.5 / 37.5, noise: 0.015,
	times: func(config uint16) (takes, every time.Duration) {
		takes = 37500 * time.Microsecond << (config >> 5 & 3)
		return takes, takes
	},
	format: func(config uint16) thermometerFormat {
		resolution := uint(config >> 5 & 3)
		return thermometerFormat{bits: 9 + resolution, step: 0.5 / float64(int(1)<<resolution)}
	},
	shows: asWritten,
}

// TMP102 and TMP112 are told apart by their accuracy only.
var modelTMP102 = thermometerModel{
	pointer: 3, wide: true, config: 0x6080, writable: 0x1FD0, shutdown: 1 << 8, oneShot: 1 << 15,
	typical: 26.0 / 35, noise: 0.015,
	times: func(config uint16) (takes, every time.Duration) {
		rates := [4]time.Duration{4 * time.Second, time.Second, 250 * time.Millisecond, 125 * time.Millisecond}
		return 35 * time.Millisecond, rates[config>>6&3]
	},
	format: func(config uint16) thermometerFormat {
		if config&(1<<4) != 0 { // extended mode
			return thermometerFormat{bits: 13, step: 0.0625, mark: 1}
		}
		return thermometerFormat{bits: 12, step: 0.0625}
	},
	shows: func(config uint16, single, alert bool) uint16 {
		if single && config&(1<<8) != 0 {
			config |= 1 << 15 // OS: the conversion that was asked for is over
		}
		if polarity := config&(1<<10) != 0; alert == polarity {
			config |= 1 << 5 // AL
		}
		return config
	},
}

var modelTMP1075 = thermometerModel{
	id: 0x75, pointer: 0x0F, wide: true, config: 0x00FF, writable: 0x7F00, shutdown: 1 << 8, oneShot: 1 << 15,
	typical: 5.5 / 7, noise: 0.015,
	times: func(config uint16) (takes, every time.Duration) {
		return 7 * time.Millisecond, 27500 * time.Microsecond << (config >> 13 & 3)
	},
	format: always(thermometerFormat{bits: 12, step: 0.0625}),
	shows:  asWritten,
}

// NewLM75 returns an LM75 (temperature, in steps of 0.5 °C) in this world.
func NewLM75(w World, options ...ChipOption) *Thermometer {
	return newThermometer(&modelLM75, w, options)
}

// NewLM75B returns an LM75B (temperature, in steps of 0.125 °C) in this world.
func NewLM75B(w World, options ...ChipOption) *Thermometer {
	return newThermometer(&modelLM75B, w, options)
}

// NewTMP105 returns a TMP105 (temperature, in steps of 0.5 °C until it is told to
// measure finer) in this world.
func NewTMP105(w World, options ...ChipOption) *Thermometer {
	return newThermometer(&modelTMP105, w, options)
}

// NewTMP102 returns a TMP102 (temperature) in this world.
func NewTMP102(w World, options ...ChipOption) *Thermometer {
	return newThermometer(&modelTMP102, w, options)
}

// NewTMP112 returns a TMP112 (temperature) in this world; it has the registers of a
// TMP102.
func NewTMP112(w World, options ...ChipOption) *Thermometer {
	return newThermometer(&modelTMP102, w, options)
}

// NewTMP1075 returns a TMP1075 (temperature) in this world. ChipID sets the high
// byte of its id.
func NewTMP1075(w World, options ...ChipOption) *Thermometer {
	return newThermometer(&modelTMP1075, w, options)
}

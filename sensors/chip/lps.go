package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// ST's barometers with 24 bits, by their data sheets: LPS22HB (DocID027083), LPS22HH (DS12503), LPS33HW
// (DocID029519), LPS25HB (DocID027112) and LPS331AP (DocID022112). Registers in the
// chapters "Register mapping" and "Register description" of each.
//
// The chip is run in one-shot mode: it sleeps between readings. BDU, which keeps the
// bytes of a value together, doubles as the mark that its power did not fail: it is
// off after a start.
const (
	lpsID     = 0x0f
	lpsStatus = 0x27 // bit 0 pressure, bit 1 temperature: new
	lpsData   = 0x28 // pressure 3 bytes, temperature 2
	lpsNew    = 3

	lpsBoot    = 1 << 7 // control 2: load the trimming words again
	lpsSWReset = 1 << 2
	lpsOneShot = 1 << 0
)

var lpsAddresses = []uint16{0x5d, 0x5c}

var (
	lpsTemperatureRange = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 85}
	lpsOldTemperature   = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -25.5, Max: 85} // its words end at -25.8 °C
	lpsPressureRange    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 26000, Max: 126000, Frozen: noisy}
)

// lpsFamily is what the members of the family differ in.
type lpsFamily struct {
	id       byte
	control1 byte          // register; control 2 is the next
	on       byte          // its value: one-shot, BDU
	keep     byte          // bits of control 2 that stay set
	burst    byte          // set in the register of a read of several
	takes    time.Duration // a one-shot measurement: the sheets only give output periods, so the shortest; its end is polled
	old      bool          // other scale of the temperature
}

var (
	lps22 = lpsFamily{id: 0xb1, control1: 0x10, on: 1 << 1, keep: 1 << 4, takes: 14 * time.Millisecond} // keep IF_ADD_INC
	lps25 = lpsFamily{id: 0xbd, control1: 0x20, on: 1<<7 | 1<<2, burst: 0x80, takes: 40 * time.Millisecond, old: true}

	// lpsNames says what answers with an id at 0x0f.
	lpsNames = map[byte]string{
		0xb1: "LPS22HB, LPS33HW or LPS35HW", 0xb3: "LPS22HH", 0xb4: "LPS22DF", 0xba: "LPS001WP", 0xbb: "LPS331AP", 0xbd: "LPS25HB",
	}
	lpsDrivers = map[byte]string{0xb1: "lps22hb", 0xb3: "lps22hh", 0xbb: "lps331", 0xbd: "lps25hb"}
)

func (f lpsFamily) temperature() sensors.Measure {
	if f.old {
		return lpsOldTemperature
	}
	return lpsTemperatureRange
}

func (f lpsFamily) with(id byte, takes time.Duration) lpsFamily { f.id, f.takes = id, takes; return f }

var (
	lps22hb = lpsDriver("lps22hb", "LPS22HB", lps22, true)
	lps22hh = lpsDriver("lps22hh", "LPS22HH", lps22.with(0xb3, lps22.takes), true)
	lps33hw = lpsDriver("lps33hw", "LPS33HW", lps22, false) // the same to software as an LPS22HB; a scan names it once
	lps25hb = lpsDriver("lps25hb", "LPS25HB", lps25, true)
	lps331  = lpsDriver("lps331", "LPS331AP", lps25.with(0xbb, 80*time.Millisecond), true)
)

func lpsDriver(name, chip string, f lpsFamily, identify bool) sensors.Driver {
	d := sensors.Driver{
		Name: name, Doc: "ST " + chip + ", temperature and air pressure", Connection: sensors.OnI2C,
		Addresses: lpsAddresses,
		Measures:  []sensors.Measure{f.temperature(), lpsPressureRange},
		Keys:      i2cKeys(lpsAddresses),
		Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
			d := &lps{family: f, chip: chip}
			d.attached = attached{machine: m, settings: s, addresses: lpsAddresses, fits: d.isOne, begin: d.setUp, once: d.sample}
			return d, nil
		},
		Least: func(sensors.Settings) time.Duration { return f.takes + 3*time.Millisecond },
	}
	if identify {
		d.Identify = func(ctx context.Context, c sensors.Conn) (string, error) {
			return identifyAs(ctx, c, lpsID, map[byte]string{f.id: chip})
		}
	}
	return d
}

// lps is one of the family.
type lps struct {
	attached
	family lpsFamily
	chip   string
}

func (d *lps) isOne(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, lpsID, 1)
	if err != nil {
		return 0, err
	}
	if b[0] == d.family.id {
		return 2, nil
	}
	err = wrongIdentity(c, b[0], lpsNames, hexByte(d.family.id)+" ("+d.chip+")")
	if driver := lpsDrivers[b[0]]; driver != "" {
		err.(*sensors.Error).Text += "; write driver = \"" + driver + "\""
	}
	return 0, err
}

// hexByte writes 0x5d.
func hexByte(b byte) string {
	const digits = "0123456789abcdef"
	return "0x" + string([]byte{digits[b>>4], digits[b&15]})
}

// setUp resets the chip and loads its trimming words again, which a disturbed start
// may have left out; the first measurement is not used.
func (d *lps) setUp(ctx context.Context) error {
	for _, bit := range []byte{lpsSWReset, lpsBoot} {
		if err := d.set(ctx, d.family.control1+1, d.family.keep|bit); err != nil {
			return err
		}
		if err := d.wait(ctx, 3*time.Millisecond); err != nil { // 2.2 ms, turn-on time
			return err
		}
		if err := d.poll(ctx, "starting", d.rested); err != nil {
			return err
		}
	}
	if err := d.set(ctx, d.family.control1, d.family.on); err != nil {
		return err
	}
	_, err := d.convert(ctx)
	return err
}

// rested reports whether nothing that was asked for in control 2 is going on.
func (d *lps) rested(ctx context.Context) (bool, error) {
	b, err := d.get(ctx, d.family.control1+1, 1)
	if err != nil {
		return false, err
	}
	if b[0] == 0xff {
		return false, d.garbage("register 0x%02x is 0xff", d.family.control1+1)
	}
	return b[0]&(lpsBoot|lpsSWReset|lpsOneShot) == 0, nil
}

// convert checks that the chip still has its settings, measures, and returns the
// bytes of pressure and temperature.
func (d *lps) convert(ctx context.Context) ([]byte, error) {
	if err := d.unchanged(ctx); err != nil {
		return nil, err
	}
	if err := d.set(ctx, d.family.control1+1, d.family.keep|lpsOneShot); err != nil {
		return nil, err
	}
	if err := d.wait(ctx, d.family.takes); err != nil {
		return nil, err
	}
	if err := d.poll(ctx, "measuring", d.measured); err != nil {
		return nil, err
	}
	if err := d.unchanged(ctx); err != nil {
		return nil, err
	}
	b, err := d.get(ctx, lpsData|d.family.burst, 5)
	if err != nil {
		return nil, err
	}
	if busFault(b) || busFault(b[:3]) {
		return nil, d.garbage("all data bytes are 0x%02x", b[0])
	}
	return b, nil
}

// unchanged compares control 1 with what was written.
func (d *lps) unchanged(ctx context.Context) error {
	b, err := d.get(ctx, d.family.control1, 1)
	if err == nil && b[0] != d.family.on {
		return d.powerFailed(d.family.control1, b[0])
	}
	return err
}

// measured reports whether the one measurement is over and both values are new.
func (d *lps) measured(ctx context.Context) (bool, error) {
	if ok, err := d.rested(ctx); !ok || err != nil {
		return false, err
	}
	b, err := d.get(ctx, lpsStatus, 1)
	if err != nil {
		return false, err
	}
	if b[0] == 0xff {
		return false, d.garbage("its status is 0xff")
	}
	return b[0]&lpsNew == lpsNew, nil
}

func (d *lps) sample(ctx context.Context, s *sensors.Sample) error {
	b, err := d.convert(ctx)
	if err != nil {
		return err
	}
	s.Chip = d.chip
	temperature := d.family.temperature()
	celsius, rawT := lpsTemperature(b[3:], d.family.old)
	pascal, rawP := lpsPressure(b)
	ends := rawT == -1<<15 || rawT == 1<<15-1
	if ends {
		s.AddBad(temperature, sensors.Saturated, int64(rawT))
	} else {
		s.Add(temperature, celsius, 0.01, int64(rawT))
	}
	switch {
	case ends || !within(temperature, celsius): // the chip compensates with it
		s.AddBad(lpsPressureRange, sensors.NoTemperature, int64(rawP))
	case saturated24(rawP):
		s.AddBad(lpsPressureRange, sensors.Saturated, int64(rawP))
	default:
		s.Add(lpsPressureRange, pascal, 1, int64(rawP))
	}
	return nil
}

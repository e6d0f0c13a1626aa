package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// DPS310, Infineon, data sheet 1.2: measurement times and scale factors tables 9 and
// 16 (chapter 4.9, 7.1), register map chapter 7, start-up and calibration 4.2, 8.10,
// 8.11. SPL06-001, Goertek, has the same registers, id and formulas.
//
// The chip sleeps between readings, which measure the temperature, then the pressure.
// More than eight samples would need the result shift and are not offered: its bits
// are not the same in all sources. A write of several bytes goes to registers in a
// row, so settings are written one by one.
//
// Some DPS310 read about 60 °C at room temperature. What Infineon has published for
// them, in the kernel's driver and its own library, is a sequence of writes to
// registers that the sheet does not name.
const (
	dpsPressure = 0x00 // 3 bytes
	dpsTemper   = 0x03 // 3 bytes
	dpsPrsCfg   = 0x06 // rate 6..4, oversampling 3..0; then temperature, control, result shift
	dpsTmpCfg   = 0x07 // bit 7: the source, as the coefficients have it
	dpsMeasCfg  = 0x08
	dpsCfg      = 0x09
	dpsReset    = 0x0c
	dpsID       = 0x0d
	dpsCoef     = 0x10
	dpsSource   = 0x28 // bit 7

	dpsCoefReady   = 1 << 7 // measurement control
	dpsSensorReady = 1 << 6
	dpsTReady      = 1 << 5
	dpsPReady      = 1 << 4
	dpsOnceT       = 2
	dpsOnceP       = 1
	dpsStarted     = dpsCoefReady | dpsSensorReady

	// dpsMark is a rate, which means nothing in one-shot mode: it is 0 after a start,
	// so that a failed power shows at every oversampling.
	dpsMark = 1 << 4

	idDPS310 = 0x10
)

var dpsAddresses = []uint16{0x77, 0x76}

var (
	dpsTemperatureRange = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 85}
	dpsPressureRange    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 30000, Max: 120000, Frozen: noisy}
)

// dpsTimes are the longest measurement times by oversampling 1, 2, 4 and 8.
var dpsTimes = [...]time.Duration{3600 * time.Microsecond, 5200 * time.Microsecond, 8400 * time.Microsecond, 14800 * time.Microsecond}

var dpsNames = map[byte]string{idDPS310: "DPS310 or SPL06-001", 0x11: "SPL07-003"}

var (
	dps310 = dpsDriver("dps310", "DPS310", "Infineon", true)
	spl06  = dpsDriver("spl06", "SPL06-001", "Goertek", false) // both say the same id; a scan names it once
)

func dpsDriver(name, chip, maker string, infineon bool) sensors.Driver {
	d := sensors.Driver{
		Name: name, Doc: maker + " " + chip + ", temperature and air pressure", Connection: sensors.OnI2C,
		Addresses: dpsAddresses,
		Measures:  []sensors.Measure{dpsTemperatureRange, dpsPressureRange},
		Keys: i2cKeys(dpsAddresses, sensors.Key{Name: "oversample", Kind: sensors.KindInt, Choices: []string{"1", "2", "4", "8"}, Default: 8,
			Meaning: "measurements averaged inside the chip for each value; more is slower and quieter"}),
		Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
			d := &dps{chip: chip, infineon: infineon, step: log2(s.Int("oversample"))}
			d.attached = attached{machine: m, settings: s, addresses: dpsAddresses, fits: isDPS, begin: d.setUp, once: d.sample}
			return d, nil
		},
		Least: func(s sensors.Settings) time.Duration {
			return 2*dpsTimes[log2(s.Int("oversample"))] + 5*time.Millisecond
		},
	}
	if infineon {
		d.Identify = func(ctx context.Context, c sensors.Conn) (string, error) {
			return identifyAs(ctx, c, dpsID, map[byte]string{idDPS310: chip})
		}
	}
	return d
}

// dps is a DPS310 or SPL06-001.
type dps struct {
	attached
	calibrated[dps310Calibration]
	chip     string
	infineon bool
	step     byte // of oversampling, 0 to 3
	source   byte // bit 7 of the temperature's setting
	raw      dpsRaw
}

// dpsRaw is one measurement: words, and what they are by their scale.
type dpsRaw struct {
	t, p       float64
	rawT, rawP int32
}

func isDPS(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, dpsID, 1)
	if err != nil {
		return 0, err
	}
	id := b[0]
	if id == idDPS310 {
		return 2, nil
	}
	const want = "0x10 (DPS310 or SPL06-001)"
	if b, err = r.get(ctx, bmxID, 1); err == nil && boschChip(bmxID, b[0]) != nil {
		return 0, wrongChip(ctx, c, bmxID, b[0], want)
	}
	return 0, wrongIdentity(c, id, dpsNames, want)
}

// setUp resets the chip, reads its coefficients and throws the first measurement
// away.
func (d *dps) setUp(ctx context.Context) error {
	if err := d.set(ctx, dpsReset, 0x89); err != nil { // with the queue of results
		return err
	}
	if err := d.wait(ctx, 40*time.Millisecond); err != nil { // coefficients ready: table 6
		return err
	}
	if err := d.poll(ctx, "starting", d.started); err != nil {
		return err
	}
	if err := d.calibrate(ctx); err != nil {
		return err
	}
	if d.infineon {
		if err := d.heal(ctx); err != nil {
			return err
		}
	}
	for _, w := range [...][2]byte{{dpsMeasCfg, 0}, {dpsPrsCfg, dpsMark | d.step}, {dpsTmpCfg, d.source | dpsMark | d.step}, {dpsCfg, 0}} {
		if err := d.set(ctx, w[0], w[1]); err != nil {
			return err
		}
	}
	return d.convert(ctx)
}

func (d *dps) started(ctx context.Context) (bool, error) {
	b, err := d.get(ctx, dpsMeasCfg, 1)
	return err == nil && b[0] != 0xff && b[0]&dpsStarted == dpsStarted, err
}

// calibrate reads coefficients and source in one burst, so that a bus that fails for
// a moment shows, twice.
func (d *dps) calibrate(ctx context.Context) error {
	const n = dpsSource - dpsCoef + 1
	var seen [2][18 + 1]byte
	for i := range seen {
		b, err := d.get(ctx, dpsCoef, n)
		if err != nil {
			return err
		}
		copy(seen[i][:], b[:18])
		seen[i][18] = b[n-1] & (1 << 7)
		if busFault(b[:18]) {
			return d.garbage("its calibration is all 0x%02x", b[0])
		}
	}
	if seen[0] != seen[1] {
		return d.garbage("its calibration reads differently a second time")
	}
	cal := parseDPS310((*[18]byte)(seen[0][:]))
	if !cal.usable() {
		return d.garbage("its coefficients cannot be: c1 %v, c00 %v, c10 %v", cal.c1, cal.c00, cal.c10)
	}
	d.source = seen[0][18]
	d.take(cal, d.machine, d.settings, d.conn)
	return nil
}

// heal does what chips need that read about 60 °C.
func (d *dps) heal(ctx context.Context) error {
	var seen [2]byte
	for i := range seen {
		b, err := d.get(ctx, 0x32, 1)
		if err != nil {
			return err
		}
		seen[i] = b[0]
	}
	switch {
	case seen[0] != seen[1]: // a fault here would leave a sick chip sick
		return d.garbage("register 0x32 is 0x%02x, then 0x%02x", seen[0], seen[1])
	case seen[0]&(1<<1) != 0:
		return nil
	}
	for _, w := range [...][2]byte{{0x0e, 0xa5}, {0x0f, 0x96}, {0x62, 0x02}, {0x0e, 0}, {0x0f, 0}} {
		if err := d.set(ctx, w[0], w[1]); err != nil {
			return err
		}
	}
	return nil
}

// convert checks that the chip still has its settings, and measures.
func (d *dps) convert(ctx context.Context) error {
	b, err := d.get(ctx, dpsPrsCfg, 4)
	if err != nil {
		return err
	}
	want := [4]byte{dpsMark | d.step, d.source | dpsMark | d.step, b[2], 0}
	for i := range want {
		if b[i] != want[i] {
			return d.powerFailed(dpsPrsCfg+byte(i), b[i])
		}
	}
	if b[2]&7 != 0 || b[2]&dpsStarted != dpsStarted {
		return d.powerFailed(dpsMeasCfg, b[2])
	}
	if b, err = d.one(ctx, dpsOnceT, dpsTReady, dpsTemper); err != nil {
		return err
	}
	d.raw.t, d.raw.rawT = scaledDPS310(b, d.step)
	if b, err = d.one(ctx, dpsOnceP, dpsPReady, dpsPressure); err != nil {
		return err
	}
	d.raw.p, d.raw.rawP = scaledDPS310(b, d.step)
	return nil
}

// one measures one value and reads its three bytes.
func (d *dps) one(ctx context.Context, command, ready, register byte) ([]byte, error) {
	if err := d.set(ctx, dpsMeasCfg, command); err != nil {
		return nil, err
	}
	if err := d.wait(ctx, dpsTimes[d.step]); err != nil {
		return nil, err
	}
	err := d.poll(ctx, "measuring", func(ctx context.Context) (bool, error) {
		b, err := d.get(ctx, dpsMeasCfg, 1)
		switch {
		case err != nil:
			return false, err
		case b[0] == 0xff || b[0]&dpsStarted != dpsStarted:
			return false, d.powerFailed(dpsMeasCfg, b[0])
		}
		return b[0]&ready != 0 && b[0]&7 == 0, nil
	})
	if err != nil {
		return nil, err
	}
	b, err := d.get(ctx, register, 3)
	if err == nil && busFault(b) {
		return nil, d.garbage("all data bytes are 0x%02x", b[0])
	}
	return b, err
}

func (d *dps) sample(ctx context.Context, s *sensors.Sample) error {
	if err := d.convert(ctx); err != nil {
		return err
	}
	s.Chip = d.chip
	celsius := d.cal.temperature(d.raw.t)
	ends := saturated24(d.raw.rawT)
	if ends {
		s.AddBad(dpsTemperatureRange, sensors.Saturated, int64(d.raw.rawT))
	} else {
		s.Add(dpsTemperatureRange, celsius, 0.01, int64(d.raw.rawT))
	}
	switch {
	case ends || !within(dpsTemperatureRange, celsius): // a pressure computed with it would look right
		s.AddBad(dpsPressureRange, sensors.NoTemperature, int64(d.raw.rawP))
	case saturated24(d.raw.rawP):
		s.AddBad(dpsPressureRange, sensors.Saturated, int64(d.raw.rawP))
	default:
		s.Add(dpsPressureRange, d.cal.pressure(d.raw.p, d.raw.t), 1, int64(d.raw.rawP))
	}
	d.doubt(s)
	return nil
}

// saturated24 reports whether a signed word of 24 bits is at one of its ends, where
// the converter could not follow; the lower one is also what was never measured.
func saturated24(raw int32) bool { return raw == -1<<23 || raw == 1<<23-1 }

package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// MPL3115A2, NXP, data sheet revision 4: registers table 11 and chapter 14, times by
// oversampling table 59. It compensates itself: pressure is an unsigned number of 20
// bits in quarters of a pascal, temperature a signed one of 12 bits in sixteenths of
// a degree, both at the top of their bytes (14.3, 14.4).
//
// The chip stays in standby between readings. That data-ready flags are switched on,
// which they are not after a start, shows that its power did not fail.
const (
	mplStatus  = 0x00 // bit 1 temperature, bit 2 pressure: new; then 3 bytes pressure, 2 temperature
	mplID      = 0x0c
	mplDataCfg = 0x13
	mplCtrl1   = 0x26 // bits 5..3 oversampling

	mplFlags    = 7 // in mplDataCfg: raise the data-ready flags
	mplNew      = 1<<1 | 1<<2
	mplOnce     = 1 << 1 // in mplCtrl1
	mplReset    = 1 << 2
	idMPL3115A2 = 0xc4
)

var mplAddresses = []uint16{0x60}

var (
	mpl3115Temperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 85}
	mpl3115Pressure    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 20000, Max: 110000}
)

// mpl3115Times are the longest measurement times for 1, 2, 4 ... 128 samples.
var mpl3115Times = [...]time.Duration{
	6 * time.Millisecond, 10 * time.Millisecond, 18 * time.Millisecond, 34 * time.Millisecond,
	66 * time.Millisecond, 130 * time.Millisecond, 258 * time.Millisecond, 512 * time.Millisecond,
}

var mpl3115a2 = sensors.Driver{
	Name: "mpl3115a2", Doc: "NXP MPL3115A2, temperature and air pressure", Connection: sensors.OnI2C,
	Addresses: mplAddresses,
	Measures:  []sensors.Measure{mpl3115Temperature, mpl3115Pressure},
	Keys: i2cKeys(mplAddresses, sensors.Key{Name: "oversample", Kind: sensors.KindInt,
		Choices: []string{"1", "2", "4", "8", "16", "32", "64", "128"}, Default: 32,
		Meaning: "measurements averaged inside the chip for each value; more is slower and quieter, 128 take half a second"}),
	Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
		d := &mpl3115{step: log2(s.Int("oversample"))}
		d.attached = attached{machine: m, settings: s, addresses: mplAddresses, fits: isMPL3115, begin: d.setUp, once: d.sample}
		return d, nil
	},
	Least: func(s sensors.Settings) time.Duration {
		return mpl3115Times[log2(s.Int("oversample"))] + 5*time.Millisecond
	},
	Identify: func(ctx context.Context, c sensors.Conn) (string, error) {
		return identifyAs(ctx, c, mplID, map[byte]string{idMPL3115A2: "MPL3115A2"})
	},
}

// mpl3115 is an MPL3115A2.
type mpl3115 struct {
	attached
	step byte // of oversampling, 0 to 7
}

func isMPL3115(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, mplID, 1)
	if err != nil {
		return 0, err
	}
	if b[0] != idMPL3115A2 {
		return 0, wrongIdentity(c, b[0], nil, "0xc4 (MPL3115A2); an MPL115A2 has no id")
	}
	return 2, nil
}

// setUp resets the chip, which does not acknowledge that, and throws the first
// measurement away.
func (d *mpl3115) setUp(ctx context.Context) error {
	if err := d.set(ctx, mplCtrl1, mplReset); err != nil && sensors.FaultOf(err) != sensors.NotAnswering {
		return err
	}
	if err := d.wait(ctx, 10*time.Millisecond); err != nil {
		return err
	}
	if err := d.poll(ctx, "starting", d.started); err != nil {
		return err
	}
	if err := d.set(ctx, mplDataCfg, mplFlags); err != nil {
		return err
	}
	if err := d.set(ctx, mplCtrl1, d.control()); err != nil {
		return err
	}
	_, err := d.convert(ctx)
	return err
}

// control is control register 1 in standby.
func (d *mpl3115) control() byte { return d.step << 3 }

// started reports whether the chip answers again and its reset is over.
func (d *mpl3115) started(ctx context.Context) (bool, error) {
	b, err := d.get(ctx, mplCtrl1, 1)
	if err != nil && sensors.FaultOf(err) == sensors.NotAnswering {
		return false, nil
	}
	return err == nil && b[0] == 0, err
}

// convert checks that the chip still has its settings, measures, and returns the
// bytes of pressure and temperature.
func (d *mpl3115) convert(ctx context.Context) ([]byte, error) {
	b, err := d.get(ctx, mplDataCfg, mplCtrl1-mplDataCfg+1)
	if err != nil {
		return nil, err
	}
	if b[0] != mplFlags {
		return nil, d.powerFailed(mplDataCfg, b[0])
	}
	if last := b[len(b)-1]; last != d.control() {
		return nil, d.powerFailed(mplCtrl1, last)
	}
	if err := d.set(ctx, mplCtrl1, d.control()|mplOnce); err != nil {
		return nil, err
	}
	if err := d.wait(ctx, mpl3115Times[d.step]); err != nil {
		return nil, err
	}
	if err := d.poll(ctx, "measuring", d.measured); err != nil {
		return nil, err
	}
	if b, err = d.get(ctx, mplStatus, 6); err != nil {
		return nil, err
	}
	if b = b[1:]; busFault(b) || busFault(b[:3]) || b[2]&0x0f != 0 || b[4]&0x0f != 0 { // 20 and 12 bits
		return nil, d.garbage("no measurement gives the data bytes 0x%x", b)
	}
	return b, nil
}

// measured reports whether both values are new.
func (d *mpl3115) measured(ctx context.Context) (bool, error) {
	b, err := d.get(ctx, mplStatus, 1)
	if err == nil && b[0] == 0xff {
		return false, d.garbage("its status is 0xff")
	}
	return err == nil && b[0]&mplNew == mplNew, err
}

// mpl3115Values returns °C and Pa of the five data bytes, with their words.
func mpl3115Values(b []byte) (celsius, pascal float64, rawT, rawP int32) {
	rawP = int32(word20(b))
	rawT = signed(word16(b[3:]), 16) >> 4
	return float64(rawT) / 16, float64(rawP) / 4, rawT, rawP
}

func (d *mpl3115) sample(ctx context.Context, s *sensors.Sample) error {
	b, err := d.convert(ctx)
	if err != nil {
		return err
	}
	s.Chip = "MPL3115A2"
	celsius, pascal, rawT, rawP := mpl3115Values(b)
	ends := rawT == -1<<11 || rawT == 1<<11-1
	if ends {
		s.AddBad(mpl3115Temperature, sensors.Saturated, int64(rawT))
	} else {
		s.Add(mpl3115Temperature, celsius, 0.0625, int64(rawT))
	}
	switch {
	case ends || !within(mpl3115Temperature, celsius): // the chip compensates with it
		s.AddBad(mpl3115Pressure, sensors.NoTemperature, int64(rawP))
	case rawP == 1<<20-1:
		s.AddBad(mpl3115Pressure, sensors.Saturated, int64(rawP))
	default:
		s.Add(mpl3115Pressure, pascal, 1, int64(rawP))
	}
	return nil
}

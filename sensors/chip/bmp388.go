package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// BMP388 and BMP390, Bosch Sensortec. BMP388 data sheet BST-BMP388-DS001 and BMP390
// data sheet BST-BMP390-DS002: oversampling table 6, forced mode 3.3, measurement
// time 3.9.2, filter 3.4.3 and register 4.3.21, registers chapter 4, compensation in
// the appendix.
//
// The two differ in their id and their noise only, so that either driver reads
// both, and each sample says which it was. The chip is run in forced mode. The
// flags that say that data are ready fall when any data register is read, so the
// data are read once, after the flags.
const (
	bmp3Err      = 0x02 // bit 0 fatal, bit 1 command, bit 2 configuration
	bmp3Status   = 0x03 // bit 4 ready for commands, bit 5 pressure ready, bit 6 temperature ready
	bmp3Data     = 0x04 // pressure, temperature: 3 bytes each, low byte first
	bmp3Power    = 0x1b // bit 0 pressure on, bit 1 temperature on, bits 5..4 mode
	bmp3Over     = 0x1c // temperature 5..3, pressure 2..0
	bmp3Config   = 0x1f // filter 3..1
	bmp3Cal      = 0x31 // 21 bytes
	bmp3Command  = 0x7e
	bmp3Reset    = 0xb6
	bmp3On       = 0x03
	bmp3Forced   = 0x10
	bmp3Accepts  = 1 << 4
	bmp3Measured = 0x60
	bmp3Wrong    = 0x07

	bmp3Never = 0x800000 // content of the data registers before the first measurement: memory map
	bmp3Full  = 0xffffff

	idBMP388 = 0x50
	idBMP390 = 0x60
)

var (
	bmp3Temperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 85}
	bmp3Pressure    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 30000, Max: 125000, Frozen: noisy}
)

// Resolutions: the noise at 16 times oversampling is 0.6 Pa (BMP390 table 10).
const (
	bmp3StepT = 0.01
	bmp3StepP = 0.5
)

var bmp3Family = successors{
	addresses: bmxAddresses,
	measures:  []sensors.Measure{bmp3Temperature, bmp3Pressure},
	samples:   []string{"1", "2", "4", "8", "16", "32"}, usual: 8,
	takes: bmp3Time,
	open: func() (sensors.Device, *successor) {
		d := &bmp3{}
		d.begin, d.once = d.setUp, d.sample
		return d, &d.successor
	},
}

var bmp388 = bmp3Family.driver(boschChip(bmp3ID, idBMP388), "Bosch BMP388, temperature and air pressure")

var bmp390 = bmp3Family.driver(boschChip(bmp3ID, idBMP390), "Bosch BMP390, temperature and air pressure")

// bmp3 is a BMP388 or BMP390.
type bmp3 struct {
	successor
	calibrated[bmp3Calibration]
}

// bmp3OverT is the oversampling of the temperature that goes with that of the
// pressure: table 6.
func bmp3OverT(over byte) byte {
	if over >= 4 {
		return 1
	}
	return 0
}

// bmp3Time is the longest time of a measurement: 3.9.2, with 2 % for the
// tolerance of the chip's clock.
func bmp3Time(over byte) time.Duration {
	µs := 234 + 392 + 2020<<over + 313 + 2020<<bmp3OverT(over)
	return time.Duration(µs) * time.Microsecond * 102 / 100
}

func (d *bmp3) sample(ctx context.Context, s *sensors.Sample) error {
	p, t, err := d.convert(ctx)
	if err != nil {
		return err
	}
	s.Chip = d.chip
	d.fill(s, p, t)
	d.doubt(s)
	return nil
}

func (d *bmp3) setUp(ctx context.Context) error {
	if err := d.reset(ctx); err != nil {
		return err
	}
	if err := d.calibrate(ctx); err != nil {
		return err
	}
	if err := d.set(ctx, bmp3Over, d.overBits(), bmp3Config, d.filter<<1, bmp3Power, bmp3On); err != nil {
		return err
	}
	_, _, err := d.convert(ctx) // the first one after a reset is not used
	return err
}

func (d *bmp3) overBits() byte { return bmp3OverT(d.over)<<3 | d.over }

// reset brings the chip to its power-up state, and waits until it takes commands
// again.
func (d *bmp3) reset(ctx context.Context) error {
	if err := d.set(ctx, bmp3Command, bmp3Reset); err != nil {
		return err
	}
	for range 20 {
		if err := d.wait(ctx, 2500*time.Microsecond); err != nil { // 2 ms: table 2
			return err
		}
		b, err := d.get(ctx, bmp3Err, 2)
		if err != nil {
			return err
		}
		if b[0]&bmp3Wrong != 0 {
			return d.garbage("it reports an error after a reset (register 0x02 is 0x%02x)", b[0])
		}
		if b[1]&bmp3Accepts != 0 {
			return nil
		}
	}
	return sensors.Errorf(sensors.Timeout, d.conn.String(), "not ready 50 ms after a reset")
}

func (d *bmp3) calibrate(ctx context.Context) error {
	if err := d.learn(ctx); err != nil {
		return err
	}
	var words [bmp3CalSize]byte
	if err := d.twice(ctx, bmp3Cal, words[:]); err != nil {
		return err
	}
	cal := parseBMP3(&words)
	if !cal.usable() {
		return d.garbage("its calibration cannot be: T1 or T2 is 0")
	}
	d.take(cal, d.machine, d.settings, d.conn)
	return nil
}

// convert checks that the chip still has its settings, and measures.
func (d *bmp3) convert(ctx context.Context) (p, t uint32, err error) {
	b, err := d.get(ctx, bmp3Power, 5)
	if err != nil {
		return 0, 0, err
	}
	if b[0] != bmp3On || b[1]&0x3f != d.overBits() || b[4]&0x0e != d.filter<<1 {
		return 0, 0, d.garbage("it lost its settings (registers 0x1b, 0x1c, 0x1f are 0x%02x, 0x%02x, 0x%02x): its power failed for a moment, or the bus is bad", b[0], b[1], b[4])
	}
	if err := d.set(ctx, bmp3Power, bmp3On|bmp3Forced); err != nil {
		return 0, 0, err
	}
	if err := d.wait(ctx, bmp3Time(d.over)); err != nil {
		return 0, 0, err
	}
	if err := d.untilReady(ctx); err != nil {
		return 0, 0, err
	}
	if b, err = d.get(ctx, bmp3Data, 6); err != nil {
		return 0, 0, err
	}
	if busFault(b) {
		return 0, 0, d.garbage("all data bytes are 0x%02x", b[0])
	}
	p, t = little24(b[0:3]), little24(b[3:6])
	if p == bmp3Never || t == bmp3Never {
		return 0, 0, d.garbage("it sent the content of its registers before a measurement (0x800000)")
	}
	return p, t, nil
}

// untilReady polls until both values are there, for up to 100 ms more than the
// sheet allows.
func (d *bmp3) untilReady(ctx context.Context) error {
	return d.poll(ctx, "measuring", func(ctx context.Context) (bool, error) {
		b, err := d.get(ctx, bmp3Err, 2)
		if err != nil {
			return false, err
		}
		if busFault(b) || b[0]&bmp3Wrong != 0 {
			return false, d.garbage("it reports an error (registers 0x02, 0x03 are 0x%02x, 0x%02x)", b[0], b[1])
		}
		return b[1]&bmp3Measured == bmp3Measured, nil
	})
}

// fill puts the compensated values into s. The pressure is computed with the
// temperature: with one that cannot be it would be wrong and look right.
func (d *bmp3) fill(s *sensors.Sample, rawP, rawT uint32) {
	celsius := d.cal.temperature(rawT)
	if rawT == 0 || rawT == bmp3Full {
		s.AddBad(bmp3Temperature, sensors.Saturated, int64(rawT))
		s.AddBad(bmp3Pressure, sensors.NoTemperature, int64(rawP))
		return
	}
	s.Add(bmp3Temperature, celsius, bmp3StepT, int64(rawT))
	switch {
	case !within(bmp3Temperature, celsius):
		s.AddBad(bmp3Pressure, sensors.NoTemperature, int64(rawP))
	case rawP == 0 || rawP == bmp3Full:
		s.AddBad(bmp3Pressure, sensors.Saturated, int64(rawP))
	default:
		s.Add(bmp3Pressure, d.cal.pressure(rawP, celsius), bmp3StepP, int64(rawP))
	}
}

package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// BMP581 and BMP585, Bosch Sensortec. BMP581 data sheet BST-BMP581-DS004 and BMP585
// data sheet BST-BMP585-DS003: power modes 4.3, conversion times table 7,
// oversampling table 8, filter 4.4.4, start and soft reset 4.3 and 7.24, registers
// chapter 7.
//
// The two differ in their id and their housing only, so that either driver reads
// both. The chip compensates by itself. It is run in forced mode, out of standby
// with deep standby off. Its data registers hold 0x7f7f7f before the first
// measurement, which reads as 127.5 °C, and some report the same as their first
// sample: both are refused.
const (
	bmp5ID       = 0x01
	bmp5Source   = 0x15 // bit 0: data ready shows in the interrupt status
	bmp5Data     = 0x1d // temperature, pressure: 3 bytes each, low byte first
	bmp5Event    = 0x27 // bit 0 data ready, bit 4 power-up or reset done; reading clears it
	bmp5Path     = 0x30 // bits 1..0 compensated; the data registers show filtered temperature, bit 3, and pressure, bit 5; bit 2 a forced measurement empties the filter
	bmp5Filter   = 0x31 // pressure 5..3, temperature 2..0
	bmp5Over     = 0x36 // bit 6 pressure on, pressure 5..3, temperature 2..0
	bmp5Rate     = 0x37 // bit 7 deep standby off, rate 6..2, mode 1..0
	bmp5Command  = 0x7e
	bmp5Reset    = 0xb6
	bmp5Standby  = 0xf0 // deep standby off, 1 Hz (of no meaning here), standby
	bmp5Forced   = bmp5Standby | 2
	bmp5Filtered = 0x2b
	bmp5Pressure = 1 << 6
	bmp5Ready    = 1 << 0
	bmp5Began    = 1 << 4
	bmp5Memory   = 1 << 1
	bmp5Broken   = 1 << 2

	bmp5Never = 0x7f7f7f

	idBMP581 = 0x50
	idBMP585 = 0x51
)

var bmp5Addresses = []uint16{0x46, 0x47}

var (
	bmp5TemperatureRange = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 85}
	bmp5PressureRange    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 30000, Max: 125000, Frozen: noisy}
)

// Resolutions: the noise is 0.08 Pa at the highest oversampling (BMP581 table 9).
const (
	bmp5StepT = 0.01
	bmp5StepP = 0.1
)

var bmp5Family = successors{
	addresses: bmp5Addresses,
	measures:  []sensors.Measure{bmp5TemperatureRange, bmp5PressureRange},
	samples:   []string{"1", "2", "4", "8", "16", "32", "64", "128"}, usual: 16,
	takes: bmp5Time,
	open: func() (sensors.Device, *successor) {
		d := &bmp5{}
		d.begin, d.once = d.setUp, d.sample
		return d, &d.successor
	},
}

var bmp581 = bmp5Family.driver(boschChip(bmp5ID, idBMP581), "Bosch BMP581, temperature and air pressure")

var bmp585 = bmp5Family.driver(boschChip(bmp5ID, idBMP585), "Bosch BMP585, temperature and air pressure")

// bmp5 is a BMP581 or BMP585.
type bmp5 struct{ successor }

// bmp5OverT is the oversampling of the temperature that goes with that of the
// pressure: table 8.
func bmp5OverT(over byte) byte { return max(over, 4) - 4 }

// The conversion times of table 7, which are typical ones, by oversampling.
var (
	bmp5TimesT = [8]float64{1, 1.1, 1.5, 2.1, 3.3, 5.8, 10.8, 20.8} // ms
	bmp5TimesP = [8]float64{1, 1.7, 2.9, 5.4, 10.4, 20.4, 40.4, 80.4}
)

// bmp5Time is how long a measurement takes, with 1 ms to leave standby and 10 % for
// the tolerance of the chip's clock.
func bmp5Time(over byte) time.Duration {
	return time.Duration((1 + 1.1*(bmp5TimesT[bmp5OverT(over)]+bmp5TimesP[over])) * float64(time.Millisecond))
}

func (d *bmp5) sample(ctx context.Context, s *sensors.Sample) error {
	rawT, rawP, err := d.convert(ctx)
	if err != nil {
		return err
	}
	s.Chip = d.chip
	fillBMP5(s, rawT, rawP)
	return nil
}

func (d *bmp5) setUp(ctx context.Context) error {
	if err := d.reset(ctx); err != nil {
		return err
	}
	if err := d.learn(ctx); err != nil {
		return err
	}
	// Out of deep standby first, where other registers may be lost: 4.3.
	if err := d.set(ctx, bmp5Rate, bmp5Standby); err != nil {
		return err
	}
	if err := d.wait(ctx, 2500*time.Microsecond); err != nil {
		return err
	}
	if err := d.set(ctx, bmp5Source, bmp5Ready); err != nil { // not in pairs: what follows a value goes to the next register
		return err
	}
	if err := d.set(ctx, bmp5Over, d.overBits()); err != nil {
		return err
	}
	if err := d.setFilter(ctx); err != nil {
		return err
	}
	_, err := d.one(ctx) // the first one after a reset may be no measurement at all: not looked at
	return err
}

// setFilter lets values pass through the filter, in standby, where alone it can be
// told. Without, the registers stay as they are after a reset: no filter.
func (d *bmp5) setFilter(ctx context.Context) error {
	if d.filter == 0 {
		return nil
	}
	if err := d.set(ctx, bmp5Path, bmp5Filtered); err != nil {
		return err
	}
	return d.set(ctx, bmp5Filter, d.filterBits())
}

func (d *bmp5) filterBits() byte { return d.filter<<3 | d.filter }

func (d *bmp5) overBits() byte { return bmp5Pressure | d.over<<3 | bmp5OverT(d.over) }

// reset brings the chip to its power-up state, and waits until its own
// calibration is there. It does not acknowledge the command (7.31), but says
// afterwards that it began anew.
func (d *bmp5) reset(ctx context.Context) error {
	if err := d.set(ctx, bmp5Command, bmp5Reset); err != nil && sensors.FaultOf(err) != sensors.NotAnswering {
		return err
	}
	began := false
	for range 20 {
		if err := d.wait(ctx, 2500*time.Microsecond); err != nil { // 2 ms: table 2
			return err
		}
		b, err := d.get(ctx, bmp5Event, 2)
		if err != nil {
			return err
		}
		began = began || b[0]&bmp5Began != 0
		if b[1]&bmp5Broken != 0 {
			return d.garbage("it says that its memory is broken (status 0x%02x)", b[1])
		}
		if began && b[1]&bmp5Memory != 0 {
			return nil
		}
	}
	return sensors.Errorf(sensors.Timeout, d.conn.String(), "not ready 50 ms after a reset")
}

// convert checks that the chip still has its settings, and measures.
func (d *bmp5) convert(ctx context.Context) (t, p uint32, err error) {
	b, err := d.get(ctx, bmp5Path, 8)
	if err != nil {
		return 0, 0, err
	}
	path, filter, over, rate := b[0], b[1], b[6], b[7]
	lostFilter := filter&0x3f != d.filterBits() || d.filter > 0 && path != bmp5Filtered
	if over&0x7f != d.overBits() || rate != bmp5Standby || lostFilter {
		return 0, 0, d.garbage("it lost its settings (registers 0x31, 0x36, 0x37 are 0x%02x, 0x%02x, 0x%02x): its power failed for a moment, or the bus is bad", filter, over, rate)
	}
	if b, err = d.one(ctx); err != nil {
		return 0, 0, err
	}
	if t, p, err = parseBMP5(b); err != nil {
		err.(*sensors.Error).Where = d.conn.String()
	}
	return t, p, err
}

// one runs one measurement and returns its six bytes.
func (d *bmp5) one(ctx context.Context) ([]byte, error) {
	if err := d.set(ctx, bmp5Rate, bmp5Forced); err != nil {
		return nil, err
	}
	if err := d.wait(ctx, bmp5Time(d.over)); err != nil {
		return nil, err
	}
	if err := d.untilReady(ctx); err != nil {
		return nil, err
	}
	return d.get(ctx, bmp5Data, 6)
}

// untilReady polls until the measurement is over, for up to 100 ms more than the
// sheet has.
func (d *bmp5) untilReady(ctx context.Context) error {
	return d.poll(ctx, "measuring", func(ctx context.Context) (bool, error) {
		b, err := d.get(ctx, bmp5Event, 2)
		switch {
		case err != nil:
			return false, err
		case busFault(b) && b[0] != 0, b[1]&bmp5Broken != 0:
			return false, d.garbage("its status cannot be: 0x%02x, 0x%02x", b[0], b[1])
		case b[0]&bmp5Began != 0:
			return false, d.garbage("it began anew while measuring: its power failed for a moment")
		}
		return b[0]&bmp5Ready != 0, nil
	})
}

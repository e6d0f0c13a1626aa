package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// BMP180 and BMP085, Bosch Sensortec. BMP180 data sheet BST-BMP180-DS000:
// calibration table 5 (page 13), measurement and algorithm figure 4 (page 15),
// registers chapter 4 (page 18), conversion times table 8 (page 21). The BMP085
// (BST-BMP085-DS000) is the same but for the soft reset and the busy bit, which
// it does not have.
const (
	bmp180Cal     = 0xaa // 11 words, big endian
	bmp180Ctrl    = 0xf4 // bit 5: converting (BMP180)
	bmp180Data    = 0xf6
	bmp180Busy    = 1 << 5
	bmp180Temp    = 0x2e
	bmp180Press   = 0x34
	bmp180ResetUT = 0x8000 // content of the data registers after power-up
	idBMP180      = 0x55
)

var bmp180Addresses = []uint16{0x77}

var (
	bmp180Temperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 85}
	bmp180Pressure    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 30000, Max: 110000, Frozen: noisy}
)

var bmp180 = bmp180Driver("bmp180", "Bosch BMP180, temperature and air pressure", false)

var bmp085 = bmp180Driver("bmp085", "Bosch BMP085, temperature and air pressure", true)

func bmp180Driver(name, doc string, old bool) sensors.Driver {
	d := sensors.Driver{
		Name: name, Doc: doc, Connection: sensors.OnI2C, Addresses: bmp180Addresses,
		Measures: []sensors.Measure{bmp180Temperature, bmp180Pressure},
		Keys: i2cKeys(bmp180Addresses, sensors.Key{
			Name: "oversample", Kind: sensors.KindInt, Choices: []string{"1", "2", "4", "8"}, Default: 4,
			Meaning: "pressure measurements averaged inside the chip; more is slower and quieter",
		}),
		Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
			d := &bmp{old: old, oss: uint(log2(s.Int("oversample")))}
			d.attached = attached{machine: m, settings: s, addresses: bmp180Addresses, fits: d.isOne, begin: d.setUp, once: d.sample}
			return d, nil
		},
		Least: func(s sensors.Settings) time.Duration {
			return bmp180Times[0] + bmp180Times[log2(s.Int("oversample"))] + 3*time.Millisecond
		},
	}
	if !old { // both say the same id; a scan names them once
		d.Identify = func(ctx context.Context, c sensors.Conn) (string, error) {
			return identifyAs(ctx, c, bmxID, map[byte]string{idBMP180: "BMP180"})
		}
	}
	return d
}

// bmp180Times are the longest conversion times by oversampling; a temperature
// takes the first.
var bmp180Times = [...]time.Duration{
	4500 * time.Microsecond, 7500 * time.Microsecond, 13500 * time.Microsecond, 25500 * time.Microsecond,
}

// bmp is a BMP180 or BMP085.
type bmp struct {
	attached
	calibrated[bmp180Calibration]
	old bool // a BMP085
	oss uint // 0 to 3
}

func (d *bmp) sample(ctx context.Context, s *sensors.Sample) error {
	ut, up, err := d.convert(ctx)
	if err != nil {
		return err
	}
	s.Chip = "BMP180"
	if d.old {
		s.Chip = "BMP085"
	}
	d.fill(s, ut, up)
	d.doubt(s)
	return nil
}

func (d *bmp) fill(s *sensors.Sample, ut, up uint32) {
	deci, b5, ok := d.cal.temperature(ut)
	if !ok {
		s.AddBad(bmp180Temperature, sensors.BadCalibration, int64(ut))
		s.AddBad(bmp180Pressure, sensors.BadCalibration, int64(up))
		return
	}
	celsius := float64(deci) / 10
	s.Add(bmp180Temperature, celsius, 0.1, int64(ut))
	if !within(bmp180Temperature, celsius) { // a pressure computed with it would look right
		s.AddBad(bmp180Pressure, sensors.NoTemperature, int64(up))
		return
	}
	if pascal, ok := d.cal.pressure(up, b5, d.oss); ok {
		s.Add(bmp180Pressure, float64(pascal), 1, int64(up))
	} else {
		s.AddBad(bmp180Pressure, sensors.BadCalibration, int64(up))
	}
}

func (d *bmp) isOne(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, bmxID, 1)
	if err != nil {
		return 0, err
	}
	if b[0] != idBMP180 {
		return 0, wrongChip(ctx, c, bmxID, b[0], "0x55 (BMP180 or BMP085)")
	}
	return 2, nil
}

func (d *bmp) setUp(ctx context.Context) error {
	if !d.old {
		if err := d.set(ctx, bmxReset, 0xb6); err != nil {
			return err
		}
		if err := d.wait(ctx, 10*time.Millisecond); err != nil { // start-up time: table 1, page 6
			return err
		}
	}
	if err := d.calibrate(ctx); err != nil {
		return err
	}
	_, _, err := d.convert(ctx) // the first one after a reset is not used
	return err
}

// calibrate reads the calibration.
func (d *bmp) calibrate(ctx context.Context) error {
	var bytes [22]byte
	if err := d.readBlocks(ctx, bytes[:], block{bmp180Cal, len(bytes)}); err != nil {
		return err
	}
	for i := 0; i < len(bytes); i += 2 {
		if busFault(bytes[i : i+2]) { // page 13: no word is 0 or FFFF
			return d.garbage("calibration word 0x%02x is 0x%02x%02x", bmp180Cal+i, bytes[i], bytes[i+1])
		}
	}
	d.take(parseBMP180(&bytes), d.machine, d.settings, d.conn)
	return nil
}

// convert measures temperature, then pressure.
func (d *bmp) convert(ctx context.Context) (ut, up uint32, err error) {
	b, err := d.one(ctx, bmp180Temp, bmp180Times[0], 2)
	if err != nil {
		return 0, 0, err
	}
	ut = word16(b)
	if b, err = d.one(ctx, bmp180Press|byte(d.oss)<<6, bmp180Times[d.oss], 3); err != nil {
		return 0, 0, err
	}
	up = word24(b) >> (8 - d.oss)
	return ut, up, nil
}

// one runs one conversion and reads its n bytes.
func (d *bmp) one(ctx context.Context, command byte, longest time.Duration, n int) ([]byte, error) {
	if err := d.set(ctx, bmp180Ctrl, command); err != nil {
		return nil, err
	}
	if d.old {
		longest += longest / 10 // it cannot say that it is ready
	}
	if err := d.wait(ctx, longest); err != nil {
		return nil, err
	}
	if err := d.untilIdle(ctx); err != nil {
		return nil, err
	}
	b, err := d.get(ctx, bmp180Data, n)
	if err != nil {
		return nil, err
	}
	if busFault(b) {
		return nil, d.garbage("all data bytes are 0x%02x", b[0])
	}
	if b[0] == bmp180ResetUT>>8 && allSame(b[1:], 0) {
		return nil, d.garbage("it sent the content of its registers after power-up: its power failed for a moment")
	}
	return b, nil
}

// untilIdle polls the busy bit for up to 100 ms more than the sheet allows.
func (d *bmp) untilIdle(ctx context.Context) error {
	if d.old {
		return nil
	}
	for range 50 {
		b, err := d.get(ctx, bmp180Ctrl, 1)
		if err != nil {
			return err
		}
		if b[0]&bmp180Busy == 0 {
			return nil
		}
		if err := d.wait(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
	return sensors.Errorf(sensors.Timeout, d.conn.String(), "still measuring 100 ms after the longest time of the data sheet")
}

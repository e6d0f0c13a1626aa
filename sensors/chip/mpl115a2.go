package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// MPL115A2, NXP (before: Freescale), data sheet revision 10: registers table 2,
// coefficients 3.2, compensation 3.5; application note AN3785 has the worked example.
//
// The chip has no id and nothing in it can be written: what identifies one is that it
// is none of the chips that share its address, and that its coefficients can be. Its
// thermometer only serves the pressure: 25 °C at 472 counts, -5.35 counts per degree,
// are typical values (the sheet gives 498 in one place and 472 in another, 4.9 °C
// apart), so that its temperature is uncertain always.
const (
	mpl115Data  = 0x00 // pressure, temperature: ten bits each at the top of two bytes
	mpl115Coef  = 0x04 // a0, b1, b2, c12: two bytes each
	mpl115Start = 0x12
	mpl115Takes = 3 * time.Millisecond
)

var (
	mpl115Temperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 105}
	mpl115Pressure    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 50000, Max: 115000}
)

var mpl115a2 = sensors.Driver{
	Name: "mpl115a2", Doc: "NXP MPL115A2, air pressure within 10 hPa, and a rough temperature", Connection: sensors.OnI2C,
	Addresses: mplAddresses,
	Measures:  []sensors.Measure{mpl115Temperature, mpl115Pressure},
	Keys:      i2cKeys(mplAddresses),
	Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
		d := &mpl115{}
		d.attached = attached{machine: m, settings: s, addresses: mplAddresses, fits: isMPL115, begin: d.setUp, once: d.sample}
		return d, nil
	},
	Least: func(sensors.Settings) time.Duration { return mpl115Takes + 2*time.Millisecond },
	Guess: func(ctx context.Context, c sensors.Conn) (string, error) {
		return guessed(ctx, c, looksLikeMPL115, "MPL115A2")
	},
}

// mpl115Calibration are the coefficients, in the units of section 3.5.
type mpl115Calibration struct{ a0, b1, b2, c12 float64 }

// parseMPL115 reads the 8 bytes from 0x04. c12 has 14 bits, signed like the others,
// and nine zeros between point and number.
func parseMPL115(b *[8]byte) mpl115Calibration {
	word := func(i int) int32 { return signed(word16(b[i:]), 16) }
	return mpl115Calibration{
		a0: float64(word(0)) / 8, b1: float64(word(2)) / 8192, b2: float64(word(4)) / 16384, c12: float64(word(6)>>2) / (1 << 22),
	}
}

// usable reports whether the pressure depends on what is measured at all.
func (c *mpl115Calibration) usable() bool { return c.a0 > 0 && c.b1 != 0 }

// pressure returns Pa of counts of pressure and temperature.
func (c *mpl115Calibration) pressure(p, t float64) float64 {
	return ((c.a0+(c.b1+c.c12*t)*p+c.b2*t)*65/1023 + 50) * 1000
}

// mpl115Celsius is the typical temperature of a count.
func mpl115Celsius(t float64) float64 { return 25 + (t-472)/-5.35 }

// mpl115 is an MPL115A2.
type mpl115 struct {
	attached
	calibrated[mpl115Calibration]
}

func isMPL115(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, mplID, 1)
	if err != nil {
		return 0, err
	}
	if b[0] == idMPL3115A2 {
		return 0, sensors.Errorf(sensors.WrongChip, "", `chip id 0xc4 (MPL3115A2) at %s, want an MPL115A2, which has no id; write driver = "mpl3115a2"`, c)
	}
	if b, err = r.get(ctx, mpl115Coef, 8); err != nil {
		return 0, err
	}
	if busFault(b) {
		return 0, sensors.Errorf(sensors.Garbage, c.String(), "its calibration is all 0x%02x: look at the wiring", b[0])
	}
	if cal := parseMPL115((*[8]byte)(b)); !cal.usable() {
		return 0, sensors.Errorf(sensors.WrongChip, "", "what answers at %s has no coefficients of an MPL115A2: a0 %v, b1 %v", c, cal.a0, cal.b1)
	}
	return 2, nil
}

// looksLikeMPL115 wants coefficients near those of the sheet's example besides, in
// sign and size: the address has other users.
func looksLikeMPL115(ctx context.Context, c sensors.Conn) (int, error) {
	if _, err := isMPL115(ctx, c); err != nil {
		return 0, err
	}
	r := registers{conn: c}
	b, err := r.get(ctx, mpl115Coef, 8)
	if err != nil {
		return 0, err
	}
	cal := parseMPL115((*[8]byte)(b))
	if cal.a0 < 1000 || cal.a0 > 4000 || cal.b1 > -1 || cal.b2 > -0.2 || cal.b2 < -2 || cal.c12 < 0 {
		return 0, sensors.Errorf(sensors.WrongChip, "", "coefficients of no MPL115A2 at %s", c)
	}
	return 2, nil
}

func (d *mpl115) setUp(ctx context.Context) error {
	var bytes [8]byte
	if err := d.twice(ctx, mpl115Coef, bytes[:]); err != nil {
		return err
	}
	d.take(parseMPL115(&bytes), d.machine, d.settings, d.conn)
	_, _, err := d.convert(ctx) // the first one is not used
	return err
}

// convert measures and returns the two counts of ten bits.
func (d *mpl115) convert(ctx context.Context) (rawP, rawT uint32, err error) {
	if err := d.set(ctx, mpl115Start, 0); err != nil {
		return 0, 0, err
	}
	if err := d.wait(ctx, mpl115Takes); err != nil {
		return 0, 0, err
	}
	b, err := d.get(ctx, mpl115Data, 4)
	if err != nil {
		return 0, 0, err
	}
	if busFault(b) || b[1]&0x3f != 0 || b[3]&0x3f != 0 {
		return 0, 0, d.garbage("no measurement gives the data bytes 0x%x: it was not ready, or lost power", b)
	}
	return uint32(b[0])<<2 | uint32(b[1])>>6, uint32(b[2])<<2 | uint32(b[3])>>6, nil
}

func (d *mpl115) sample(ctx context.Context, s *sensors.Sample) error {
	rawP, rawT, err := d.convert(ctx)
	if err != nil {
		return err
	}
	s.Chip = "MPL115A2"
	const top = 1<<10 - 1
	celsius := mpl115Celsius(float64(rawT))
	ends := rawT == 0 || rawT == top
	if ends {
		s.AddBad(mpl115Temperature, sensors.Saturated, int64(rawT))
	} else {
		s.AddUncertain(mpl115Temperature, celsius, 0.2, int64(rawT), sensors.NotCalibrated)
	}
	switch {
	case ends || !within(mpl115Temperature, celsius): // a pressure computed with it would look right
		s.AddBad(mpl115Pressure, sensors.NoTemperature, int64(rawP))
	case rawP == 0 || rawP == top:
		s.AddBad(mpl115Pressure, sensors.Saturated, int64(rawP))
	default:
		s.Add(mpl115Pressure, d.cal.pressure(float64(rawP), float64(rawT)), 150, int64(rawP))
	}
	d.doubt(s)
	return nil
}

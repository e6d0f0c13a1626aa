package chip

import (
	"context"
	"fmt"
	"time"

	"weir/sensors"
)

// MS5611-01BA03 and MS5607-02BA03, TE Connectivity. Data sheets of the same names:
// commands and conversion times in the sections "Commands" and "Performance
// specifications" (conversion times per oversampling, maximum), compensation in
// figures 2 and 3; PROM checksum in application note AN520.
//
// The chips have no id. What identifies one is that its PROM has a valid checksum of
// four bits, and that no chip of another maker says at its own id register who it
// is. The two types cannot be told apart at all: an MS5607 taken for an MS5611 reads
// half of the pressure, the other way round twice. At set-up a pressure that only
// makes sense for the other type is refused.
//
// A chip that is asked before its conversion is over, or twice, answers 0.
const (
	ms56Reset   = 0x1e
	ms56PROM    = 0xa0 // 8 words, two bytes each
	ms56D1      = 0x40 // pressure; + 2 per step of oversampling
	ms56D2      = 0x50 // temperature
	ms56Result  = 0x00
	ms56Reload  = 3 * time.Millisecond // 2.8 ms: the PROM is loaded again
	ms56Lowest  = 60000                // Pa; below it a pressure is suspicious, above 4200 m
	ms56Highest = 110000
)

var ms56Addresses = []uint16{0x77, 0x76}

var (
	ms56Temperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 85}
	ms56Pressure    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 1000, Max: 120000, Frozen: noisy}
)

// ms56Times are the longest conversion times for 256, 512, 1024, 2048 and 4096
// samples.
var ms56Times = [...]time.Duration{
	600 * time.Microsecond, 1170 * time.Microsecond, 2280 * time.Microsecond, 4540 * time.Microsecond, 9040 * time.Microsecond,
}

var (
	ms5611 = ms56Driver("ms5611", "MS5611", 0, sensors.Key{Name: "low_pressure", Kind: sensors.KindBool, Default: false,
		Meaning: "pressures below 600 hPa are real (a vacuum, a balloon, above 4200 m); otherwise they are taken for those of an MS5607"})
	ms5607 = ms56Driver("ms5607", "MS5607", 1)
)

func ms56Driver(name, chip string, doubled uint, own ...sensors.Key) sensors.Driver {
	oversample := sensors.Key{Name: "oversample", Kind: sensors.KindInt, Choices: []string{"256", "512", "1024", "2048", "4096"}, Default: 4096,
		Meaning: "samples averaged inside the chip for each value; more is slower and quieter"}
	d := sensors.Driver{
		Name: name, Doc: "TE Connectivity " + chip + ", temperature and air pressure", Connection: sensors.OnI2C,
		Addresses: ms56Addresses,
		Measures:  []sensors.Measure{ms56Temperature, ms56Pressure},
		Keys:      i2cKeys(ms56Addresses, append([]sensors.Key{oversample}, own...)...),
		Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
			d := &ms56{chip: chip, doubled: doubled, step: log2(s.Int("oversample")) - 8}
			d.attached = attached{machine: m, settings: s, addresses: ms56Addresses, fits: d.isOne, begin: d.setUp, once: d.sample}
			return d, nil
		},
		Least: func(s sensors.Settings) time.Duration {
			return 2*ms56Wait(log2(s.Int("oversample"))-8) + 3*time.Millisecond
		},
	}
	if doubled == 0 { // a scan names both types once
		d.Guess = func(ctx context.Context, c sensors.Conn) (string, error) {
			return guessed(ctx, c, (&ms56{chip: chip}).isOne, "MS5611 or MS5607")
		}
	}
	return d
}

// ms56Wait is how long to wait for a conversion: the chip cannot say that it is
// over, so that a tenth is added to the longest time of the sheet.
func ms56Wait(step byte) time.Duration { return ms56Times[step] + ms56Times[step]/10 }

// ms56 is an MS5611 or MS5607.
type ms56 struct {
	attached
	calibrated[ms56Calibration]
	chip    string
	doubled uint // 1: an MS5607
	step    byte // of oversampling, 0 to 4
}

// isOne accepts what has a PROM with a valid checksum and no id of another maker.
func (d *ms56) isOne(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, bmxID, 1)
	switch {
	case err != nil && sensors.FaultOf(err) != sensors.NotAnswering: // it may refuse what it does not know
		return 0, err
	case err == nil && boschChip(bmxID, b[0]) != nil:
		return 0, wrongChip(ctx, c, bmxID, b[0], "an "+d.chip+", which has no id")
	}
	var prom [16]byte
	if err := readMS56PROM(ctx, &r, &prom); err != nil {
		return 0, err
	}
	if busFault(prom[:]) {
		return 0, sensors.Errorf(sensors.Garbage, c.String(), "its PROM is all 0x%02x: look at the wiring", prom[0])
	}
	if _, ok := parseMS56(&prom, d.doubled); !ok {
		return 0, sensors.Errorf(sensors.WrongChip, "", "what answers at %s has no PROM of an %s: its checksum is 0x%x, want 0x%x, and no word empty",
			c, d.chip, prom[15]&0x0f, crc4MS56(&prom))
	}
	return 2, nil
}

func readMS56PROM(ctx context.Context, r *registers, prom *[16]byte) error {
	for i := 0; i < len(prom); i += 2 {
		b, err := r.get(ctx, ms56PROM+byte(i), 2)
		if err != nil {
			return err
		}
		copy(prom[i:], b)
	}
	return nil
}

// setUp resets the chip, which loads its PROM, reads it and throws the first
// measurement away.
func (d *ms56) setUp(ctx context.Context) error {
	if err := d.command(ctx, ms56Reset); err != nil {
		return err
	}
	if err := d.wait(ctx, ms56Reload); err != nil {
		return err
	}
	var prom [16]byte
	if err := readMS56PROM(ctx, &d.registers, &prom); err != nil {
		return err
	}
	cal, ok := parseMS56(&prom, d.doubled)
	if !ok {
		return d.garbage("its PROM has the checksum 0x%x, want 0x%x, or an empty word", prom[15]&0x0f, crc4MS56(&prom))
	}
	d.take(cal, d.machine, d.settings, d.conn)
	d1, d2, err := d.convert(ctx)
	if err != nil {
		return err
	}
	return d.isOther(d1, d2)
}

// isOther refuses a pressure that is out of the ordinary where that of the other
// type would not be.
func (d *ms56) isOther(d1, d2 uint32) error {
	other := d.cal
	other.doubled = 1 - d.doubled
	_, own := d.cal.values(d1, d2)
	_, others := other.values(d1, d2)
	if ordinary(own) || !ordinary(others) || d.settings.Bool("low_pressure") {
		return nil
	}
	driver, also := "ms5607", `, or low_pressure = true if the pressure is that low`
	if d.doubled == 1 {
		driver, also = "ms5611", ""
	}
	return sensors.Errorf(sensors.WrongChip, "", "the pressure at %s would be %s hPa for an %s and %s hPa for the other type, which cannot be told apart: write driver = %q%s",
		d.conn, hectopascals(own), d.chip, hectopascals(others), driver, also)
}

func ordinary(pascal int64) bool { return pascal >= ms56Lowest && pascal <= ms56Highest }

func hectopascals(pascal int64) string { return fmt.Sprint(float64(pascal) / 100) }

// convert measures pressure, then temperature.
func (d *ms56) convert(ctx context.Context) (d1, d2 uint32, err error) {
	if d1, err = d.word(ctx, ms56D1); err != nil {
		return 0, 0, err
	}
	d2, err = d.word(ctx, ms56D2)
	return d1, d2, err
}

// word runs one conversion and reads its 24 bits.
func (d *ms56) word(ctx context.Context, which byte) (uint32, error) {
	if err := d.command(ctx, which+2*d.step); err != nil {
		return 0, err
	}
	if err := d.wait(ctx, ms56Wait(d.step)); err != nil {
		return 0, err
	}
	b, err := d.get(ctx, ms56Result, 3)
	if err != nil {
		return 0, err
	}
	if busFault(b) {
		return 0, d.garbage("it sent 0x%02x%02x%02x for conversion 0x%02x: it was not ready, or lost power", b[0], b[1], b[2], which)
	}
	return word24(b), nil
}

func (d *ms56) sample(ctx context.Context, s *sensors.Sample) error {
	d1, d2, err := d.convert(ctx)
	if err != nil {
		return err
	}
	s.Chip = d.chip
	centi, pascal := d.cal.values(d1, d2)
	celsius := float64(centi) / 100
	s.Add(ms56Temperature, celsius, 0.01, int64(d2))
	if within(ms56Temperature, celsius) {
		s.Add(ms56Pressure, float64(pascal), 1, int64(d1))
	} else { // a pressure computed with it would look right
		s.AddBad(ms56Pressure, sensors.NoTemperature, int64(d1))
	}
	d.doubt(s)
	return nil
}

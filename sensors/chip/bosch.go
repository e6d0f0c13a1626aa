package chip

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"weir/sensors"
)

// What the drivers of Bosch Sensortec's pressure chips share. Each of them says
// what it is in a register, but not all in the same one: a BMP390 answers 0x60
// where a BMP388 answers 0x50, and a BME280 answers 0x60 elsewhere.

// identity is a chip by what it says of itself.
type identity struct {
	register, id byte
	name, driver string
}

const bmp3ID = 0x00 // the register a BMP388 or BMP390 says its id in

var boschChips = []identity{
	{bmxID, idBMP180, "BMP180 or BMP085", "bmp180"},
	{bmxID, 0x56, "BMP280 sample", "bmp280"},
	{bmxID, 0x57, "BMP280 sample", "bmp280"},
	{bmxID, idBMP280, "BMP280", "bmp280"},
	{bmxID, idBME280, "BME280", "bme280"},
	{bmxID, idBME68x, "BME680 or BME688", "bme680"},
	{bmp3ID, idBMP388, "BMP388", "bmp388"},
	{bmp3ID, idBMP390, "BMP390", "bmp390"},
	{bmp5ID, idBMP581, "BMP581", "bmp581"},
	{bmp5ID, idBMP585, "BMP585", "bmp585"},
}

// boschFilter is the filter that the chips since the BMP388 have: of what they show,
// one part in so many is new. Their sheets name the coefficient, which is one less.
var boschFilter = sensors.Key{
	Name: "filter", Kind: sensors.KindInt, Choices: []string{"0", "2", "4", "8", "16", "32", "64", "128"}, Default: 0,
	Meaning: "the chip's own smoothing over this many readings, against gusts and slamming doors; 0 is off",
}

// boschChip returns the chip that says this id in this register, or nil.
func boschChip(register, id byte) *identity {
	for i := range boschChips {
		if boschChips[i].register == register && boschChips[i].id == id {
			return &boschChips[i]
		}
	}
	return nil
}

// identifyAs reads the id register and looks it up; "" if it is another one.
func identifyAs(ctx context.Context, c sensors.Conn, register byte, names map[byte]string) (string, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, register, 1)
	if err != nil {
		return "", err
	}
	return names[b[0]], nil
}

// wrongChip says what answered with an id that is not the wanted one, asking the
// other register of the family too. All 00 or FF there is no chip at all.
func wrongChip(ctx context.Context, c sensors.Conn, register, id byte, want string) error {
	for _, ask := range [...]byte{bmxID, bmp3ID} {
		said := id
		if ask != register {
			r := registers{conn: c}
			b, err := r.get(ctx, ask, 1)
			if err != nil {
				continue // what is known already is told
			}
			said = b[0]
		}
		if k := boschChip(ask, said); k != nil {
			return sensors.Errorf(sensors.WrongChip, "", "chip id 0x%02x (%s) at %s, want %s; write driver = %q", said, k.name, c, want, k.driver)
		}
	}
	return wrongIdentity(c, id, nil, want)
}

// block is a row of registers.
type block struct {
	first byte
	n     int
}

// readBlocks reads blocks of what is read once into b, twice, since a wrong bit in
// it would make every later value wrong without a trace. What they hold is not
// looked at.
func (d *attached) readBlocks(ctx context.Context, b []byte, blocks ...block) error {
	rest := b
	for _, k := range blocks {
		got, err := d.get(ctx, k.first, k.n)
		if err != nil {
			return err
		}
		rest = rest[copy(rest, got):]
	}
	rest = b
	for _, k := range blocks {
		got, err := d.get(ctx, k.first, k.n)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, rest[:k.n]) {
			return d.garbage("its calibration reads differently a second time")
		}
		rest = rest[k.n:]
	}
	return nil
}

// successors are chips after the BMP280 that differ in their id, their noise or their
// housing only, so that the driver of one reads the others.
type successors struct {
	addresses []uint16
	measures  []sensors.Measure
	samples   []string // choices of the oversampling of the pressure
	usual     int      // one of them
	takes     func(over byte) time.Duration
	open      func() (sensors.Device, *successor) // with begin and once
}

// successor is what their opened drivers share.
type successor struct {
	attached
	as     *identity // the chip the driver is named after
	over   byte      // code of the pressure's oversampling: its binary logarithm
	filter byte      // code of the filter, 0 to 7
	chip   string    // what answered
}

func (f *successors) driver(as *identity, doc string) sensors.Driver {
	return sensors.Driver{
		Name: as.driver, Doc: doc, Connection: sensors.OnI2C, Addresses: f.addresses,
		Measures: f.measures,
		Keys: i2cKeys(f.addresses, sensors.Key{
			Name: "oversample", Kind: sensors.KindInt, Choices: f.samples, Default: f.usual,
			Meaning: "pressure measurements averaged inside the chip for each value; more is slower, quieter and warmer",
		}, boschFilter),
		Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
			device, d := f.open()
			d.as, d.over, d.filter = as, log2(s.Int("oversample")), log2(s.Int("filter"))
			d.machine, d.settings, d.addresses, d.fits = m, s, f.addresses, d.isOne
			return device, nil
		},
		Least: func(s sensors.Settings) time.Duration {
			return f.takes(log2(s.Int("oversample"))) + 3*time.Millisecond // and the transfers at 100 kHz
		},
		Identify: func(ctx context.Context, c sensors.Conn) (string, error) {
			return identifyAs(ctx, c, as.register, map[byte]string{as.id: as.name})
		},
	}
}

// isOne accepts the chip the driver is named after, and another of them in its place.
func (d *successor) isOne(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, d.as.register, 1)
	if err != nil {
		return 0, err
	}
	switch k := boschChip(d.as.register, b[0]); k {
	case d.as:
		return 2, nil
	case nil:
		return 0, wrongChip(ctx, c, d.as.register, b[0], fmt.Sprintf("0x%02x in register 0x%02x (%s)", d.as.id, d.as.register, d.as.name))
	}
	return 1, nil
}

// learn asks a chip that was reset what it is.
func (d *successor) learn(ctx context.Context) error {
	var b [1]byte
	if err := d.readBlocks(ctx, b[:], block{d.as.register, 1}); err != nil {
		return err
	}
	k := boschChip(d.as.register, b[0])
	if k == nil {
		return wrongChip(ctx, d.conn, d.as.register, b[0], "the one of before the reset")
	}
	d.chip = k.name
	return nil
}

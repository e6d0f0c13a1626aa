package chip

import (
	"bytes"
	"context"

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

// eitherOf accepts the wanted of two ids that one driver reads, and the other in
// its place.
func eitherOf(ctx context.Context, c sensors.Conn, register, wanted, other byte, want string) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, register, 1)
	switch {
	case err != nil:
		return 0, err
	case b[0] == wanted:
		return 2, nil
	case b[0] == other:
		return 1, nil
	}
	return 0, wrongChip(ctx, c, register, b[0], want)
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

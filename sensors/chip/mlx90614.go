package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// MLX90614, Melexis: infrared thermometer. Data sheet 3901090614: RAM and EEPROM tables
// (chapter 8), SMBus 8.4, computation 8.7, first valid data 0.25 s after power-up
// (timing table). Each answer of two bytes carries a checksum over the whole transfer.
//
// The EEPROM is only read. The option emissivity corrects the object's temperature
// here: what arrives is emissivity times the difference of the fourth powers of both
// temperatures, and the chip divides by the emissivity in its memory.
const (
	mlxAmbient    = 0x06
	mlxObject     = 0x07
	mlxEmissivity = 0x24 // EEPROM; 1/65535
	mlxOwnAddress = 0x2e // EEPROM; low byte
	mlxFlags      = 0xf0
	mlxStarted    = 1 << 4 // of the flags: the start is over
	mlxAddress    = 0x5a
)

// objectTemperature is the temperature of the surface in view.
const objectTemperature sensors.Quantity = "object_temperature"

var mlxAddresses = []uint16{mlxAddress}

var (
	mlxTemperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 125}
	mlxSurface     = sensors.Measure{Quantity: objectTemperature, Unit: sensors.Celsius, Min: -70, Max: 382.2}
)

var mlx90614 = sensors.Driver{
	Name: "mlx90614", Connection: sensors.OnI2C, Addresses: mlxAddresses,
	Doc:      "Melexis MLX90614, temperature of a surface in view, and its own",
	Measures: []sensors.Measure{mlxTemperature, mlxSurface},
	Keys: mlxKeys(sensors.Key{Name: "emissivity", Kind: sensors.KindFloat, Min: 0.05, Max: 1, Example: "0.95",
		Meaning: "of the surface in view, a factor; when not set, the one in the chip's memory, which is 1 if nobody changed it"}),
	Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
		d := &mlx{address: byte(s.Int("address")), emissivity: s.Float("emissivity")}
		d.machine, d.settings, d.addresses = m, s, mlxAddresses
		d.attached.fits, d.begin, d.once = d.fits, d.setUp, d.sample
		return d, nil
	},
	Least:    func(sensors.Settings) time.Duration { return 5 * time.Millisecond },
	Identify: identifyMLX,
}

// identifyMLX believes a right checksum of a temperature, and of the memory's cell with
// the address that it answers at: others at this address pass one by chance, not both.
func identifyMLX(ctx context.Context, c sensors.Conn) (string, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, mlxAmbient, 3)
	if err != nil || busFault(b) || !mlxSound(mlxAddress, mlxAmbient, b) {
		return "", err
	}
	if b, err = r.get(ctx, mlxOwnAddress, 3); err != nil || b[0] != mlxAddress || !mlxSound(mlxAddress, mlxOwnAddress, b) {
		return "", err
	}
	return "MLX90614", nil
}

// mlxKeys are those of I2C, with an address that its memory may set to any.
func mlxKeys(own ...sensors.Key) []sensors.Key {
	keys := i2cKeys(mlxAddresses, own...)
	for i := range keys {
		if keys[i].Name == "address" {
			keys[i].Default, keys[i].Min, keys[i].Max, keys[i].Example = mlxAddress, 0x08, 0x77, "0x5b"
		}
	}
	return keys
}

// mlx is an MLX90614.
type mlx struct {
	attached
	address    byte
	emissivity float64 // that is set; 0: none
	inside     float64 // that of the chip's memory
	told       bool
}

// fits accepts what answers with a right checksum.
func (d *mlx) fits(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, mlxAmbient, 3)
	switch {
	case err != nil:
		return 0, err
	case busFault(b):
		return 0, sensors.Errorf(sensors.Garbage, c.String(), "all bytes are 0x%02x: look at the wiring", b[0])
	case !mlxSound(d.address, mlxAmbient, b):
		return 0, sensors.Errorf(sensors.WrongChip, "", "the checksum of % x at %s is not that of an MLX90614", b, c)
	}
	return 2, nil
}

// setUp waits for the end of the start and reads the emissivity.
func (d *mlx) setUp(ctx context.Context) error {
	if err := d.untilStarted(ctx); err != nil {
		return err
	}
	word, err := d.word(ctx, mlxEmissivity)
	if err != nil {
		return err
	}
	if word == 0 {
		return d.garbage("the emissivity in its memory is 0: it was erased and not written")
	}
	d.inside = float64(word) / 0xffff
	if d.emissivity != 0 && !d.told && (d.emissivity-d.inside > 0.001 || d.inside-d.emissivity > 0.001) {
		d.told = true
		d.machine.Log().Info("the emissivity in the chip's memory is another one; values are corrected here",
			"sensor", d.settings.Name, "at", d.conn.String(), "memory", float64(int(d.inside*1000+0.5))/1000, "set", d.emissivity)
	}
	return nil
}

func (d *mlx) untilStarted(ctx context.Context) error {
	for range 20 {
		flags, err := d.word(ctx, mlxFlags)
		if err != nil {
			return err
		}
		if flags&mlxStarted != 0 {
			return nil
		}
		if err := d.wait(ctx, 25*time.Millisecond); err != nil { // 0.25 s in all
			return err
		}
	}
	return sensors.Errorf(sensors.Timeout, d.conn.String(), "still starting after half a second")
}

// word reads two bytes, low byte first, and their checksum.
func (d *mlx) word(ctx context.Context, command byte) (uint16, error) {
	b, err := d.get(ctx, command, 3)
	if err != nil {
		return 0, err
	}
	if !mlxSound(d.address, command, b) {
		return 0, d.garbage("the checksum of % x is wrong", b)
	}
	return uint16(little16(b)), nil
}

func (d *mlx) sample(ctx context.Context, s *sensors.Sample) error {
	own, err := d.word(ctx, mlxAmbient)
	if err != nil {
		return err
	}
	seen, err := d.word(ctx, mlxObject)
	if err != nil {
		return err
	}
	if own == 0 || seen == 0 {
		return d.garbage("it has not measured since its power came back")
	}
	s.Chip = "MLX90614"
	ambient, fine := mlxCelsius(own)
	if !fine {
		s.AddBad(mlxTemperature, sensors.FaultValue, int64(own))
		s.AddBad(mlxSurface, sensors.NoTemperature, int64(seen))
		return nil
	}
	s.Add(mlxTemperature, ambient, 0.02, int64(own))
	object, fine := mlxCelsius(seen)
	switch {
	case !fine:
		s.AddBad(mlxSurface, sensors.FaultValue, int64(seen))
	case !within(mlxTemperature, ambient): // the object's is computed with it
		s.AddBad(mlxSurface, sensors.NoTemperature, int64(seen))
	default:
		if d.emissivity != 0 {
			object = mlxCorrected(object, ambient, d.inside, d.emissivity)
		}
		if object != object { // colder than nothing: the emissivity is wrong for this view
			s.AddBad(mlxSurface, sensors.NotANumber, int64(seen))
			return nil
		}
		s.Add(mlxSurface, object, 0.02, int64(seen))
	}
	return nil
}

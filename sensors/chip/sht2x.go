package chip

import (
	"context"
	"time"
)

// HTU21D (TE Connectivity), SHT20, SHT21 and SHT25 (Sensirion), Si7013, Si7020 and
// Si7021 (Silicon Labs): the same commands. HTU21D data sheet HPC199 (pages 10-15),
// SHT21 data sheet (version 4): commands table 6, times table 7, user register table
// 8, status bits section 5.4; Si7021-A20 data sheet (revision 1.2): commands table 11,
// times table 2, serial number section 5.5. Sensirion's application note "Electronic
// identification code" for the serial number of the SHT21.
//
// Measured is without hold, which lets the chip not acknowledge while it is busy. The
// two lowest bits of a word say what it is: 00 a temperature, 10 a humidity.

// sht2xTimes are the longest times of a temperature and of a humidity by chip. The
// Si7021 measures a temperature with every humidity.
var sht2xTimes = map[string][2]time.Duration{
	"HTU21D": {50 * time.Millisecond, 16 * time.Millisecond},
	"Si7021": {10800 * time.Microsecond, 22800 * time.Microsecond},
	"SHT2x":  {85 * time.Millisecond, 29 * time.Millisecond},
}

// sht2xKind is the kind of one of these chips, which can all stand in for each other.
func sht2xKind(name, chip, doc string) *airKind {
	k := &airKind{
		name: name, chip: chip, doc: doc,
		addresses: []uint16{0x40},
		lowest:    -40, highest: 125, full: 0xfffc, stepT: 0.01, stepH: 0.04,
		takes: sht2xTimes["SHT2x"][0] + sht2xTimes["SHT2x"][1], // the slowest may stand in
		ask:   ask40,
		begin: beginSHT2x, convert: convertSHT2x,
		celsius: sht2xCelsius, percent: sht2xPercent,
	}
	for _, other := range []string{"HTU21D", "Si7021", "SHT2x"} {
		if other != chip {
			k.stands = append(k.stands, other)
		}
	}
	return k
}

var (
	htu21d = sht2xKind("htu21d", "HTU21D", "TE Connectivity HTU21D, temperature and humidity").driver()
	si7021 = sht2xKind("si7021", "Si7021", "Silicon Labs Si7013, Si7020 and Si7021, temperature and humidity").driver()
	sht21  = sht2xKind("sht2x", "SHT2x", "Sensirion SHT20, SHT21 and SHT25, temperature and humidity").driver()
)

const (
	sht2xTemperature = 0xf3
	sht2xHumidity    = 0xf5
	sht2xReadUser    = 0xe7
	sht2xWriteUser   = 0xe6
	sht2xReset       = 0xfe

	// User register: resolution bits 7 and 0, supply too low bit 6, heater bit 2, and
	// bit 1 that is set unless settings are loaded anew before each measurement.
	sht2xUsual   = 1 << 1
	sht2xChoices = 1<<7 | 1<<2 | 1<<0

	sht2xIsHumidity = 1 << 1
)

var sht2xSerial = [2]byte{0xfc, 0xc9} // the second half of the serial number

// sht2xNames are the chips that name themselves in the first byte of that half.
var sht2xNames = map[byte]string{0x0d: "Si7021", 0x14: "Si7021", 0x15: "Si7021", 0x32: "HTU21D"}

// ask40 knows the HDC1080 and HDC10x0, which have an id among their registers, and the
// SHT2x family by its serial number. That is a question of two bytes, a setting to other
// chips of this address: so it is put only if the user register looks like one.
func ask40(ctx context.Context, a *asker) (string, error) {
	b, err := a.ask(ctx, 0, 2, hdc1080Device)
	if err != nil {
		return "", err
	}
	if chip := hdc1080Names[deviceID(b)]; chip != "" {
		b, err = a.ask(ctx, 0, 2, hdc1080Maker)
		if err != nil || deviceID(b) != hdc1080TI {
			return "", err
		}
		return chip, nil
	}
	b, err = a.ask(ctx, 0, 1, sht2xReadUser)
	if err != nil || b == nil || b[0]&sht2xUsual == 0 || b[0] == 0xff {
		return "", err
	}
	b, err = a.ask(ctx, 0, 6, sht2xSerial[:]...)
	if err != nil || b == nil || !checked(crcFrom0, b[:3]) {
		return "", err
	}
	if chip := sht2xNames[b[0]]; chip != "" {
		return chip, nil
	}
	if checked(crcFrom0, b[3:]) {
		return "SHT2x", nil
	}
	return "", nil
}

// deviceID returns the word of an id register, 0 if it was not answered.
func deviceID(b []byte) uint32 {
	if b == nil {
		return 0
	}
	return word16(b)
}

// beginSHT2x resets the chip, which leaves its heater as it was, and brings heater and
// resolution to where they are after power-up.
func beginSHT2x(ctx context.Context, d *air) error {
	if err := d.perform(ctx, 15*time.Millisecond, sht2xReset); err != nil {
		return err
	}
	b, err := d.get(ctx, sht2xReadUser, 1)
	if err != nil {
		return err
	}
	user := b[0]
	if user&sht2xChoices == 0 {
		return nil
	}
	if b, err = d.get(ctx, sht2xReadUser, 1); err != nil {
		return err
	}
	if b[0] != user { // it has no checksum, and its other bits are to stay as they are
		return d.garbage("its user register reads 0x%02x and then 0x%02x", user, b[0])
	}
	return d.set(ctx, sht2xWriteUser, user&^sht2xChoices)
}

func convertSHT2x(ctx context.Context, d *air) (t, h uint32, err error) {
	takes := sht2xTimes[d.chip]
	if t, err = d.oneSHT2x(ctx, "temperature", sht2xTemperature, takes[0], 0); err != nil {
		return 0, 0, err
	}
	h, err = d.oneSHT2x(ctx, "humidity", sht2xHumidity, takes[1], sht2xIsHumidity)
	return t, h, err
}

func (d *air) oneSHT2x(ctx context.Context, what string, command byte, takes time.Duration, status uint32) (uint32, error) {
	if err := d.command(ctx, command); err != nil {
		return 0, err
	}
	b, err := d.await(ctx, takes, 3)
	if err != nil {
		return 0, err
	}
	if busFault(b) { // the checksum of 00 00 is 00 here
		return 0, d.garbage("all bytes of the %s are 0x%02x", what, b[0])
	}
	raw, err := d.checkedWord(what, crcFrom0, b)
	if err != nil {
		return 0, err
	}
	if raw&sht2xIsHumidity != status {
		return 0, d.garbage("asked for the %s it sent a word of the other kind (0x%04x)", what, raw)
	}
	return raw &^ 3, nil
}

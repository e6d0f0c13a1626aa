package chip

import (
	"context"
	"time"
)

// SHTC3, Sensirion. SHTC3 data sheet (version 3): times table 5, sleep and wake-up
// section 5.1, measurement commands table 7, soft reset 5.7, identification register
// 5.9. It sleeps between measurements and hears nothing then but the wake-up command.
var shtc3 = (&airKind{
	name: "shtc3", chip: "SHTC3",
	doc:       "Sensirion SHTC3, temperature and humidity",
	addresses: []uint16{0x70},
	lowest:    -40, highest: 125, full: 0xffff, stepT: 0.01, stepH: 0.01,
	ask:     ask70,
	begin:   beginSHTC3,
	convert: convertSHTC3,
	celsius: shtc3Celsius, percent: shtc3Percent,
	ways: shtc3Precisions,
}).driver()

var (
	shtc3Wake  = [2]byte{0x35, 0x17}
	shtc3Sleep = [2]byte{0xb0, 0x98}
	shtc3Reset = [2]byte{0x80, 0x5d}
	shtc3Name  = [2]byte{0xef, 0xc8}
)

const (
	shtc3Wakes = 300 * time.Microsecond // 240 µs: table 5

	shtc3NameBits = 0x083f // the others tell one chip from another: section 5.9
	shtc3Number   = 0x0807
)

// Temperature first, without clock stretching: table 7.
var shtc3Precisions = []precision{
	{"high", [2]byte{0x78, 0x66}, 12100 * time.Microsecond},
	{"low", [2]byte{0x60, 0x9c}, 800 * time.Microsecond},
}

// ask70 knows an SHTC3. A chip that answers a read without a command is none: most
// often it is a multiplexer, which takes whatever is written to it for a choice of
// channels.
func ask70(ctx context.Context, a *asker) (string, error) {
	if b, err := a.hear(ctx, 1); err != nil || b != nil {
		return "", err
	}
	if _, err := a.unlessSilent(nil, a.set(ctx, shtc3Wake[:]...)); err != nil || a.heard == 0 {
		return "", err
	}
	if err := a.wait(ctx, shtc3Wakes); err != nil {
		return "", err
	}
	b, err := a.ask(ctx, 0, 3, shtc3Name[:]...)
	if err != nil || !checked(crcFromFF, b) || word16(b)&shtc3NameBits != shtc3Number {
		return "", err
	}
	_, err = a.unlessSilent(nil, a.set(ctx, shtc3Sleep[:]...))
	return "SHTC3", err
}

func beginSHTC3(ctx context.Context, d *air) error {
	if err := d.perform(ctx, shtc3Wakes, shtc3Wake[:]...); err != nil {
		return err
	}
	return d.perform(ctx, shtc3Wakes, shtc3Reset[:]...)
}

func convertSHTC3(ctx context.Context, d *air) (t, h uint32, err error) {
	if err := d.perform(ctx, shtc3Wakes, shtc3Wake[:]...); err != nil {
		return 0, 0, err
	}
	if t, h, err = convertWords(ctx, d); err != nil {
		return 0, 0, err
	}
	return t, h, d.command(ctx, shtc3Sleep[:]...)
}

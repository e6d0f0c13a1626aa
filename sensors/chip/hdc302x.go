package chip

import (
	"context"
	"time"
)

// HDC3020, HDC3021 and HDC3022, Texas Instruments. HDC302x data sheet SNAS778: times
// section 6.5, commands table 8-4, conversion 8.3.3, checksum 8.5.2.
var hdc302x = (&airKind{
	name: "hdc302x", chip: "HDC302x",
	doc:       "Texas Instruments HDC3020, HDC3021 and HDC3022, temperature and humidity",
	addresses: []uint16{0x44, 0x45, 0x46, 0x47},
	lowest:    -40, highest: 125, full: 0xffff, stepT: 0.01, stepH: 0.01,
	ask:     ask44,
	begin:   beginHDC302x,
	convert: convertWords,
	celsius: sht3xCelsius, percent: sht3xPercent,
	ways: hdc302xPrecisions,
}).driver()

var hdc302xMaker = [2]byte{0x37, 0x81} // asks for the manufacturer

const hdc302xTI = 0x3000

// On demand, in the four power modes from the least noise to the least power, with the
// times of section 6.5, which are typical ones: it does not acknowledge until it is done.
var hdc302xPrecisions = []precision{
	{"high", [2]byte{0x24, 0x00}, 12500 * time.Microsecond},
	{"medium", [2]byte{0x24, 0x0b}, 7500 * time.Microsecond},
	{"low", [2]byte{0x24, 0x16}, 5000 * time.Microsecond},
	{"lowest", [2]byte{0x24, 0xff}, 3700 * time.Microsecond},
}

func beginHDC302x(ctx context.Context, d *air) error {
	if err := d.perhaps(ctx, time.Millisecond, shtBreak[:]...); err != nil { // it may measure by itself
		return err
	}
	if err := d.perform(ctx, 4*time.Millisecond, shtReset[:]...); err != nil { // 3 ms: section 6.5
		return err
	}
	return d.perform(ctx, time.Millisecond, shtCool[:]...)
}

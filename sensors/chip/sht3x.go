package chip

import (
	"context"
	"time"
)

// SHT30, SHT31, SHT35 and SHT85, Sensirion. SHT3x-DIS data sheet (December 2022):
// times table 4, single shot commands table 9, status register tables 17 and 18,
// soft reset section 4.9, checksum table 20. The single shot commands used are those
// without clock stretching; the chip does not acknowledge while it measures.
//
// It keeps no setting between measurements, so a short failure of its power loses
// none.
var sht3x = (&airKind{
	name: "sht3x", chip: "SHT3x",
	doc:       "Sensirion SHT30, SHT31, SHT35 and SHT85, temperature and humidity",
	addresses: []uint16{0x44, 0x45},
	lowest:    -40, highest: 125, full: 0xffff, stepT: 0.01, stepH: 0.01,
	ask:     ask44,
	begin:   beginSHT3x,
	convert: convertWords,
	celsius: sht3xCelsius, percent: sht3xPercent,
	ways: sht3xPrecisions,
}).driver()

// Commands of the SHT3x that the HDC302x knows as well.
var (
	shtBreak   = [2]byte{0x30, 0x93} // end of measuring by itself
	shtReset   = [2]byte{0x30, 0xa2}
	shtStatus  = [2]byte{0xf3, 0x2d}
	shtCool    = [2]byte{0x30, 0x66} // heater off
	shtForgive = [2]byte{0x30, 0x41} // clear the status
)

var sht3xPrecisions = []precision{
	{"high", [2]byte{0x24, 0x00}, 15500 * time.Microsecond},
	{"medium", [2]byte{0x24, 0x0b}, 6500 * time.Microsecond},
	{"low", [2]byte{0x24, 0x16}, 4500 * time.Microsecond},
}

// Bits of the status register that are always 0: table 18. The HDC302x uses some.
const sht3xReserved = 0x53ec

// ask44 knows what can be told apart at 0x44 to 0x47: SHT4x, HDC302x and SHT3x, asked
// in this order, since a question of an SHT3x spoils the next measurement of an SHT4x
// (Sensirion's arduino-sht, issue 32). None of these answers a read without a command
// but with a measurement nobody has fetched; a chip that does is another one, and is
// asked nothing, because to a chip with registers the questions would be settings.
func ask44(ctx context.Context, a *asker) (string, error) {
	b, err := a.hear(ctx, 6)
	if err != nil || b != nil && !checked(crcFromFF, b) {
		return "", err
	}
	const tries = 3 // an answer that got lost must not lead to the other questions
	before := a.heard
	for range tries {
		switch b, err = a.ask(ctx, 1500*time.Microsecond, 6, sht4xSerial); {
		case checked(crcFromFF, b):
			return "SHT4x", nil
		case err != nil || b != nil: // an SHT4x with an answer that the bus has spoilt, or a stranger
			return "", err
		}
		if err := a.wait(ctx, 5*time.Millisecond); err != nil {
			return "", err
		}
	}
	if a.heard < before+tries { // nor must a question: those that do not know it acknowledge it
		return "", nil
	}
	b, err = a.ask(ctx, time.Millisecond, 3, hdc302xMaker[:]...)
	if err != nil {
		return "", err
	}
	if checked(crcFromFF, b) && word16(b) == hdc302xTI {
		return "HDC302x", nil
	}
	b, err = a.ask(ctx, time.Millisecond, 3, shtStatus[:]...)
	if checked(crcFromFF, b) && word16(b)&sht3xReserved == 0 {
		return "SHT3x", nil
	}
	return "", err
}

func beginSHT3x(ctx context.Context, d *air) error {
	if err := d.perhaps(ctx, time.Millisecond, shtBreak[:]...); err != nil { // it may measure by itself
		return err
	}
	if err := d.perform(ctx, 2*time.Millisecond, shtReset[:]...); err != nil { // 1.5 ms: table 4
		return err
	}
	return d.perform(ctx, time.Millisecond, shtForgive[:]...)
}

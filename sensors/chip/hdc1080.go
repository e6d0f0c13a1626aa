package chip

import (
	"context"
	"time"
)

// HDC1080, Texas Instruments. HDC1080 data sheet SNAS672: times section 7.5, measuring
// 8.5.1, registers 8.6 (table 1), configuration 8.6.3, ids 8.6.5 and 8.6.6. HDC1000,
// HDC1008, HDC1010 and HDC1050 (HDC1010 data sheet SNAS685) have the same registers; the
// HDC1050 says the number of the HDC1080.
//
// The chip does not acknowledge while it measures, and has no checksum: so its
// configuration is read and compared at each measurement.

// hdc1080Kind is the kind of the HDC1080 or of the others of its family.
func hdc1080Kind(name, chip, other, doc string, addresses ...uint16) *airKind {
	return &airKind{
		name: name, chip: chip, doc: doc, addresses: addresses, stands: []string{other},
		lowest: -40, highest: 125, full: 0xffff &^ 3, stepT: 0.01, stepH: 0.01, // 14 bits
		takes: hdc1080Takes,
		ask:   ask40,
		begin: beginHDC1080, convert: convertHDC1080,
		celsius: hdc1080Celsius, percent: hdc1080Percent,
	}
}

var (
	hdc1080 = hdc1080Kind("hdc1080", "HDC1080", "HDC1000", "Texas Instruments HDC1080 and HDC1050, temperature and humidity", 0x40).driver()
	hdc1000 = hdc1080Kind("hdc1000", "HDC1000", "HDC1080", "Texas Instruments HDC1000, HDC1008 and HDC1010, temperature and humidity", 0x40, 0x41, 0x42, 0x43).driver()
)

const (
	hdc1080Data   = 0x00 // to set the pointer here starts a measurement
	hdc1080Config = 0x02
	hdc1080Maker  = 0xfe
	hdc1080Device = 0xff

	hdc1080TI     = 0x5449
	hdc1080Reset  = 0x80   // high byte of the configuration
	hdc1080Both   = 0x1000 // temperature and humidity in one go, 14 bits each, heater off
	hdc1080Supply = 0x0800 // below 2.8 V; the chip sets it itself

	hdc1080Takes = 12850 * time.Microsecond // 6.35 ms and 6.5 ms
)

var hdc1080Names = map[uint32]string{0x1050: "HDC1080", 0x1000: "HDC1000"}

func beginHDC1080(ctx context.Context, d *air) error {
	if err := d.perform(ctx, 16*time.Millisecond, hdc1080Config, hdc1080Reset|hdc1080Both>>8, 0); err != nil { // start-up takes 15 ms
		return err
	}
	return d.command(ctx, hdc1080Config, hdc1080Both>>8, 0)
}

func convertHDC1080(ctx context.Context, d *air) (t, h uint32, err error) {
	b, err := d.get(ctx, hdc1080Config, 2)
	if err != nil {
		return 0, 0, err
	}
	if config := word16(b); config&^hdc1080Supply != hdc1080Both {
		return 0, 0, d.garbage("it lost its settings (configuration 0x%04x): its power failed for a moment, or the bus is bad", config)
	}
	if err := d.command(ctx, hdc1080Data); err != nil {
		return 0, 0, err
	}
	if b, err = d.await(ctx, hdc1080Takes, 4); err != nil {
		return 0, 0, err
	}
	if busFault(b) {
		return 0, 0, d.garbage("all data bytes are 0x%02x", b[0])
	}
	return word16(b), word16(b[2:]), nil
}

package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// SHT40, SHT41, SHT43 and SHT45, Sensirion. SHT4x data sheet (version 6.6): times
// table 5, commands table 8, heater sections 4.8 and 4.9. Commands have one byte.
var sht4x = (&airKind{
	name: "sht4x", chip: "SHT4x",
	doc:       "Sensirion SHT40, SHT41, SHT43 and SHT45, temperature and humidity",
	addresses: []uint16{0x44, 0x45, 0x46},
	keys:      dryingKeys,
	lowest:    -40, highest: 125, full: 0xffff, stepT: 0.01, stepH: 0.01,
	ask:     ask44,
	begin:   beginSHT4x,
	convert: convertSHT4x,
	celsius: sht3xCelsius, percent: sht4xPercent,
	ways:  sht4xPrecisions,
	after: drySHT4x,
}).driver()

const (
	sht4xSerial = 0x89
	sht4xReset  = 0x94
	sht4xHeat   = 0x39 // 200 mW for a second
)

var sht4xPrecisions = []precision{
	{"high", [2]byte{0xfd}, 8300 * time.Microsecond},
	{"medium", [2]byte{0xf6}, 4500 * time.Microsecond},
	{"low", [2]byte{0xe0}, 1600 * time.Microsecond},
}

// beginSHT4x resets the chip and measures once for nothing: another program that looked
// for an SHT3x at its address has spoilt what it measures first.
func beginSHT4x(ctx context.Context, d *air) error {
	if err := d.perform(ctx, 1500*time.Microsecond, sht4xReset); err != nil {
		return err
	}
	_, _, err := convertSHT4x(ctx, d)
	return err
}

func convertSHT4x(ctx context.Context, d *air) (t, h uint32, err error) {
	if err := d.command(ctx, d.way.command[0]); err != nil {
		return 0, 0, err
	}
	return d.twoWords(ctx)
}

// drySHT4x heats the chip after a measurement in saturated air, where that is set, so
// that water on it goes away. What follows is measured by a warm chip and doubted.
func drySHT4x(ctx context.Context, d *air, s *sensors.Sample) {
	now := time.Now()
	if d.drying.warm(now) {
		s.Doubt(sensors.JustHeated)
	}
	h := s.Readings[1]
	if !d.drying.due(now, h) {
		return
	}
	if err := d.command(ctx, sht4xHeat); err == nil { // else it is still due at the next measurement
		d.drying.heated, d.busy = now, now.Add(heatingTakes)
	}
}

package chip

import (
	"time"

	"weir/sensors"
)

// drying decides when a chip that has a heater dries itself. In fog water settles on a
// sensor, which then says 100 % long after the air is dry again. The SHT4x data sheet
// allows the heater a tenth of the time (section 4.9); more would falsify every
// temperature.
type drying struct {
	above  float64 // %RH; 0: never
	every  time.Duration
	heated time.Time // when it was last started
}

const (
	heatingTakes = 1100 * time.Millisecond // a second and a tenth more: table 5
	coolingTakes = time.Minute             // until the chip is as warm as the air again
)

var dryingKeys = []sensors.Key{
	{Name: "dry_above", Kind: sensors.KindFloat, Unit: "%RH", Min: 50, Max: 100, Example: "98",
		Meaning: "heat the chip for a second when the humidity is above, so that condensed water goes away; for a minute its values are uncertain; when not set, never"},
	{Name: "dry_every", Kind: sensors.KindDuration, Default: "10m", Min: 60, Max: 86400, Example: `"10m"`,
		Meaning: "the shortest time between two such heatings"},
}

func dryingOf(s sensors.Settings) drying {
	return drying{above: s.Float("dry_above"), every: s.Duration("dry_every")}
}

// due reports whether this humidity asks for heating.
func (d *drying) due(now time.Time, h sensors.Reading) bool {
	if d.above == 0 || h.Quality.Level != sensors.Good || h.Value < d.above {
		return false
	}
	return d.heated.IsZero() || now.Sub(d.heated) >= d.every
}

// warm reports whether the chip is still warm from its heater.
func (d *drying) warm(now time.Time) bool {
	return !d.heated.IsZero() && now.Sub(d.heated) < coolingTakes
}

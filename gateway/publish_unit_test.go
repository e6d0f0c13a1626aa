package gateway

import (
	"testing"

	"weir/sensors"
)

// A reading is published in the unit of its sensor, else of its register map, else in that of its kind.
func TestPublishedUnit(t *testing.T) {
	for _, c := range []struct {
		own, mapped sensors.Unit
		want        string
	}{
		{"", "", "2000 hPa"}, {"", "bar", "2 bar"}, {"kPa", "bar", "200 kPa"}, {"kPa", "", "200 kPa"},
	} {
		s := shape{unit: c.own, decimals: -1}
		v := s.shown(&sensors.Reading{Quantity: sensors.Pressure, Unit: sensors.Pascal, Value: 2e5, Resolution: 1000, Publish: c.mapped})
		if got := string(v.append(nil)) + " " + string(v.unit); got != c.want {
			t.Errorf("units %q, publish_unit %q: got %s, want %s", c.own, c.mapped, got, c.want)
		}
	}
}

package chip

import (
	"fmt"
	"math"
	"strings"

	"weir/sensors"
)

// unitOf decides the unit of a quantity that the settings name. Pressures have
// no default: a wrong guess is wrong by a hundred and looks right.
func unitOf(q sensors.Quantity, given sensors.Unit) (sensors.Unit, error) {
	base, known := q.Base()
	switch {
	case given == "" && q == sensors.Pressure:
		return "", fmt.Errorf(`the unit of %s is missing, want one such as "hPa"`, q)
	case given == "":
		return base, nil
	case known && given.Base() != base:
		return "", fmt.Errorf("%s cannot be in %q, want %s", q, given, orUnits(base))
	}
	return given, nil
}

// orUnits lists the units that a unit can be shown in: "°C", "K" or "°F".
func orUnits(base sensors.Unit) string {
	var b strings.Builder
	units := base.Alike()
	for i, u := range units {
		switch {
		case i > 0 && i == len(units)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", string(u))
	}
	return b.String()
}

// converted is a quantity as a device sends it, and how it becomes a reading in
// the base unit.
type converted struct {
	measure sensors.Measure // in the base unit
	from    sensors.Unit
}

func newConverted(q sensors.Quantity, from sensors.Unit) converted {
	return converted{measure: sensors.Measure{Quantity: q, Unit: from.Base()}, from: from}
}

// limit sets the range, given in the device's unit.
func (c *converted) limit(low, high float64) {
	c.measure.Min, _ = sensors.Convert(low, c.from, c.measure.Unit)
	c.measure.Max, _ = sensors.Convert(high, c.from, c.measure.Unit)
}

// add puts a value in the device's unit into s.
func (c *converted) add(s *sensors.Sample, v, resolution float64, raw int64) {
	c.addIn(s, c.from, v, resolution, raw)
}

// addIn puts a value in another unit, which converts, into s.
func (c *converted) addIn(s *sensors.Sample, from sensors.Unit, v, resolution float64, raw int64) {
	base, _ := sensors.Convert(v, from, c.measure.Unit)
	step, _ := sensors.ConvertStep(resolution, from, c.measure.Unit)
	if math.IsInf(base, 0) || math.IsInf(step, 0) { // a text can name a number beyond all numbers
		s.AddBad(c.measure, sensors.NotANumber, raw)
		return
	}
	s.Add(c.measure, base, step, raw)
}

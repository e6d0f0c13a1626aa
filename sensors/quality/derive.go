package quality

import (
	"math"
	"slices"
	"time"

	"weir/sensors"
)

// Place says where a sensor is.
type Place struct {
	Elevation float64 // metres above the sea
	Outdoors  bool    // it measures the air outside: sea level pressure is computed with its temperature and humidity
}

// Deriver computes quantities from those of a sample that were judged and
// corrected. It is used by one goroutine at a time.
type Deriver struct {
	what     []sensors.Quantity
	place    Place
	tendency tendency
}

// NewDeriver returns a deriver of the given quantities, each of which must be
// one of sensors.Derivations.
func NewDeriver(what []sensors.Quantity, place Place) *Deriver {
	return &Deriver{what: slices.Clone(what), place: place}
}

// Reset forgets the history, as another device answers now.
func (d *Deriver) Reset() { d.tendency = tendency{} }

// inputs are the readings of a sample that others are computed from.
type inputs struct{ pressure, temperature, humidity input }

// input is one of them: its number, in Pa, °C or %RH, and what it is worth.
type input struct {
	value, resolution float64
	quality           sensors.Quality
}

// Add appends the derived readings to s, measured at the given time of a clock
// that never goes back. Each is as good as the worst of what it is computed from.
// A tendency is left out while its history is too short.
func (d *Deriver) Add(at time.Duration, s *sensors.Sample) {
	var in inputs
	in.pressure = find(s, sensors.Pressure, sensors.NoPressure)
	in.temperature = find(s, sensors.Temperature, sensors.NoTemperature)
	in.humidity = find(s, sensors.Humidity, sensors.NoMoisture)
	for _, q := range d.what {
		derivation := sensors.Derive(q)
		r := sensors.Reading{Quantity: q, Unit: derivation.Unit, Resolution: derivation.Resolution}
		if r.Resolution == 0 {
			r.Resolution = in.pressure.resolution
		}
		if d.compute(at, &in, &r) {
			s.Readings = append(s.Readings, r)
		}
	}
}

// find is the reading of a quantity of its well-known unit; bad is the reason it
// gives to others when it is bad itself.
func find(s *sensors.Sample, q sensors.Quantity, bad sensors.Reason) input {
	unit, _ := q.Base()
	for i := range s.Readings {
		r := &s.Readings[i]
		if r.Quantity != q || r.Unit != unit || r.Gauge { // a gauge pressure says nothing of the air
			continue
		}
		if r.Quality.Level == sensors.Bad {
			return input{quality: sensors.Quality{Level: sensors.Bad, Reason: bad}}
		}
		return input{r.Value, r.Resolution, r.Quality}
	}
	return input{quality: sensors.Quality{Level: sensors.Bad, Reason: sensors.NoInput}}
}

func (in *input) bad() bool { return in.quality.Level == sensors.Bad }

// worst is the quality of what is computed from several.
func worst(all ...*input) sensors.Quality {
	q := all[0].quality
	for _, in := range all[1:] {
		if in.quality.Level < q.Level {
			q = in.quality
		}
	}
	return q
}

// compute fills in value and quality of r; false leaves it out.
func (d *Deriver) compute(at time.Duration, in *inputs, r *sensors.Reading) bool {
	p, t, h := &in.pressure, &in.temperature, &in.humidity
	known, dry := true, false
	switch r.Quantity {
	case sensors.SeaLevelPressure:
		r.Quality, r.Value = d.seaLevel(p, t, h)
	case sensors.Altitude:
		r.Quality, r.Value = p.quality, Altitude(p.value)
	case sensors.DewPoint:
		r.Quality = worst(t, h)
		r.Value, known = DewPoint(t.value, h.value)
		dry = !known && r.Quality.Level != sensors.Bad
	case sensors.AbsoluteHumidity:
		r.Quality, r.Value = worst(t, h), AbsoluteHumidity(t.value, h.value)
	case sensors.AirDensity:
		r.Quality, r.Value = worst(p, t), AirDensity(p.value, t.value, h.value) // of dry air if the humidity, 0 then, is bad
	case sensors.PressureTendency:
		if r.Quality = p.quality; !p.bad() {
			if r.Value, known = d.tendency.add(at, p.value); !known {
				return false
			}
		} else if d.tendency.n == 0 {
			return false
		}
	}
	switch {
	case dry:
		r.Quality = sensors.Quality{Level: sensors.Bad, Reason: sensors.DryAir}
	case r.Quality.Level != sensors.Bad && (math.IsNaN(r.Value) || math.IsInf(r.Value, 0)):
		r.Quality = sensors.Quality{Level: sensors.Bad, Reason: sensors.NotANumber}
	}
	if r.Quality.Level == sensors.Bad {
		r.Value = 0
	}
	return true
}

// seaLevel takes as much of the air into account as is known and outside.
func (d *Deriver) seaLevel(p, t, h *input) (sensors.Quality, float64) {
	switch {
	case !d.place.Outdoors:
		return p.quality, StandardSeaLevel(p.value, d.place.Elevation)
	case h.bad():
		return worst(p, t), SeaLevel(p.value, d.place.Elevation, t.value)
	}
	return worst(p, t, h), MoistSeaLevel(p.value, d.place.Elevation, t.value, h.value)
}

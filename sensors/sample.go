package sensors

import "time"

// Quantity names what a reading measures, in lower case: the level of a topic
// and the key of a payload. Devices with a register map or a pattern have
// quantities of their own.
type Quantity string

// The quantities of the built-in chips.
const (
	Temperature Quantity = "temperature" // °C
	Pressure    Quantity = "pressure"    // Pa
	Humidity    Quantity = "humidity"    // relative, %RH

	GasResistance Quantity = "gas_resistance" // of a heated layer that gases change, Ω
)

// The quantities that are computed from those; see Derivations.
const (
	SeaLevelPressure Quantity = "sea_level_pressure" // Pa
	Altitude         Quantity = "altitude"           // m
	DewPoint         Quantity = "dew_point"          // °C
	AbsoluteHumidity Quantity = "absolute_humidity"  // g/m³
	AirDensity       Quantity = "air_density"        // kg/m³
	PressureTendency Quantity = "pressure_tendency"  // Pa in three hours, rising is positive
)

// Base returns the unit a well-known quantity has inside.
func (q Quantity) Base() (u Unit, known bool) {
	switch q {
	case Temperature:
		return Celsius, true
	case Pressure:
		return Pascal, true
	case Humidity:
		return RelativeHumidity, true
	case GasResistance:
		return Ohm, true
	}
	if d := Derive(q); d != nil {
		return d.Unit, true
	}
	return "", false
}

// Level is how far a reading can be trusted.
type Level uint8

// The levels. The zero value is Bad, so that a forgotten field is never good.
const (
	Bad       Level = iota // not a measurement; the value must not be used
	Uncertain              // a number, but something speaks against it
	Good
)

// String returns "good", "uncertain" or "bad".
func (l Level) String() string {
	switch l {
	case Good:
		return "good"
	case Uncertain:
		return "uncertain"
	case Bad:
		return "bad"
	}
	return "level(" + itoa(int64(l)) + ")"
}

// Quality is a level with the reason for it; a good reading has none.
type Quality struct {
	Level  Level
	Reason Reason
}

// String returns "good", or the level with its reason: "bad: outside chip range".
func (q Quality) String() string {
	if q.Reason == "" {
		return q.Level.String()
	}
	return q.Level.String() + ": " + string(q.Reason)
}

// Reason says in a few fixed words why a reading is not good.
type Reason string

// The reasons this repository gives.
const (
	NoHumidity     Reason = "the chip is a BMP280 and measures no humidity"
	NotMeasured    Reason = "the chip did not measure"         // its code for a skipped channel
	Saturated      Reason = "the converter is at its limit"    // lowest or highest raw value
	BadCalibration Reason = "the chip's calibration is broken" // the compensation would divide by zero, or its words are empty
	NoTemperature  Reason = "the temperature it is computed with is bad"
	NotCalibrated  Reason = "the chip's thermometer is not calibrated"
	HeaterCold     Reason = "the heater did not reach its temperature"
	OtherChip      Reason = "another chip of the kind answers" // its calibration is not the one of before
	ResetValue     Reason = "the value may be the one after power-up"
	ShortedValue   Reason = "the value may be the one of a shorted or open line"
	FaultValue     Reason = "the device sent its fault value"
	Missing        Reason = "the device sent no value"
	OutsideChip    Reason = "outside the range of the chip"
	OutsideUser    Reason = "outside the range that was set"
	TooFast        Reason = "changed faster than the rate that was set"
	JustHeated     Reason = "its heater has just been on" // and the chip is warmer than the air
	NotANumber     Reason = "not a number"
	Frozen         Reason = "the same to the last bit for too long"
	NoInput        Reason = "what it is computed from was not measured"
	NoPressure     Reason = "the pressure it is computed from is bad"
	NoMoisture     Reason = "the humidity it is computed from is bad"
	DryAir         Reason = "air without any humidity has no dew point"
	BadDescription Reason = "the device says a unit or a number of decimals that cannot be"
	Disagreement   Reason = "the device sent two values for it that do not agree"
)

// Reading is one value of one quantity.
type Reading struct {
	Quantity   Quantity
	Unit       Unit    // what Value is in: the base unit of its dimension, or the device's own
	Value      float64 // finite; 0 if bad
	Resolution float64 // smallest step that means something, in Unit; 0: not known
	Min, Max   float64 // what the chip can measure; both zero: no limit known
	Raw        int64   // the device's own word, before any computation
	Sent       string  // the text a device sent for it that has no words
	Quality    Quality
	Publish    Unit // what it is published in when nothing else is set; "": as Unit.Shown says
	Gauge      bool // a pressure above that of the air or of another vessel
}

// Shown returns the unit the value is published in when nothing else is set.
func (r *Reading) Shown() Unit {
	if r.Publish != "" {
		return r.Publish
	}
	return r.Unit.Shown()
}

// Sample is what one Read of a device gave: the quantities present, each with
// its quality. It is reused between reads; Readings is valid until the next.
type Sample struct {
	Chip     string    // what answered: "BME280", or the device's own name
	At       time.Time // when it was measured; zero: just now
	Readings []Reading // in the order of the driver's measures
	Failed   Tally     // tries inside the Read that failed, the last one too when the Read did; a device that does not count leaves it empty
}

// Reset empties s and keeps its memory.
func (s *Sample) Reset() {
	s.Chip, s.At, s.Failed = "", time.Time{}, Tally{}
	s.Readings = s.Readings[:0]
}

// Add appends a good reading of m.
func (s *Sample) Add(m Measure, value, resolution float64, raw int64) {
	s.Readings = append(s.Readings, Reading{
		Quantity: m.Quantity, Unit: m.Unit, Value: value, Resolution: resolution,
		Min: m.Min, Max: m.Max, Raw: raw, Quality: Quality{Level: Good}, Publish: m.Publish, Gauge: m.Gauge,
	})
}

// AddUncertain appends a reading of m that something speaks against.
func (s *Sample) AddUncertain(m Measure, value, resolution float64, raw int64, why Reason) {
	s.Add(m, value, resolution, raw)
	s.Readings[len(s.Readings)-1].Quality = Quality{Level: Uncertain, Reason: why}
}

// AddBad appends a reading of m that is no measurement, with the reason.
func (s *Sample) AddBad(m Measure, why Reason, raw int64) {
	s.Readings = append(s.Readings, Reading{
		Quantity: m.Quantity, Unit: m.Unit, Min: m.Min, Max: m.Max, Raw: raw,
		Quality: Quality{Level: Bad, Reason: why}, Publish: m.Publish, Gauge: m.Gauge,
	})
}

// Sent notes the text that the last reading was made of.
func (s *Sample) Sent(text string) { s.Readings[len(s.Readings)-1].Sent = text }

// Get returns the reading of q, if the sample has one.
func (s *Sample) Get(q Quantity) (Reading, bool) {
	for i := range s.Readings {
		if s.Readings[i].Quantity == q {
			return s.Readings[i], true
		}
	}
	return Reading{}, false
}

// Doubt lowers every good reading of s to uncertain, for the given reason.
func (s *Sample) Doubt(why Reason) {
	for i := range s.Readings {
		if s.Readings[i].Quality.Level == Good {
			s.Readings[i].Quality = Quality{Level: Uncertain, Reason: why}
		}
	}
}

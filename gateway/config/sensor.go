package config

import (
	"time"

	"weir/sensors"
)

// Sensor is one [sensor.NAME]. Maps by quantity hold the key "" when the file
// gives one value without naming the quantity. Where the value has a unit it is
// for the only quantity the device measures, otherwise for all of them, derived
// ones included; Own and Of know which is which.
type Sensor struct {
	Name     string
	Driver   string
	Settings sensors.Settings // the driver's own keys, checked, bus, address and register map included
	Every    time.Duration
	Align    bool // read at whole multiples of Every once the clock is trusted

	Topic    Template // of each value: {id} and {sensor} already replaced, {quantity} and {Quantity} may remain; empty: values have no topics of their own
	Object   Template // of all values of one reading together; empty: none
	Format   string   // "plain", "json" or "senml"; an object is "json" where it is "plain"
	BaseName string   // SenML: what stands before the name of a quantity
	QoS      byte
	Retain   bool
	Expire   time.Duration // after which a value is not delivered any more; 0: never

	Names    map[sensors.Quantity]string       // what a quantity is called in topics and payloads
	Units    map[sensors.Quantity]sensors.Unit // it is published in
	Decimals map[sensors.Quantity]int

	Min, Max  map[sensors.Quantity]float64 // in the unit that is published, as are the next three
	MaxRate   map[sensors.Quantity]float64 // per second
	Offset    map[sensors.Quantity]float64 // added, after the gain
	Calibrate map[sensors.Quantity][][2]float64
	Gain      map[sensors.Quantity]float64
	Rearm     int

	Stuck  map[sensors.Quantity]time.Duration // 0: never
	Median map[sensors.Quantity]int           // 1, 3 or 5
	Smooth map[sensors.Quantity]time.Duration

	Derive    []sensors.Quantity
	Elevation *float64 // metres above the sea; nil: not known
	Outdoors  bool

	Deadband        map[sensors.Quantity]float64 // in the unit that is published
	DeadbandPercent map[sensors.Quantity]float64
	Heartbeat       map[sensors.Quantity]time.Duration
	MinInterval     map[sensors.Quantity]time.Duration
	PublishEvery    map[sensors.Quantity]time.Duration // 0: each reading
	Publish         map[sensors.Quantity]string        // "last" or "mean" of the readings in PublishEvery
}

// Of is the entry of a quantity, or what holds for all of them, or the default.
func Of[V any](m map[sensors.Quantity]V, q sensors.Quantity, otherwise V) V {
	if v, ok := m[q]; ok {
		return v
	}
	if v, ok := m[""]; ok {
		return v
	}
	return otherwise
}

// Own is Of for what has a unit: a value without a quantity is not meant for a
// derived one.
func Own[V any](s *Sensor, m map[sensors.Quantity]V, q sensors.Quantity, otherwise V) V {
	if s.Derives(q) {
		if v, ok := m[q]; ok {
			return v
		}
		return otherwise
	}
	return Of(m, q, otherwise)
}

// Derives tells whether a quantity is computed, not measured.
func (s *Sensor) Derives(q sensors.Quantity) bool {
	for _, d := range s.Derive {
		if d == q {
			return true
		}
	}
	return false
}

// NameOf is what a quantity is called in topics and payloads.
func (s *Sensor) NameOf(q sensors.Quantity) string {
	if name, ok := s.Names[q]; ok {
		return name
	}
	return string(q)
}

// TopicOf is where the values of a quantity are published, each alone; empty if
// they are not.
func (s *Sensor) TopicOf(q sensors.Quantity) string { return s.Topic.Expand(s.NameOf(q)) }

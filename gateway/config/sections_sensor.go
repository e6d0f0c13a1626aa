package config

import (
	"math"
	"time"

	"weir/sensors"
)

var everyKind = durationKind(10*time.Millisecond, math.MaxInt64, "10s")

// mostExpire is the longest message expiry interval of MQTT: 32 bits of seconds.
const mostExpire = math.MaxUint32 * time.Second

func sensorSection(drivers []sensors.Driver) *section {
	s := &section{pattern: "sensor.NAME", meaning: "one sensor", rest: (*checker).driverKeys,
		open: func(cfg *Config, _ any, name string) any {
			cfg.Sensor[name] = &Sensor{Name: name}
			return cfg.Sensor[name]
		}}
	names := make([]string, len(drivers))
	for i, d := range drivers {
		names[i] = d.Name
		for _, k := range d.Keys {
			s.keys = append(s.keys, k.Name)
		}
	}
	add(s, "driver", choiceKind(names), nil, func(s *Sensor) *string { return &s.Driver },
		"the chip or device", example(`"bme280"`), required)
	add(s, "every", everyKind, nil, func(s *Sensor) *time.Duration { return &s.Every },
		"how often it is read", byDefault("sensors.every"), example(`"10s"`))
	add(s, "align", boolKind, nil, func(s *Sensor) *bool { return &s.Align },
		"whether it is read at whole multiples of every, such as each full minute, once the clock is right", byDefault("sensors.align"), example("true"))
	payloadFields(s)
	judgingFields(s)
	derivedFields(s)
	tellingFields(s)
	return s
}

// payloadFields say where values go and how they are written.
func payloadFields(s *section) {
	add(s, "topic", topicKind, "{id}/{sensor}/{quantity}", func(s *Sensor) *Template { return &s.Topic },
		"where its values are published, each alone", byDefault(`"{id}/{sensor}/{quantity}", or none where there is an object`),
		example(`"/Home/Floor1/Room1/{Quantity}"`), placeholders("id", "sensor", "quantity", "Quantity"))
	add(s, "object", topicKind, nil, func(s *Sensor) *Template { return &s.Object },
		"where all values of one reading are published together, as one JSON object or SenML pack", byDefault("none"),
		example(`"/Home/Floor1/Room1"`), placeholders("id", "sensor"))
	add(s, "format", choiceKind([]string{"plain", "json", "senml"}), "plain", func(s *Sensor) *string { return &s.Format },
		"the payload: the number alone, a JSON object with time, unit and quality, or SenML (RFC 8428) in SI units", example(`"json"`))
	add(s, "base_name", textKind("a text of up to 128 bytes", 128), "{id}/{sensor}/", func(s *Sensor) *string { return &s.BaseName },
		"what stands before the names in SenML, so that they are unique in the world", example(`"urn:dev:mac:0024befffe804ff1/"`), placeholders("id", "sensor"))
	add(s, "qos", integerKind[byte](0, 2), int64(1), func(s *Sensor) *byte { return &s.QoS },
		"the quality of service its values are published with", example("1"))
	add(s, "retain", boolKind, false, func(s *Sensor) *bool { return &s.Retain },
		"whether a new subscriber gets the last value at once", example("true"))
	add(s, "expire", durationKind(0, mostExpire, "10m"), "0s", func(s *Sensor) *time.Duration { return &s.Expire },
		"how long a value is delivered after it was measured, retained ones too, in whole seconds; 0s: for ever", example(`"10m"`))
	add(s, "names", namesKind, nil, func(s *Sensor) *map[sensors.Quantity]string { return &s.Names },
		"what a quantity is called in topics and payloads", byDefault("as it is"), example(`{ temperature = "temp" }`))
	add(s, "units", unitsKind, nil, func(s *Sensor) *map[sensors.Quantity]sensors.Unit { return &s.Units },
		"the unit of a quantity when it is not °C, hPa or %RH", byDefault("°C, hPa, %RH, or what the device says"),
		example(`{ pressure = "bar" }`))
	add(s, "decimals", decimalsKind, nil, func(s *Sensor) *map[sensors.Quantity]int { return &s.Decimals },
		"the most digits behind the point", byDefault("what the device resolves"), example("{ temperature = 1 }"))
}

// judgingFields say what is believed, and how it is corrected, in that order.
func judgingFields(s *section) {
	add(s, "min", numbersKind, nil, func(s *Sensor) *map[sensors.Quantity]float64 { return &s.Min },
		"a measured value below it, in the unit that is published, is bad and is not published", example("{ temperature = -30 }"))
	add(s, "max", numbersKind, nil, func(s *Sensor) *map[sensors.Quantity]float64 { return &s.Max },
		"a measured value above it, in the unit that is published, is bad and is not published", example("{ temperature = 60 }"))
	add(s, "max_rate", positivesKind, nil, func(s *Sensor) *map[sensors.Quantity]float64 { return &s.MaxRate },
		"a change faster than this per second, in the unit that is published, is bad, until several readings agree on it", example("{ temperature = 0.5 }"))
	add(s, "rearm", integerKind[int](2, 100), int64(3), func(s *Sensor) *int { return &s.Rearm },
		"how many readings must agree before a change faster than max_rate is believed", example("3"))
	add(s, "stuck", spansKind("30m"), nil, func(s *Sensor) *map[sensors.Quantity]time.Duration { return &s.Stuck },
		"a device that says the same, to the last bit, for this long and at least ten times is taken for broken; 0s: never", byDefault("what the chip allows"), example(`"30m"`))
	add(s, "median", mediansKind, nil, func(s *Sensor) *map[sensors.Quantity]int { return &s.Median },
		"takes spikes out: the value is the median of the last 3 or 5 readings; 1: off", byDefault("1"), example("3"))
	add(s, "calibrate", pointsKind, nil, func(s *Sensor) *map[sensors.Quantity][][2]float64 { return &s.Calibrate },
		"two or more pairs of what it measures and what is true, in the unit that is published, with straight lines between and beyond", example("{ temperature = [[0.3, 0], [99.1, 100]] }"))
	add(s, "gain", gainsKind, nil, func(s *Sensor) *map[sensors.Quantity]float64 { return &s.Gain },
		"a correction the value, in the unit that is published, is multiplied with", example("{ pressure = 1.002 }"))
	add(s, "offset", numbersKind, nil, func(s *Sensor) *map[sensors.Quantity]float64 { return &s.Offset },
		"a correction added to the value, in the unit that is published", example("{ temperature = -0.4 }"))
	add(s, "smooth", spansKind("1m"), nil, func(s *Sensor) *map[sensors.Quantity]time.Duration { return &s.Smooth },
		"exponential smoothing: after this time the value has gone two thirds of a step; 0s: off", byDefault(`"0s"`), example(`"1m"`))
}

// derivedFields are about what is computed from other quantities.
func derivedFields(s *section) {
	add(s, "derive", derivesKind(), nil, func(s *Sensor) *[]sensors.Quantity { return &s.Derive },
		"quantities computed from the measured ones; all settings by quantity can name them too", byDefault("none"), example(`["dew_point"]`))
	add(s, "elevation", elevationKind, nil, func(s *Sensor) **float64 { return &s.Elevation },
		"how many metres above the sea it is, for sea_level_pressure", byDefault("gateway.elevation"), example("520"))
	add(s, "outdoors", boolKind, false, func(s *Sensor) *bool { return &s.Outdoors },
		"whether it measures the air outside: sea_level_pressure is then computed with its temperature and humidity, and otherwise with those of the standard atmosphere", example("true"))
}

// tellingFields say which values are published.
func tellingFields(s *section) {
	add(s, "deadband", positivesKind, nil, func(s *Sensor) *map[sensors.Quantity]float64 { return &s.Deadband },
		"smaller changes than this since the last value published, in the unit that is published, are not", example("{ temperature = 0.1 }"))
	add(s, "deadband_percent", percentsKind, nil, func(s *Sensor) *map[sensors.Quantity]float64 { return &s.DeadbandPercent },
		"the same in percent of the value published last; with both, either is enough", example("{ humidity = 1 }"))
	add(s, "heartbeat", spansKind("5m"), nil, func(s *Sensor) *map[sensors.Quantity]time.Duration { return &s.Heartbeat },
		"a value that does not change is published this often all the same; 0s: it is not", byDefault(`"0s"`), example(`"5m"`))
	add(s, "min_interval", spansKind("1m"), nil, func(s *Sensor) *map[sensors.Quantity]time.Duration { return &s.MinInterval },
		"a value is published at most this often; a change of quality always is", byDefault(`"0s"`), example(`"1m"`))
	add(s, "publish_every", spansKind("1m"), nil, func(s *Sensor) *map[sensors.Quantity]time.Duration { return &s.PublishEvery },
		"one value is published for this time, however often it is read; 0s: each reading", byDefault(`"0s"`), example(`"1m"`))
	add(s, "publish", publishKind, nil, func(s *Sensor) *map[sensors.Quantity]string { return &s.Publish },
		"what is published for that time: the last of its readings or their mean", byDefault(`"last"`), example(`"mean"`))
}

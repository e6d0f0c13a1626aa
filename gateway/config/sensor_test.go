package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/sensors"
)

// TestSensorSettings: what a file says of a sensor is what Config holds, one value for all quantities, or one for each.
func TestSensorSettings(t *testing.T) {
	cfg, problems := mustParse(t, `
[gateway]
elevation = 520
[sensors]
align = true

[sensor.porch]
driver    = "bme280"
every     = "10s"
object    = "/Home/{sensor}"
format    = "json"
expire    = "10m"
names     = { temperature = "temp" }
max_rate  = { temperature = 0.5 }
calibrate = { temperature = [[0.3, 0], [99.1, 100]] }
gain      = { pressure = 1.002 }
stuck     = { pressure = "2h", temperature = "0s" }
median    = 3
smooth    = { humidity = "1m" }
derive    = ["dew_point", "sea_level_pressure"]
outdoors  = true
decimals  = { dew_point = 1 }
deadband  = { temperature = 0.1 }
deadband_percent = { humidity = 1 }
heartbeat = "5m"
min_interval  = "20s"
publish_every = { pressure = "1m" }
publish       = "mean"

[sensor.probe]
driver   = "ds18b20"
topic    = "p/{quantity}"
object   = "p"
offset   = -0.4
max_rate = 1
align    = false
elevation = -3.5
`)
	if len(problems) > 0 {
		t.Error(Report(problems))
	}
	porch, probe := cfg.Sensor["porch"], cfg.Sensor["probe"]
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"topic beside an object", porch.TopicOf(sensors.Pressure), ""}, {"object", porch.Object, Template("/Home/porch")},
		{"name", porch.NameOf(sensors.Temperature), "temp"}, {"name that is not set", porch.NameOf(sensors.Humidity), "humidity"},
		{"expire", porch.Expire, 10 * time.Minute}, {"points", porch.Calibrate[sensors.Temperature], [][2]float64{{0.3, 0}, {99.1, 100}}},
		{"rate", Own(porch, porch.MaxRate, sensors.Temperature, 0), 0.5}, {"rate of another", Own(porch, porch.MaxRate, sensors.Pressure, 0), 0.0},
		{"median for all", Of(porch.Median, sensors.DewPoint, 1), 3}, {"heartbeat for all", Of(porch.Heartbeat, sensors.Humidity, 0), 5 * time.Minute},
		{"stuck", Of(porch.Stuck, sensors.Pressure, 0), 2 * time.Hour}, {"publish_every", Of(porch.PublishEvery, sensors.Pressure, 0), time.Minute},
		{"publish", Of(porch.Publish, sensors.Pressure, "last"), "mean"}, {"rearm", porch.Rearm, 3},
		{"derive", porch.Derive, []sensors.Quantity{sensors.DewPoint, sensors.SeaLevelPressure}},
		{"elevation", *porch.Elevation, 520.0}, {"own elevation", *probe.Elevation, -3.5}, {"align", porch.Align, true}, {"own align", probe.Align, false},
		{"both topics", string(probe.Object) + " " + probe.TopicOf(sensors.Temperature), "p p/temperature"},
		{"one value for the only quantity", Own(probe, probe.Offset, sensors.Temperature, 0), -0.4},
		{"base name", porch.BaseName, "gw-1/porch/"},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

// TestOwnIsNotForDerived: one value without a quantity, which has a unit, is meant for what is measured.
func TestOwnIsNotForDerived(t *testing.T) {
	s := &Sensor{Derive: []sensors.Quantity{sensors.Altitude}, Offset: map[sensors.Quantity]float64{"": 3}}
	if got := Own(s, s.Offset, sensors.Pressure, 0); got != 3 {
		t.Errorf("measured: %v, want 3", got)
	}
	if got := Own(s, s.Offset, sensors.Altitude, 0); got != 0 {
		t.Errorf("derived: %v, want 0", got)
	}
}

// TestEffectiveWritesWhatAFileWrites: what Effective says of a sensor can stand in a file and means the same.
func TestEffectiveWritesWhatAFileWrites(t *testing.T) {
	const text = `[sensor.porch]
driver = "bme280"
calibrate = { temperature = [[0.3, 0], [99.1, 100]] }
stuck = { pressure = "2h" }
median = 3
derive = ["dew_point"]
elevation = 12.5
publish_every = "1m"
publish = { pressure = "mean" }
names = { temperature = "temp" }
`
	cfg, _ := mustParse(t, text)
	again := "[sensor.porch]\n"
	for _, s := range Effective(cfg, testDrivers()) {
		if key, ok := strings.CutPrefix(s.Path, "sensor.porch."); ok && s.Origin != "default" {
			again += key + " = " + s.Value + "\n"
		}
	}
	second, _ := mustParse(t, again)
	first, other := *cfg.Sensor["porch"], *second.Sensor["porch"]
	first.Settings, other.Settings = sensors.Settings{}, sensors.Settings{}
	if !reflect.DeepEqual(first, other) {
		t.Errorf("%+v\nbecame\n%+v\nby way of\n%s", first, other, again)
	}
}

package chip_test

import (
	"slices"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/chip"
)

// Whoever adds a driver is told here what it lacks.
func TestTableIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range chip.Drivers {
		if d.Name == "" || seen[d.Name] || d.Doc == "" || d.Open == nil || d.Connection == 0 {
			t.Errorf("%q: a name of its own, a sentence, a connection and Open are needed", d.Name)
		}
		seen[d.Name] = true
		if (len(d.Measures) == 0) == (d.Named == nil) {
			t.Errorf("%s: either Measures or Named says what it delivers", d.Name)
		}
		if d.Connection == sensors.OnI2C && (len(d.Addresses) == 0 || d.Least == nil) {
			t.Errorf("%s: an I2C chip has addresses and a longest time", d.Name)
		}
		keys := d.Keys
		if d.Table != nil {
			keys = slices.Concat(keys, d.Table.Keys)
		}
		for _, k := range keys {
			if k.Name == "" || k.Kind == 0 || k.Meaning == "" {
				t.Errorf("%s.%s: a kind and a meaning are needed", d.Name, k.Name)
			}
			if k.Default != nil {
				if _, err := k.Check(k.Default); err != nil {
					t.Errorf("%s.%s: its default: %v", d.Name, k.Name, err)
				}
			}
			if k.Kind == sensors.KindEnum && len(k.Choices) == 0 {
				t.Errorf("%s.%s: no choices", d.Name, k.Name)
			}
		}
	}
	for _, name := range []string{"bmp388", "bmp390", "bmp581", "bmp585", "bme680", "bme688",
		"bmp280", "bme280", "bmp180", "bmp085", "sht3x", "sht4x", "shtc3", "htu21d", "si7021", "sht2x",
		"aht20", "aht10", "hdc1080", "hdc1000", "hdc302x", "ds18b20", "thermal", "ascii-line", "modbus-rtu"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if sensors.Find(chip.Drivers, "bme281") != nil {
		t.Error("found a driver that is not there")
	}
}

func TestDelivers(t *testing.T) {
	for _, c := range []struct {
		driver string
		given  map[string]any
		want   []sensors.Measure
	}{
		{"bmp180", nil, []sensors.Measure{
			{Quantity: "temperature", Unit: "°C", Min: -40, Max: 85}, {Quantity: "pressure", Unit: "Pa", Min: 30000, Max: 110000, Frozen: time.Hour}}},
		{"modbus-rtu", map[string]any{"bus": "a", "address": 1, "map": "xy-md02"}, []sensors.Measure{
			{Quantity: "temperature", Unit: "°C", Min: -40, Max: 80}, {Quantity: "humidity", Unit: "%RH", Min: 0, Max: 100}}},
		{"ascii-line", map[string]any{"bus": "a", "pattern": `(?P<pressure>\d+) (?P<flow>\d+)`, "device_units": []any{"pressure=bar", "flow=l/min"}}, []sensors.Measure{
			{Quantity: "pressure", Unit: "Pa"}, {Quantity: "flow", Unit: "l/min"}}},
	} {
		d := sensors.Find(chip.Drivers, c.driver)
		s, wrong := d.Settings("x", c.given, nil)
		if got := d.Delivers(s); len(wrong) > 0 || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.driver, got, wrong, c.want)
		}
	}
}

func TestLeast(t *testing.T) {
	for _, c := range []struct {
		driver     string
		given      map[string]any
		least, max float64 // ms
	}{
		{"bmp280", map[string]any{"oversample": 1}, 6.4, 10}, {"bme280", map[string]any{"oversample": 16}, 112.8, 117},
		{"bmp180", map[string]any{"oversample": 8}, 30, 34}, {"sht4x", nil, 8.3, 12}, {"sht3x", map[string]any{"precision": "low"}, 4.5, 8},
		{"sht4x", map[string]any{"dry_above": 95}, 1108, 1112}, {"sht2x", nil, 114, 118}, {"aht20", nil, 80, 84},
	} {
		d := sensors.Find(chip.Drivers, c.driver)
		s, wrong := d.Settings("x", c.given, nil)
		if got := d.Least(s).Seconds() * 1000; got < c.least || got > c.max || len(wrong) > 0 {
			t.Errorf("%s with %v: %v ms, %v, want %v to %v", c.driver, c.given, got, wrong, c.least, c.max)
		}
	}
}

// A read may take as long as its settings say.
func TestMost(t *testing.T) {
	for _, c := range []struct {
		driver string
		given  map[string]any
		most   time.Duration
	}{
		{"ascii-line", map[string]any{"bus": "a", "pattern": `(?P<flow>\d+)`, "timeout": "10m"}, 10 * time.Minute},
		{"ascii-line", map[string]any{"bus": "a", "pattern": `(?P<flow>\d+)`, "timeout": "20s", "poll": "?"}, time.Minute},
		{"modbus-rtu", map[string]any{"bus": "a", "address": 1, "map": "xy-md02", "timeout": "10s"}, 30 * time.Second},
	} {
		d := sensors.Find(chip.Drivers, c.driver)
		s, wrong := d.Settings("x", c.given, nil)
		if got := d.Most(s); len(wrong) > 0 || got < c.most {
			t.Errorf("%s %v: %v, %v, want at least %v", c.driver, c.given, got, wrong, c.most)
		}
	}
}

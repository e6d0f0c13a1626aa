package config

import (
	"math"
	"time"

	"weir/sensors"
)

// testDrivers is a table of drivers like the real one: one of each connection,
// one with a register map, one whose quantities only its data tells.
func testDrivers() []sensors.Driver {
	celsius := sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 85}
	pascal := sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 30000, Max: 110000}
	humidity := sensors.Measure{Quantity: sensors.Humidity, Unit: sensors.RelativeHumidity, Min: 0, Max: 100}
	i2c := []sensors.Key{
		{Name: "bus", Kind: sensors.KindString, Meaning: "the I2C bus", Example: "1"},
		{Name: "address", Kind: sensors.KindAddress, Min: 0x76, Max: 0x77, Meaning: "the address of the chip", Example: "0x76"},
		{Name: "oversample", Kind: sensors.KindInt, Choices: []string{"1", "2", "4", "8", "16"}, Default: 4, Meaning: "measurements averaged inside the chip"},
	}
	least := func(s sensors.Settings) time.Duration {
		return time.Duration(s.Int("oversample")) * 5 * time.Millisecond
	}
	line := sensors.Key{Name: "bus", Kind: sensors.KindString, Meaning: "the serial line", Example: `"rs485"`}
	return []sensors.Driver{
		{Name: "bme280", Connection: sensors.OnI2C, Addresses: []uint16{0x76, 0x77}, Measures: []sensors.Measure{celsius, pascal, humidity}, Keys: i2c, Least: least},
		{Name: "bmp280", Connection: sensors.OnI2C, Addresses: []uint16{0x76, 0x77}, Measures: []sensors.Measure{celsius, pascal}, Keys: i2c, Least: least},
		{Name: "ds18b20", Connection: sensors.OnOneWire, Measures: []sensors.Measure{celsius}, Keys: []sensors.Key{
			{Name: "address", Kind: sensors.KindString, Meaning: "the id on the 1-wire bus", Example: `"28-0316a2794cff"`},
		}},
		{Name: "thermal", Connection: sensors.OnKernel, Measures: []sensors.Measure{celsius}, Keys: []sensors.Key{
			{Name: "zone", Kind: sensors.KindString, Meaning: "the thermal zone", Example: `"cpu-thermal"`},
		}},
		{Name: "ascii-line", Connection: sensors.OnSerial, Keys: []sensors.Key{line,
			{Name: "pattern", Kind: sensors.KindRegexp, Required: true, Meaning: "a named group for each quantity", Example: `'T=(?P<temperature>\S+)'`},
		}},
		{Name: "modbus-rtu", Connection: sensors.OnSerial, Keys: []sensors.Key{line,
			{Name: "address", Kind: sensors.KindInt, Min: 1, Max: 247, Required: true, Meaning: "the slave", Example: "1"},
			{Name: "map", Kind: sensors.KindString, Required: true, Meaning: "the register map", Example: `"px400"`},
		}, Table: &sensors.Table{Section: "modbus", Key: "map", Keys: []sensors.Key{
			{Name: "table", Kind: sensors.KindEnum, Choices: []string{"holding", "input"}, Default: "holding", Meaning: "which registers"},
			{Name: "register", Kind: sensors.KindInt, Min: 0, Max: 65535, Required: true, Meaning: "the number on the wire, from 0"},
			{Name: "type", Kind: sensors.KindEnum, Choices: []string{"int16", "uint16", "int32", "uint32", "float32"}, Default: "int16", Meaning: "the form of the number"},
			{Name: "order", Kind: sensors.KindEnum, Choices: []string{"ABCD", "CDAB", "BADC", "DCBA"}, Default: "ABCD", Meaning: "the order of its bytes"},
			{Name: "unit", Kind: sensors.KindUnit, Meaning: "the unit of the value"},
			{Name: "scale", Kind: sensors.KindFloat, Min: math.Inf(-1), Max: math.Inf(1), Default: 1.0, Meaning: "what the number is multiplied with"},
		}, Presets: map[string][]sensors.Row{"xy-md02": {
			{Quantity: "temperature", Values: map[string]any{"table": "input", "register": 1, "unit": "°C", "scale": 0.1}},
			{Quantity: "humidity", Values: map[string]any{"table": "input", "register": 2, "unit": "%RH", "scale": 0.1}},
		}}}},
	}
}

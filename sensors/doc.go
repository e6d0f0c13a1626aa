// Package sensors holds the words that everything about sensors is said in: a
// Driver, its Keys, the Device it opens, the Sample a device fills, and the
// Reading, Quality and Unit inside it. It talks to no hardware.
//
//	            Driver ──Open(Machine, Settings)──▶ Device ──Read──▶ Sample
//	            (table in sensors/chip)                │              │ Readings: quantity, value, unit,
//	Machine: I2C, Serial, Path, ...  ◀─────────────────┘              │           resolution, quality
//	(sensors/bus, or a simulation)                                    ▼
//	                                                        sensors/quality ──▶ sampler
//
// Opening a device does no input or output, so a sensor that is not plugged in
// yet is no error: its first Read says so, and a later one finds it. Finding
// the chip, resetting it, reading its calibration, two retries inside a read
// and starting anew after a failure all happen inside Device.Read. The caller
// only schedules, backs off and publishes.
//
// Inside, temperatures are °C, pressures Pa and humidities %RH. Conversion to
// what people want to see happens on output, with Convert, Decimals and
// AppendValue: 75 stays 75, and no float noise is ever printed.
//
// A reading that is bad carries its reason and no number that may be used.
//
// To add a chip: one file in sensors/chip that declares a Driver, and one line
// in its table Drivers.
package sensors

package chip

import "weir/sensors"

// Drivers is the table of everything weir can read. The order matters to a
// scan: where two chips share an address, the one that can be asked without
// harm to the other comes first. It is not changed after start.
var Drivers = []sensors.Driver{
	bme280,
	bmp280,
	bmp180,
	bmp085,
	ms5611,
	ms5607,
	sht4x, // before the SHT3x, whose questions spoil its next measurement
	hdc302x,
	sht3x,
	shtc3,
	htu21d,
	si7021,
	sht21,
	aht20,
	aht10,
	hdc1080,
	hdc1000,
	ds18b20,
	modbusRTU,
	asciiLine,
	thermal,
}

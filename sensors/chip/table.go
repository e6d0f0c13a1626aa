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
	ds18b20,
	modbusRTU,
	asciiLine,
	nmea,
	vaisala,
	thermal,
}

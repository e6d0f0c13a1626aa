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
	dps310,
	spl06,
	bme680,
	bme688,
	bmp388,
	bmp390,
	bmp581,
	bmp585,
	tmp117,
	tmp1075,
	tmp102,
	tmp112,
	tmp105,
	lm75,
	mcp9808,
	mlx90614,
	ms5611,
	ms5607,
	lps22hb,
	lps33hw,
	lps22hh,
	lps25hb,
	lps331,
	mpl3115a2,
	mpl115a2,
	hsc,
	ssc,
	abp,
	abp2,
	mpr,
	ds18b20,
	modbusRTU,
	asciiLine,
	thermal,
	iio,
	hwmon,
}

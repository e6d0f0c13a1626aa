package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// BMP280 and BME280, Bosch Sensortec. BMP280 data sheet BST-BMP280-DS001 and
// BME280 data sheet BST-BME280-DS002: memory map and register descriptions in
// chapter 4 (BMP280) and 5.3, 5.4 (BME280), compensation in 3.11 and 4.2.
//
// The chip is run in forced mode: it sleeps between readings. Each reading
// first looks whether the settings are still there, because a chip that lost
// power for a moment sleeps with everything skipped and then hands out codes
// that compensate to plausible numbers.
const (
	bmxID        = 0xd0
	bmxReset     = 0xe0 // 0xb6 resets
	bmeCtrlHum   = 0xf2 // takes effect with the next write to ctrl_meas
	bmxStatus    = 0xf3 // bit 0 calibration is being copied, bit 3 measuring
	bmxCtrlMeas  = 0xf4 // temperature 7..5, pressure 4..2, mode 1..0
	bmxConfig    = 0xf5 // standby 7..5, filter 4..2
	bmxData      = 0xf7 // pressure 3 bytes, temperature 3, humidity 2
	bmxCal       = 0x88
	bmeCalH1     = 0xa1
	bmeCalH2     = 0xe1
	bmxForced    = 1
	bmxModeMask  = 3
	bmxMeasuring = 1 << 3
	bmxCopying   = 1 << 0

	bmxSkipped   = 0x80000 // raw word of a channel that was not measured
	bmxSkippedH  = 0x8000
	bmxFullScale = 0xfffff // raw words have 20 bits; the last 4 are 0 without oversampling

	bmeFullScaleH = 0xffff

	idBMP280 = 0x58
	idBME280 = 0x60
)

var bmxAddresses = []uint16{0x76, 0x77}

var (
	bmxTemperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 85}
	bmxPressure    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 30000, Max: 110000, Frozen: noisy}
	bmeHumidity    = sensors.Measure{Quantity: sensors.Humidity, Unit: sensors.RelativeHumidity, Min: 0, Max: 100}
)

// Resolutions. The converter resolves finer, but at 16 times oversampling the
// noise is still 1.3 Pa and 0.02 %RH (BME280 data sheet, tables 8 and 12).
const (
	bmxStepT = 0.01
	bmxStepP = 1
	bmeStepH = 0.01
)

var bmxOwnKeys = []sensors.Key{
	{Name: "oversample", Kind: sensors.KindInt, Choices: []string{"1", "2", "4", "8", "16"}, Default: 4,
		Meaning: "measurements averaged inside the chip for each value; more is slower, quieter and warmer"},
	{Name: "filter", Kind: sensors.KindInt, Choices: []string{"0", "2", "4", "8", "16"}, Default: 0,
		Meaning: "the chip's own smoothing over this many readings, against gusts and slamming doors; 0 is off"},
}

var bmp280 = sensors.Driver{
	Name: "bmp280", Connection: sensors.OnI2C, Addresses: bmxAddresses,
	Doc:      "Bosch BMP280, temperature and air pressure",
	Measures: []sensors.Measure{bmxTemperature, bmxPressure},
	Keys:     i2cKeys(bmxAddresses, bmxOwnKeys...),
	Open:     func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) { return openBMX(m, s, false), nil },
	Least:    func(s sensors.Settings) time.Duration { return bmxTime(s, false) },
	Identify: func(ctx context.Context, c sensors.Conn) (string, error) { return identifyAs(ctx, c, bmxID, bmpIDs) },
}

var bme280 = sensors.Driver{
	Name: "bme280", Connection: sensors.OnI2C, Addresses: bmxAddresses,
	Doc:      "Bosch BME280, temperature, air pressure and humidity",
	Measures: []sensors.Measure{bmxTemperature, bmxPressure, bmeHumidity},
	Keys:     i2cKeys(bmxAddresses, bmxOwnKeys...),
	Open:     func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) { return openBMX(m, s, true), nil },
	Least:    func(s sensors.Settings) time.Duration { return bmxTime(s, true) },
	Identify: func(ctx context.Context, c sensors.Conn) (string, error) { return identifyAs(ctx, c, bmxID, bmeIDs) },
}

var (
	bmpIDs = map[byte]string{0x56: "BMP280", 0x57: "BMP280", idBMP280: "BMP280"}
	bmeIDs = map[byte]string{idBME280: "BME280"}
)

// bmx is a BMP280 or BME280.
type bmx struct {
	attached
	calibrated[bmxCalibration]
	humid     bool // the driver is bme280
	warned    bool
	oversteps byte // code of the oversampling, 1 to 5
	filter    byte // code of the filter, 0 to 4

	hasHumidity bool // the chip is a BME280
	calBytes    [24 + 1 + 7]byte
}

func openBMX(m sensors.Machine, s sensors.Settings, humid bool) *bmx {
	d := &bmx{humid: humid, oversteps: log2(s.Int("oversample")) + 1, filter: log2(s.Int("filter"))}
	d.attached = attached{machine: m, settings: s, addresses: bmxAddresses, fits: d.isOne, begin: d.setUp, once: d.sample}
	return d
}

// log2 of a power of two; 0 for 0.
func log2(n int64) byte {
	var l byte
	for ; n > 1; n >>= 1 {
		l++
	}
	return l
}

// bmxTime is the longest time of a measurement: BME280 data sheet 9.1.
func bmxTime(s sensors.Settings, humid bool) time.Duration {
	return bmxConversion(s.Int("oversample"), humid) + 3*time.Millisecond // and the transfers at 100 kHz
}

func bmxConversion(oversample int64, humid bool) time.Duration {
	each := time.Duration(oversample) * 2300 * time.Microsecond
	d := 1250*time.Microsecond + 2*each + 575*time.Microsecond
	if humid {
		d += each + 575*time.Microsecond
	}
	return d
}

func (d *bmx) sample(ctx context.Context, s *sensors.Sample) error {
	raw, err := d.convert(ctx)
	if err != nil {
		return err
	}
	d.fill(s, raw)
	d.doubt(s)
	return nil
}

// isOne accepts the wanted chip, and a BMP280 in place of a BME280.
func (d *bmx) isOne(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, bmxID, 1)
	if err != nil {
		return 0, err
	}
	id := b[0]
	switch {
	case d.humid && id == idBME280, !d.humid && bmpIDs[id] != "":
		return 2, nil
	case d.humid && bmpIDs[id] != "":
		return 1, nil
	case d.humid:
		return 0, wrongChip(ctx, c, bmxID, id, "0x60 (BME280)")
	}
	return 0, wrongChip(ctx, c, bmxID, id, "0x58 (BMP280)")
}

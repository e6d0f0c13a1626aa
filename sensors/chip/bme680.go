package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// BME680 and BME688, Bosch Sensortec. BME680 data sheet BST-BME680-DS001 and BME688
// data sheet BST-BME688-DS000: forced mode 3.1, oversampling 3.2, gas measurement
// and heater 3.3 and 3.4, filter 3.2.4, registers chapter 5, calibration words tables
// 11 to 16.
//
// The two say the same id and differ in a variant register and in the gas
// converter; either driver reads both, and each sample says which it was.
//
// The gas measurement is off unless asked for: its heater warms the chip, and with
// it the temperature, by a few degrees. What is published then is the resistance
// of the layer; an index of air quality would need a closed library.
const (
	bme68xResHeat  = 0x5a // heater resistance of the first step
	bme68xGasWait  = 0x64 // heating time of the first step
	bme68xGas0     = 0x70 // bit 3: heater off
	bme68xGas1     = 0x71 // bit 4 (BME680), bit 5 (BME688): measure gas; 3..0 step
	bme68xCtrlHum  = 0x72
	bme68xCtrlMeas = 0x74 // temperature 7..5, pressure 4..2, mode 1..0
	bme68xConfig   = 0x75 // filter 4..2, of temperature and pressure
	bme68xField    = 0x1d // 17 bytes: one measurement
	bme68xVariant  = 0xf0 // 0 BME680, 1 BME688

	bme68xForced  = 1
	bme68xNoHeat  = 1 << 3
	bme68xRun680  = 1 << 4
	bme68xRun688  = 1 << 5
	bme68xNew     = 1 << 7 // in the first byte of the field: it holds a new measurement
	bme68xWorking = 3 << 5 // measuring gas, or measuring at all
	idBME68x      = 0x61
)

var (
	bme68xTemperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 85}
	bme68xPressure    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 30000, Max: 110000, Frozen: noisy}
	bme68xHumidity    = sensors.Measure{Quantity: sensors.Humidity, Unit: sensors.RelativeHumidity, Min: 0, Max: 100}
	bme68xGas         = sensors.Measure{Quantity: sensors.GasResistance, Unit: sensors.Ohm, Min: 170, Max: 105e6} // what the converter can express
)

// bme68xFilter is the filter of the family, which here leaves humidity and gas alone.
var bme68xFilter = func() sensors.Key {
	k := boschFilter
	k.Meaning = "the chip's own smoothing of temperature and pressure over this many readings, against gusts and slamming doors; 0 is off"
	return k
}()

var bme680 = bme68xDriver("bme680", "Bosch BME680, temperature, air pressure, humidity and gas resistance", false, "BME680")

var bme688 = bme68xDriver("bme688", "Bosch BME688, temperature, air pressure, humidity and gas resistance", true, "BME688")

func bme68xDriver(name, doc string, high bool, chip string) sensors.Driver {
	return sensors.Driver{
		Name: name, Doc: doc, Connection: sensors.OnI2C, Addresses: bmxAddresses,
		Keys: i2cKeys(bmxAddresses,
			sensors.Key{Name: "oversample", Kind: sensors.KindInt, Choices: []string{"1", "2", "4", "8", "16"}, Default: 4,
				Meaning: "measurements averaged inside the chip for each value; more is slower, quieter and warmer"},
			bme68xFilter,
			sensors.Key{Name: "gas", Kind: sensors.KindBool, Default: false,
				Meaning: "measure the resistance of the gas layer too; its heater warms the chip and so the temperature by a few degrees"},
			sensors.Key{Name: "heater_temperature", Kind: sensors.KindInt, Unit: "°C", Min: 200, Max: 400, Default: 320,
				Meaning: "how hot the gas layer is made, with gas = true"},
			sensors.Key{Name: "heater_time", Kind: sensors.KindDuration, Unit: "s", Min: 0.001, Max: 4.032, Default: "150ms",
				Meaning: "how long it is heated before it is measured, with gas = true; the chip knows 1 to 63 ms and rounds longer times up"},
		),
		Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
			return openBME68x(m, s, high), nil
		},
		Named: bme68xMeasures,
		Least: func(s sensors.Settings) time.Duration { return bme68xTime(s) + 4*time.Millisecond }, // and the transfers at 100 kHz
		Most:  func(s sensors.Settings) time.Duration { return mostOf(bme68xTime(s) + bme68xPatience) },
		Identify: func(ctx context.Context, c sensors.Conn) (string, error) {
			if found, err := identifyAs(ctx, c, bmxID, map[byte]string{idBME68x: chip}); found == "" {
				return "", err
			}
			return identifyAs(ctx, c, bme68xVariant, map[byte]string{variant(high): chip})
		},
	}
}

func variant(high bool) byte {
	if high {
		return 1
	}
	return 0
}

func bme68xMeasures(s sensors.Settings) []sensors.Measure {
	all := []sensors.Measure{bme68xTemperature, bme68xPressure, bme68xHumidity, bme68xGas}
	if s.Bool("gas") {
		return all
	}
	return all[:3]
}

// bme68xPatience is how much longer than the sheet's time is waited, about.
const bme68xPatience = 250 * time.Millisecond

// bme68xTime is the longest time of a measurement, with its heating.
func bme68xTime(s sensors.Settings) time.Duration {
	d := bme68xConversion(s.Int("oversample"))
	if s.Bool("gas") {
		_, heats := heatingTime(s.Duration("heater_time"))
		d += heats
	}
	return d
}

// bme68xConversion is the time without heating: 1963 µs for each of the three
// channels and each sample, 477 µs for each of nine switches, 1 ms to wake up.
func bme68xConversion(oversample int64) time.Duration {
	return time.Duration(3*1963*oversample+9*477+1000) * time.Microsecond
}

// bme68x is a BME680 or BME688.
type bme68x struct {
	attached
	calibrated[bme68xCalibration]
	driverHigh bool // the driver is bme688
	over       byte // code of the oversampling, 1 to 5
	filter     byte // code of the filter, 0 to 7
	gas        bool

	high    bool    // the chip is a BME688
	heater  [2]byte // resistance and time, as the registers hold them
	celsius float64 // of the last measurement: what the heater starts from
}

func openBME68x(m sensors.Machine, s sensors.Settings, high bool) *bme68x {
	d := &bme68x{driverHigh: high, gas: s.Bool("gas"), over: log2(s.Int("oversample")) + 1, filter: log2(s.Int("filter")), celsius: 25}
	d.attached = attached{machine: m, settings: s, addresses: bmxAddresses, fits: d.isOne, begin: d.setUp, once: d.sample}
	return d
}

func (d *bme68x) sample(ctx context.Context, s *sensors.Sample) error {
	raw, err := d.convert(ctx)
	if err != nil {
		return err
	}
	s.Chip = "BME680"
	if d.high {
		s.Chip = "BME688"
	}
	d.celsius = d.cal.fill(s, raw, d.gas, d.high)
	d.doubt(s)
	return nil
}

// isOne accepts the wanted variant, and the other in its place.
func (d *bme68x) isOne(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	b, err := r.get(ctx, bmxID, 1)
	if err != nil {
		return 0, err
	}
	if b[0] != idBME68x {
		return 0, wrongChip(ctx, c, bmxID, b[0], "0x61 (BME680 or BME688)")
	}
	if b, err = r.get(ctx, bme68xVariant, 1); err != nil {
		return 0, err
	}
	switch b[0] {
	case variant(d.driverHigh):
		return 2, nil
	case variant(!d.driverHigh):
		return 1, nil
	}
	return 0, sensors.Errorf(sensors.Garbage, c.String(), "it says that it is variant 0x%02x, which no BME680 or BME688 is", b[0])
}

package chip

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/sensors"
)

// Sensors that a driver of Linux's Industrial I/O reads. Documentation/ABI/testing/
// sysfs-bus-iio: in_temp in thousandths of °C, in_pressure in kPa, in_humidityrelative
// in thousandths of %, each as _input or as (_raw + _offset) * _scale.
const iioDevices = "/sys/bus/iio/devices"

// The chip is not known here; these are the widest ranges of chips that measure air.
var (
	iioTemperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -55, Max: 150}
	iioPressure    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 1000, Max: 200000}
	iioHumidity    = sensors.Measure{Quantity: sensors.Humidity, Unit: sensors.RelativeHumidity, Min: 0, Max: 100}
)

var iio = sensors.Driver{
	Name: "iio", Connection: sensors.OnKernel,
	Doc:      "a sensor that a driver of the kernel reads (Industrial I/O): temperature, air pressure, humidity",
	Measures: []sensors.Measure{iioTemperature, iioPressure, iioHumidity},
	Keys:     kernelKeys(iioDevices, "bme280"),
	Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
		return &kernelRead{measurer: &iioDevice{machine: m, name: s.Text("name"), at: s.Text("at")}}, nil
	},
	Least: func(sensors.Settings) time.Duration { return 100 * time.Millisecond },
	List:  func(m sensors.Machine) []sensors.Listed { return listKernel(iioSensors(m)) },
}

// iioChannel is a quantity of a device.
type iioChannel struct {
	measure sensors.Measure
	file    string // its path without _input or _raw
	kind    string // the path of what all of its kind share, without _scale or _offset
	raw     bool   // it has no _input
	unit    float64
}

// iioSensors lists the devices that measure air.
func iioSensors(m sensors.Machine) []kernelDevice {
	return slices.DeleteFunc(kernelDevices(m, iioDevices+"/iio:device*"), func(d kernelDevice) bool { return len(iioChannels(d.dir)) == 0 })
}

// iioChannels lists what a device measures. Of several channels of a kind, as the
// surroundings and the object of an infrared thermometer, it takes the unnamed one,
// then that of the surroundings, then the first.
func iioChannels(dir string) []iioChannel {
	var channels []iioChannel
	for _, k := range []struct {
		measure sensors.Measure
		prefix  string
		unit    float64
	}{{iioTemperature, "in_temp", 0.001}, {iioPressure, "in_pressure", 1000}, {iioHumidity, "in_humidityrelative", 0.001}} {
		kind := filepath.Join(dir, k.prefix)
		files, _ := filepath.Glob(kind + "*_input") // the pattern is well formed, the only error there is
		raws, _ := filepath.Glob(kind + "*_raw")    // as above
		if c, ok := bestChannel(k.prefix, "_input", files); ok {
			channels = append(channels, iioChannel{k.measure, c, kind, false, k.unit})
		} else if c, ok := bestChannel(k.prefix, "_raw", raws); ok {
			channels = append(channels, iioChannel{k.measure, c, kind, true, k.unit})
		}
	}
	return channels
}

func bestChannel(prefix, suffix string, files []string) (string, bool) {
	if len(files) == 0 {
		return "", false
	}
	slices.SortStableFunc(files, byLength)
	for _, want := range []string{prefix, prefix + "_ambient"} {
		for _, f := range files {
			if c := strings.TrimSuffix(f, suffix); filepath.Base(c) == want {
				return c, true
			}
		}
	}
	return strings.TrimSuffix(files[0], suffix), true
}

// iioDevice is one of them. Where it is found is kept until a read fails.
type iioDevice struct {
	slow     slowFile
	machine  sensors.Machine
	name, at string
	chip     string
	channels []iioChannel // nil: to be looked for
}

func (d *iioDevice) lost() { d.channels = nil }

func (d *iioDevice) measure(ctx context.Context, s *sensors.Sample) error {
	if d.channels == nil {
		k, err := pickKernel("iio", iioSensors(d.machine), d.name, d.at)
		if err != nil {
			return err
		}
		d.chip, d.channels = k.name, iioChannels(k.dir)
	}
	s.Chip = d.chip
	useless := false
	for _, c := range d.channels {
		v, raw, err := c.read(ctx, &d.slow)
		switch {
		case err != nil:
			return err
		case useless: // the kernel computes pressure and humidity with the temperature
			s.AddBad(c.measure, sensors.NoTemperature, raw)
		default:
			s.Add(c.measure, v, 0, raw)
		}
		useless = useless || c.measure.Quantity == sensors.Temperature && !within(c.measure, v)
	}
	return nil
}

// read returns a value in the unit of its measure, and the kernel's number, in
// millionths if it has a fraction.
func (c *iioChannel) read(ctx context.Context, slow *slowFile) (value float64, raw int64, err error) {
	suffix := "_input"
	if c.raw {
		suffix = "_raw"
	}
	text, err := slow.read(ctx, c.file+suffix)
	if err != nil {
		return 0, 0, err
	}
	v, err := decimal(c.file+suffix, text)
	if err != nil {
		return 0, 0, err
	}
	raw = int64(v)
	if v != math.Trunc(v) {
		raw = int64(math.Round(v * 1e6))
	}
	if c.raw {
		offset, scale, err := c.factors()
		if err != nil {
			return 0, 0, err
		}
		v = (v + offset) * scale
	}
	return tidy(v * c.unit), raw, nil
}

// factors reads offset and scale, which are 0 and 1 where there is no file. A file of
// the channel goes before one of its kind.
func (c *iioChannel) factors() (offset, scale float64, err error) {
	offset, err = c.factor("_offset", 0)
	if err != nil {
		return 0, 0, err
	}
	scale, err = c.factor("_scale", 1)
	return offset, scale, err
}

func (c *iioChannel) factor(suffix string, otherwise float64) (float64, error) {
	for _, file := range [...]string{c.file + suffix, c.kind + suffix} {
		text, err := readFile(file)
		if sensors.FaultOf(err) == sensors.Gone {
			continue
		}
		if err != nil {
			return 0, err
		}
		return decimal(file, text)
	}
	return otherwise, nil
}

// tidy takes away what the multiplication of decimals by powers of ten leaves behind.
func tidy(v float64) float64 { return math.Round(v*1e6) / 1e6 }

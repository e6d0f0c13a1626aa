package chip

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/sensors"
)

// Sensors that the kernel's hardware monitoring reads. Documentation/hwmon/
// sysfs-interface.rst: tempN_input in thousandths of °C, humidityN_input in thousandths
// of %, tempN_label and humidityN_label what they stand for, tempN_fault 1 when the
// value means nothing.
const hwmonDevices = "/sys/class/hwmon"

var (
	hwmonTemperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -60, Max: 150}
	hwmonHumidity    = sensors.Measure{Quantity: sensors.Humidity, Unit: sensors.RelativeHumidity, Min: 0, Max: 100}
)

var hwmon = sensors.Driver{
	Name: "hwmon", Connection: sensors.OnKernel,
	Doc:      "a sensor that the kernel's hardware monitoring reads: temperature, humidity",
	Measures: []sensors.Measure{hwmonTemperature, hwmonHumidity},
	Keys: kernelKeys(hwmonDevices, "sht3x", sensors.Key{Name: "input", Kind: sensors.KindString, Example: `"temp2"`,
		Meaning: `which temperature of the device, by its label ("Core 0") or file ("temp2"); when not set, the first`}),
	Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
		return &kernelRead{measurer: &monitor{machine: m, name: s.Text("name"), at: s.Text("at"), input: s.Text("input")}}, nil
	},
	Least: func(sensors.Settings) time.Duration { return 10 * time.Millisecond },
	List:  listHwmon,
}

// hwmonInputs lists the inputs of a kind, "temp" or "humidity": "temp1", "temp2".
func hwmonInputs(dir, kind string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, kind+"[0-9]*_input")) // the pattern is well formed, the only error there is
	slices.SortStableFunc(files, byLength)
	for i := range files {
		files[i] = strings.TrimSuffix(filepath.Base(files[i]), "_input")
	}
	return files
}

// hwmonSensors lists the devices that measure temperature or humidity.
func hwmonSensors(m sensors.Machine) []kernelDevice {
	return slices.DeleteFunc(kernelDevices(m, hwmonDevices+"/hwmon*"), func(d kernelDevice) bool {
		return len(hwmonInputs(d.dir, "temp")) == 0 && len(hwmonInputs(d.dir, "humidity")) == 0
	})
}

// listHwmon lists every input, but for doubles of thermal zones, which the driver
// thermal lists.
func listHwmon(m sensors.Machine) []sensors.Listed {
	all := hwmonSensors(m)
	isZone := map[string]bool{}
	for _, h := range heats(m) {
		if h.input == "" {
			isZone[strings.ReplaceAll(h.name, "-", "_")] = true
		}
	}
	var found []sensors.Listed
	for i, l := range listKernel(all) {
		if isZone[all[i].name] {
			continue
		}
		inputs := hwmonInputs(all[i].dir, "temp")
		if len(inputs) < 2 {
			found = append(found, l)
			continue
		}
		for _, input := range inputs {
			one := sensors.Listed{Chip: l.Chip, Where: l.Where + " " + input, Name: l.Name + "-" + input, Settings: map[string]string{"input": fmt.Sprintf("%q", input)}}
			for k, v := range l.Settings {
				one.Settings[k] = v
			}
			found = append(found, one)
		}
	}
	return found
}

// monitor is one of them. Where it is found is kept until a read fails.
type monitor struct {
	slow            slowFile
	machine         sensors.Machine
	name, at, input string
	chip            string
	dir             string // "": to be looked for
	temp, humidity  string // inputs; "": there is none
}

func (d *monitor) lost() { d.dir = "" }

func (d *monitor) measure(ctx context.Context, s *sensors.Sample) error {
	if d.dir == "" {
		if err := d.find(); err != nil {
			return err
		}
	}
	s.Chip = d.chip
	for _, c := range [...]struct {
		measure sensors.Measure
		input   string
	}{{hwmonTemperature, d.temp}, {hwmonHumidity, d.humidity}} {
		if c.input == "" {
			continue
		}
		if lineOf(filepath.Join(d.dir, c.input+"_fault")) == "1" { // the kernel says that the next file means nothing
			s.AddBad(c.measure, sensors.FaultValue, 0)
			continue
		}
		path := filepath.Join(d.dir, c.input+"_input")
		text, err := d.slow.read(ctx, path)
		if err != nil {
			return err
		}
		n, err := milli(path, text)
		if err != nil {
			return err
		}
		s.Add(c.measure, float64(n)/1000, 0, n)
	}
	return nil
}

// find looks for the device and its inputs.
func (d *monitor) find() error {
	k, err := pickKernel("hwmon", hwmonSensors(d.machine), d.name, d.at)
	if err != nil {
		return err
	}
	d.temp, d.humidity = "", ""
	temps := hwmonInputs(k.dir, "temp")
	if humid := hwmonInputs(k.dir, "humidity"); len(humid) > 0 && (d.input == "" || len(temps) < 2) {
		d.humidity = humid[0]
	}
	var there []string
	for _, input := range temps {
		label := lineOf(filepath.Join(k.dir, input+"_label"))
		if d.temp == "" && (d.input == "" || d.input == input || d.input == label) {
			d.temp = input
		}
		there = append(there, strings.TrimSpace(input+" "+label))
	}
	if d.input != "" && d.temp == "" {
		return sensors.Errorf(sensors.Gone, "hwmon "+k.name, "no input %q; there are: %s", d.input, orNone(there))
	}
	d.dir, d.chip = k.dir, k.name
	return nil
}

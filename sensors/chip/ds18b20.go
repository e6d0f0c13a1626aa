package chip

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/sensors"
)

// DS18B20 and its family on 1-wire, through the kernel's w1_therm driver. Analog
// Devices (Maxim) DS18B20 data sheet 19-7487 revision 6: temperature register
// figure 4 and table 1, scratchpad figure 9, configuration figure 10 and table 2.
// DS18S20 data sheet 19-5474: temperature with higher resolution, page 6. Files:
// Documentation/w1/slaves/w1_therm.rst of Linux.
const (
	w1Devices = "/sys/bus/w1/devices"
	w1Fresh   = time.Second // a bulk conversion may be this old
)

// w1Families are the family codes of thermometers, with the chip they mean.
var w1Families = map[string]string{
	"10": "DS18S20", "22": "DS1822", "28": "DS18B20", "3b": "DS1825", "42": "DS28EA00",
}

var w1ID = regexp.MustCompile(`^(10|22|28|3b|42)-[0-9a-f]{12}$`)

var w1Temperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -55, Max: 125}

var ds18b20 = sensors.Driver{
	Name: "ds18b20", Connection: sensors.OnOneWire,
	Doc:      "Maxim DS18B20, DS18S20, DS1822, DS1825 and DS28EA00, temperature on the 1-wire bus",
	Measures: []sensors.Measure{w1Temperature},
	Keys: []sensors.Key{{Name: "address", Kind: sensors.KindString, Example: `"28-0000072f1a23"`,
		Meaning: "the number burnt into the chip, as in /sys/bus/w1/devices; when not set, the only thermometer there"}},
	Check: func(s sensors.Settings) []*sensors.KeyError {
		if err := checkW1(s); err != nil {
			return []*sensors.KeyError{err}
		}
		return nil
	},
	Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
		if err := checkW1(s); err != nil {
			return nil, err
		}
		return &w1{machine: m, id: strings.ToLower(s.Text("address"))}, nil
	},
	Least: func(sensors.Settings) time.Duration { return 800 * time.Millisecond }, // 750 ms at 12 bit: table 2
	List:  listW1,
}

// checkW1 checks the number of a chip, which becomes part of a path.
func checkW1(s sensors.Settings) *sensors.KeyError {
	id := s.Text("address")
	if id == "" || w1ID.MatchString(strings.ToLower(id)) {
		return nil
	}
	return &sensors.KeyError{Key: "address", Text: fmt.Sprintf("got %q, want a family code of a thermometer (10, 22, 28, 3b, 42) and 12 hexadecimal digits, "+
		`such as "28-0000072f1a23"`, id)}
}

// listW1 returns the thermometers on all masters.
func listW1(m sensors.Machine) []sensors.Listed {
	var found []sensors.Listed
	for _, id := range w1Thermometers(m) {
		chip := w1Families[id[:2]]
		found = append(found, sensors.Listed{
			Chip: chip, Where: id, Name: strings.ToLower(chip) + "-" + id[3:], // the whole number: two may end alike
			Settings: map[string]string{"address": fmt.Sprintf("%q", id)},
		})
	}
	return found
}

func w1Thermometers(m sensors.Machine) []string {
	paths, _ := filepath.Glob(filepath.Join(m.Path(w1Devices), "*-*")) // the pattern is well formed, the only error there is
	var ids []string
	for _, p := range paths {
		if id := filepath.Base(p); w1ID.MatchString(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// w1 is one thermometer, found by its number: its place in any list changes.
type w1 struct {
	pause
	machine sensors.Machine
	id      string // "": the only one there
}

// Read implements sensors.Device.
func (d *w1) Read(ctx context.Context, s *sensors.Sample) error {
	return readRetrying(ctx, d, &d.pause, s)
}

// Close implements sensors.Device.
func (d *w1) Close() error { return nil }

func (d *w1) lost() {}

func (d *w1) measure(ctx context.Context, s *sensors.Sample) error {
	if ctx.Err() != nil {
		return outOfTime(ctx)
	}
	id, err := d.which()
	if err != nil {
		return err
	}
	dir := filepath.Join(d.machine.Path(w1Devices), id)
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return sensors.Errorf(sensors.Gone, id, "no such device on the 1-wire bus; there are: %s", orNone(w1Thermometers(d.machine)))
	}
	// Without a bulk conversion, or when it fails, reading the file converts.
	if _, err := d.machine.OneWire().Convert(ctx, filepath.Dir(real), w1Fresh); err != nil && ctx.Err() != nil {
		return err
	}
	s.Chip = w1Families[id[:2]]
	return readW1(s, dir, id)
}

func (d *w1) which() (string, error) {
	if d.id != "" {
		return d.id, nil
	}
	ids := w1Thermometers(d.machine)
	switch len(ids) {
	case 0:
		return "", sensors.Errorf(sensors.Gone, w1Devices, "no thermometer on a 1-wire bus: on a Raspberry Pi switch it on (dtoverlay=w1-gpio in config.txt), and look at the wiring")
	case 1:
		return ids[0], nil
	}
	return "", sensors.Errorf(sensors.Ambiguous, w1Devices, "%d thermometers: %s; set address", len(ids), strings.Join(ids, ", "))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// readW1 reads w1_slave, which has the whole scratchpad, or else the newer file
// temperature, which has only the number.
func readW1(s *sensors.Sample, dir, id string) error {
	text, err := readFile(filepath.Join(dir, "w1_slave"))
	if err == nil {
		v, step, raw, err := parseW1Slave(id, text)
		if err != nil {
			return err
		}
		s.Add(w1Temperature, v, step, raw)
		return nil
	}
	if sensors.FaultOf(err) != sensors.Gone {
		return err
	}
	path := filepath.Join(dir, "temperature")
	text, err = readFile(path)
	if err != nil {
		return err
	}
	n, err := milli(path, text)
	if err != nil {
		return err
	}
	s.Add(w1Temperature, float64(n)/1000, 0.0625, n)
	switch n { // the scratchpad that would tell is not there
	case 85000:
		s.Doubt(sensors.ResetValue)
	case 0, -62: // all bytes 00 pass the checksum; all FF are -0.0625 °C
		s.Doubt(sensors.ShortedValue)
	}
	return nil
}

package chip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/sensors"
)

// DS18B20 and its family on 1-wire, through the kernel's w1_therm driver. Analog
// Devices (Maxim) DS18B20 data sheet 19-7487 revision 6: temperature register
// figure 4 and table 1, scratchpad figure 9, configuration figure 10 and table 2.
// DS18S20 data sheet 19-5474: temperature with higher resolution, page 6. Files:
// Documentation/w1/slaves/w1_therm.rst and Documentation/ABI/testing/
// sysfs-driver-w1_therm of Linux.
const (
	w1Devices = "/sys/bus/w1/devices"
	w1Fresh   = time.Second // a bulk conversion may be this old

	w1Checks = 1 // in features: the kernel shows nothing of a conversion that failed
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
	Keys: []sensors.Key{
		{Name: "address", Kind: sensors.KindString, Example: `"28-0000072f1a23"`,
			Meaning: "the number burnt into the chip, as in /sys/bus/w1/devices; when not set, the only thermometer there"},
		{Name: "resolution", Kind: sensors.KindInt, Choices: []string{"9", "10", "11", "12"}, Example: "10",
			Meaning: "bits of a temperature: 9 is 0.5 °C in 94 ms, 12 is 0.0625 °C in 750 ms; when not set, as the chip has it"},
	},
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
		return &kernelRead{measurer: &w1{machine: m, name: s.Name, id: strings.ToLower(s.Text("address")), bits: int(s.Int("resolution"))}}, nil
	},
	Least: func(s sensors.Settings) time.Duration { // 750 ms at 12 bit, half of it for each bit less: table 2
		bits := 12
		if s.Has("resolution") {
			bits = int(s.Int("resolution"))
		}
		return 750*time.Millisecond>>(12-bits) + 50*time.Millisecond
	},
	List: listW1,
}

// checkW1 checks the number of a chip, which becomes part of a path.
func checkW1(s sensors.Settings) *sensors.KeyError {
	id := s.Text("address")
	if strings.HasPrefix(id, "10-") && s.Has("resolution") {
		return &sensors.KeyError{Key: "resolution", Text: "a DS18S20 (10-...) has one resolution; leave it out"}
	}
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
	file    slowFile
	machine sensors.Machine
	name    string // of the sensor
	id      string // "": the only one there
	bits    int    // 0: as the chip has it

	known    string // the chip whose supply was looked at since it was last lost
	parasite bool   // it has no supply but its data line
	told     string // the chip that this was told of
}

func (d *w1) lost() { d.known = "" }

func (d *w1) measure(ctx context.Context, s *sensors.Sample) error {
	id, err := d.which()
	if err != nil {
		return err
	}
	dir := filepath.Join(d.machine.Path(w1Devices), id)
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return sensors.Errorf(sensors.Gone, id, "no such device on the 1-wire bus; there are: %s", orNone(w1Thermometers(d.machine)))
	}
	if err := d.lookAtSupply(ctx, dir, id); err != nil {
		return err
	}
	// Without a bulk conversion, or when it fails, reading the file converts.
	bulk, err := d.machine.OneWire().Convert(ctx, filepath.Dir(real), w1Fresh)
	if err != nil && ctx.Err() != nil {
		return err
	}
	s.Chip = w1Families[id[:2]]
	return d.read(ctx, s, dir, id, bulk)
}

// lookAtSupply asks the chip once, through the kernel, whether it has a supply, and
// says so if not. Older kernels have no file for that, and a chip that gives no answer
// here says why in its temperature.
func (d *w1) lookAtSupply(ctx context.Context, dir, id string) error {
	if d.known == id {
		return nil
	}
	text, err := d.file.read(ctx, filepath.Join(dir, "ext_power"))
	if err != nil && ctx.Err() != nil {
		return err
	}
	d.known, d.parasite = id, strings.TrimSpace(text) == "0"
	switch {
	case !d.parasite:
		d.told = ""
	case d.told != id:
		d.told = id
		d.machine.Log().Warn("the thermometer is powered through its data line alone: each conversion holds up all others there, and with a weak pull-up it fails; connect its VDD pin",
			"sensor", d.name, "id", id)
	}
	return nil
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

// read reads w1_slave, which has the whole scratchpad, or else the newer file
// temperature, which has only the number.
func (d *w1) read(ctx context.Context, s *sensors.Sample, dir, id string, bulk bool) error {
	text, err := d.file.read(ctx, filepath.Join(dir, "w1_slave"))
	if sensors.FaultOf(err) == sensors.Gone {
		return d.readNumber(ctx, s, dir, id, bulk)
	}
	if err != nil {
		return nothingW1(id, err)
	}
	v, err := parseW1Slave(id, text)
	if d.parasite && v.pad.afterPowerUp(id) {
		return sensors.Errorf(sensors.Garbage, id, "it has not converted (85 °C, the value after power-up): it is powered through its data line alone, which is too weak; connect its VDD pin")
	}
	if err != nil {
		return err
	}
	if has := v.pad.bits(id); d.bits != 0 && has != 0 && has != d.bits { // power was off: it is kept in the chip's RAM
		if err := d.setResolution(dir, id); err != nil {
			return err
		}
		return sensors.Errorf(sensors.Timeout, id, "it had a resolution of %d bits and has just been told to have %d", has, d.bits)
	}
	s.Add(w1Temperature, v.celsius, v.step, v.raw)
	return nil
}

// nothingW1 explains a file that the kernel leaves empty: the chip did not answer, or
// the kernel checks conversions and this one failed.
func nothingW1(id string, err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	return sensors.Errorf(sensors.NotAnswering, id, "the kernel has nothing from it: no answer, or a conversion that failed; look at its supply and wiring")
}

// readNumber reads the file temperature. The scratchpad that would tell false values
// apart is not there; the kernel looks at it if it is told to, except after a bulk
// conversion.
func (d *w1) readNumber(ctx context.Context, s *sensors.Sample, dir, id string, bulk bool) error {
	step := 0.0625
	if d.bits != 0 {
		if has := lineOf(filepath.Join(dir, "resolution")); has != strconv.Itoa(d.bits) {
			if err := d.setResolution(dir, id); err != nil {
				return err
			}
		}
		step = float64(int(1)<<(12-d.bits)) / 16
	}
	path := filepath.Join(dir, "temperature")
	text, err := d.file.read(ctx, path)
	if err != nil {
		return nothingW1(id, err)
	}
	n, err := milli(path, text)
	if err != nil {
		return err
	}
	if n == w1Empty {
		return emptyW1(id)
	}
	s.Add(w1Temperature, float64(n)/1000, step, n)
	switch n {
	case 85000:
		features, _ := strconv.Atoi(lineOf(filepath.Join(dir, "features"))) // without it nothing is checked
		if bulk || features&w1Checks == 0 {
			s.Doubt(sensors.ResetValue)
		}
	case 0, -62: // all bytes 00 pass the checksum; all FF are -0.0625 °C
		s.Doubt(sensors.ShortedValue)
	}
	return nil
}

// setResolution writes the kernel's file, which changes the chip's RAM and not its
// EEPROM.
func (d *w1) setResolution(dir, id string) error {
	path := filepath.Join(dir, "resolution")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(d.bits) + "\n")
		err = errors.Join(err, f.Close())
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return sensors.Errorf(sensors.Refused, id, "its resolution cannot be set: the chip or the kernel has no file for it; leave resolution out")
	case errors.Is(err, fs.ErrPermission):
		return sensors.Errorf(sensors.Refused, path, "no permission to set the resolution: give the gateway's group write access to it with a udev rule, or leave resolution out")
	}
	return classifyFile(path, err)
}

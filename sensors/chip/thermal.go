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

// The machine's own temperatures: thermal zones and hwmon inputs of Linux
// (Documentation/driver-api/thermal/sysfs-api.rst and hwmon/sysfs-interface.rst).
// The numbers of zones and hwmon devices change between boots, their names do not.
var thermalTemperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -60, Max: 150}

// thermalPreferred are the names of the processor's own temperature, in the
// order they are looked for when no name is set.
var thermalPreferred = []string{"cpu-thermal", "cpu_thermal", "cpu0-thermal", "soc-thermal", "x86_pkg_temp", "coretemp", "k10temp", "bcm2835_thermal"}

var thermal = sensors.Driver{
	Name: "thermal", Connection: sensors.OnKernel,
	Doc:      "the machine's own temperatures: thermal zones and hwmon",
	Measures: []sensors.Measure{thermalTemperature},
	Keys: []sensors.Key{
		{Name: "name", Kind: sensors.KindString, Example: `"cpu-thermal"`,
			Meaning: "type of the thermal zone or name of the hwmon device; when not set, the processor's"},
		{Name: "input", Kind: sensors.KindString, Example: `"temp2"`,
			Meaning: "number or label of the hwmon input; when not set, the only or first one"},
	},
	Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
		return &kernelRead{measurer: &zone{machine: m, name: s.Text("name"), input: s.Text("input")}}, nil
	},
	Least: func(sensors.Settings) time.Duration { return time.Millisecond },
	List:  listThermal,
}

// heat is one temperature of the machine.
type heat struct {
	name  string // stable
	input string // "temp1" of a hwmon device, "" of a zone
	label string
	place string // "thermal_zone0", "hwmon2"
	file  string
}

// byLength puts temp2 before temp10, in what is sorted already.
func byLength(a, b string) int { return len(a) - len(b) }

// heats lists all zones, then all hwmon inputs that are not a zone's double.
func heats(m sensors.Machine) []heat {
	var found []heat
	zones, _ := filepath.Glob(m.Path("/sys/class/thermal/thermal_zone*"))     // the pattern is well formed, the only error there is
	inputs, _ := filepath.Glob(m.Path("/sys/class/hwmon/hwmon*/temp*_input")) // as above
	slices.SortStableFunc(zones, byLength)
	slices.SortStableFunc(inputs, byLength)
	for _, z := range zones {
		if name, err := readFile(filepath.Join(z, "type")); err == nil {
			found = append(found, heat{name: strings.TrimSpace(name), place: filepath.Base(z), file: filepath.Join(z, "temp")})
		}
	}
	for _, file := range inputs {
		dir := filepath.Dir(file)
		name, err := readFile(filepath.Join(dir, "name"))
		if err != nil {
			continue
		}
		h := heat{name: strings.TrimSpace(name), input: strings.TrimSuffix(filepath.Base(file), "_input"), place: filepath.Base(dir), file: file}
		if label, err := readFile(filepath.Join(dir, h.input+"_label")); err == nil {
			h.label = strings.TrimSpace(label)
		}
		isDouble := func(z heat) bool { return z.input == "" && strings.ReplaceAll(z.name, "-", "_") == h.name }
		if !slices.ContainsFunc(found, isDouble) {
			found = append(found, h)
		}
	}
	return found
}

// listThermal lists the zones; monitors of other things are hwmon's.
func listThermal(m sensors.Machine) []sensors.Listed {
	var found []sensors.Listed
	all := heats(m)
	for _, h := range all {
		if h.input != "" {
			continue
		}
		name := h.name
		isTwin := func(o heat) bool { return o.name == h.name && o.place != h.place }
		if slices.ContainsFunc(all, isTwin) { // only the place tells them apart
			name = h.place
		}
		found = append(found, sensors.Listed{Chip: h.name, Where: h.place, Name: name, Settings: map[string]string{"name": fmt.Sprintf("%q", name)}})
	}
	return found
}

// zone is one temperature of the machine. Where it is found is kept until a
// read fails.
type zone struct {
	slow        slowFile
	machine     sensors.Machine
	name, input string
	file, chip  string // "": to be looked for
}

func (d *zone) lost() { d.file = "" }

func (d *zone) measure(ctx context.Context, s *sensors.Sample) error {
	if d.file == "" {
		h, err := d.find()
		if err != nil {
			return err
		}
		d.file, d.chip = h.file, h.name
	}
	text, err := d.slow.read(ctx, d.file)
	if err != nil {
		return err
	}
	n, err := milli(d.file, text)
	if err != nil {
		return err
	}
	s.Chip = d.chip
	s.Add(thermalTemperature, float64(n)/1000, 0.1, n)
	return nil
}

func (d *zone) find() (heat, error) {
	all := heats(d.machine)
	if len(all) == 0 {
		return heat{}, sensors.Errorf(sensors.Gone, "thermal", "the kernel shows no temperature of this machine")
	}
	if d.name == "" {
		if d.input == "" && len(all) == 1 {
			return all[0], nil
		}
		for _, name := range thermalPreferred {
			if fit := d.matching(all, name); len(fit) > 0 {
				return fit[0], nil
			}
		}
		return heat{}, sensors.Errorf(sensors.Ambiguous, "thermal", "none is known to be the processor's; set name to one of: %s", heatNames(all))
	}
	fit := d.matching(all, d.name)
	zones := slices.DeleteFunc(slices.Clone(fit), func(h heat) bool { return h.place != fit[0].place })
	switch {
	case len(fit) == 0:
		return heat{}, sensors.Errorf(sensors.Gone, "thermal", "no temperature called %q; there are: %s", strings.TrimSpace(d.name+" "+d.input), heatNames(all))
	case len(zones) < len(fit):
		return heat{}, sensors.Errorf(sensors.Ambiguous, "thermal", "%d places are called %q; set name to the place: %s", len(fit), d.name, heatPlaces(fit))
	}
	return fit[0], nil
}

// matching returns those of a name (or place) and of the input that is set.
func (d *zone) matching(all []heat, name string) []heat {
	var fit []heat
	for _, h := range all {
		if (h.name == name || h.place == name) && (d.input == "" || h.input == d.input || h.label == d.input) {
			fit = append(fit, h)
		}
	}
	return fit
}

func heatNames(all []heat) string {
	var names []string
	for _, h := range all {
		if n := fmt.Sprintf("%q", h.name); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return strings.Join(names, ", ")
}

func heatPlaces(all []heat) string {
	var places []string
	for _, h := range all {
		if p := fmt.Sprintf("%q", h.place); !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	return strings.Join(places, ", ")
}

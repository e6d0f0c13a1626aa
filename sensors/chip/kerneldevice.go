package chip

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/sensors"
)

// What IIO and hwmon have in common: devices whose chips a driver of the kernel reads,
// in numbered directories with a file "name". The numbers change with the order in
// which drivers are loaded; names, labels and places stay.

// kernelDevice is one of them.
type kernelDevice struct {
	dir   string // of its files
	name  string // what the driver calls the chip: "bme280"
	label string // what the device tree calls it, "" if nothing
	place string // the device behind it: "1-0076", "nvme0"
	node  string // its node in the device tree: "bme280@76"; "" if there is none
}

// kernelDevices lists those a pattern finds, in the order of their places.
func kernelDevices(m sensors.Machine, pattern string) []kernelDevice {
	dirs, _ := filepath.Glob(m.Path(pattern)) // the pattern is well formed, the only error there is
	var found []kernelDevice
	for _, dir := range dirs {
		d := kernelDevice{dir: dir, name: lineOf(filepath.Join(dir, "name")), label: lineOf(filepath.Join(dir, "label"))}
		if d.name == "" {
			continue
		}
		_, noLink := os.Readlink(dir) // in a real tree every one is
		if real, err := filepath.EvalSymlinks(dir); err == nil && noLink == nil {
			real = filepath.Dir(real)
			if filepath.Base(real) == "hwmon" { // the class has a directory of its own there
				real = filepath.Dir(real)
			}
			d.place = filepath.Base(real)
		}
		if node, err := filepath.EvalSymlinks(filepath.Join(dir, "of_node")); err == nil {
			d.node = filepath.Base(node)
		}
		found = append(found, d)
	}
	slices.SortStableFunc(found, func(a, b kernelDevice) int {
		return strings.Compare(a.name+"\x00"+a.place, b.name+"\x00"+b.place)
	})
	return found
}

// isAt reports whether a setting means this device.
func (d *kernelDevice) isAt(where string) bool {
	return where == "" || where == d.label || where == d.place || where == d.node
}

// proper returns what tells the device from those of its name: its label, its node in
// the device tree or its place, "" if it is alone.
func (d *kernelDevice) proper(all []kernelDevice) string {
	same := func(o kernelDevice) bool { return o.name == d.name && o.dir != d.dir }
	if !slices.ContainsFunc(all, same) {
		return ""
	}
	for _, of := range []func(*kernelDevice) string{
		func(k *kernelDevice) string { return k.label },
		func(k *kernelDevice) string { return k.node },
	} {
		mine := of(d)
		if mine != "" && !slices.ContainsFunc(all, func(o kernelDevice) bool { return same(o) && of(&o) == mine }) {
			return mine
		}
	}
	return d.place
}

// kernelKeys are the settings that name one.
func kernelKeys(class, example string, own ...sensors.Key) []sensors.Key {
	return append([]sensors.Key{
		{Name: "name", Kind: sensors.KindString, Example: fmt.Sprintf("%q", example),
			Meaning: "name of the device as in " + class + "; when not set, the only one there"},
		{Name: "at", Kind: sensors.KindString, Example: `"1-0076"`,
			Meaning: "which of several of that name: its label, its node in the device tree or the device it belongs to, never its number"},
	}, own...)
}

// pickKernel finds the device that the settings mean among those that measure
// something.
func pickKernel(class string, all []kernelDevice, name, at string) (kernelDevice, error) {
	var fit []kernelDevice
	for _, d := range all {
		if (name == "" || d.name == name) && d.isAt(at) {
			fit = append(fit, d)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return kernelDevice{}, sensors.Errorf(sensors.Ambiguous, class, "%d devices fit: %s; set name and at", len(fit), describeKernel(fit))
	case len(all) == 0:
		return kernelDevice{}, sensors.Errorf(sensors.Gone, class, "the kernel shows no such device: its driver has to be loaded, with a device tree overlay or a line such as \"echo bme280 0x76 > /sys/bus/i2c/devices/i2c-1/new_device\"")
	}
	return kernelDevice{}, sensors.Errorf(sensors.Gone, class, "no device called %q; there are: %s", strings.TrimSpace(name+" "+at), describeKernel(all))
}

func describeKernel(all []kernelDevice) string {
	var texts []string
	for i := range all {
		text := fmt.Sprintf("%q", all[i].name)
		if at := all[i].proper(all); at != "" {
			text += fmt.Sprintf(" at %q", at)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

// listKernel makes the scan's lines of devices. Names and settings say the place even
// where one is alone, so that they stay when another comes.
func listKernel(all []kernelDevice) []sensors.Listed {
	var found []sensors.Listed
	for i := range all {
		d := &all[i]
		l := sensors.Listed{Chip: d.name, Where: filepath.Base(d.dir), Name: d.name, Settings: map[string]string{"name": fmt.Sprintf("%q", d.name)}}
		if d.place != "" && d.place != d.name {
			l.Where, l.Name = d.place, d.name+"-"+plainName(d.place)
			l.Settings["at"] = fmt.Sprintf("%q", d.place)
		}
		if strings.HasPrefix(d.place, d.name) { // "coretemp.0" is clear enough
			l.Name = plainName(d.place)
		}
		found = append(found, l)
	}
	return found
}

// plainName makes a place fit to be part of a name and a topic.
func plainName(place string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			return r
		}
		return '-'
	}, place)
}

// kernelRead is a device whose values stand in files of the kernel.
type kernelRead struct {
	pause
	measurer
}

// Read implements sensors.Device.
func (d *kernelRead) Read(ctx context.Context, s *sensors.Sample) error {
	return readRetrying(ctx, d, &d.pause, s)
}

// Close implements sensors.Device.
func (d *kernelRead) Close() error { return nil }

func (d *kernelRead) measure(ctx context.Context, s *sensors.Sample) error {
	if ctx.Err() != nil {
		return outOfTime(ctx)
	}
	return d.measurer.measure(ctx, s)
}

package sim

// Sources: the kernel's documentation of w1_therm (Documentation/w1/slaves/w1_therm),
// thermal zones, hwmon and IIO sysfs files (Documentation/ABI).

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// Sysfs builds a tree of kernel files as sensors without a driver of ours show
// them, with the symbolic links that the real tree has. Files are replaced whole,
// so a reader never sees half a value. Safe for concurrent use.
//
// Files are only files: reading one takes no time, unless it is made Slow, and what is
// written to one (therm_bulk_read) has no effect. A kernel that answers EAGAIN cannot
// be had of a file.
type Sysfs struct {
	root string

	mu     sync.Mutex     // guards everything below root, and next
	next   map[string]int // the next free number of each kind of device
	writes int
}

// NewSysfs builds below an existing directory that stands for /: the thermal zones
// are at root/sys/class/thermal.
func NewSysfs(root string) *Sysfs { return &Sysfs{root: root, next: make(map[string]int)} }

// KernelDevice is one device of a Sysfs tree.
type KernelDevice struct {
	tree   *Sysfs
	class  string            // directory of links, such as sys/class/thermal
	prefix string            // of the link, before its number; the whole name if fixed
	fixed  bool              // the link has no number
	parent string            // directory of the device, such as sys/devices/virtual/thermal
	files  map[string]string // its files; guarded by tree.mu
	name   string            // as it is plugged in now; "" if not
}

// add plugs a new device in.
func (s *Sysfs) add(d *KernelDevice) (*KernelDevice, error) {
	d.tree = s
	return d, d.Plug()
}

// Name returns what the device is called now, such as "thermal_zone0", or "" while
// it is unplugged.
func (d *KernelDevice) Name() string {
	d.tree.mu.Lock()
	defer d.tree.mu.Unlock()
	return d.name
}

// Path returns the path of one of its files as a reader would open it; "" while
// the device is unplugged.
func (d *KernelDevice) Path(file string) string {
	name := d.Name()
	if name == "" {
		return ""
	}
	return filepath.Join(d.tree.root, d.class, name, file)
}

// Plug brings the device back. One whose name ends in a number comes back under
// the next number that was never used, as numbers are not to be relied on.
func (d *KernelDevice) Plug() error {
	s := d.tree
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.name != "" {
		return nil
	}
	name := d.prefix
	if !d.fixed {
		name += strconv.Itoa(s.next[d.prefix])
		s.next[d.prefix]++
	}
	home := filepath.Join(s.root, d.parent, name)
	links := filepath.Join(s.root, d.class)
	if err := errors.Join(os.MkdirAll(home, 0o755), os.MkdirAll(links, 0o755)); err != nil {
		return err
	}
	for file, content := range d.files {
		if err := s.put(filepath.Join(home, file), content); err != nil {
			return err
		}
	}
	target, err := filepath.Rel(links, home)
	if err != nil {
		return err
	}
	if err := os.Symlink(target, filepath.Join(links, name)); err != nil {
		return err
	}
	d.name = name
	return nil
}

// Unplug takes the device and its files away.
func (d *KernelDevice) Unplug() error {
	s := d.tree
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.name == "" {
		return nil
	}
	name := d.name
	d.name = ""
	return errors.Join(
		os.Remove(filepath.Join(s.root, d.class, name)),
		os.RemoveAll(filepath.Join(s.root, d.parent, name)),
	)
}

// Set gives one of the device's files a content, now and after each Plug.
func (d *KernelDevice) Set(file, content string) error {
	s := d.tree
	s.mu.Lock()
	defer s.mu.Unlock()
	d.files[file] = content
	if d.name == "" {
		return nil
	}
	return s.put(filepath.Join(s.root, d.parent, d.name, file), content)
}

// Break makes reading one of the device's files fail until the next Set: with EIO on
// Linux.
func (d *KernelDevice) Break(file string) error {
	s := d.tree
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.name == "" {
		return nil
	}
	path := filepath.Join(s.root, d.parent, d.name, file)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	if unreadable != "" {
		return os.Symlink(unreadable, path)
	}
	return os.Mkdir(path, 0o755) // opens, but does not read
}

// put replaces a file whole.
func (s *Sysfs) put(path, content string) error {
	s.writes++
	aside := filepath.Join(s.root, ".new"+strconv.Itoa(s.writes))
	if err := os.WriteFile(aside, []byte(content), 0o644); err != nil {
		return err
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return os.Rename(aside, path)
}

// milli is a value in thousandths, as sysfs writes it.
func milli(v float64) string { return fmt.Sprintf("%d\n", int64(math.Round(v*1000))) }

// AddThermalZone adds a thermal zone of this type, for example "cpu-thermal", at
// sys/class/thermal/thermal_zoneN. Its temperature is in the file "temp".
func (s *Sysfs) AddThermalZone(kind string, celsius float64) (*KernelDevice, error) {
	return s.add(&KernelDevice{
		class: "sys/class/thermal", prefix: "thermal_zone", parent: "sys/devices/virtual/thermal",
		files: map[string]string{"type": kind + "\n", "temp": milli(celsius), "mode": "enabled\n"},
	})
}

// AddHwmon adds a hardware monitor of this name, for example "coretemp", at
// sys/class/hwmon/hwmonN, with the files temp1_input, temp2_input and so on.
func (s *Sysfs) AddHwmon(name string, celsius ...float64) (*KernelDevice, error) {
	return s.AddHwmonAt(name, name, celsius...)
}

// AddHwmonAt adds one that belongs to a device of its own, for example "1-0044" on an
// I2C bus or "nvme0".
func (s *Sysfs) AddHwmonAt(place, name string, celsius ...float64) (*KernelDevice, error) {
	files := map[string]string{"name": name + "\n"}
	for i, c := range celsius {
		files[fmt.Sprintf("temp%d_input", i+1)] = milli(c)
	}
	return s.add(&KernelDevice{
		class: "sys/class/hwmon", prefix: "hwmon", parent: filepath.Join("sys/devices/platform", place, "hwmon"),
		files: files,
	})
}

// AddIIO adds a sensor whose kernel driver reads it, for example "bme280", at
// sys/bus/iio/devices/iio:deviceN, with processed values: thousandths of °C and of
// %, and kPa.
func (s *Sysfs) AddIIO(name string, c Climate) (*KernelDevice, error) {
	return s.AddIIOAt(name, name, c)
}

// AddIIOAt adds one that belongs to a device of its own, for example "1-0076" on an I2C
// bus.
func (s *Sysfs) AddIIOAt(place, name string, c Climate) (*KernelDevice, error) {
	return s.add(&KernelDevice{
		class: "sys/bus/iio/devices", prefix: "iio:device", parent: filepath.Join("sys/devices/platform", place),
		files: map[string]string{
			"name":                      name + "\n",
			"in_temp_input":             milli(c.Temperature),
			"in_humidityrelative_input": milli(c.Humidity),
			"in_pressure_input":         fmt.Sprintf("%.9f\n", c.Pressure/1000),
		},
	})
}

// Remove takes one of the device's files away, now and after each Plug.
func (d *KernelDevice) Remove(file string) error {
	s := d.tree
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(d.files, file)
	if d.name == "" {
		return nil
	}
	return os.Remove(filepath.Join(s.root, d.parent, d.name, file))
}

// SetCelsius sets a file that holds thousandths of °C: "temp", "temp1_input",
// "in_temp_input".
func (d *KernelDevice) SetCelsius(file string, celsius float64) error {
	return d.Set(file, milli(celsius))
}

package chip_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/sensors"
	"weir/sensors/chip"
)

// put writes a kernel file.
func (b *bench) put(path, text string) {
	b.Helper()
	path = b.machine.Path(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

// remove takes a kernel file or directory away.
func (b *bench) remove(path string) {
	b.Helper()
	if err := os.RemoveAll(b.machine.Path(path)); err != nil {
		b.Fatal(err)
	}
}

// wantValue reads and compares the only value.
func (b *bench) wantValue(d sensors.Device, want float64, q sensors.Quality) {
	b.Helper()
	s, err := b.read(d)
	if err != nil || len(s.Readings) != 1 || s.Readings[0].Value != want || s.Readings[0].Quality != q {
		b.Errorf("got %+v, %v, want %v %v", s.Readings, err, want, q)
	}
}

var good = sensors.Quality{Level: sensors.Good}

const (
	w1a  = "28-0000072f1a23"
	w1b  = "10-0008025a1b2c"
	warm = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"
)

// onMaster puts a thermometer on master 1 as the kernel links it.
func (b *bench) onMaster(id, text string) {
	b.Helper()
	b.put("/sys/devices/w1_bus_master1/"+id+"/w1_slave", text)
	b.put("/sys/bus/w1/devices/.keep", "")
	if err := os.Symlink("../../../devices/w1_bus_master1/"+id, b.machine.Path("/sys/bus/w1/devices/"+id)); err != nil && !os.IsExist(err) {
		b.Fatal(err)
	}
}

func TestDS18B20Reads(tt *testing.T) {
	onBench(tt, func(b *bench) {
		d := b.open("ds18b20", nil)
		b.wantFault(d, sensors.Gone, "dtoverlay=w1-gpio")
		b.onMaster(w1a, warm)
		b.wantValue(d, 23.125, good)
		if !slices.Equal(b.machine.bulk, []string{"w1_bus_master1"}) {
			b.Errorf("conversions on %v, want one on w1_bus_master1", b.machine.bulk)
		}
		b.onMaster(w1b, warm)
		b.wantFault(d, sensors.Ambiguous, "2 thermometers: "+w1b+", "+w1a)
		named := b.open("ds18b20", map[string]any{"address": "28-0000072F1A23"})
		b.wantValue(named, 23.125, good)
		b.remove("/sys/bus/w1/devices/" + w1a)
		b.wantFault(named, sensors.Gone, "no such device on the 1-wire bus; there are: "+w1b)
		b.onMaster(w1a, warm)
		b.wantValue(named, 23.125, good)
	})
}

func TestDS18B20OnlyTheNewFile(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.onMaster(w1a, warm)
		b.remove("/sys/devices/w1_bus_master1/" + w1a + "/w1_slave")
		d := b.open("ds18b20", nil)
		file := "/sys/devices/w1_bus_master1/" + w1a + "/temperature"
		b.put(file, "-10062\n")
		b.wantValue(d, -10.062, good)
		b.put(file, "85000\n")
		b.wantValue(d, 85, sensors.Quality{Level: sensors.Uncertain, Reason: sensors.ResetValue})
		for text, v := range map[string]float64{"0\n": 0, "-62\n": -0.062} {
			b.put(file, text)
			b.wantValue(d, v, sensors.Quality{Level: sensors.Uncertain, Reason: sensors.ShortedValue})
		}
		b.put(file, "none\n")
		b.wantFault(d, sensors.Garbage, `got "none\n", want thousandths of a degree`)
	})
}

func TestDS18B20RefusesOtherNumbers(t *testing.T) {
	d := sensors.Find(chip.Drivers, "ds18b20")
	for _, id := range []string{"28-1", "29-0000072f1a23", "../../etc/passwd", "28-0000072f1a23/.."} {
		s, _ := d.Settings("x", map[string]any{"address": id}, nil)
		if _, err := d.Open(nil, s); err == nil {
			t.Errorf("%q was accepted", id)
		}
	}
}

func TestThermalFindsTheProcessor(tt *testing.T) {
	onBench(tt, func(b *bench) {
		d := b.open("thermal", nil)
		b.wantFault(d, sensors.Gone, "no temperature of this machine")
		b.put("/sys/class/thermal/thermal_zone0/type", "gpu-thermal\n")
		b.put("/sys/class/thermal/thermal_zone0/temp", "40000\n")
		b.wantValue(d, 40, good) // the only one
		b.put("/sys/class/thermal/thermal_zone1/type", "cpu-thermal\n")
		b.put("/sys/class/thermal/thermal_zone1/temp", "48312\n")
		b.wantValue(b.open("thermal", nil), 48.312, good)
		b.put("/sys/class/thermal/thermal_zone1/temp", "-1500\n")
		named := b.open("thermal", map[string]any{"name": "cpu-thermal"})
		b.wantValue(named, -1.5, good)

		b.remove("/sys/class/thermal/thermal_zone1") // another number after the driver was loaded again
		b.wantFault(named, sensors.Gone, "")
		b.wantFault(named, sensors.Gone, `no temperature called "cpu-thermal"; there are: "gpu-thermal"`)
		b.put("/sys/class/thermal/thermal_zone7/type", "cpu-thermal\n")
		b.put("/sys/class/thermal/thermal_zone7/temp", "50000\n")
		b.wantValue(named, 50, good)
	})
}

func TestThermalHwmon(tt *testing.T) {
	onBench(tt, func(b *bench) {
		for dir, name := range map[string]string{"hwmon0": "nvme", "hwmon1": "coretemp", "hwmon2": "nvme"} {
			b.put("/sys/class/hwmon/"+dir+"/name", name+"\n")
			b.put("/sys/class/hwmon/"+dir+"/temp1_input", "31000\n")
		}
		b.put("/sys/class/hwmon/hwmon1/temp2_input", "32000\n")
		b.put("/sys/class/hwmon/hwmon1/temp2_label", "Core 0\n")
		b.wantValue(b.open("thermal", nil), 31, good)
		b.wantValue(b.open("thermal", map[string]any{"name": "coretemp", "input": "Core 0"}), 32, good)
		b.wantValue(b.open("thermal", map[string]any{"name": "coretemp", "input": "temp2"}), 32, good)
		b.wantFault(b.open("thermal", map[string]any{"name": "nvme"}), sensors.Ambiguous, `2 places are called "nvme"; set name to the place: "hwmon0", "hwmon2"`)
		b.wantValue(b.open("thermal", map[string]any{"name": "hwmon2"}), 31, good)
	})
}

// Many machines have two devices of one name, and more than nine inputs.
func TestThermalTwinsAndOrder(tt *testing.T) {
	onBench(tt, func(b *bench) {
		for _, n := range []string{"1", "2", "10"} {
			b.put("/sys/class/thermal/thermal_zone"+n+"/type", "acpitz\n")
			b.put("/sys/class/thermal/thermal_zone"+n+"/temp", n+"000\n")
			b.put("/sys/class/hwmon/hwmon4/temp"+n+"_input", n+"000\n")
		}
		b.put("/sys/class/hwmon/hwmon4/name", "coretemp\n")
		b.wantValue(b.open("thermal", nil), 1, good)
		want := []string{
			"acpitz thermal_zone1", "acpitz thermal_zone2", "acpitz thermal_zone10",
			"coretemp coretemp-temp1", "coretemp coretemp-temp2", "coretemp coretemp-temp10",
		}
		if got := b.readListed("thermal", "hwmon"); !slices.Equal(got, want) {
			b.Errorf("got %q, want %q", got, want)
		}
	})
}

// readListed reads everything the drivers list, with the settings they list it with.
func (b *bench) readListed(drivers ...string) (names []string) {
	b.Helper()
	for _, driver := range drivers {
		d := sensors.Find(chip.Drivers, driver)
		for _, l := range d.List(b.machine) {
			names = append(names, l.Chip+" "+l.Name)
			given := map[string]any{}
			for k, v := range l.Settings {
				given[k] = strings.Trim(v, `"`)
			}
			if _, err := b.read(b.open(driver, given)); err != nil {
				b.Errorf("%s as it is listed: %v", l.Where, err)
			}
		}
	}
	return names
}

func TestListsKernelDevices(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.onMaster(w1a, warm)
		b.put("/sys/bus/w1/devices/00-100000000000/x", "") // not a thermometer
		b.put("/sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
		b.put("/sys/class/hwmon/hwmon0/name", "cpu_thermal\n") // the zone's double
		b.put("/sys/class/hwmon/hwmon0/temp1_input", "1\n")
		b.put("/sys/class/hwmon/hwmon1/name", "nvme\n")
		b.put("/sys/class/hwmon/hwmon1/temp1_input", "1\n")
		var got []string
		for _, d := range chip.Drivers {
			if d.List != nil {
				for _, l := range d.List(b.machine) {
					got = append(got, d.Name+" "+l.Chip+" "+l.Name+" "+l.Settings["address"]+l.Settings["name"])
				}
			}
		}
		want := []string{`ds18b20 DS18B20 ds18b20-0000072f1a23 "28-0000072f1a23"`, `thermal cpu-thermal cpu-thermal "cpu-thermal"`, `hwmon nvme nvme "nvme"`}
		if !slices.Equal(got, want) {
			b.Errorf("got %q, want %q", got, want)
		}
	})
}

package chip_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// tree returns a simulated tree of kernel files where the machine looks for it.
func (b *bench) tree() *sim.Sysfs { return sim.NewSysfs(b.machine.root) }

// must ends the test on an error.
func must[T any](b *bench) func(T, error) T {
	return func(v T, err error) T {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
}

func TestIIOReads(tt *testing.T) {
	onBench(tt, func(b *bench) {
		d := b.open("iio", nil)
		b.wantFault(d, sensors.Gone, "the kernel shows no such device")
		tree := b.tree()
		first := must[*sim.KernelDevice](b)(tree.AddIIOAt("1-0076", "bme280", indoors))
		b.check3(d, indoors)
		// It comes back under another number, and is found by its name.
		if err := first.Unplug(); err != nil {
			b.Fatal(err)
		}
		b.wantFault(d, sensors.Gone, "")
		if err := first.Plug(); err != nil {
			b.Fatal(err)
		}
		b.check3(d, indoors)
		if first.Name() != "iio:device1" {
			b.Errorf("it is %s", first.Name())
		}
		// A converter is no sensor of air; a second sensor makes the choice the user's.
		must[*sim.KernelDevice](b)(tree.AddHwmon("adc", 20))
		b.check3(d, indoors)
		outdoors := sim.Climate{Temperature: -12.5, Pressure: 98765, Humidity: 88}
		must[*sim.KernelDevice](b)(tree.AddIIOAt("3-0077", "bme280", outdoors))
		b.wantFault(b.open("iio", nil), sensors.Ambiguous, `2 devices fit: "bme280" at "1-0076", "bme280" at "3-0077"; set name and at`)
		b.check3(b.open("iio", map[string]any{"name": "bme280", "at": "3-0077"}), outdoors)
		b.check3(b.open("iio", map[string]any{"at": "1-0076"}), indoors)
		b.wantFault(b.open("iio", map[string]any{"name": "dps310"}), sensors.Gone, `no device called "dps310"; there are: "bme280" at "1-0076"`)
		if got := b.readListed("iio"); !slices.Equal(got, []string{"bme280 bme280-1-0076", "bme280 bme280-3-0077"}) {
			b.Errorf("listed: %q", got)
		}
	})
}

// check3 reads temperature, pressure and humidity to the kernel's last digit.
func (b *bench) check3(d sensors.Device, c sim.Climate) {
	b.Helper()
	s, err := b.read(d)
	if err != nil || len(s.Readings) != 3 || s.Chip != "bme280" {
		b.Errorf("got %+v, %v, want three values", s, err)
		return
	}
	for i, want := range []float64{c.Temperature, c.Pressure, c.Humidity} {
		if r := s.Readings[i]; r.Value != want || r.Quality != good {
			b.Errorf("%s: got %v %v, want %v", r.Quantity, r.Value, r.Quality, want)
		}
	}
}

func TestIIOByLabelAndNode(tt *testing.T) {
	onBench(tt, func(b *bench) {
		tree := b.tree()
		for i, place := range []string{"1-0076", "1-0077"} {
			must[*sim.KernelDevice](b)(tree.AddIIOAt(place, "bmp280", sim.Climate{Temperature: float64(10 + i), Pressure: 100000}))
		}
		dir := "/sys/bus/iio/devices/iio:device0"
		b.put(dir+"/label", "cellar\n")
		b.remove(dir + "/in_humidityrelative_input")
		b.put("/sys/firmware/devicetree/base/soc/i2c@1/bmp280@76/compatible", "")
		node := b.machine.Path(dir + "/of_node")
		if err := os.Symlink(b.machine.Path("/sys/firmware/devicetree/base/soc/i2c@1/bmp280@76"), node); err != nil {
			b.Fatal(err)
		}
		for _, at := range []string{"cellar", "bmp280@76", "1-0076"} {
			s, err := b.read(b.open("iio", map[string]any{"name": "bmp280", "at": at}))
			if err != nil || len(s.Readings) != 2 || s.Readings[0].Value != 10 {
				b.Errorf("%s: %+v, %v, want temperature and pressure of the first", at, s.Readings, err)
			}
		}
		if got := b.readListed("iio"); !slices.Contains(got, "bmp280 bmp280-1-0076") {
			b.Errorf("listed: %q", got)
		}
	})
}

func TestIIORawChannels(tt *testing.T) {
	onBench(tt, func(b *bench) {
		const dir = "/sys/bus/iio/devices/iio:device4/"
		b.put(dir+"name", "hts221\n")
		b.put(dir+"in_temp_raw", "-164\n") // (-164 + 1064) * 25.5 = 22950
		b.put(dir+"in_temp_offset", "1064\n")
		b.put(dir+"in_temp_scale", "25.5\n")
		b.put(dir+"in_humidityrelative0_raw", "100\n")
		b.put(dir+"in_humidityrelative_scale", "412.5\n")  // of all of the kind
		b.put(dir+"in_humidityrelative0_offset", "-1.0\n") // of the channel
		s, err := b.read(b.open("iio", map[string]any{"name": "hts221"}))
		if err != nil || len(s.Readings) != 2 || s.Readings[0].Value != 22.95 || s.Readings[1].Value != 40.8375 || s.Readings[0].Raw != -164 {
			b.Errorf("got %+v, %v", s.Readings, err)
		}
		b.put(dir+"in_temp_scale", "much\n")
		b.wantFault(b.open("iio", nil), sensors.Garbage, `got "much\n", want a number`)
	})
	// Of an infrared thermometer the surroundings are taken.
	onBench(tt, func(b *bench) {
		const dir = "/sys/bus/iio/devices/iio:device0/"
		b.put(dir+"name", "mlx90614\n")
		b.put(dir+"in_temp_object_raw", "15000\n")
		b.put(dir+"in_temp_ambient_raw", "14657\n")
		b.put(dir+"in_temp_ambient_offset", "-13657.5\n")
		b.put(dir+"in_temp_ambient_scale", "20\n")
		b.wantValue(b.open("iio", nil), 19.99, good)
	})
}

// The kernel computes pressure with the temperature: an impossible one spoils it.
func TestIIOWithoutTemperature(tt *testing.T) {
	onBench(tt, func(b *bench) {
		must[*sim.KernelDevice](b)(b.tree().AddIIO("bme280", sim.Climate{Temperature: -144.7, Pressure: 65200, Humidity: 100}))
		b.wantBad(b.open("iio", nil), map[sensors.Quantity]sensors.Reason{
			t: sensors.OutsideChip, p: sensors.NoTemperature, h: sensors.NoTemperature,
		})
	})
}

func TestHwmonReads(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wantFault(b.open("hwmon", nil), sensors.Gone, "the kernel shows no such device")
		tree := b.tree()
		humid := must[*sim.KernelDevice](b)(tree.AddHwmonAt("1-0044", "sht3x", 21.5))
		if err := humid.Set("humidity1_input", "45250\n"); err != nil {
			b.Fatal(err)
		}
		d := b.open("hwmon", map[string]any{"name": "sht3x"})
		both := func() {
			b.Helper()
			s, err := b.read(d)
			if err != nil || len(s.Readings) != 2 || s.Readings[0].Value != 21.5 || s.Readings[1].Value != 45.25 || s.Readings[1].Quality != good {
				b.Errorf("got %+v, %v", s.Readings, err)
			}
		}
		both()
		core := must[*sim.KernelDevice](b)(tree.AddHwmon("coretemp", 40, 41, 42))
		for file, text := range map[string]string{"temp2_label": "Core 0\n", "temp3_label": "Core 1\n", "temp3_fault": "1\n"} {
			if err := core.Set(file, text); err != nil {
				b.Fatal(err)
			}
		}
		both()
		b.wantValue(b.open("hwmon", map[string]any{"name": "coretemp"}), 40, good)
		b.wantValue(b.open("hwmon", map[string]any{"name": "coretemp", "input": "Core 0"}), 41, good)
		b.wantValue(b.open("hwmon", map[string]any{"name": "coretemp", "input": "temp2"}), 41, good)
		b.wantValue(b.open("hwmon", map[string]any{"name": "coretemp", "input": "Core 1"}), 0, sensors.Quality{Reason: sensors.FaultValue})
		b.wantFault(b.open("hwmon", map[string]any{"name": "coretemp", "input": "Core 7"}), sensors.Gone, `no input "Core 7"; there are: temp1, temp2 Core 0, temp3 Core 1`)
		b.wantFault(b.open("hwmon", nil), sensors.Ambiguous, `2 devices fit: "coretemp", "sht3x"; set name and at`)

		if err := humid.Unplug(); err != nil {
			b.Fatal(err)
		}
		b.wantFault(d, sensors.Gone, "")
		if err := humid.Plug(); err != nil {
			b.Fatal(err)
		}
		both()
		want := []string{"coretemp coretemp-temp1", "coretemp coretemp-temp2", "coretemp coretemp-temp3", "sht3x sht3x-1-0044"}
		if got := b.readListed("hwmon"); !slices.Equal(got, want) {
			b.Errorf("listed: %q, want %q", got, want)
		}
	})
}

// Two drives of one name are told apart by what they belong to.
func TestHwmonTwins(tt *testing.T) {
	onBench(tt, func(b *bench) {
		tree := b.tree()
		must[*sim.KernelDevice](b)(tree.AddHwmonAt("nvme0", "nvme", 31))
		must[*sim.KernelDevice](b)(tree.AddHwmonAt("nvme1", "nvme", 32))
		b.wantValue(b.open("hwmon", map[string]any{"at": "nvme1"}), 32, good)
		b.wantFault(b.open("hwmon", map[string]any{"at": "hwmon1"}), sensors.Gone, `no device called "hwmon1"; there are: "nvme" at "nvme0", "nvme" at "nvme1"`)
		must[*sim.KernelDevice](b)(tree.AddHwmonAt("0000:01:00.0", "amdgpu", 55))
		if got := b.readListed("hwmon"); !slices.Equal(got, []string{"amdgpu amdgpu-0000-01-00.0", "nvme nvme0", "nvme nvme1"}) {
			b.Errorf("listed: %q", got)
		}
	})
}

// A file that the kernel cannot read now is tried again, and the reason is told.
func TestKernelFilesThatFail(tt *testing.T) {
	onBench(tt, func(b *bench) {
		air := must[*sim.KernelDevice](b)(b.tree().AddIIO("bme280", indoors))
		zone := must[*sim.KernelDevice](b)(b.tree().AddThermalZone("cpu-thermal", 48.312))
		probe := must[*sim.Probe](b)(b.tree().AddProbe(w1a, 21.5))
		for _, v := range []struct {
			driver, file string
			device       *sim.KernelDevice
			again        string
		}{
			{"iio", "in_pressure_input", air, "101.325\n"},
			{"thermal", "temp", zone, "50000\n"},
			{"ds18b20", "w1_slave", probe.KernelDevice, warm},
		} {
			d := b.open(v.driver, nil)
			if _, err := b.read(d); err != nil {
				b.Errorf("%s: %v", v.driver, err)
			}
			if err := v.device.Break(v.file); err != nil {
				b.Fatal(err)
			}
			b.wantFault(d, sensors.NotAnswering, v.file)
			if err := v.device.Set(v.file, v.again); err != nil {
				b.Fatal(err)
			}
			if _, err := b.read(d); err != nil {
				b.Errorf("%s: %v", v.driver, err)
			}
		}
	})
}

func TestDS18B20Resolution(tt *testing.T) {
	onBench(tt, func(b *bench) {
		probe := must[*sim.Probe](b)(b.tree().AddProbe(w1a, 21.5))
		d := b.open("ds18b20", map[string]any{"resolution": 10})
		// The tree's file takes the number and changes nothing in the scratchpad, as a
		// chip that does not obey.
		b.wantFault(d, sensors.Timeout, "it had a resolution of 12 bits and has just been told to have 10")
		file := probe.Path("resolution")
		if got, _ := os.ReadFile(file); string(got) != "10\n" {
			b.Errorf("resolution %q, want 10", got)
		}
		if err := errors.Join(probe.SetBits(10), probe.Show(25.4)); err != nil {
			b.Fatal(err)
		}
		s, err := b.read(d)
		if err != nil || s.Readings[0].Value != 25.25 || s.Readings[0].Resolution != 0.25 {
			b.Errorf("got %+v, %v", s.Readings, err)
		}
		// Without the scratchpad the file itself says what the resolution is.
		if err := probe.Remove("w1_slave"); err != nil {
			b.Fatal(err)
		}
		if err := probe.Set("resolution", "12\n"); err != nil {
			b.Fatal(err)
		}
		s, err = b.read(d)
		if got, _ := os.ReadFile(file); err != nil || string(got) != "10\n" || s.Readings[0].Resolution != 0.25 {
			b.Errorf("got %+v, %v, resolution %q", s.Readings, err, got)
		}
		if err := probe.Remove("resolution"); err != nil {
			b.Fatal(err)
		}
		b.wantFault(d, sensors.Refused, "leave resolution out")
	})
}

func TestDS18B20AtItsHighest(tt *testing.T) {
	onBench(tt, func(b *bench) {
		probe := must[*sim.Probe](b)(b.tree().AddProbe(w1a, 127.9375))
		d := b.open("ds18b20", nil)
		b.wantFault(d, sensors.Garbage, "at the highest value")
		if err := probe.Set("temperature", "127937\n"); err != nil {
			b.Fatal(err)
		}
		if err := probe.Remove("w1_slave"); err != nil {
			b.Fatal(err)
		}
		b.wantFault(d, sensors.Garbage, "at the highest value")
	})
}

func TestDS18B20Settings(t *testing.T) {
	d := sensors.Find(chip.Drivers, "ds18b20")
	if _, wrong := d.Settings("x", map[string]any{"address": w1b, "resolution": 10}, nil); len(wrong) != 1 || !strings.Contains(wrong[0].Text, "has one resolution") {
		t.Errorf("a DS18S20 with a resolution: %v", wrong)
	}
	for bits, least := range map[int]time.Duration{9: 93, 10: 187, 11: 375, 12: 750} {
		s, wrong := d.Settings("x", map[string]any{"address": w1a, "resolution": bits}, nil)
		if got := d.Least(s); len(wrong) > 0 || got < least*time.Millisecond || got > (least+60)*time.Millisecond {
			t.Errorf("%d bits: %v, %v, want about %d ms", bits, got, wrong, least)
		}
	}
}

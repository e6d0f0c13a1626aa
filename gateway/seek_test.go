package gateway

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"weir/bridge/upstream"
	"weir/gateway/config"
	"weir/gateway/status"
	"weir/sensors/bus"
	"weir/sensors/sim"
)

// seeking gives a seeker over the bus and kernel files of a site.
func (s *site) seeking(text string, works func(string) bool) (k *seeker, root string) {
	s.Helper()
	o := s.options()
	k = &seeker{cfg: s.config(text), o: o, log: slog.New(slog.DiscardHandler), works: works, found: map[string]string{}}
	k.machine = bus.New(bus.Options{Root: o.Root, Buses: o.Buses, OpenI2C: o.OpenI2C})
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = k.machine.Run(ctx) }()
	s.Cleanup(func() { cancel(); <-ended })
	return k, o.Root
}

func (s *site) wantFound(k *seeker, want ...string) map[string]*config.Sensor {
	s.Helper()
	found, err := k.look(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
		s.Errorf("found %v, want %v", got, want)
	}
	return found
}

func never(string) bool { return false }

// TestFoundLater: a second chip of a kind gets another name than the first, which is running.
func TestFoundLater(t *testing.T) {
	s := newSite(t, upstream.Options{})
	k, _ := s.seeking(head, never)
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	first := s.wantFound(k, "bme280-1-76")
	s.wantFound(k)
	s.bus.Add(0x77, sim.NewBME280(sim.Steady(air)))
	second := s.wantFound(k, "bme280-1-77")
	if a, b := first["bme280-1-76"].Topic.Expand("q"), second["bme280-1-77"].Topic.Expand("q"); a == b {
		t.Errorf("both publish on %s", a)
	}
}

// TestFoundHasATable: what a table of the configuration reads, or may be looking for, is not read a second time.
func TestFoundHasATable(t *testing.T) {
	const auto = head + "[sensors]\nauto = true\n"
	for name, c := range map[string]struct {
		tables string
		works  bool
		want   []string
	}{
		"no table":                     {"", false, []string{"bme280-1-76", "cpu-thermal", "ds18b20-0000072f1a23"}},
		"chip is looked for":           {"[sensor.a]\ndriver = \"bme280\"\n", false, []string{"cpu-thermal", "ds18b20-0000072f1a23"}},
		"at its address":               {"[sensor.a]\ndriver = \"bme280\"\nbus = \"i2c-1\"\naddress = 0x76\n", false, []string{"cpu-thermal", "ds18b20-0000072f1a23"}},
		"another address":              {"[sensor.bme280]\ndriver = \"bme280\"\naddress = 0x77\n", false, []string{"bme280-1-76", "cpu-thermal", "ds18b20-0000072f1a23"}},
		"another bus":                  {"[sensor.a]\ndriver = \"bme280\"\nbus = 22\n", false, []string{"bme280-1-76", "cpu-thermal", "ds18b20-0000072f1a23"}},
		"has another chip":             {"[sensor.a]\ndriver = \"bme280\"\n", true, []string{"bme280-1-76", "cpu-thermal", "ds18b20-0000072f1a23"}},
		"thermometer":                  {"[sensor.a]\ndriver = \"ds18b20\"\naddress = \"28-0000072F1A23\"\n", true, []string{"bme280-1-76", "cpu-thermal"}},
		"another thermometer":          {"[sensor.a]\ndriver = \"ds18b20\"\naddress = \"28-000000000001\"\n", true, []string{"bme280-1-76", "cpu-thermal", "ds18b20-0000072f1a23"}},
		"the only thermometer":         {"[sensor.a]\ndriver = \"ds18b20\"\n", true, []string{"bme280-1-76", "cpu-thermal"}},
		"the processor's":              {"[sensor.a]\ndriver = \"thermal\"\n", true, []string{"bme280-1-76", "ds18b20-0000072f1a23"}},
		"the processor's by its place": {"[sensor.a]\ndriver = \"thermal\"\nname = \"thermal_zone0\"\n", true, []string{"bme280-1-76", "ds18b20-0000072f1a23"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, upstream.Options{})
			s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
			k, root := s.seeking(auto+c.tables, func(string) bool { return c.works })
			kernelFiles(t, root)
			s.wantFound(k, c.want...)
		})
	}
}

// kernelFiles are those of a processor and a thermometer on 1-wire.
func kernelFiles(t *testing.T, root string) {
	for path, text := range map[string]string{
		"sys/class/thermal/thermal_zone0/type":        "cpu-thermal\n",
		"sys/class/thermal/thermal_zone0/temp":        "48312\n",
		"sys/bus/w1/devices/28-0000072f1a23/w1_slave": "",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFoundTooSlow: a chip that cannot be read as often as all are is read as often as it can, and hides no other.
func TestFoundTooSlow(t *testing.T) {
	s := newSite(t, upstream.Options{})
	k, root := s.seeking(head+"[sensors]\nevery = \"50ms\"\n", never)
	kernelFiles(t, root)
	found := s.wantFound(k, "cpu-thermal", "ds18b20-0000072f1a23")
	if got := found["ds18b20-0000072f1a23"].Every; got < 750*time.Millisecond {
		t.Errorf("a DS18B20 is read every %v", got)
	}
	if got := found["cpu-thermal"].Every; got != 50*time.Millisecond {
		t.Errorf("the processor is read every %v, want 50ms", got)
	}
}

// TestFoundReplaced: another kind of chip in the place of one that was found is noticed without a restart; the same kind
// put back keeps its name.
func TestFoundReplaced(t *testing.T) {
	s := newSite(t, upstream.Options{})
	chip := sim.NewBME280(sim.Steady(air))
	s.bus.Add(0x76, chip)
	s.start(head + "[sensors]\nevery = \"20ms\"\n")
	ok := func(name string) func(st *status.Snapshot) bool {
		return func(st *status.Snapshot) bool {
			return len(st.Sensors) == 1 && st.Sensors[0].Name == name && st.Sensors[0].State == "ok"
		}
	}
	s.want("the first", ok("bme280-1-76"))
	reader := s.subscribe("weir/g1/sensor/#")
	defer reader.close()
	reader.wait("its state", func(topic, payload string, retained bool) bool {
		return topic == "weir/g1/sensor/bme280-1-76" && retained && payload != ""
	})

	s.bus.Unplug(0x76)
	s.want("unplugged", func(st *status.Snapshot) bool { return st.Sensors[0].State == "failing" })
	s.bus.Plug(0x76)
	s.want("plugged in again", ok("bme280-1-76"))

	swap := func(id byte) {
		s.bus.Unplug(0x76)
		s.want("unplugged", func(st *status.Snapshot) bool { return st.Sensors[0].State == "failing" })
		chip.Tune(sim.ChipID(id))
		s.bus.Plug(0x76)
	}
	swap(0x58) // now it is a BMP280
	s.want("the second", ok("bmp280-1-76"))
	reader.wait("the end of the first", func(topic, payload string, _ bool) bool {
		return topic == "weir/g1/sensor/bme280-1-76" && payload == ""
	})
	swap(0x60)
	s.want("the first again", ok("bme280-1-76"))
}

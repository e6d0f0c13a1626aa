package sim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCRCDallas(t *testing.T) {
	for _, v := range []struct {
		bytes string
		want  byte
	}{
		{"02 1C B8 01 00 00 00", 0xA2}, {"50 05 4B 46 7F FF 0C 10", 0x1C}, {"E0 01 00 00 3F FF 10 10", 0x3F},
	} {
		if got := crcDallas(unhex(t, v.bytes)); got != v.want {
			t.Errorf("%s: %02x, want %02x", v.bytes, got, v.want)
		}
	}
}

func TestProbe(t *testing.T) {
	root := t.TempDir()
	p, err := NewSysfs(root).AddProbe("28-0316a2794bff", 21.5)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "sys/bus/w1/devices/28-0316a2794bff")
	for _, v := range []struct {
		celsius  float64
		low      string // of the scratchpad
		sixth    string
		milli    string
		measured func(float64) error
	}{
		{125, "d0 07", "10", "125000", p.Show},
		{25.0625, "91 01", "0f", "25062", p.Show},
		{10.125, "a2 00", "0e", "10125", p.Show},
		{-0.5, "f8 ff", "08", "-500", p.Show},
		{-25.0625, "6f fe", "01", "-25062", p.Show},
		{-55, "90 fc", "10", "-55000", p.Show},
		{85, "50 05", "10", "85000", p.Show},
		{85, "50 05", "0c", "85000", func(float64) error { return p.ShowPowerUp() }},
		{0, "00 00", "00", "0", func(float64) error { return p.ShowShorted() }},
	} {
		if err := v.measured(v.celsius); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(content(t, filepath.Join(path, "w1_slave")), "\n")
		first, second := strings.Fields(lines[0]), strings.Fields(lines[1])
		if got := first[0] + " " + first[1]; got != v.low || first[6] != v.sixth || first[11] != "YES" || first[10] != "crc="+first[8] {
			t.Errorf("%v °C: %s, want %s ... %s ... YES", v.celsius, lines[0], v.low, v.sixth)
		}
		if second[9] != "t="+v.milli {
			t.Errorf("%v °C: %s, want t=%s", v.celsius, lines[1], v.milli)
		}
		if got := content(t, filepath.Join(path, "temperature")); got != v.milli+"\n" {
			t.Errorf("%v °C: temperature %q", v.celsius, got)
		}
	}
	if err := p.ShowBadCRC(21.5); err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.Path("w1_slave")); !strings.Contains(got, " NO\n") {
		t.Errorf("bad CRC: %q", got)
	}
	if b, err := os.ReadFile(p.Path("temperature")); err == nil {
		t.Errorf("temperature after a bad CRC: %q", b)
	}
	if err := p.Show(20); err != nil {
		t.Fatal(err)
	}
	if got := content(t, p.Path("temperature")); got != "20000\n" {
		t.Errorf("temperature afterwards: %q", got)
	}
}

func TestProbeDropsOut(t *testing.T) {
	tree := NewSysfs(t.TempDir())
	p, err := tree.AddProbe("28-0316a2794bff", 21.5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.AddProbe("3b-0316a2794b00", 21.5); err != nil {
		t.Fatal(err)
	}
	path := p.Path("temperature")
	if err := p.Unplug(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("unplugged: %v", err)
	}
	if err := p.Show(22); err != nil {
		t.Fatal(err)
	}
	if err := p.Plug(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "22000\n" {
		t.Errorf("back: %q, want what it shows now", got)
	}
	entries, err := os.ReadDir(filepath.Dir(filepath.Dir(path)))
	if err != nil || len(entries) != 3 {
		t.Errorf("w1 devices: %v, %v, want two probes and a master", entries, err)
	}
	for _, e := range entries {
		if e.Type()&os.ModeSymlink == 0 {
			t.Errorf("%s is no link, as it is in a real tree", e.Name())
		}
	}
}

// The DS18S20 counts in half degrees; the rest is in its count remain.
func TestProbeDS18S20(t *testing.T) {
	tree := NewSysfs(t.TempDir())
	p, err := tree.AddProbe("10-000802b4f3a1", 0)
	if err != nil {
		t.Fatal(err)
	}
	for celsius, want := range map[float64]string{85: "85000", 25.0625: "25062", -0.5: "-500", -25.0625: "-25063", 0: "0"} {
		if err := p.Show(celsius); err != nil {
			t.Fatal(err)
		}
		if got := content(t, p.Path("temperature")); got != want+"\n" {
			t.Errorf("%v: %q, want %s", celsius, got, want)
		}
	}
}

func TestProbeID(t *testing.T) {
	for _, id := range []string{"", "28", "28-12", "2-0316a2794bff", "zz-0316a2794bff"} {
		if _, err := NewSysfs(t.TempDir()).AddProbe(id, 20); err == nil {
			t.Errorf("id %q is taken", id)
		}
	}
}

func TestKernelDevices(t *testing.T) {
	root := t.TempDir()
	tree := NewSysfs(root)
	zone, err := tree.AddThermalZone("cpu-thermal", 48.312)
	if err != nil {
		t.Fatal(err)
	}
	board, err := tree.AddHwmon("rp1_adc", 40, -1.5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.AddIIO("bme280", room); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"sys/class/thermal/thermal_zone0/type":                      "cpu-thermal\n",
		"sys/class/thermal/thermal_zone0/temp":                      "48312\n",
		"sys/class/hwmon/hwmon0/name":                               "rp1_adc\n",
		"sys/class/hwmon/hwmon0/temp2_input":                        "-1500\n",
		"sys/bus/iio/devices/iio:device0/name":                      "bme280\n",
		"sys/bus/iio/devices/iio:device0/in_temp_input":             "21500\n",
		"sys/bus/iio/devices/iio:device0/in_pressure_input":         "101.325000000\n",
		"sys/bus/iio/devices/iio:device0/in_humidityrelative_input": "45000\n",
	} {
		if got := content(t, filepath.Join(root, path)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if err := zone.SetCelsius("temp", 50); err != nil {
		t.Fatal(err)
	}
	if got := content(t, zone.Path("temp")); got != "50000\n" {
		t.Errorf("zone: %q", got)
	}
	// A monitor comes back under another number.
	if err := board.Unplug(); err != nil {
		t.Fatal(err)
	}
	if board.Name() != "" || board.Path("name") != "" {
		t.Error("an unplugged monitor has a name")
	}
	if err := board.Plug(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(root, "sys/class/hwmon/hwmon1/temp1_input")); got != "40000\n" || board.Name() != "hwmon1" {
		t.Errorf("back as %s: %q", board.Name(), got)
	}
}

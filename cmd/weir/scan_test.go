package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"periph.io/x/conn/v3/i2c"

	"weir/gateway/config"
	"weir/sensors/bus"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// scanned is a machine with a chip, one nobody knows, one of the kernel's, a thermometer on 1-wire, the processor's, and
// serial ports.
func scanned(t *testing.T) bus.Options {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{
		"sys/class/i2c-dev/i2c-1/name":                 "bcm2835 (i2c@7e804000)\n",
		"sys/class/thermal/thermal_zone0/type":         "cpu-thermal\n",
		"sys/class/thermal/thermal_zone0/temp":         "48312\n",
		"sys/bus/w1/devices/28-0000072f1a23/w1_slave":  "",
		"dev/serial/by-id/usb-FTDI_FT232R_A5-if00":     "",
		"dev/serial/by-id/usb-1a86_USB_Serial-if00 42": "",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wire := sim.NewBus("I2C1", sim.Speed(0))
	air := sim.Steady(sim.Climate{Temperature: 20, Pressure: 100_000, Humidity: 40})
	wire.Add(0x76, sim.NewBME280(air))
	wire.Add(0x77, sim.NewBMP180(air))
	wire.Add(0x3c, sim.NewBMP280(air))
	return bus.Options{Root: root, Buses: func() []int { return []int{1} }, OpenI2C: func(int) (i2c.BusCloser, error) { return wire, nil }}
}

// TestScanIsAConfiguration: what a scan prints is a configuration without a fault, with a sensor for each device that said
// what it is; that is so too when the comments are taken off all but the words for people.
func TestScanIsAConfiguration(t *testing.T) {
	found, err := scanMachine(t.Context(), scanned(t))
	if err != nil {
		t.Fatal(err)
	}
	found.Modbus = []bus.Slave{{Port: found.Serial[0], Mode: "19200 8E1", Address: 3, Words: "register 0 of function 3 is 0x0001"}}
	var out, told bytes.Buffer
	printScan(console{out: &out, err: &told}, found)
	cfg, problems, err := config.Parse("scan.toml", out.Bytes(), config.Options{Drivers: chip.Drivers, SkipFiles: true})
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v\n%s\nin\n%s", err, config.Report(problems), &out)
	}
	for name, driver := range map[string]string{"bme280-1-76": "bme280", "bmp180-1-77": "bmp180", "ds18b20-0000072f1a23": "ds18b20", "cpu-thermal": "thermal"} {
		if s := cfg.Sensor[name]; s == nil || s.Driver != driver {
			t.Errorf("sensor %s: %+v, want driver %s", name, s, driver)
		}
	}
	if len(cfg.Sensor) != 4 || len(cfg.Serial) != 1 {
		t.Errorf("%d sensors and %d lines, want 4 and the line where a slave answered:\n%s", len(cfg.Sensor), len(cfg.Serial), &out)
	}
	if !strings.Contains(told.String(), "30:                         -- -- -- -- 3c -- -- --") || !strings.Contains(out.String(), "# 0x3c on bus 1: something answers") {
		t.Errorf("an unknown chip is not shown:\n%s\n%s", &told, &out)
	}
	bare := "modbus.NAME.x = { register = 0, type = \"int16\" }\n"
	for line := range strings.Lines(out.String()) {
		if uncommented, ok := strings.CutPrefix(line, "# "); ok && (strings.HasPrefix(uncommented, "[") || strings.Contains(uncommented, "= ") && !strings.Contains(uncommented, ":")) {
			line = uncommented
		}
		bare += line
	}
	cfg, problems, err = config.Parse("scan.toml", []byte(bare), config.Options{Drivers: chip.Drivers, SkipFiles: true})
	if err != nil || len(cfg.Sensor) != 5 || len(cfg.Serial) != 2 {
		t.Errorf("without comment marks: %v\n%s\nin\n%s", err, config.Report(problems), bare)
	}
}

// TestScanSaysWhatToDo: a bus that may not be opened is told with the command that helps, and the rest is scanned.
func TestScanSaysWhatToDo(t *testing.T) {
	o := scanned(t)
	o.OpenI2C = func(int) (i2c.BusCloser, error) {
		return nil, errors.New("sysfs-i2c: are you member of group 'plugdev'? open /dev/i2c-1: permission denied")
	}
	found, err := scanMachine(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var out, told bytes.Buffer
	printScan(console{out: &out, err: &told}, found)
	if !strings.Contains(told.String(), "sudo usermod -aG i2c $USER") || !strings.Contains(out.String(), "[sensor.cpu-thermal]") {
		t.Errorf("got\n%s\n%s", &told, &out)
	}
}

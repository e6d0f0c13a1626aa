package bus

import (
	"context"
	"strings"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// boschDriver is a driver as a scan sees it.
func boschDriver(name string, id byte) sensors.Driver {
	return sensors.Driver{Name: name, Addresses: both, Identify: func(ctx context.Context, c sensors.Conn) (string, error) {
		var b [1]byte
		if err := c.Tx(ctx, []byte{0xd0}, b[:]); err != nil || b[0] != id {
			return "", err
		}
		return strings.ToUpper(name), nil
	}}
}

var scanDrivers = []sensors.Driver{
	boschDriver("bme280", 0x60), boschDriver("bmp280", 0x58),
	{Name: "thermal", List: func(sensors.Machine) []sensors.Listed {
		return []sensors.Listed{{Chip: "cpu-thermal", Where: "thermal_zone0", Name: "cpu", Settings: map[string]string{"name": `"cpu-thermal"`}}}
	}},
}

func TestScan(t *testing.T) {
	running(t, board{1: {0x76: 0x60, 0x77: 0x58, 0x3c: 0x11, 0x48: 0x11, 0x50: 0x11, 0x68: 0x11, 0x40: 0x11}, 3: {0x76: 0x60}}, func(ctx context.Context, m *Machine, w wires) {
		write(t, m.Path("/sys/class/i2c-dev/i2c-1/name"), "bcm2835 (i2c@7e804000)\n")
		link(t, m.Path("/sys/bus/i2c/devices/1-0048/driver"), "../../drivers/lm75")
		write(t, m.Path("/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0"), "")
		if _, err := m.I2C(ctx, "1", []uint16{0x40}, func(context.Context, sensors.Conn) (int, error) { return 2, nil }); err != nil {
			t.Fatal(err)
		}
		s, err := m.Scan(ctx, scanDrivers)
		if err != nil {
			t.Fatal(err)
		}
		wantGrid := `     0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f
00:                         -- -- -- -- -- -- -- --
10: -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- --
20: -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- --
30:                         -- -- -- -- 3c -- -- --
40: == -- -- -- -- -- -- -- UU -- -- -- -- -- -- --
50:                         -- -- -- -- -- -- -- --
60: -- -- -- -- -- -- -- --    -- -- -- -- -- --
70: -- -- -- -- -- -- 76 77
`
		if got := s.Buses[0].Grid(); got != wantGrid {
			t.Errorf("grid:\n%s\nwant:\n%s", got, wantGrid)
		}
		wantTOML := `# 0x3c on bus 1: something answers
# 0x40 on bus 1: is in use by a sensor
# 0x48 on bus 1: belongs to the kernel's driver lm75
[sensor.bme280-1-76]   # BME280 at 0x76 on bus 1
driver  = "bme280"
bus     = "1"
address = 0x76

[sensor.bmp280-1-77]   # BMP280 at 0x77 on bus 1
driver  = "bmp280"
bus     = "1"
address = 0x77

[sensor.bme280-3-76]   # BME280 at 0x76 on bus 3
driver  = "bme280"
bus     = "3"
address = 0x76

[sensor.cpu]   # cpu-thermal at thermal_zone0
driver  = "thermal"
name    = "cpu-thermal"

# [serial.ftdi_ft232r_a50285bi]
# device = "/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0"
# mode   = "9600 8N1"

`
		if got := s.TOML(); got != wantTOML {
			t.Errorf("TOML:\n%s\nwant:\n%s", got, wantTOML)
		}
		if c := w[1].Counts(); c.Altered != 0 || s.Buses[0].Adapter != "bcm2835 (i2c@7e804000)" {
			t.Errorf("adapter %q", s.Buses[0].Adapter)
		}
	})
}

func TestScanOfAHungBusBreaksOff(t *testing.T) {
	running(t, board{1: {0x76: 0x60}, 2: {0x76: 0x60}}, func(ctx context.Context, m *Machine, w wires) {
		defer w[1].Hang()()
		start := time.Now()
		s, err := m.Scan(ctx, scanDrivers)
		if err != nil {
			t.Fatal(err)
		}
		if s.Buses[0].Problem == "" || len(s.Buses[1].Found) != 1 || time.Since(start) > 3*time.Second {
			t.Errorf("got %+v after %v, want a problem on bus 1, a chip on bus 2, within 3 s", s.Buses, time.Since(start))
		}
	})
}

func TestScanOfAStuckDataLine(t *testing.T) {
	all := map[uint16]byte{}
	for a := uint16(firstAddress); a <= lastAddress; a++ {
		all[a] = 0
	}
	running(t, board{1: all}, func(ctx context.Context, m *Machine, w wires) {
		w[1].InjectAll(sim.Zeros())
		s, err := m.Scan(ctx, scanDrivers)
		if err != nil || len(s.Buses[0].Found) != 0 || !strings.Contains(s.Buses[0].Problem, "held low") {
			t.Errorf("got %v %+v, want one problem and no chips", err, s.Buses)
		}
	})
}

func TestScanEndsWithItsContext(t *testing.T) {
	running(t, board{1: {0x76: 0x60}}, func(ctx context.Context, m *Machine, w wires) {
		defer w[1].Hang()()
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		if _, err := m.Scan(short, scanDrivers); err == nil {
			t.Error("a scan without time ended well")
		}
	})
}

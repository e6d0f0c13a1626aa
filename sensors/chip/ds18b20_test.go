package chip

import (
	"fmt"
	"strings"
	"testing"

	"weir/sensors"
)

func TestDallasCRC(t *testing.T) {
	for _, v := range []struct {
		data []byte
		want byte
	}{
		{[]byte{0x02, 0x1c, 0xb8, 0x01, 0, 0, 0}, 0xa2},
		{[]byte{0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10}, 0x1c},
		{[]byte{0xe0, 0x01, 0x00, 0x00, 0x3f, 0xff, 0x10, 0x10}, 0x3f},
		{make([]byte, 8), 0},
	} {
		if got := crc8(v.data, 0x8c, 0); got != v.want {
			t.Errorf("% x: got %02x, want %02x", v.data, got, v.want)
		}
	}
}

// w1File writes a file as the kernel does, with a right checksum.
func w1File(pad [8]byte, answer string, milli int) string {
	full := append(pad[:], crc8(pad[:], 0x8c, 0))
	return fmt.Sprintf("% x : crc=%02x %s\n% x t=%d\n", full, full[8], answer, full, milli)
}

func TestW1Slave(t *testing.T) {
	const b20, s20, thermocouple = "28-0000072f1a23", "10-0008025a1b2c", "3b-000000123456"
	for _, v := range []struct {
		name, id, text string
		want, step     float64
		wrong          string
	}{
		// DS18B20 data sheet, table 1
		{"125", b20, w1File([8]byte{0xd0, 0x07, 0x4b, 0x46, 0x7f, 0xff, 0x10, 0x10}, "YES", 125000), 125, 0.0625, ""},
		{"25.0625", b20, w1File([8]byte{0x91, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0f, 0x10}, "YES", 25062), 25.0625, 0.0625, ""},
		{"10.125", b20, w1File([8]byte{0xa2, 0x00, 0x4b, 0x46, 0x7f, 0xff, 0x0e, 0x10}, "YES", 10125), 10.125, 0.0625, ""},
		{"0", b20, w1File([8]byte{0, 0, 0x4b, 0x46, 0x7f, 0xff, 0x10, 0x10}, "YES", 0), 0, 0.0625, ""},
		{"-0.5", b20, w1File([8]byte{0xf8, 0xff, 0x4b, 0x46, 0x7f, 0xff, 0x08, 0x10}, "YES", -500), -0.5, 0.0625, ""},
		{"-25.0625", b20, w1File([8]byte{0x6f, 0xfe, 0x4b, 0x46, 0x7f, 0xff, 0x01, 0x10}, "YES", -25062), -25.0625, 0.0625, ""},
		{"-55", b20, w1File([8]byte{0x90, 0xfc, 0x4b, 0x46, 0x7f, 0xff, 0x10, 0x10}, "YES", -55000), -55, 0.0625, ""},
		{"9 bit, low bits undefined", b20, w1File([8]byte{0x97, 0x01, 0x4b, 0x46, 0x1f, 0xff, 0x09, 0x10}, "YES", 25000), 25, 0.5, ""},
		{"10 bit", b20, w1File([8]byte{0x97, 0x01, 0x4b, 0x46, 0x3f, 0xff, 0x09, 0x10}, "YES", 25250), 25.25, 0.25, ""},
		{"measured 85", b20, w1File([8]byte{0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x10, 0x10}, "YES", 85000), 85, 0.0625, ""},
		{"85 after power-up", b20, w1File([8]byte{0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10}, "YES", 85000), 0, 0, "has not converted"},
		{"DS18S20 at 85", s20, w1File([8]byte{0xaa, 0x00, 0x4b, 0x46, 0xff, 0xff, 0x04, 0x10}, "YES", 85500), 85.5, 0.0625, ""},
		{"DS18S20 after power-up", s20, w1File([8]byte{0xaa, 0x00, 0x4b, 0x46, 0xff, 0xff, 0x0c, 0x10}, "YES", 85000), 0, 0, "has not converted"},
		{"DS18S20 at -0.5 and a bit", s20, w1File([8]byte{0xff, 0xff, 0x4b, 0x46, 0xff, 0xff, 0x0c, 0x10}, "YES", -1000), -1, 0.0625, ""},
		{"thermocouple, as the kernel says", thermocouple, w1File([8]byte{0x00, 0x19, 0, 0, 0xf0, 0xff, 0xff, 0xff}, "YES", 400000), 400, 0.0625, ""},
		{"never converted", b20, w1File([8]byte{0xff, 0x07, 0x4b, 0x46, 0x7f, 0xff, 0x01, 0x10}, "YES", 127937), 0, 0, "has not converted"},
		{"-0.0625 and no open line", b20, w1File([8]byte{0xff, 0xff, 0x4b, 0x46, 0x7f, 0xff, 0x01, 0x10}, "YES", -62), -0.0625, 0.0625, ""},
		{"open line", b20, w1File([8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "NO", -62), 0, 0, "checksum"},
		{"DS1822", "22-0000072f1a23", w1File([8]byte{0xf8, 0xff, 0x4b, 0x46, 0x7f, 0xff, 0x08, 0x10}, "YES", -500), -0.5, 0.0625, ""},
		{"DS28EA00", "42-0000072f1a23", w1File([8]byte{0x91, 0x01, 0x4b, 0x46, 0x5f, 0xff, 0x0f, 0x10}, "YES", 25000), 25, 0.125, ""},
		// DS18S20 data sheet 19-5474, page 6 and table 1
		{"DS18S20 at 25", s20, w1File([8]byte{0x32, 0x00, 0x4b, 0x46, 0xff, 0xff, 0x0c, 0x10}, "YES", 25000), 25, 0.0625, ""},
		{"DS18S20 between 25 and 26", s20, w1File([8]byte{0x32, 0x00, 0x4b, 0x46, 0xff, 0xff, 0x04, 0x10}, "YES", 25500), 25.5, 0.0625, ""},
		{"DS18S20 at -25", s20, w1File([8]byte{0xce, 0xff, 0x4b, 0x46, 0xff, 0xff, 0x0c, 0x10}, "YES", -25000), -25, 0.0625, ""},
		{"DS18S20 at -55", s20, w1File([8]byte{0x92, 0xff, 0x4b, 0x46, 0xff, 0xff, 0x0c, 0x10}, "YES", -55000), -55, 0.0625, ""},
		{"DS18S20 without a count per degree", s20, w1File([8]byte{0x33, 0x00, 0x4b, 0x46, 0xff, 0xff, 0x0c, 0x00}, "YES", 25500), 25.5, 0.5, ""},
		{"shorted", b20, w1File([8]byte{}, "YES", 0), 0, 0, "data line is shorted"},
		{"kernel says no", b20, w1File([8]byte{0xd0, 0x07, 0x4b, 0x46, 0x7f, 0xff, 0x10, 0x10}, "NO", 125000), 0, 0, "checksum"},
		{"wrong checksum", b20, "d1 07 4b 46 7f ff 10 10 57 : crc=57 YES\n t=1\n", 0, 0, "checksum"},
		{"empty", b20, "", 0, 0, "nine bytes"},
		{"cut off", b20, "d0 07 4b", 0, 0, "nine bytes"},
		{"no hexadecimals", b20, "zz 07 4b 46 7f ff 10 10 57 : crc=57 YES", 0, 0, "nine bytes"},
	} {
		value, err := parseW1Slave(v.id, v.text)
		got, step := value.celsius, value.step
		if v.wrong != "" {
			if sensors.FaultOf(err) != sensors.Garbage || !strings.Contains(err.Error(), v.wrong) {
				t.Errorf("%s: got %v, %v, want garbage with %q", v.name, got, err, v.wrong)
			}
			continue
		}
		if err != nil || got != v.want || step != v.step {
			t.Errorf("%s: got %v in steps of %v, %v, want %v in steps of %v", v.name, got, step, err, v.want, v.step)
		}
	}
}

func FuzzW1Slave(f *testing.F) {
	f.Add("28-0000072f1a23", w1File([8]byte{0xd0, 0x07, 0x4b, 0x46, 0x7f, 0xff, 0x10, 0x10}, "YES", 125000))
	f.Add("10-0000072f1a23", w1File([8]byte{0xaa, 0x00, 0x4b, 0x46, 0xff, 0xff, 0x04, 0}, "YES", 125000))
	f.Fuzz(func(t *testing.T, id, text string) {
		v, err := parseW1Slave(id, text)
		if err == nil && (v.step <= 0 || v.celsius != v.celsius) {
			t.Errorf("%q: %v in steps of %v", text, v.celsius, v.step)
		}
	})
}

package sensors_test

import (
	"strings"
	"testing"

	"weir/sensors"
)

func TestParseBusPath(t *testing.T) {
	for _, c := range []struct {
		text, want, behind string
		number             int
	}{
		{"1", "1", "", 1},
		{"i2c-1", "1", "", 1},
		{"I2C3", "3", "", 3},
		{"/dev/i2c-11", "11", "", 11},
		{"tiny-usb", "tiny-usb", "", -1},
		{"", "", "", -1},
		{"1/0x70/3", "1/0x70/3", " behind mux 0x70 channel 3", 1},
		{"/dev/i2c-1/112/0", "1/0x70/0", " behind mux 0x70 channel 0", 1},
		{"tiny-usb/0x77/7", "tiny-usb/0x77/7", " behind mux 0x77 channel 7", -1},
		{"1/0x70/3/0x71/5", "1/0x70/3/0x71/5", " behind mux 0x70 channel 3 and mux 0x71 channel 5", 1},
	} {
		p, err := sensors.ParseBusPath(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		n, ok := p.Number()
		if !ok {
			n = -1
		}
		if p.String() != c.want || sensors.Behind(p.Hops) != c.behind || n != c.number {
			t.Errorf("%q: got %q%s, number %d, want %q%s, %d", c.text, p, sensors.Behind(p.Hops), n, c.want, c.behind, c.number)
		}
		if again, err := sensors.ParseBusPath(p.String()); err != nil || again.String() != p.String() {
			t.Errorf("%q: %q is read as %q (%v)", c.text, p, again, err)
		}
	}
}

func TestParseBusPathRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"1/70/3":                               `"70" is to be the address of a multiplexer, 0x70 to 0x77`,
		"1/0x48/3":                             `"0x48" is to be the address of a multiplexer`,
		"1/0x70":                               `want the channel of the multiplexer behind it, such as "1/0x70/3"`,
		"1/0x70/":                              `"" is to be a channel`,
		"1/0x70/8":                             `"8" is to be a channel of the multiplexer, 0 to 7`,
		"1/0x70/-1":                            `"-1" is to be a channel`,
		"1/0x70/1/0x70/2":                      "a multiplexer at 0x70 stands behind another at the same address",
		"/0x70/3":                              "want a bus first",
		"1/0x70/0/0x71/0/0x72/0/0x73/0/0x74/0": "at most 4 multiplexers",
	} {
		if p, err := sensors.ParseBusPath(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want an error with %q", text, p, err, want)
		}
	}
}

func TestBusPathHears(t *testing.T) {
	for _, c := range []struct {
		at, other string
		want      bool
	}{
		{"1", "1", true}, {"1", "i2c-1", true}, {"1", "1/0x70/3", true}, {"1/0x70/3", "1", false},
		{"1/0x70/3", "1/0x70/4", false}, {"1/0x70/3", "1/0x71/3", false}, {"1/0x70/3", "1/0x70/3/0x71/0", true},
		{"1", "2", false}, {"1", "2/0x70/3", false},
	} {
		at, err1 := sensors.ParseBusPath(c.at)
		other, err2 := sensors.ParseBusPath(c.other)
		if err1 != nil || err2 != nil || at.Hears(other) != c.want {
			t.Errorf("%s is heard at %s: got %v, want %v (%v, %v)", c.at, c.other, at.Hears(other), c.want, err1, err2)
		}
	}
}

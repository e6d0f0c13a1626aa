package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A device has one [serial.NAME], whichever of its names a table uses.
func TestOneDeviceUnderTwoNames(t *testing.T) {
	dir := t.TempDir()
	device, link := filepath.Join(dir, "ttyUSB0"), filepath.Join(dir, "usb-FTDI_A50285BI-if00-port0")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(device, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a, b      string
		elsewhere bool // the file is for another machine
		want      string
	}{
		{link, device, false, "already used by serial.a, line 2, by another name; several sensors can name one line as their bus"},
		{device, device, false, "already used by serial.a, line 2; several"},
		{device, dir + "/./ttyUSB0", false, "already used by serial.a, line 2, by another name"},
		{link, device, true, ""},
		{link, link, true, "already used by serial.a"},
		{link, filepath.Join(dir, "ttyUSB1"), false, ""},
		{filepath.Join(dir, "gone"), filepath.Join(dir, "gone"), false, "already used by serial.a"},
	} {
		opts := testOptions()
		opts.SkipFiles = c.elsewhere
		text := fmt.Sprintf("[serial.a]\ndevice = %q\n[serial.b]\ndevice = %q\n", c.a, c.b)
		_, problems, _ := Parse("weir.toml", []byte(text), opts)
		report := Report(problems)
		if (c.want == "") != (len(problems) == 0) || !strings.Contains(report, c.want) || c.want != "" && !strings.Contains(report, "weir.toml:4:10: serial.b.device") {
			t.Errorf("%s and %s: got %q, want %q", c.a, c.b, report, c.want)
		}
	}
}

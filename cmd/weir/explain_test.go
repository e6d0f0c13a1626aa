package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"weir/gateway/config"
	"weir/sensors/chip"
)

func explained(what ...string) (out, told string, status int) {
	var o, e bytes.Buffer
	status = runExplain(context.Background(), console{out: &o, err: &e}, what)
	return o.String(), e.String(), status
}

// TestExplainDrivers: each driver is listed, and each of its settings explained with what it takes.
func TestExplainDrivers(t *testing.T) {
	all, _, _ := explained()
	for _, d := range chip.Drivers {
		if !strings.Contains(all, "  "+d.Name+" ") || !strings.Contains(all, d.Doc+"\n") {
			t.Errorf("%s is not listed", d.Name)
		}
		out, told, status := explained(d.Name)
		if status != exitOK || told != "" {
			t.Errorf("%s: status %d, %s", d.Name, status, told)
		}
		for _, k := range d.Keys {
			if !strings.Contains(out, "\n  "+k.Name+": "+k.Meaning+"\n      "+k.Want()) {
				t.Errorf("%s.%s is not explained in\n%s", d.Name, k.Name, out)
			}
		}
	}
}

// TestExplainKeys: each key is found by its whole path, its table, and its name.
func TestExplainKeys(t *testing.T) {
	for _, f := range config.Fields(chip.Drivers) {
		at := strings.LastIndex(f.Path, ".")
		for _, what := range []string{f.Path, f.Path[:at], f.Path[at+1:], strings.ReplaceAll(f.Path, ".NAME", ""), "[" + f.Path[:at] + "]"} {
			if strings.Contains(f.Path[:at], ".NAME") && len(f.Drivers) > 0 && what != f.Path && what != f.Path[at+1:] {
				continue // a setting of a driver is explained with it
			}
			out, told, status := explained(what)
			if status != exitOK || !strings.Contains(out, "  "+f.Path[at+1:]+": "+f.Meaning) {
				t.Errorf("%s by %q: status %d, %s%s", f.Path, what, status, out, told)
			}
		}
	}
}

func TestExplainMessages(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"oversmple"}, exitFailed, "did you mean oversample?"},
		{[]string{"bme208"}, exitFailed, "did you mean bme280?"},
		{[]string{"broker.max_pakcet"}, exitFailed, "did you mean max_packet?"},
		{[]string{"zzzzzzzz"}, exitFailed, "weir explain"},
		{[]string{"a", "b"}, exitUsage, "want one"},
	} {
		if out, told, status := explained(c.args...); status != c.status || out != "" || !strings.Contains(told, c.want) {
			t.Errorf("%q: %d, %q, %q, want %d, %q", c.args, status, out, told, c.status, c.want)
		}
	}
	out, _, _ := explained("--json", "hsc")
	var v struct {
		Schema int
		Fields []config.Field
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Schema != 1 || len(v.Fields) < 5 || v.Fields[1].Default != "0x28" || !strings.Contains(out, `"path": "sensor.NAME.address"`) {
		t.Errorf("%v, %s", err, out)
	}
}

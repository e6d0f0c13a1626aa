package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"weir/gateway"
)

func TestReadingPrints(t *testing.T) {
	good := gateway.OnceValue{Quantity: "temperature", Topic: "g/a/temperature", Text: "21.5", Unit: "°C", Quality: "good", Raw: 519888}
	bad := gateway.OnceValue{Quantity: "humidity", Topic: "g/a/humidity", Quality: "bad: the chip did not measure", Bad: true, Raw: -2}
	for _, c := range []struct {
		name string
		all  []gateway.Once
		bad  bool
		out  string // whole, but for the spaces
		err  string
	}{
		{"good", []gateway.Once{{Sensor: "a", Values: []gateway.OnceValue{good}}}, false, "a temperature 21.5 °C good raw 0x7eed0", ""},
		{"one value bad", []gateway.Once{{Sensor: "a", Values: []gateway.OnceValue{good, bad}}}, true,
			"a temperature 21.5 °C good raw 0x7eed0 a humidity bad: the chip did not measure raw -0x2", ""},
		{"one sensor silent", []gateway.Once{{Sensor: "a", Values: []gateway.OnceValue{good}}, {Sensor: "b", Err: errors.New("not answering")}}, true,
			"a temperature 21.5 °C good raw 0x7eed0", "weir: b: not answering\n"},
	} {
		var out, told bytes.Buffer
		r := reading{c: console{out: &out, err: &told}, raw: true}
		r.print(c.all)
		if got := strings.Join(strings.Fields(out.String()), " "); got != c.out || told.String() != c.err || r.bad != c.bad || r.err != nil {
			t.Errorf("%s: got %q, %q, bad %v, %v, want %q, %q, %v", c.name, got, &told, r.bad, r.err, c.out, c.err, c.bad)
		}
	}
	var out bytes.Buffer
	r := reading{c: console{out: &out}, json: true}
	r.print([]gateway.Once{{Sensor: "a", Values: []gateway.OnceValue{good, bad}}})
	for _, want := range []string{`"value": 21.5`, `"raw_word": "0x7eed0"`, `"value": null`, `"quality": "bad: the chip did not measure"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("JSON without %s:\n%s", want, &out)
		}
	}
}

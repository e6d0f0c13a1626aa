package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"weir/gateway"
)

func TestReadingPrints(t *testing.T) {
	good := gateway.OnceValue{Quantity: "temperature", Topic: "g/a/temperature", Text: "21.5", Unit: "°C", Quality: "good", Raw: new(int64(519888))}
	bad := gateway.OnceValue{Quantity: "humidity", Topic: "g/a/humidity", Quality: "bad: the chip did not measure", Bad: true, Raw: new(int64(-2))}
	said := gateway.OnceValue{Quantity: "pressure", Topic: "g/c/pressure", Text: "1013.2", Unit: "hPa", Quality: "good", Sent: "1013.20"}
	missing := gateway.OnceValue{Quantity: "humidity", Topic: "g/c/humidity", Quality: "bad: the device sent no value", Bad: true}
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
		{"one that speaks in text", []gateway.Once{{Sensor: "c", Values: []gateway.OnceValue{said, missing}}}, true,
			`c pressure 1013.2 hPa good raw "1013.20" c humidity bad: the device sent no value`, ""},
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
	r.print([]gateway.Once{{Sensor: "a", Values: []gateway.OnceValue{good, bad, said}}})
	for _, want := range []string{`"value": 21.5`, `"raw_text": "1013.20"`, `"raw_word": "0x7eed0"`, `"value": null`, `"quality": "bad: the chip did not measure"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("JSON without %s:\n%s", want, &out)
		}
	}
}

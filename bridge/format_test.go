package bridge

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"
)

var sampleTime = moment{at: time.Date(2026, 11, 22, 15, 2, 11, 250e6, time.FixedZone("CET", 3600)), certain: true}

func TestJSON(t *testing.T) {
	const head = `{"time":"2026-11-22T14:02:11.250Z",`
	for _, test := range []struct {
		name          string
		payload       string
		when          moment
		unit, quality string
		want          string
	}{
		{"a reading", "21.53", sampleTime, "°C", "good", head + `"value":21.53,"unit":"°C","quality":"good"}`},
		{"a plain number", "75", sampleTime, "", "", head + `"value":75}`},
		{"white space round it", " 75\r\n", sampleTime, "", "", head + `"value":75}`},
		{"negative with exponent", "-1.5e-07", sampleTime, "", "", head + `"value":-1.5e-07}`},
		{"not a JSON number", "007", sampleTime, "", "", head + `"value":"007"}`},
		{"not a number", "NaN", sampleTime, "", "", head + `"value":"NaN"}`},
		{"a dot too few", "1.", sampleTime, "", "", head + `"value":"1."}`},
		{"nested", `{"a":[1,2]}`, sampleTime, "", "", head + `"value":{"a":[1,2]}}`},
		{"a JSON string", `"on"`, sampleTime, "", "", head + `"value":"on"}`},
		{"a word", `on`, sampleTime, "", "", head + `"value":"on"}`},
		{"true", `true`, sampleTime, "", "", head + `"value":true}`},
		{"nearly true", `true!`, sampleTime, "", "", head + `"value":"true!"}`},
		{"broken JSON", `{"a":`, sampleTime, "", "", head + `"value":"{\"a\":"}`},
		{"two values", `1 2`, sampleTime, "", "", head + `"value":"1 2"}`},
		{"empty", ``, sampleTime, "", "", head + `"value":""}`},
		{"spaces", `  `, sampleTime, "", "", head + `"value":"  "}`},
		{"control characters", "a\x00\tb\x7f", sampleTime, "", "", head + `"value":"a\u0000\tb\u007f"}`},
		{"binary", "\xff\x00", sampleTime, "", "", head + `"base64":"/wA="}`},
		{"JSON string that is no UTF-8", "\"\xff\"", sampleTime, "", "", head + `"base64":"Iv8i"}`},
		{"clock not sure", "75", moment{at: sampleTime.at}, "", "", head + `"time_quality":"uncertain","value":75}`},
		{"no time at all", "75", moment{}, "", "", `{"time_quality":"uncertain","value":75}`},
		{"a time JSON cannot hold", "75", moment{at: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), certain: true}, "", "", `{"time_quality":"uncertain","value":75}`},
	} {
		var unit, quality []byte
		if test.unit != "" {
			unit, quality = []byte(test.unit), []byte(test.quality)
		}
		got := string(appendJSON(nil, []byte(test.payload), test.when, unit, quality))
		if got != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, got, test.want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: %s is no JSON", test.name, got)
		}
	}
}

// Whatever the payload, the result is one JSON object from which the payload comes back: as base64 if it is binary, as
// the same JSON if it is that, as the same text otherwise.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"75", "021", "-", "1e5", "1e", `{"a":1}`, `"x"`, "true", "null", "\xff", "", "é\u2028", "[", "\"\\ud800\"", " [1] "} {
		f.Add([]byte(s), []byte("°C"))
	}
	f.Fuzz(func(t *testing.T, payload, unit []byte) {
		got := appendJSON(nil, payload, sampleTime, unit, nil)
		var out struct {
			Value  json.RawMessage
			Base64 *string
			Unit   string
		}
		if err := json.Unmarshal(got, &out); err != nil {
			t.Fatalf("%q gives %s: %v", payload, got, err)
		}
		if !utf8.Valid(got) {
			t.Fatalf("%q gives %q, which is no UTF-8", payload, got)
		}
		bare := bytes.Trim(payload, " \t\r\n")
		switch {
		case !utf8.Valid(payload):
			back, err := base64.StdEncoding.DecodeString(*out.Base64)
			if err != nil || !bytes.Equal(back, payload) {
				t.Fatalf("%q comes back as %q, %v", payload, back, err)
			}
		case json.Valid(payload):
			if !bytes.Equal(out.Value, bare) {
				t.Fatalf("%q comes back as %s", payload, out.Value)
			}
		default:
			var text string
			if err := json.Unmarshal(out.Value, &text); err != nil || text != string(payload) {
				t.Fatalf("%q comes back as %q, %v", payload, text, err)
			}
		}
	})
}

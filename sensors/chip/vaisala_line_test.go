package chip

import (
	"math"
	"strings"
	"testing"

	"weir/sensors"
)

func TestVaisalaAnswers(t *testing.T) {
	all := &vaisalaLine{measures: []sensors.Measure{vaisalaPressure, vaisalaTemperature, vaisalaHumidity}, bare: sensors.Hectopascal}
	one := &vaisalaLine{measures: all.measures[:1], bare: sensors.Hectopascal}
	for _, c := range []struct {
		l    *vaisalaLine
		line string
		want string // value and step, or the reason, of each measure; "": no reading
	}{
		// as the guides print them
		{all, "P= 1013.2 hPa T= 31.1 'C RH= 38.3 %RH", "101320/10 31.1/0.1 38.3/0.1"},
		{all, "P= 1033.7 hPa    T= 22.2 'C RH= 38.3 %RH", "103370/10 22.2/0.1 38.3/0.1"},
		{all, "P1= 1008.9 hPa P2= 1009.1 hPa P= 1009.0 hPa T= 23.9 'C RH= 34.5 %RH", "100900/10 23.9/0.1 34.5/0.1"},
		{all, ">RH= 14.98%RH\tT= 74.68'F", "missing 23.7111/0.00556 14.98/0.01"},
		{all, ">Tfrost= 36.0'C\tTemp= 31.0'C", ""},
		{one, "1020.30 hPa", "102030/1"},
		{one, "1020.30 hPa 000", "102030/1"},
		{one, "1020.30 hPa OK", ""}, // what OK belongs to is not known
		{one, "1020.30 1020.31 1020.32 1020.31 hPa 000", "102031/1"},
		{one, "1020.30 hPa **.* hPa", ""}, // with a trend, which is a pressure too
		{one, "1011.12 1012.30", ""},
		{one, "1020.30", "102030/1"},
		{one, "****.**", "fault"},
		{one, "P= ****.** hPa", "fault"},
		{one, "P= /////", "fault"},
		{one, "pressure = 1013.02 hPa", ""},
		{one, "P= 14.6959 psia", "101324.66/0.689"},
		{one, "P= 760.0 torr", "101325/13.33"},
		{one, "P= 1.01325 bara", "101325/1"},
		{one, "P= 0.25 barg", "description"},
		{one, "P= 21 'C", "description"},
		{one, "P= 1.2.3 hPa", "number"},
		{all, "P= 1013.2 hPa T= ***.* 'C RH= - 5 %RH", ""}, // a minus alone is no number
		{all, "1013.2 hPa 31.1 'C 38.3 %RH", "101320/10 31.1/0.1 38.3/0.1"},
		{one, "", ""}, {one, ">", ""}, {one, "SEND 7", ""}, {one, "123.P", ""}, {one, "P=", ""}, {one, "= 5", ""},
		{one, "PTB330: 1 line opened for operator commands", ""},
		{one, strings.Repeat("1 ", 17), ""},
	} {
		text, err := c.l.check(c.line)
		if (err != nil) != (c.want == "") {
			t.Errorf("%q: got %v, want %q", c.line, err, c.want)
			continue
		}
		if err != nil {
			continue
		}
		var s sensors.Sample
		c.l.read(&s, text)
		for i, want := range strings.Fields(c.want) {
			r := s.Readings[i]
			reason, isReason := map[string]sensors.Reason{"missing": sensors.Missing, "fault": sensors.FaultValue, "description": sensors.BadDescription, "number": sensors.NotANumber}[want]
			if isReason {
				if r.Quality.Reason != reason {
					t.Errorf("%q: %s is %v %v, want %s", c.line, r.Quantity, r.Value, r.Quality, want)
				}
				continue
			}
			value, step, _ := strings.Cut(want, "/")
			v, _, _ := parseNumber(value)
			d, _, _ := parseNumber(step)
			if r.Quality.Level != sensors.Good || math.Abs(r.Value-v) > 1e-6*math.Abs(v)+1e-4 || math.Abs(r.Resolution-d) > 0.01*d {
				t.Errorf("%q: %s is %v in steps of %v, %v, want %s", c.line, r.Quantity, r.Value, r.Resolution, r.Quality, want)
			}
		}
	}
}

func TestVaisalaSettings(t *testing.T) {
	for _, c := range []struct {
		model, address, unit string
		want                 string
	}{
		{"ptb210", "", "", ""}, {"ptb210", "001", "", ""}, {"ptb330", "255", "psi", ""}, {"ptu300", "99", "", ""},
		{"ptb330", "256", "", `address: got "256", want a number from 0 to 255`}, {"ptb220", "100", "", "from 0 to 99"}, {"ptb330", "07", "", `got "07"`}, {"ptb330", "x", "", `got "x"`},
		{"ptb210", "1.2", "", "want an ID code"}, {"ptb210", "1234567890123456", "", "want an ID code"}, {"ptb330", "", "°C", `unit: got "°C", want a unit of pressure`},
	} {
		given := map[string]any{"bus": "a", "model": c.model, "address": c.address}
		if c.unit != "" {
			given["unit"] = c.unit
		}
		_, wrong := vaisala.Settings("x", given, nil)
		got := ""
		for _, e := range wrong {
			got += e.Error()
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: got %q, want %q", c, got, c.want)
		}
	}
}

func FuzzVaisalaAnswer(f *testing.F) {
	for _, s := range []string{"P= 1013.2 hPa T= 31.1 'C RH= 38.3 %RH", "1020.30 hPa 000", "****.**", ">RH= 14.98%RH T= 74.68'F", "P= 1e308 bar", "= = ="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		l := &vaisalaLine{measures: []sensors.Measure{vaisalaPressure, vaisalaTemperature, vaisalaHumidity}, bare: sensors.Hectopascal}
		text, err := l.check(line)
		if err != nil {
			return
		}
		var s sensors.Sample
		l.read(&s, text)
		if len(s.Readings) != 3 {
			t.Errorf("%q gave %d readings", line, len(s.Readings))
		}
		for _, r := range s.Readings {
			if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) || math.IsInf(r.Resolution, 0) {
				t.Errorf("%q gave %+v", line, r)
			}
		}
	})
}

package chip

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"weir/sensors"
)

// nmeaOf makes what is taken of settings as a file would hold them.
func nmeaOf(t testing.TB, given map[string]any) *nmeaKind {
	t.Helper()
	given["bus"] = "a"
	s, wrong := nmea.Settings("x", given, nil)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	k, err := newNMEAKind(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sealed puts $ and the checksum round a sentence.
func sealed(body string) string { return fmt.Sprintf("$%s*%02X", body, lineChecksum("xor", body)) }

func TestSentences(t *testing.T) {
	k := nmeaOf(t, map[string]any{"quantities": []any{"temperature", "pressure", "humidity", "dew_point", "water_temperature", "station_pressure", "engine"},
		"xdr": []any{"C:ENGINE=engine"}})
	for _, c := range []struct {
		line string
		want string // quantity=value/step, or quantity:reason
	}{
		// published sentences
		{"$WIXDR,P,1.01325,B,BARO,C,21.5,C,AIRT,H,45.2,P,RELH*76", "pressure=101325/1 temperature=21.5/0.1 humidity=45.2/0.1"},
		{"$WIMDA,29.9870,I,1.0154,B,17.2,C,,,45.0,,5.1,C,,T,,M,,N,,M*54", "pressure=101547.6/0.34 temperature=17.2/0.1 water_temperature:missing humidity=45/0.1 dew_point=5.1/0.1"},
		{"$WIMDA,29.796,I,1.009,B,31.7,C,,,,,,,82.3,T,72.3,M,7.4,N,3.8,M*23", "pressure=100900.8/3.4 temperature=31.7/0.1 water_temperature:missing humidity:missing dew_point:missing"},
		{"$WIMDA,29.4473,I,0.9972,B,17.2,C,,,,,,,,,,,,,,*3E", "pressure=99720/0.34 temperature=17.2/0.1 water_temperature:missing humidity:missing dew_point:missing"},
		{"$WIMDA,3.02,I,1.01,B,23.4,C,,,40.2,,12.1,C,19.3,T,20.1,M,13.1,N,1.1,M*62", "pressure:agree temperature=23.4/0.1 water_temperature:missing humidity=40.2/0.1 dew_point=12.1/0.1"},
		{"$WIMMB,29.92,I,1.013,B*54", "pressure=101321/34"},
		{"$WIXDR,H,092,P,RH,C,014.1,C,TEMP,P,1.025,B,PRESS,C,009.9,C,DP*08", "humidity=92/1 temperature=14.1/0.1 pressure=102500/100 dew_point=9.9/0.1"},
		// Lambrecht: hPa with the letter of bar, blanks, fault values
		{sealed("WIMMB, , ,1050.0, B"), "pressure=105000/10"},
		{sealed("WIMMB,,,9999.9,B"), "pressure:fault"},
		{sealed("WIMTA, -25.0, C"), "temperature=-25/0.1"},
		{sealed("WIMTA,999.9,C"), "temperature:fault"},
		{sealed("WIMHU,45.2,,9.1,C"), "humidity=45.2/0.1 dew_point=9.1/0.1"},
		{sealed("WIMHU,45.2"), "humidity=45.2/0.1 dew_point:missing"},
		{sealed("WIMMB,,,,"), "pressure:missing"},
		{sealed("WIMMB,29.92,I,,"), "pressure=101320.8/34"},
		{sealed("WIMTA,warm,C"), "temperature:number"},
		// Airmar's two versions, and what they leave out
		{sealed("YXXDR,C,8.1,C,WCHR,C,7.9,C,WCHT,C,30.1,C,HINX,P,1.013,B,STNP"), "station_pressure=101300/100"},
		{sealed("YXXDR,A,-0.3,D,PTCH,A,1.2,D,ROLL"), ""},
		{sealed("YXXDR,P,1.013,B,STNP,,,,"), "station_pressure=101300/100"},
		{sealed("WIXDR,P,1013.2,B,BARO"), "pressure=101320/10"},
		{sealed("WIXDR,P,101325,P,BARO"), "pressure=101325/1"},
		{sealed("WIXDR,C,23.5,C,0,C,25.0,C,1,H,50.3,P,0,P,1028.2,H,0"), "temperature=23.5/0.1 humidity=50.3/0.1 pressure=102820/10"}, // Vaisala WXT
		{sealed("WIXDR,C,212.0,F,engine"), "engine=100/0.0556"},
		{sealed("WIXDR,P,1.0,X,BARO"), "pressure:description"},
		{sealed("WIXDR,C,21.5,C"), ""}, // a group is cut off
		// not ours
		{sealed("GPGGA,1,2"), ""}, {sealed("PAMTR,EN"), ""}, {sealed("PMTAX,1,C"), ""}, {sealed("MDA"), ""}, {sealed(""), ""},
		// noise and a tag block before it
		{"\x00\x7f" + sealed("WIMTA,1.5,C"), "temperature=1.5/0.1"}, {`\s:x*1F\` + sealed("WIMTA,1.5,C"), "temperature=1.5/0.1"},
		{sealed("WIMTA,1.5,C") + " ", "temperature=1.5/0.1"},
		// refused
		{"$WIMTA,21.5,C", "no checksum"}, {"$WIMTA,21.5,C*00", "is wrong"}, {"$WIMTA,21.5,C*", "is wrong"}, {"$WIMTA,21.5,C*zz", "is wrong"}, {"WIMTA,21.5,C", "no sentence"},
	} {
		values, err := k.values(c.line)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) || c.want == "" {
				t.Errorf("%q: got %v, want %q", c.line, err, c.want)
			}
			continue
		}
		var got []string
		for _, v := range values {
			got = append(got, shortly(v))
		}
		if !alike(strings.Join(got, " "), c.want) {
			t.Errorf("%q:\ngot  %s\nwant %s", c.line, strings.Join(got, " "), c.want)
		}
	}
}

func shortly(v nmeaValue) string {
	if v.why == "" {
		return fmt.Sprintf("%s=%.6g/%.2g", v.quantity, v.number, v.step)
	}
	return string(v.quantity) + ":" + map[sensors.Reason]string{sensors.Missing: "missing", sensors.FaultValue: "fault", sensors.NotANumber: "number",
		sensors.BadDescription: "description", sensors.Disagreement: "agree"}[v.why]
}

// alike compares lists of values to five digits, and of their steps to one.
func alike(got, want string) bool {
	g, w := strings.Fields(got), strings.Fields(want)
	if len(g) != len(w) {
		return false
	}
	for i := range g {
		a, b := strings.FieldsFunc(g[i], func(r rune) bool { return r == '=' || r == '/' }), strings.FieldsFunc(w[i], func(r rune) bool { return r == '=' || r == '/' })
		if len(a) != len(b) || a[0] != b[0] {
			return false
		}
		for j := 1; j < len(a); j++ {
			x, _, _ := parseNumber(a[j])
			y, _, _ := parseNumber(b[j])
			if math.Abs(x-y) > map[int]float64{1: 2e-5, 2: 0.1}[j]*math.Abs(y) {
				return false
			}
		}
	}
	return true
}

func TestTalkerAndChecksumSettings(t *testing.T) {
	k := nmeaOf(t, map[string]any{"talker": "WI", "checksum": "optional", "fault": []any{"-99"}})
	for line, want := range map[string]int{
		"$WIMTA,21.5,C": 1, "$IIMTA,21.5,C": 0, sealed("WIMTA,21.5,C"): 1, sealed("IIMTA,21.5,C"): 0,
	} {
		if values, err := k.values(line); err != nil || len(values) != want {
			t.Errorf("%s: got %v, %v, want %d values", line, values, err, want)
		}
	}
	if _, err := k.values("$WIMTA,21.5,C*00"); err == nil {
		t.Error("a wrong checksum was taken because none is needed")
	}
	if values, _ := k.values("$WIMTA,-99.0,C"); values[0].why != sensors.FaultValue {
		t.Errorf("own fault value: %+v", values)
	}
	for _, c := range []struct {
		given map[string]any
		want  string
	}{
		{map[string]any{"talker": "W"}, `talker: got "W", want two letters`},
		{map[string]any{"quantities": []any{"wind"}}, `quantities: got "wind", want one of temperature, pressure, humidity`},
		{map[string]any{"quantities": []any{}}, "quantities: empty"},
		{map[string]any{"xdr": []any{"ENGINE=x"}}, `xdr: got "ENGINE=x", want C, P or H`},
		{map[string]any{"xdr": []any{"A:ROLL=roll"}}, "want C, P or H"},
		{map[string]any{"xdr": []any{"P:X=temperature"}}, `xdr: temperature is in "°C", which transducers of type P are not`},
	} {
		c.given["bus"] = "a"
		_, wrong := nmea.Settings("x", c.given, nil)
		if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), c.want) {
			t.Errorf("got %v, want %q", wrong, c.want)
		}
	}
}

func FuzzSentence(f *testing.F) {
	for _, s := range []string{"WIMDA,29.9870,I,1.0154,B,17.2,C,,,45.0,,5.1,C", "WIXDR,P,1.01325,B,BARO,C,21.5,C,AIRT", "WIMMB,,,1e999,B", "WIMHU,1e308,,,", "$,*", ""} {
		f.Add(s)
	}
	k := nmeaOf(f, map[string]any{})
	f.Fuzz(func(t *testing.T, body string) {
		_, _ = k.values(body)
		values, err := k.values(sealed(body))
		if err != nil && !strings.ContainsAny(body, "$*") {
			t.Errorf("%q: %v", body, err)
		}
		for _, v := range values {
			if math.IsNaN(v.number) || math.IsInf(v.number, 0) || math.IsInf(v.step, 0) || v.why != "" && v.number != 0 {
				t.Errorf("%q gave %+v", body, v)
			}
		}
	})
}

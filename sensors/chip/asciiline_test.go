package chip

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"weir/sensors"
)

// format makes a line format of settings as a file would hold them.
func format(t testing.TB, given map[string]any) (*lineFormat, sensors.Settings) {
	t.Helper()
	given["bus"] = "a"
	s, wrong := asciiLine.Settings("x", given, nil)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	f, err := newLineFormat(s)
	if err != nil {
		t.Fatal(err)
	}
	return f, s
}

const ptu = `P=\s*(?P<pressure>[-+\d.,*]*)\s*hPa\s+T=\s*(?P<temperature>[-+\d.,* ]*)\s*'C(?:\s+RH=\s*(?P<humidity>[\d.*]+))?`

func TestLineValues(t *testing.T) {
	f, _ := format(t, map[string]any{"pattern": ptu, "device_units": []any{"pressure=hPa"}, "fault": []any{"999.9", "9999.9"}})
	good := func(v, step float64) sensors.Reading {
		return sensors.Reading{Value: v, Resolution: step, Quality: sensors.Quality{Level: sensors.Good}}
	}
	bad := func(why sensors.Reason) sensors.Reading {
		return sensors.Reading{Quality: sensors.Quality{Reason: why}}
	}
	for _, c := range []struct {
		line    string
		p, T, h sensors.Reading
	}{
		{"P= 1013.2 hPa T= 31.1 'C RH= 38.3 %RH", good(101320, 10), good(31.1, 0.1), good(38.3, 0.1)},
		{"P=1013,25 hPa T=-0,5 'C RH=100 %RH", good(101325, 1), good(-0.5, 0.1), good(100, 1)},
		{"P= 1013 hPa T= - 5 'C", good(101300, 100), good(-5, 1), bad(sensors.Missing)},
		{"P= ****.** hPa T= 999.9 'C RH= *** %RH", bad(sensors.FaultValue), bad(sensors.FaultValue), bad(sensors.FaultValue)},
		{"P= 9999.90 hPa T= 1.2.3 'C RH= 1 %RH", bad(sensors.FaultValue), bad(sensors.NotANumber), good(1, 1)},
		{"P=  hPa T= ++ 'C RH= 1 %RH", bad(sensors.Missing), bad(sensors.NotANumber), good(1, 1)},
	} {
		text, err := f.check(c.line)
		if err != nil {
			t.Errorf("%q: %v", c.line, err)
			continue
		}
		var s sensors.Sample
		f.read(&s, text)
		for i, want := range []sensors.Reading{c.p, c.T, c.h} {
			got := s.Readings[i]
			if math.Abs(got.Value-want.Value) > 1e-9 || math.Abs(got.Resolution-want.Resolution) > 1e-9 || got.Quality != want.Quality {
				t.Errorf("%q: %s is %v in steps of %v, %v; want %v, %v, %v", c.line, got.Quantity, got.Value, got.Resolution, got.Quality, want.Value, want.Resolution, want.Quality)
			}
		}
	}
	if _, err := f.check("hello"); err == nil || !strings.Contains(err.Error(), `"hello" does not match`) {
		t.Errorf("got %v, want no match", err)
	}
}

func TestParseNumber(t *testing.T) {
	for text, want := range map[string]struct {
		v        float64
		decimals int
		ok       bool
	}{
		"21.50": {21.5, 2, true}, "+7": {7, 0, true}, "-  0,25": {-0.25, 2, true}, "1.01325E+5": {101325, 0, true}, "2e-3": {0.002, 3, true},
		"inf": {}, "NaN": {}, "0x10": {}, "": {}, "-": {}, "1e999": {}, "1_000": {}, "1.2.3": {},
	} {
		v, decimals, ok := parseNumber(text)
		if v != want.v || decimals != want.decimals || ok != want.ok {
			t.Errorf("%q: got %v, %d, %v, want %+v", text, v, decimals, ok, want)
		}
	}
}

func TestLineChecksums(t *testing.T) {
	for _, c := range []struct {
		kind, mark, line string
		ok               bool
	}{
		{"xor", "*", "$WIXDR,P,1.01325,B,BARO,C,21.5,C,AIRT,H,45.2,P,RELH*76", true},
		{"xor", "*", "!WIXDR,P,1.01325,B,BARO,C,21.5,C,AIRT,H,45.2,P,RELH*76", true},
		{"xor", "*", "$WIMDA,29.9870,I,1.0154,B,17.2,C,,,45.0,,5.1,C,,T,,M,,N,,M*54", true},
		{"xor", "*", "$WIMDA,29.9870,I,1.0154,B,17.3,C,,,45.0,,5.1,C,,T,,M,,N,,M*54", false},
		{"xor", "*", "*00", true},
		{"sum8", " ", "ABC C6", true},
		{"sum8", " ", "ABC c6 ", false}, // the mark stands last
		{"crc16", ";", "123456789;4b37", true},
		{"crc16", ";", "123456789;4b38", false},
		{"crc16", ";", "123456789", false},
		{"crc16", ";", "123456789;zz", false},
	} {
		f, _ := format(t, map[string]any{"pattern": `(?P<x>.?)`, "checksum": c.kind, "checksum_mark": c.mark})
		if _, err := f.check(c.line); (err == nil) != c.ok {
			t.Errorf("%s %q: got %v, want ok %v", c.kind, c.line, err, c.ok)
		}
	}
}

func TestLineSettingsErrors(t *testing.T) {
	for _, c := range []struct {
		given map[string]any
		want  string
	}{
		{map[string]any{"pattern": `\d+`}, "no named group"},
		{map[string]any{"pattern": `(?P<pressure>\d+)`}, "the unit of pressure is missing"},
		{map[string]any{"pattern": `(?P<humidity>\d+)`, "device_units": []any{"humidity=bar"}}, `humidity cannot be in "bar"`},
		{map[string]any{"pattern": `(?P<x>\d+)`, "device_units": []any{"y=bar"}}, `no group called "y"; it has: x`},
		{map[string]any{"pattern": `(?P<x>\d+)`, "device_units": []any{"bar"}}, `want quantity=unit`},
		{map[string]any{"pattern": `(?P<x>\d+)`, "checksum": "xor", "checksum_mark": ""}, "checksum_mark: empty"},
		{map[string]any{"pattern": `(?P<x>a)|(?P<x>b)`}, `pattern: two groups are called "x"`},
	} {
		c.given["bus"] = "a"
		s, wrong := asciiLine.Settings("x", c.given, nil)
		if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), c.want) {
			t.Errorf("got %v, want %q when the settings are checked", wrong, c.want)
		}
		if _, err := newLineFormat(s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestCutter(t *testing.T) {
	long := strings.Repeat("x", 20)
	for _, c := range []struct {
		name, end string
		opened    bool
		pieces    []string
		want      []string
	}{
		{"CR LF", "", false, []string{"ab\r\ncd\r\n"}, []string{"ab", "cd"}},
		{"CR, then LF, then both", "", false, []string{"ab\rcd\nef\r\n"}, []string{"ab", "cd", "ef"}},
		{"in pieces", "", false, []string{"a", "b", "\r", "\n", "c", "d\n"}, []string{"ab", "cd"}},
		{"not ended", "", false, []string{"ab\ncd"}, []string{"ab"}},
		{"the first after opening is dropped", "", true, []string{"ab\ncd\n"}, []string{"cd"}},
		{"overrun", "", false, []string{long + "\nab\n"}, []string{"ab"}},
		{"overrun in pieces", "", false, []string{long, long, "\nab\n"}, []string{"ab"}},
		{"exactly the longest", "", false, []string{"12345678\n"}, []string{"12345678"}},
		{"own end", "\x03", false, []string{"ab\ncd\x03ef\x03"}, []string{"ab\ncd", "ef"}},
		{"own end of two", "\r\n", false, []string{"a\rb\r", "\nc\r\n"}, []string{"a\rb", "c"}},
		{"overrun with an end of two", "\r\n", false, []string{long + "\r", "\nab\r\n"}, []string{"ab"}},
	} {
		cut := cutter{end: c.end, longest: 8}
		if c.opened {
			cut.restart()
		}
		var got []string
		for _, p := range c.pieces {
			cut.feed([]byte(p), func(line []byte) { got = append(got, string(line)) })
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("P= 1013.2 hPa T= 31.1 'C RH= 38.3 %RH*00\r\n"), "", 30)
	f.Add([]byte("P= ****.** hPa T= - 5 'C*7F\x03"), "\x03", 8)
	f.Fuzz(func(t *testing.T, in []byte, end string, longest int) {
		format, _ := format(t, map[string]any{"pattern": ptu, "device_units": []any{"pressure=hPa"}})
		longest = longest%64 + 8
		if longest < 8 || len(end) > 4 {
			return
		}
		cut := cutter{end: end, longest: longest}
		cut.feed(in, func(line []byte) {
			if len(line) > longest || len(line) == 0 {
				t.Errorf("line of %d bytes, longest %d", len(line), longest)
			}
			text, err := format.check(string(line))
			if err != nil {
				return
			}
			var s sensors.Sample
			format.read(&s, text)
			for _, r := range s.Readings {
				if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
					t.Errorf("%q gave %s", line, fmt.Sprint(r))
				}
			}
		})
	})
}

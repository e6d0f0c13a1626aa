package sensors

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestKeyCheck(t *testing.T) {
	inf := math.Inf(1)
	mode := Mode{9600, 8, 'N', 1}
	for _, c := range []struct {
		name string
		key  Key
		in   any
		want any    // nil: an error
		text string // of the error
	}{
		{"string", Key{Kind: KindString}, "x", "x", ""},
		{"string, not", Key{Kind: KindString}, int64(5), nil, "got 5, want a text"},
		{"string, empty", Key{Kind: KindString, Required: true}, "", nil, `got "", want a text that is not empty`},
		{"int", Key{Kind: KindInt, Min: 1, Max: 247}, int64(247), int64(247), ""},
		{"int of a Go int", Key{Kind: KindInt}, 7, int64(7), ""},
		{"int, out of range", Key{Kind: KindInt, Min: 1, Max: 247}, int64(300), nil, "got 300, want an integer from 1 to 247"},
		{"int, a float", Key{Kind: KindInt}, 1.0, nil, "got 1, want an integer"},
		{"int, a text", Key{Kind: KindInt}, "1", nil, `got "1", want an integer`},
		{"int of choices", Key{Kind: KindInt, Choices: []string{"1", "2", "4"}}, int64(4), int64(4), ""},
		{"int of choices, not", Key{Kind: KindInt, Choices: []string{"1", "2", "4"}}, int64(3), nil, "got 3, want 1, 2 or 4"},
		{"float", Key{Kind: KindFloat}, 1.5, 1.5, ""},
		{"float of an integer", Key{Kind: KindFloat}, int64(2), 2.0, ""},
		{"float, no number", Key{Kind: KindFloat}, math.NaN(), nil, "got NaN, want a number"},
		{"float, infinite", Key{Kind: KindFloat}, inf, nil, "got +Inf, want a number"},
		{"float, too small", Key{Kind: KindFloat, Min: 0, Max: inf}, -0.5, nil, "got -0.5, want a number of at least 0"},
		{"float, too large", Key{Kind: KindFloat, Min: -inf, Max: 5}, 6.0, nil, "got 6, want a number of at most 5"},
		{"bool", Key{Kind: KindBool}, true, true, ""},
		{"bool, not", Key{Kind: KindBool}, "yes", nil, `got "yes", want true or false`},
		{"duration", Key{Kind: KindDuration}, "500ms", 500 * time.Millisecond, ""},
		{"duration, too short", Key{Kind: KindDuration, Min: 0.01, Max: inf}, "-5s", nil, `got "-5s", want a duration of at least 10ms, such as "500ms"`},
		{"duration, a number", Key{Kind: KindDuration}, int64(5), nil, `got 5, want a duration, such as "500ms"`},
		{"address of choices", Key{Kind: KindAddress, Choices: []string{"0x28", "0x38"}}, int64(0x38), int64(0x38), ""},
		{"address between choices", Key{Kind: KindAddress, Min: 0x28, Max: 0x38, Choices: []string{"0x28", "0x38"}}, int64(0x30), nil, "got 48, want 0x28 or 0x38"},
		{"the only address", Key{Kind: KindAddress, Min: 0x77, Max: 0x77}, int64(0x76), nil, "got 118, want the address 0x77"},
		{"enum", Key{Kind: KindEnum, Choices: []string{"a", "b"}}, "b", "b", ""},
		{"enum, not", Key{Kind: KindEnum, Choices: []string{"a", "b"}}, "c", nil, `got "c", want "a" or "b"`},
		{"address", Key{Kind: KindAddress, Min: 0x76, Max: 0x77}, int64(0x77), int64(0x77), ""},
		{"address as a text", Key{Kind: KindAddress}, "0x76", int64(0x76), ""},
		{"address, not", Key{Kind: KindAddress, Min: 0x76, Max: 0x77}, int64(0x78), nil, "got 120, want an address from 0x76 to 0x77"},
		{"mode", Key{Kind: KindMode}, "9600 8N1", mode, ""},
		{"mode, not", Key{Kind: KindMode}, "8N1", nil, `got "8N1", want speed and framing`},
		{"unit", Key{Kind: KindUnit}, "degC", Celsius, ""},
		{"unit, own", Key{Kind: KindUnit}, "m³/h", Unit("m³/h"), ""},
		{"unit, empty", Key{Kind: KindUnit}, "", nil, "want a unit"},
		{"texts", Key{Kind: KindStrings}, []any{"a", "b"}, []string{"a", "b"}, ""},
		{"texts, mixed", Key{Kind: KindStrings}, []any{"a", int64(1)}, nil, "want an array of strings"},
		{"texts, one", Key{Kind: KindStrings}, "a", nil, "want an array of strings"},
		{"integers", Key{Kind: KindInts, Min: -1, Max: 9}, []any{int64(1), 2}, []int64{1, 2}, ""},
		{"integers, out of range", Key{Kind: KindInts, Min: -1, Max: 9}, []any{int64(10)}, nil, "want an array of integers from -1 to 9"},
		{"regexp, broken", Key{Kind: KindRegexp}, "(", nil, `got "(", want a regular expression: error parsing`},
		{"regexp, long", Key{Kind: KindRegexp}, strings.Repeat("x", 2000), nil, "got a pattern of 2000 bytes, want at most 1024"},
	} {
		got, err := c.key.Check(c.in)
		switch {
		case c.want == nil && (err == nil || !strings.Contains(err.Error(), c.text)):
			t.Errorf("%s: got %v, %v, want an error with %q", c.name, got, err, c.text)
		case c.want != nil && (err != nil || !reflect.DeepEqual(got, c.want)):
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestDriverSettings(t *testing.T) {
	d := Driver{Keys: []Key{
		{Name: "bus", Kind: KindString, Required: true},
		{Name: "map", Kind: KindString, Required: true},
		{Name: "slot", Kind: KindInt, Min: 1, Max: 4, Default: 2},
		{Name: "pattern", Kind: KindRegexp},
	}, Table: &Table{Section: "modbus", Key: "map", Keys: []Key{{Name: "register", Kind: KindInt, Required: true, Min: 0, Max: 9}},
		Presets: map[string][]Row{"known": {{"temperature", map[string]any{"register": 1}}}, "also": {{"x", map[string]any{"register": 1}}}}}}

	s, wrong := d.Settings("boiler", map[string]any{"bus": "1", "map": "known", "pattern": "a+"}, nil)
	if len(wrong) > 0 || s.Name != "boiler" || s.Text("bus") != "1" || s.Int("slot") != 2 || !s.Regexp("pattern").MatchString("aa") || s.Has("missing") {
		t.Errorf("got %+v, %v", s, wrong)
	}
	if len(s.Rows) != 1 || s.Rows[0].Name != "temperature" || s.Rows[0].Int("register") != 1 {
		t.Errorf("preset: got %+v", s.Rows)
	}
	_, wrong = d.Settings("boiler", map[string]any{"map": "mine", "slot": 9, "adress": 1}, []Row{{"flow", map[string]any{"register": 10, "tpye": 1}}, {"x", nil}})
	var got []string
	for _, e := range wrong {
		got = append(got, e.Error())
	}
	want := []string{
		"bus: missing, want a text that is not empty", "slot: got 9, want an integer from 1 to 4", "adress: unknown key",
		"modbus.mine.flow.register: got 10, want an integer from 0 to 9", "modbus.mine.flow.tpye: unknown key", "modbus.mine.x.register: missing, want an integer from 0 to 9",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	_, wrong = d.Settings("boiler", map[string]any{"bus": "1", "map": "px"}, nil)
	if len(wrong) != 1 || wrong[0].Error() != "map: no table [modbus.px.QUANTITY], and no such preset (there are: also, known)" {
		t.Errorf("unknown map: got %v", wrong)
	}
}

func TestParseMode(t *testing.T) {
	for text, want := range map[string]Mode{
		"9600 8N1": {9600, 8, 'N', 1}, "4800 7e1": {4800, 7, 'E', 1}, " 115200  8O2 ": {115200, 8, 'O', 2}, "300 5N2": {300, 5, 'N', 2},
	} {
		if got, err := ParseMode(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
		if again, err := ParseMode(want.String()); err != nil || again != want {
			t.Errorf("%v does not read back: %v, %v", want, again, err)
		}
	}
	for text, want := range map[string]string{
		"": "want speed", "9600": "want speed", "9601 8N1": "speed of 9601", "9600 9N1": "5 to 8 data bits", "9600 8M1": "parity", "9600 8N3": "stop bits", "x 8N1": "want speed", "9600 8N1.5": "want speed",
	} {
		if _, err := ParseMode(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if got := (Mode{9600, 8, 'N', 1}).Character(); got.Round(time.Microsecond) != 1042*time.Microsecond {
		t.Errorf("a character takes %v, want 1.042 ms", got)
	}
	if got := (Mode{9600, 7, 'E', 2}).Character(); got.Round(time.Microsecond) != 1146*time.Microsecond {
		t.Errorf("a character takes %v, want 1.146 ms", got)
	}
}

func FuzzParseMode(f *testing.F) {
	f.Add("9600 8N1")
	f.Add("115200 7e2")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMode(text)
		if err != nil {
			return
		}
		if again, err := ParseMode(m.String()); err != nil || again != m {
			t.Errorf("%q is %v and reads back as %v, %v", text, m, again, err)
		}
	})
}

package chip

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"weir/sensors"
)

func TestModbusTypes(t *testing.T) {
	for _, c := range []struct {
		kind, order, wire string
		want              float64
		word              uint64
	}{
		{"s16", "ABCD", "01 31", 305, 0x0131}, // XY-MD02: 30.5 °C
		{"int16", "ABCD", "FF 33", -205, 0xff33},
		{"u16", "ABCD", "02 22", 546, 0x0222},
		{"uint16", "CDAB", "FF FF", 65535, 0xffff},
		{"s16", "BADC", "33 FF", -205, 0xff33},
		{"s16", "DCBA", "33 FF", -205, 0xff33},
		{"s16", "ABCD", "80 00", -32768, 0x8000},
		{"s16", "ABCD", "7F FF", 32767, 0x7fff},
		{"s32", "ABCD", "FF FF CF C7", -12345, 0xffffcfc7},
		{"int32", "CDAB", "CF C7 FF FF", -12345, 0xffffcfc7},
		{"s32", "BADC", "FF FF C7 CF", -12345, 0xffffcfc7},
		{"s32", "DCBA", "C7 CF FF FF", -12345, 0xffffcfc7},
		{"s32", "ABCD", "80 00 00 00", math.MinInt32, 0x80000000},
		{"u32", "ABCD", "FF FF FF FF", math.MaxUint32, 0xffffffff},
		{"f32", "ABCD", "C2 F6 E6 66", -123.45, 0xc2f6e666}, // Vaisala HMD60 self-test registers
		{"float32", "CDAB", "E6 66 C2 F6", -123.45, 0xc2f6e666},
		{"f32", "BADC", "F6 C2 66 E6", -123.45, 0xc2f6e666},
		{"f32", "DCBA", "66 E6 F6 C2", -123.45, 0xc2f6e666},
		{"s64", "ABCD", "FF FF FF FF FF FF CF C7", -12345, 0xffffffffffffcfc7},
		{"int64", "CDAB", "CF C7 FF FF FF FF FF FF", -12345, 0xffffffffffffcfc7},
		{"s64", "BADC", "FF FF FF FF FF FF C7 CF", -12345, 0xffffffffffffcfc7},
		{"s64", "DCBA", "C7 CF FF FF FF FF FF FF", -12345, 0xffffffffffffcfc7},
		{"s64", "ABCD", "80 00 00 00 00 00 00 00", math.MinInt64, 1 << 63},
		{"uint64", "CDAB", "07 08 05 06 03 04 01 02", 0x0102030405060708, 0x0102030405060708},
		{"u64", "ABCD", "FF FF FF FF FF FF FF FF", math.MaxUint64, math.MaxUint64},
		{"f64", "ABCD", "40 8F A9 FF FF FF FF FF", 1013.25, 0x408fa9ffffffffff},
		{"float64", "DCBA", "FF FF FF FF FF A9 8F 40", 1013.25, 0x408fa9ffffffffff},
	} {
		got, word := wordTypes[c.kind].decode(unhex(t, c.wire), c.order)
		if math.Abs(got-c.want) > 1e-5 || word != c.word {
			t.Errorf("%s %s %s: got %v, %x, want %v, %x", c.kind, c.order, c.wire, got, word, c.want, c.word)
		}
	}
}

func rows(t *testing.T, given ...sensors.Row) []modbusValue {
	t.Helper()
	s, wrong := modbusRTU.Settings("x", map[string]any{"bus": "a", "address": 1, "map": "m"}, given)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	var values []modbusValue
	for _, row := range s.Rows {
		v, err := newModbusValue(row)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}

func TestModbusPlan(t *testing.T) {
	at := func(name, table string, register int, kind string) sensors.Row {
		return sensors.Row{Quantity: name, Values: map[string]any{"table": table, "register": register, "type": kind}}
	}
	values := rows(t, at("late", "holding", 10, "f32"), at("in", "input", 3, "s16"), at("first", "holding", 8, "s32"),
		at("hole", "holding", 13, "s16"), at("same", "holding", 10, "s16"), at("far", "holding", 65535, "s16"))
	blocks := planModbus(wordsOf(values), 0, maxRegisters)
	var got []string
	for _, b := range blocks {
		got = append(got, b.String())
	}
	want := "holding registers 8 to 11, holding register 13, holding register 65535, input register 3"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	for i, place := range [][2]int{{0, 4}, {3, 0}, {0, 0}, {1, 0}, {0, 4}, {2, 0}} {
		if values[i].request != place[0] || values[i].at != place[1] {
			t.Errorf("%s: request %d byte %d, want %v", values[i].measure.Quantity, values[i].request, values[i].at, place)
		}
	}
	var many []sensors.Row
	for i := range 130 {
		many = append(many, at("q"+string(rune('a'+i%26))+string(rune('a'+i/26)), "input", i, "u16"))
	}
	blocks = planModbus(wordsOf(rows(t, many...)), 0, maxRegisters)
	if len(blocks) != 2 || blocks[0].count != maxRegisters || blocks[1].first != maxRegisters {
		t.Errorf("130 registers: got %v, want 125 and 5", blocks)
	}
	if blocks = planModbus(wordsOf(rows(t, many...)), 0, 50); len(blocks) != 3 || blocks[2].count != 30 {
		t.Errorf("130 registers, 50 at a time: got %v, want 50, 50 and 30", blocks)
	}
	for holes, want := range map[int]string{
		0: "holding register 1, holding registers 3 to 4, holding register 7",
		1: "holding registers 1 to 4, holding register 7",
		2: "holding registers 1 to 7",
	} {
		blocks = planModbus(wordsOf(rows(t, at("a", "holding", 1, "u16"), at("b", "holding", 3, "f32"), at("c", "holding", 7, "u16"))), holes, maxRegisters)
		if got := strings.Trim(fmt.Sprint(blocks), "[]"); strings.ReplaceAll(got, " holding", ", holding") != want {
			t.Errorf("holes of %d: got %v, want %s", holes, blocks, want)
		}
	}
}

func TestModbusValues(t *testing.T) {
	values := rows(t,
		sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 0, "type": "s16", "unit": "kPa", "scale": 0.1, "offset": 100.0,
			"invalid": []any{0x8000, 32767}, "min": 0.0, "max": 200.0}},
		sensors.Row{Quantity: "flow", Values: map[string]any{"register": 1, "type": "f32", "unit": "m³/h"}})
	for _, c := range []struct {
		wire            string
		pressure, flow  float64
		qualityP, qualF sensors.Quality
	}{
		{"00 0D 41 20 00 00", 101300, 10, sensors.Quality{Level: sensors.Good}, sensors.Quality{Level: sensors.Good}},
		{"80 00 7F C0 00 00", 0, 0, sensors.Quality{Reason: sensors.FaultValue}, sensors.Quality{Reason: sensors.NotANumber}},
		{"7F FF 7F 80 00 00", 0, 0, sensors.Quality{Reason: sensors.FaultValue}, sensors.Quality{Reason: sensors.NotANumber}},
	} {
		var s sensors.Sample
		for i := range values {
			values[i].at = 2 * int(values[i].register)
			values[i].read(&s, [][]byte{unhex(t, c.wire)})
		}
		p, f := s.Readings[0], s.Readings[1]
		if math.Abs(p.Value-c.pressure) > 1e-6 || p.Quality != c.qualityP || f.Value != c.flow || f.Quality != c.qualF {
			t.Errorf("%s: got %+v", c.wire, s.Readings)
		}
		if p.Unit != sensors.Pascal || p.Min != 0 || p.Max != 200000 || f.Unit != "m³/h" {
			t.Errorf("%s: units and range of %+v", c.wire, s.Readings)
		}
		if p.Quality.Level == sensors.Good && math.Abs(p.Resolution-100) > 1e-9 {
			t.Errorf("resolution %v Pa, want 100", p.Resolution)
		}
	}
}

func TestModbusMapErrors(t *testing.T) {
	for _, c := range []struct {
		row  sensors.Row
		want string
	}{
		{sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 1}}, "the unit of pressure is missing"},
		{sensors.Row{Quantity: "temperature", Values: map[string]any{"register": 1, "unit": "bar"}}, `temperature cannot be in "bar"`},
		{sensors.Row{Quantity: "x", Values: map[string]any{"register": 65535, "type": "s32"}}, "register: 65535 is too high for a value of 2 registers"},
		{sensors.Row{Quantity: "x", Values: map[string]any{"register": 65533, "type": "f64"}}, "register: 65533 is too high for a value of 4 registers"},
		{sensors.Row{Quantity: "x", Values: map[string]any{"register": 1, "bits": "3-16"}}, `bits: got "3-16", want a bit from 0 to 15`},
		{sensors.Row{Quantity: "x", Values: map[string]any{"register": 1, "bits": "8-3"}}, `bits: got "8-3"`},
		{sensors.Row{Quantity: "x", Values: map[string]any{"register": 1, "bits": "1", "type": "f32"}}, "bits: a float has none"},
		{sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 1, "unit_register": 2}}, "unit_codes: unit_register and unit_codes need each other"},
		{sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 1, "unit": "bar", "unit_codes": []any{"0=bar"}}}, "need each other"},
		{sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 1, "unit_register": 2, "unit_codes": []any{"bar"}}}, `unit_codes: got "bar", want a number and a unit`},
		{sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 1, "unit_register": 2, "unit_codes": []any{"0=bar", "0=kPa"}}}, "unit_codes: 0 is said twice"},
		{sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 1, "unit_register": 2, "unit_codes": []any{"0=bar", "1=mA"}}}, `unit_codes: 1 is "mA", which does not convert to "bar"`},
		{sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 1, "unit_register": 2, "unit_codes": []any{"0=bar"}, "max": 5}}, "unit: missing, want the one that min and max are in"},
		{sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 1, "unit": "bar", "publish_unit": "°C"}}, `publish_unit: pressure is in "bar", which cannot be shown in "°C"`},
		{sensors.Row{Quantity: "humidity", Values: map[string]any{"register": 1, "reference": "gauge"}}, "reference: only a pressure is absolute or gauge"},
		{sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 1, "unit": "bar", "reference": "absolute", "max": -1}}, "max: got -1, want more than a vacuum"},
		{sensors.Row{Quantity: "x", Values: map[string]any{"register": 1, "scale": 0}}, "scale: got 0"},
		{sensors.Row{Quantity: "x", Values: map[string]any{"register": 1, "min": 5, "max": 5.0}}, "max: got 5, want more than min"},
	} {
		s, wrong := sensors.MakeSettings(c.row.Quantity, modbusRowKeys, c.row.Values)
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		if _, err := newModbusValue(s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		_, wrong = modbusRTU.Settings("a", map[string]any{"bus": "a", "address": 1, "map": "m"}, []sensors.Row{c.row})
		if len(wrong) != 1 || !strings.HasPrefix(wrong[0].Key, "modbus.m."+c.row.Quantity+".") {
			t.Errorf("got %v, want one error of modbus.m.%s when the settings are checked", wrong, c.row.Quantity)
		}
	}
}

func TestBitFields(t *testing.T) {
	for _, c := range []struct {
		kind, bits string
		wire       string
		want       float64
	}{
		{"u16", "0", "80 01", 1}, {"u16", "15", "80 01", 1}, {"u16", "1-14", "80 01", 0}, {"u16", "8-15", "AB CD", 0xab}, {"u16", "0-7", "AB CD", 0xcd},
		{"u16", "0-15", "AB CD", 0xabcd}, {"s16", "0-3", "00 0F", -1}, {"s16", "0-3", "00 07", 7}, {"s16", "4-7", "00 8F", -8},
		{"u32", "16-31", "12 34 56 78", 0x1234}, {"s32", "0-15", "00 00 80 00", -32768}, {"u64", "60-63", "F0 00 00 00 00 00 00 00", 15},
	} {
		values := rows(t, sensors.Row{Quantity: "x", Values: map[string]any{"register": 0, "type": c.kind, "bits": c.bits}})
		planModbus(wordsOf(values), 0, maxRegisters)
		var s sensors.Sample
		values[0].read(&s, [][]byte{unhex(t, c.wire)})
		if s.Readings[0].Value != c.want {
			t.Errorf("bits %s of %s %s: got %v, want %v", c.bits, c.kind, c.wire, s.Readings[0].Value, c.want)
		}
	}
}

// The two families of pressure transmitters say their unit and decimals themselves.
func TestUnitAndDecimalsOfTheDevice(t *testing.T) {
	for _, c := range []struct {
		preset, wire string
		want         float64 // Pa
		step         float64
		why          sensors.Reason
	}{
		{"pressure-integer", "0001 0001 03F5", 101300, 100, ""}, // 101.3 kPa
		{"pressure-integer", "0000 0003 0065", 101000, 1000, ""},
		{"pressure-integer", "0002 0000 7FFE", 32766, 1, ""},
		{"pressure-integer", "0003 0002 FFFB", -5000, 1000, ""}, // -0.05 bar
		{"pressure-integer", "0004 0000 03F5", 101300, 100, ""},
		{"pressure-integer", "0005 0001 000A", 98066.5, 9806.65, ""},
		{"pressure-integer", "0006 0002 05BE", 101352.932, 68.948, ""}, // 14.7 psi
		{"pressure-integer", "0007 0003 0064", 980.665, 9.80665, ""},
		{"pressure-integer", "0008 0000 0064", 980.665, 9.80665, ""},
		{"pressure-integer", "0009 0000 0064", 0, 0, sensors.BadDescription},
		{"pressure-integer", "0001 000A 0064", 0, 0, sensors.BadDescription},
		{"pressure-integer", "FFFF FFFF FFFF", 0, 0, sensors.BadDescription},
		{"pressure-integer", "0001 0001 8000", 0, 0, sensors.FaultValue},
		{"pressure-integer", "0001 0001 7FFF", 0, 0, sensors.FaultValue},
		{"pressure-float", "000A 0002 447D5000", 101325, 1, ""}, // 1013.25 mbar
		{"pressure-float-cdab", "000A 0002 5000447D", 101325, 1, ""},
		{"pressure-float", "0000 0001 42CAA666", 101325, 100, ""},
		{"pressure-float", "000E 0000 443E0000", 101325, 133.322, ""},          // 760 Torr
		{"pressure-float", "0002 0000 41200000", 0, 0, sensors.BadDescription}, // mA
		{"pressure-float", "000A 0002 7FC00000", 0, 0, sensors.NotANumber},
	} {
		s, wrong := modbusRTU.Settings("x", map[string]any{"bus": "a", "address": 1, "map": c.preset}, nil)
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		v, err := newModbusValue(s.Rows[0])
		if err != nil {
			t.Fatal(err)
		}
		v.unit.at, v.decimals.at, v.at = 0, 2, 4
		var got sensors.Sample
		v.read(&got, [][]byte{unhex(t, c.wire)})
		r := got.Readings[0]
		if math.Abs(r.Value-c.want) > 0.02 || math.Abs(r.Resolution-c.step) > 1e-3 || r.Quality.Reason != c.why || r.Unit != sensors.Pascal {
			t.Errorf("%s %s: got %v in steps of %v, %v, want %v, %v, %q", c.preset, c.wire, r.Value, r.Resolution, r.Quality, c.want, c.step, c.why)
		}
	}
}

func TestGaugeAndPublishedUnit(t *testing.T) {
	for _, c := range []struct {
		reference string
		low, high float64
		gauge     bool
	}{{"gauge", -110000, 1e6, true}, {"absolute", 0, 1e6, false}} {
		values := rows(t, sensors.Row{Quantity: "pressure", Values: map[string]any{
			"register": 0, "unit": "bar", "publish_unit": "kPa", "reference": c.reference, "min": -100, "max": 10}})
		m := values[0].measure
		if m.Min != c.low || m.Max != c.high || m.Gauge != c.gauge || m.Publish != "kPa" {
			t.Errorf("%s: got %+v", c.reference, m)
		}
		var s sensors.Sample
		values[0].read(&s, [][]byte{unhex(t, "0002")})
		if r := s.Readings[0]; r.Shown() != "kPa" || r.Gauge != c.gauge || r.Value != 2e5 {
			t.Errorf("%s: got %+v, shown in %s", c.reference, r, r.Shown())
		}
	}
	values := rows(t, sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 0, "unit": "bar", "reference": "absolute"}})
	if m := values[0].measure; m.Min != 0 || !math.IsInf(m.Max, 1) {
		t.Errorf("absolute without max: got %v to %v", m.Min, m.Max)
	}
}

// Vaisala's test registers tell the order of the words.
func TestExpectedRegister(t *testing.T) {
	row := sensors.Row{Quantity: "test", Values: map[string]any{"register": 0x1F01, "type": "f32", "order": "CDAB", "expect": -123.45}}
	s, wrong := sensors.MakeSettings(row.Quantity, modbusRowKeys, row.Values)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	v, err := newModbusValue(s)
	if err != nil {
		t.Fatal(err)
	}
	for wire, want := range map[string]string{
		"E666 C2F6": "", "C2F6 E666": `it would be right with order = "ABCD"`, "F6C2 66E6": `order = "BADC"`, "66E6 F6C2": `order = "DCBA"`, "0000 0000": "0 (00 00 00 00)",
	} {
		if got := v.disproof(unhex(t, wire)); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: got %q, want %q", wire, got, want)
		}
	}
	_, wrong = modbusRTU.Settings("a", map[string]any{"bus": "a", "address": 1, "map": "m"}, []sensors.Row{row})
	if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "nothing to measure") {
		t.Errorf("a map of proofs only: got %v", wrong)
	}
}

// Whatever registers hold, no preset gives a good value that is not a number.
func FuzzModbusValues(f *testing.F) {
	f.Add(unhex(f, "0001 0001 03F5 0000 0000 0000 0000 0000"), "pressure-integer")
	f.Add(unhex(f, "000A 0002 7F80 0000 0000 0000 0000 0000"), "pressure-float")
	f.Add(unhex(f, "E666 C2F6 7FC0 0000 0000 0000 0000 0000"), "hmd60")
	f.Fuzz(func(t *testing.T, data []byte, preset string) {
		if len(data) < 16 || modbusPresets[preset] == nil {
			return
		}
		s, _ := modbusRTU.Settings("x", map[string]any{"bus": "a", "address": 1, "map": preset}, nil)
		var got sensors.Sample
		for _, row := range s.Rows {
			v, err := newModbusValue(row)
			if err != nil {
				t.Fatal(err)
			}
			if v.expected {
				_ = v.disproof(data)
				continue
			}
			if v.unit != nil {
				v.unit.at, v.decimals.at, v.at = 0, 2, 4
			}
			v.read(&got, [][]byte{data})
		}
		for _, r := range got.Readings {
			if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) || math.IsInf(r.Resolution, 0) {
				t.Errorf("%s %x gave %+v", preset, data, r)
			}
		}
	})
}

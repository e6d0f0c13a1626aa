package chip

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"weir/sensors"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestModbusCRC(t *testing.T) {
	if got := crc16([]byte("123456789")); got != 0x4b37 {
		t.Errorf("got %04x, want 4b37", got)
	}
	for _, frame := range []string{
		"01 03 00 00 00 0A C5 CD", "01 03 00 00 00 02 C4 0B", "01 04 00 01 00 01 60 0A", "01 04 00 01 00 02 20 0B", "01 04 02 01 31 79 74", "01 83 02 C0 F1",
	} {
		if got := crc16(unhex(t, frame)); got != 0 {
			t.Errorf("%s: got %04x, want 0", frame, got)
		}
	}
}

func TestModbusRequest(t *testing.T) {
	if got, want := modbusRequest(nil, 1, readInput, 1, 2), unhex(t, "01 04 00 01 00 02 20 0B"); !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
	if got, want := modbusRequest(nil, 1, readHolding, 0, 10), unhex(t, "01 03 00 00 00 0A C5 CD"); !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestModbusReply(t *testing.T) {
	for _, c := range []struct {
		name, received string
		data           string
		exception      byte
		ok             bool
	}{
		{"answer", "01 04 02 01 31 79 74", "01 31", 0, true},
		{"exception", "01 84 02 C2 C1", "", 2, true},
		{"nothing", "", "", 0, false},
		{"not whole yet", "01 04 02 01 31 79", "", 0, false},
		{"wrong checksum", "01 04 02 01 31 79 75", "", 0, false},
		{"noise before it", "00 FF 01 01 04 02 01 31 79 74", "01 31", 0, true},
		{"after the echo of the request", "01 04 00 01 00 01 60 0A 01 04 02 01 31 79 74", "01 31", 0, true},
		{"the answer of another slave before it", "02 04 02 01 31 3D 74 01 04 02 01 31 79 74", "01 31", 0, true},
		{"only that of another slave", "02 04 02 01 31 3D 74", "", 0, false},
		{"another length", "01 04 04 01 31 02 22 AA AA", "", 0, false},
		{"another function", "01 03 02 01 31 78 00", "", 0, false},
		{"rest after it", "01 04 02 01 31 79 74 00 00", "01 31", 0, true},
	} {
		data, exception, ok := modbusReply(unhex(t, c.received), 1, readInput, 1)
		if !bytes.Equal(data, unhex(t, c.data)) || exception != c.exception || ok != c.ok {
			t.Errorf("%s: got % x, exception %d, %v; want %s, %d, %v", c.name, data, exception, ok, c.data, c.exception, c.ok)
		}
	}
}

func TestModbusTypes(t *testing.T) {
	for _, c := range []struct {
		kind, order, wire string
		want              float64
		word              uint32
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
	blocks := planModbus(values)
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
	blocks = planModbus(rows(t, many...))
	if len(blocks) != 2 || blocks[0].count != maxRegisters || blocks[1].first != maxRegisters {
		t.Errorf("130 registers: got %v, want 125 and 5", blocks)
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
			values[i].read(&s, unhex(t, c.wire))
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
		{sensors.Row{Quantity: "x", Values: map[string]any{"register": 65535, "type": "s32"}}, "register: 65535 is the last one"},
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

func FuzzModbusReply(f *testing.F) {
	f.Add(unhex(f, "01 04 02 01 31 79 74"), byte(1), byte(4), uint16(1))
	f.Add(unhex(f, "01 84 02 C2 C1"), byte(1), byte(4), uint16(1))
	f.Add(unhex(f, "00 01 04 00 01 00 01 60 0A 01 04 02 01 31 79 74"), byte(1), byte(4), uint16(1))
	f.Fuzz(func(t *testing.T, received []byte, slave, function byte, count uint16) {
		count = count%maxRegisters + 1
		data, exception, ok := modbusReply(received, slave, function&0x7f, count)
		if ok && exception == 0 && len(data) != 2*int(count) {
			t.Errorf("%d bytes for %d registers", len(data), count)
		}
		if !ok && (data != nil || exception != 0) {
			t.Error("not ok, but something")
		}
	})
}

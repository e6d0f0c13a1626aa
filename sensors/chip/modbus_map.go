package chip

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"weir/sensors"
)

var modbusRowKeys = []sensors.Key{
	{Name: "table", Kind: sensors.KindEnum, Choices: []string{"holding", "input"}, Default: "holding",
		Meaning: "holding registers (function 03) or input registers (function 04)"},
	{Name: "register", Kind: sensors.KindInt, Required: true, Min: 0, Max: 65535, Example: "4",
		Meaning: "number of the first register on the wire, from 0: a manual's 40005 is holding 4, its 30002 is input 1"},
	{Name: "type", Kind: sensors.KindEnum, Default: "int16",
		Choices: []string{"int16", "uint16", "int32", "uint32", "float32", "int64", "uint64", "float64", "s16", "u16", "s32", "u32", "f32", "s64", "u64", "f64"},
		Meaning: "type of the value"},
	{Name: "order", Kind: sensors.KindEnum, Choices: []string{"ABCD", "CDAB", "BADC", "DCBA"}, Default: "ABCD",
		Meaning: "order of the bytes on the wire, A being the highest; of values of four registers: highest register first, lowest first, and both with swapped bytes"},
	{Name: "bits", Kind: sensors.KindString, Example: `"8-15"`, Meaning: "only these bits of a whole number, 0 being the lowest: one, or from and to"},
	{Name: "unit", Kind: sensors.KindUnit, Example: `"bar"`, Meaning: "unit of the value after scale and offset; must be set for a pressure, unless unit_register is"},
	{Name: "publish_unit", Kind: sensors.KindUnit, Example: `"kPa"`, Meaning: "unit the value is published in, unless the sensor's units say another; °C, hPa or %RH if neither does"},
	{Name: "reference", Kind: sensors.KindEnum, Choices: []string{"absolute", "gauge"},
		Meaning: "whether a pressure counts from vacuum or from the air around; below vacuum it is bad, and what needs the pressure of the air is not computed from a gauge"},
	{Name: "scale", Kind: sensors.KindFloat, Default: 1.0, Meaning: "the number is multiplied by it"},
	{Name: "offset", Kind: sensors.KindFloat, Default: 0.0, Meaning: "added after scale"},
	{Name: "unit_register", Kind: sensors.KindInt, Min: 0, Max: 65535, Example: "2",
		Meaning: "register of the same table that holds a number for the unit, see unit_codes"},
	{Name: "unit_codes", Kind: sensors.KindStrings, Example: `["0=MPa", "1=kPa"]`, Meaning: "what the numbers in unit_register mean; another one makes the value bad"},
	{Name: "decimals_register", Kind: sensors.KindInt, Min: 0, Max: 65535, Example: "3",
		Meaning: "register of the same table that says how many digits of a whole number are behind the point; of a float, only how many are worth showing"},
	{Name: "invalid", Kind: sensors.KindInts, Min: math.MinInt64, Max: math.MaxInt64, Example: "[0x8000, 0x7FFF]",
		Meaning: "numbers in the register that mean that there is no value; no number (NaN) always does"},
	{Name: "min", Kind: sensors.KindFloat, Meaning: "lowest value the device can measure, in unit"},
	{Name: "max", Kind: sensors.KindFloat, Meaning: "highest value the device can measure, in unit"},
	{Name: "expect", Kind: sensors.KindFloat, Example: "-123.45",
		Meaning: "this row is no quantity: its register must hold this value, or it is another device, or order is wrong; looked at when the device is found"},
}

// lowestGauge is what a gauge shows in a vacuum under the heaviest air there
// is, in Pa.
const lowestGauge = -110000

// mostDecimals is the most a device may claim.
const mostDecimals = 9

// modbusWord is a place in a table and, once planned, in the answers.
type modbusWord struct {
	function  byte
	register  uint16
	registers int
	request   int // which request reads it
	at        int // its first byte in the answer
}

// in returns the bytes of the word in the answers.
func (w *modbusWord) in(data [][]byte) []byte { return data[w.request][w.at : w.at+2*w.registers] }

// modbusValue is one row of a map. It is not changed after it was planned.
type modbusValue struct {
	converted
	modbusWord
	words    wordType
	bits     bitField
	order    string
	scale    float64
	offset   float64
	invalid  []int64
	unit     *modbusWord // nil: the unit is fixed
	units    map[int64]sensors.Unit
	decimals *modbusWord // nil: there is none
	expect   float64
	expected bool // the row is no quantity
}

func newModbusValue(row sensors.Settings) (modbusValue, *sensors.KeyError) {
	v := modbusValue{
		modbusWord: modbusWord{function: readHolding, register: uint16(row.Int("register"))},
		words:      wordTypes[row.Text("type")], order: row.Text("order"), scale: row.Float("scale"), offset: row.Float("offset"),
		invalid: row.Ints("invalid"), expect: row.Float("expect"), expected: row.Has("expect"),
	}
	v.registers = v.words.registers
	if row.Text("table") == "input" {
		v.function = readInput
	}
	for _, step := range []func(sensors.Settings) *sensors.KeyError{v.setNumber, v.setUnit, v.setLimits} {
		if err := step(row); err != nil {
			return modbusValue{}, err
		}
	}
	return v, nil
}

// rowError is what is wrong with a setting of a row.
func rowError(key, format string, a ...any) *sensors.KeyError {
	return &sensors.KeyError{Key: key, Text: fmt.Sprintf(format, a...)}
}

// setNumber checks what makes a number of the registers.
func (v *modbusValue) setNumber(row sensors.Settings) (wrong *sensors.KeyError) {
	if v.scale == 0 {
		return rowError("scale", "got 0, want a number that leaves something of the value")
	}
	if end := int(v.register) + v.registers; end > 1<<16 {
		return rowError("register", "%d is too high for a value of %d registers, the last of which is 65535", v.register, v.registers)
	}
	if v.bits, wrong = newBitField(row.Text("bits"), v.words); wrong != nil {
		return wrong
	}
	if row.Has("decimals_register") {
		v.decimals = &modbusWord{function: v.function, register: uint16(row.Int("decimals_register")), registers: 1}
	}
	return nil
}

// setUnit decides the unit of the value, and that of its readings.
func (v *modbusValue) setUnit(row sensors.Settings) *sensors.KeyError {
	q, unit := sensors.Quantity(row.Name), row.Unit("unit")
	if v.expected {
		v.converted = newConverted(q, "")
		return nil
	}
	if row.Has("unit_register") != (len(row.Texts("unit_codes")) > 0) {
		return rowError("unit_codes", "unit_register and unit_codes need each other")
	}
	if row.Has("unit_register") {
		v.unit = &modbusWord{function: v.function, register: uint16(row.Int("unit_register")), registers: 1}
		codes, first, err := unitCodes(row.Texts("unit_codes"))
		if err != nil {
			return err
		}
		v.units, unit = codes, cmp.Or(unit, first)
	}
	unit, err := unitOf(q, unit)
	if err != nil {
		return rowError("unit", "%v", err)
	}
	for code, u := range v.units {
		if _, ok := sensors.Convert(1, u, unit); !ok {
			return rowError("unit_codes", "%d is %q, which does not convert to %q", code, u, unit)
		}
	}
	v.converted = newConverted(q, unit)
	if publish := row.Unit("publish_unit"); publish != "" {
		if _, ok := sensors.Convert(1, unit, publish); !ok {
			return rowError("publish_unit", "%s is in %q, which cannot be shown in %q", q, unit, publish)
		}
		v.measure.Publish = publish
	}
	return nil
}

// unitCodes reads "0=MPa" texts.
func unitCodes(texts []string) (codes map[int64]sensors.Unit, first sensors.Unit, wrong *sensors.KeyError) {
	codes = map[int64]sensors.Unit{}
	for _, t := range texts {
		number, name, _ := strings.Cut(t, "=")
		code, err := strconv.ParseInt(strings.TrimSpace(number), 0, 32)
		unit, ok := sensors.ParseUnit(strings.TrimSpace(name))
		if err != nil || !ok || code < 0 || code > math.MaxUint16 {
			return nil, "", rowError("unit_codes", `got %q, want a number and a unit, such as "0=MPa"`, t)
		}
		if _, twice := codes[code]; twice {
			return nil, "", rowError("unit_codes", "%d is said twice", code)
		}
		codes[code] = unit
		first = cmp.Or(first, unit)
	}
	return codes, first, nil
}

// setLimits sets what can be measured.
func (v *modbusValue) setLimits(row sensors.Settings) *sensors.KeyError {
	low, high := math.Inf(-1), math.Inf(1)
	if row.Has("min") {
		low = row.Float("min")
	}
	if row.Has("max") {
		high = row.Float("max")
	}
	if low >= high {
		return rowError("max", "got %v, want more than min, which is %v", high, low)
	}
	if row.Has("min") || row.Has("max") {
		if v.unit != nil && !row.Has("unit") {
			return rowError("unit", "missing, want the one that min and max are in")
		}
		v.limit(low, high)
	}
	reference := row.Text("reference")
	if reference == "" {
		return nil
	}
	if v.measure.Unit != sensors.Pascal {
		return rowError("reference", "only a pressure is absolute or gauge; %s is in %q", v.measure.Quantity, v.from)
	}
	least := 0.0
	if v.measure.Gauge = reference == "gauge"; v.measure.Gauge {
		least = lowestGauge
	}
	if v.measure.Min == 0 && v.measure.Max == 0 {
		v.measure.Min, v.measure.Max = math.Inf(-1), math.Inf(1)
	}
	v.measure.Min = max(v.measure.Min, least)
	if v.measure.Min >= v.measure.Max {
		return rowError("max", "got %v, want more than a vacuum", high)
	}
	return nil
}

// read takes the value out of the answers.
func (v *modbusValue) read(s *sensors.Sample, data [][]byte) {
	number, word := v.words.decode(v.in(data), v.order)
	number, word = v.bits.of(number, word)
	if slices.Contains(v.invalid, int64(word)) || !v.words.float && slices.Contains(v.invalid, int64(number)) {
		s.AddBad(v.measure, sensors.FaultValue, int64(word))
		return
	}
	from, digits, ok := v.described(data)
	switch {
	case !ok:
		s.AddBad(v.measure, sensors.BadDescription, int64(word))
	case math.IsNaN(number) || math.IsInf(number, 0):
		s.AddBad(v.measure, sensors.NotANumber, int64(word))
	case v.words.float:
		resolution := 0.0
		if v.decimals != nil {
			resolution = math.Abs(v.scale) * math.Pow10(-digits)
		}
		v.addIn(s, from, number*v.scale+v.offset, resolution, int64(word))
	default:
		step := math.Pow10(-digits)
		v.addIn(s, from, number*step*v.scale+v.offset, step*math.Abs(v.scale), int64(word))
	}
}

// described returns the unit and the decimals that the device itself says.
func (v *modbusValue) described(data [][]byte) (from sensors.Unit, digits int, ok bool) {
	from, ok = v.from, true
	if v.unit != nil {
		_, code := wordTypes["u16"].decode(v.unit.in(data), v.order)
		from, ok = v.units[int64(code)]
	}
	if v.decimals != nil {
		_, n := wordTypes["u16"].decode(v.decimals.in(data), v.order)
		digits, ok = int(n), ok && n <= mostDecimals
	}
	return from, digits, ok
}

// disproof returns what was found instead of what is expected, "" if that was.
func (v *modbusValue) disproof(data []byte) string {
	fits := func(order string) bool {
		number, word := v.words.decode(data, order)
		number, _ = v.bits.of(number, word)
		got := number*v.scale + v.offset
		return math.Abs(got-v.expect) <= 1e-6*max(1, math.Abs(v.expect))
	}
	if fits(v.order) {
		return ""
	}
	number, word := v.words.decode(data, v.order)
	number, _ = v.bits.of(number, word)
	for _, order := range []string{"ABCD", "CDAB", "BADC", "DCBA"} {
		if fits(order) {
			return fmt.Sprintf("%v; it would be right with order = %q", number*v.scale+v.offset, order)
		}
	}
	return fmt.Sprintf("%v (% x)", number*v.scale+v.offset, data)
}

// wordsOf are all places values are made of.
func wordsOf(values []modbusValue) []*modbusWord {
	var words []*modbusWord
	for i := range values {
		v := &values[i]
		words = append(words, &v.modbusWord)
		for _, w := range []*modbusWord{v.unit, v.decimals} {
			if w != nil {
				words = append(words, w)
			}
		}
	}
	return words
}

package chip

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"weir/sensors"
)

// wordType is the type of a value in registers.
type wordType struct {
	registers int
	signed    bool
	float     bool
}

// wordTypes by the names the settings take.
var wordTypes = map[string]wordType{
	"int16": {1, true, false}, "uint16": {1, false, false}, "int32": {2, true, false}, "uint32": {2, false, false}, "float32": {2, true, true},
	"int64": {4, true, false}, "uint64": {4, false, false}, "float64": {4, true, true},
	"s16": {1, true, false}, "u16": {1, false, false}, "s32": {2, true, false}, "u32": {2, false, false}, "f32": {2, true, true},
	"s64": {4, true, false}, "u64": {4, false, false}, "f64": {4, true, true},
}

// decode puts the bytes of a value into order and returns it as a number and as
// the unsigned word it is. The order says on the example of two registers where
// the bytes are, A being the highest: whether the lowest register comes first, and
// whether the bytes of each register are swapped.
func (w wordType) decode(wire []byte, order string) (value float64, word uint64) {
	lowFirst, swapped := order == "CDAB" || order == "DCBA", order == "BADC" || order == "DCBA"
	for i := range w.registers {
		if lowFirst {
			i = w.registers - 1 - i
		}
		register := binary.BigEndian.Uint16(wire[2*i:])
		if swapped {
			register = binary.LittleEndian.Uint16(wire[2*i:])
		}
		word = word<<16 | uint64(register)
	}
	return w.number(word, 16*w.registers), word
}

// number is the value of a word of so many bits.
func (w wordType) number(word uint64, bits int) float64 {
	switch {
	case w.float && bits == 32:
		return float64(math.Float32frombits(uint32(word)))
	case w.float:
		return math.Float64frombits(word)
	case w.signed:
		shift := 64 - bits
		return float64(int64(word<<shift) >> shift)
	}
	return float64(word)
}

// bitField is a part of a whole number. The zero value is all of it.
type bitField struct {
	lowest, width int
	words         wordType
}

// newBitField reads "3" or "8-15".
func newBitField(text string, words wordType) (bitField, *sensors.KeyError) {
	if text == "" {
		return bitField{}, nil
	}
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	low, err1 := strconv.Atoi(strings.TrimSpace(from))
	high, err2 := strconv.Atoi(strings.TrimSpace(to))
	if last := 16*words.registers - 1; err1 != nil || err2 != nil || low < 0 || high < low || high > last {
		return bitField{}, rowError("bits", `got %q, want a bit from 0 to %d, or two such as "0-%d"`, text, last, last/2)
	}
	if words.float {
		return bitField{}, rowError("bits", "a float has none, want a type such as uint16")
	}
	return bitField{low, high - low + 1, words}, nil
}

// of takes the field out of a word; of a signed type its highest bit is the sign.
func (f bitField) of(number float64, word uint64) (float64, uint64) {
	if f.width == 0 {
		return number, word
	}
	word = word >> f.lowest & (1<<f.width - 1)
	return f.words.number(word, f.width), word
}

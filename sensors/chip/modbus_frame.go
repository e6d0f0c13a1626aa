package chip

import (
	"encoding/binary"
	"math"

	"weir/sensors"
)

// Modbus RTU: MODBUS over Serial Line V1.02, 2.5.1 (frame) and 6.2.2 (CRC);
// MODBUS Application Protocol V1.1b3, 6.3, 6.4 (functions) and 7 (exceptions).
//
//	request:   slave | function | first hi lo | count hi lo | crc lo hi
//	answer:    slave | function | bytes | data ... | crc lo hi
//	exception: slave | function+80 | code | crc lo hi
const (
	readHolding  = 3
	readInput    = 4
	maxRegisters = 125 // in one request
	longestReply = 3 + 2*maxRegisters + 2
)

// modbusRequest appends the frame that asks for registers.
func modbusRequest(dst []byte, slave, function byte, first, count uint16) []byte {
	start := len(dst)
	dst = append(dst, slave, function)
	dst = binary.BigEndian.AppendUint16(dst, first)
	dst = binary.BigEndian.AppendUint16(dst, count)
	return binary.LittleEndian.AppendUint16(dst, crc16(dst[start:]))
}

// modbusReply looks for the answer to a request anywhere in what was received:
// noise, an echo or a late answer of another slave may stand before it. Either
// data or a non-zero exception is returned with ok.
func modbusReply(received []byte, slave, function byte, count uint16) (data []byte, exception byte, ok bool) {
	for ; len(received) >= 5; received = received[1:] {
		if received[0] != slave {
			continue
		}
		whole := 5 + 2*int(count)
		switch {
		case received[1] == function && int(received[2]) == 2*int(count) && len(received) >= whole && crc16(received[:whole]) == 0:
			return received[3 : whole-2], 0, true
		case received[1] == function|0x80 && received[2] != 0 && crc16(received[:5]) == 0:
			return nil, received[2], true
		}
	}
	return nil, 0, false
}

// crc16 is the checksum of Modbus; 0 over a whole frame with its checksum.
func crc16(data []byte) uint16 {
	crc := uint16(0xffff)
	for _, b := range data {
		crc ^= uint16(b)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xa001
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

// exceptionNames are those of the application protocol, section 7.
var exceptionNames = map[byte]string{
	1: "it does not know this function; is table right?", 2: "it has no such register", 3: "it refuses so many registers",
	4: "it failed", 5: "it needs more time", 6: "it is busy", 8: "its memory is damaged",
	10: "the gateway has no path", 11: "the device behind the gateway does not answer",
}

// exceptionFault sorts exceptions by whether asking again helps.
func exceptionFault(code byte) sensors.Fault {
	switch code {
	case 4, 5, 6:
		return sensors.Timeout
	case 10, 11:
		return sensors.NotAnswering
	}
	return sensors.Refused
}

// wordType is the type of a value in registers.
type wordType struct {
	registers int
	signed    bool
	float     bool
}

// wordTypes by the names the settings take.
var wordTypes = map[string]wordType{
	"int16": {1, true, false}, "uint16": {1, false, false}, "int32": {2, true, false}, "uint32": {2, false, false}, "float32": {2, true, true},
	"s16": {1, true, false}, "u16": {1, false, false}, "s32": {2, true, false}, "u32": {2, false, false}, "f32": {2, true, true},
}

// decode puts the bytes of a value into order and returns it as a number and as
// the unsigned word it is. The order names the bytes on the wire, A being the
// highest; a value of one register uses only whether they are swapped in pairs.
func (w wordType) decode(wire []byte, order string) (value float64, word uint32) {
	if w.registers == 1 {
		word = uint32(binary.BigEndian.Uint16(wire))
		if order == "BADC" || order == "DCBA" {
			word = uint32(binary.LittleEndian.Uint16(wire))
		}
		if w.signed {
			return float64(signed(word, 16)), word
		}
		return float64(word), word
	}
	for i, letter := range []byte(order) {
		word |= uint32(wire[i]) << (24 - 8*(letter-'A'))
	}
	switch {
	case w.float:
		return float64(math.Float32frombits(word)), word
	case w.signed:
		return float64(signed(word, 32)), word
	}
	return float64(word), word
}

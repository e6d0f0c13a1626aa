package chip

import (
	"encoding/binary"

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

const noSuchRegister = 2

// exceptionNames are those of the application protocol, section 7.
var exceptionNames = map[byte]string{
	1: "it does not know this function; is table right?", noSuchRegister: "it has no such register", 3: "it refuses so many registers",
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

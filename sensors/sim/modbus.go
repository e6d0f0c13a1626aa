package sim

// Sources: MODBUS Application Protocol Specification V1.1b3, sections 6.3 and 6.4
// (functions 03 and 04, at most 125 registers) and 7 (exceptions); MODBUS over
// Serial Line V1.02, sections 2.5.1 (RTU frame, silence between frames) and 6.2.2
// (CRC, low byte first).

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"
)

// ModbusTable is one of the two tables of registers a ModbusSlave has.
type ModbusTable byte

// The number of a table is the function that reads it.
const (
	Holding ModbusTable = 3
	Input   ModbusTable = 4
)

// Modbus exception codes (section 7).
const (
	IllegalFunction = 1
	IllegalAddress  = 2
	IllegalValue    = 3
	DeviceFailure   = 4
	Acknowledge     = 5
	DeviceBusy      = 6
)

const mostRegisters = 125 // in one request

// ModbusSlave answers for one slave number on a ModbusLine. Safe for concurrent use.
type ModbusSlave struct {
	id      byte
	distort distortions

	mu       sync.Mutex // guards the fields below
	tables   map[ModbusTable]map[uint16]register
	requests int
}

// register is one word of a value.
type register struct {
	value func(time.Time) []uint16
	word  int
}

// NewModbusSlave returns a slave, number 1 to 247, without registers.
func NewModbusSlave(id byte) *ModbusSlave {
	return &ModbusSlave{id: id, tables: map[ModbusTable]map[uint16]register{Holding: {}, Input: {}}}
}

// Set puts fixed words into registers from first on, numbered as on the wire.
func (s *ModbusSlave) Set(table ModbusTable, first uint16, words ...uint16) {
	s.Follow(table, first, func(time.Time) []uint16 { return words })
}

// Follow lets registers from first on show what a function returns at the moment
// of reading; it always returns as many words as the first time.
func (s *ModbusSlave) Follow(table ModbusTable, first uint16, value func(time.Time) []uint16) {
	n := len(value(time.Now()))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		s.tables[table][first+uint16(i)] = register{value, i}
	}
}

// Distort lets the next answers, 0 for all until clear is called, go out distorted.
// Distortions added later wait until the earlier ones are over.
func (s *ModbusSlave) Distort(d Distortion, answers int) (clear func()) {
	return s.distort.add(d, answers)
}

// Requests returns how many requests to this slave were heard.
func (s *ModbusSlave) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Answer returns the frame that answers a frame, nil if it is damaged or not for
// this slave.
func (s *ModbusSlave) Answer(now time.Time, frame []byte) []byte {
	if len(frame) < 4 || frame[0] != s.id || crc16(frame) != 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	function := frame[1]
	registers, ok := s.tables[ModbusTable(function)]
	switch {
	case !ok:
		return exception(s.id, function, IllegalFunction)
	case len(frame) != 8:
		return exception(s.id, function, IllegalValue)
	}
	first, count := int(binary.BigEndian.Uint16(frame[2:])), int(binary.BigEndian.Uint16(frame[4:]))
	switch {
	case count == 0 || count > mostRegisters:
		return exception(s.id, function, IllegalValue)
	case first+count > 1<<16:
		return exception(s.id, function, IllegalAddress)
	}
	answer := []byte{s.id, function, byte(2 * count)}
	for i := first; i < first+count; i++ {
		r, ok := registers[uint16(i)]
		if !ok {
			return exception(s.id, function, IllegalAddress)
		}
		answer = binary.BigEndian.AppendUint16(answer, r.value(now)[r.word])
	}
	return sealed(answer)
}

func exception(id, function, code byte) []byte { return sealed([]byte{id, function | 0x80, code}) }

// sealed appends the CRC.
func sealed(frame []byte) []byte { return binary.LittleEndian.AppendUint16(frame, crc16(frame)) }

// crc16 is 0 over a frame with its right CRC at the end.
func crc16(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, x := range b {
		crc ^= uint16(x)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low != 0 {
				crc ^= 0xA001
			}
		}
	}
	return crc
}

// Exception answers with an exception instead.
func Exception(code byte) Distortion {
	return func(b []byte) []Piece { return []Piece{{0, exception(b[0], b[1]&0x7F, code)}} }
}

// WrongSlave answers in the name of another slave, with a right CRC.
func WrongSlave(id byte) Distortion {
	return func(b []byte) []Piece {
		b[0] = id
		return []Piece{{0, sealed(b[:len(b)-2])}}
	}
}

// WrongFunction answers as if another function had been asked for.
func WrongFunction(function byte) Distortion {
	return func(b []byte) []Piece {
		b[1] = function
		return []Piece{{0, sealed(b[:len(b)-2])}}
	}
}

// BadCRC answers with a CRC that does not fit.
func BadCRC() Distortion { return Invert(-1) }

// Words32 splits a 32-bit value into two registers. The order names where its
// bytes go, A being the highest: "ABCD", "CDAB", "BADC" or "DCBA". It panics for
// what is no order.
func Words32(value uint32, order string) []uint16 {
	if len(order) != 4 || strings.Trim(order, "ABCD") != "" {
		panic(fmt.Sprintf("sim: word order %q, want four of A to D", order))
	}
	var b [4]byte
	for i, c := range []byte(order) {
		b[i] = byte(value >> (24 - 8*(c-'A')))
	}
	return []uint16{binary.BigEndian.Uint16(b[:]), binary.BigEndian.Uint16(b[2:])}
}

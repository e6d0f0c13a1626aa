package sim

// Sources: XY-MD02 manual (registers of SENSORS 2.25); the register tables of two
// families of Chinese pressure transmitters as lobaro prints them for its Modbus
// gateway (unit 0002, decimals 0003, value 0004, zero 0005, span 0006; parity 0002,
// unit 0003, decimals 0004, float 0016, temperature 0026); Vaisala HMD65 User Guide
// M212243EN, A.1 (0000 humidity, 0002 temperature, 0004 dew point) and A.4 (1F00 to
// 1F06 test registers); HMDW110 User Guide M211726EN, A.3: floats have the least
// significant word first.
//
// Assumed: the look-alike of the XY-MD02 has the same registers; a float
// transmitter gives its value in the unit it names.

import (
	"math"
	"strings"
	"time"
)

// NewXYMD02 returns a slave with the register map of the XY-MD02: input registers 1
// (temperature, signed, 0.1 °C) and 2 (relative humidity, 0.1 %).
func NewXYMD02(id byte, w World) *ModbusSlave {
	s := NewModbusSlave(id)
	s.Follow(Input, 1, func(t time.Time) []uint16 {
		c := w.At(t)
		return []uint16{tenths(c.Temperature), tenths(c.Humidity)}
	})
	return s
}

func tenths(v float64) uint16 { return uint16(int16(math.Round(v * 10))) }

// NewPressureTransmitter returns a slave with the register map that many Chinese
// pressure transmitters share: holding registers 2 (unit, here 1 for kPa), 3
// (decimals, here 1), 4 (pressure, signed), 5 and 6 (zero and span of the range,
// here 0 and 2000 for 200 kPa), and the pressure in kPa as float32 at 22 in the
// given word order.
func NewPressureTransmitter(id byte, w World, order string) *ModbusSlave {
	s := NewModbusSlave(id)
	s.Set(Holding, 2, 1, 1)
	s.Follow(Holding, 4, func(t time.Time) []uint16 { return []uint16{tenths(w.At(t).Pressure / 1000)} })
	s.Set(Holding, 5, 0, 2000)
	s.Follow(Holding, 22, func(t time.Time) []uint16 {
		return Words32(math.Float32bits(float32(w.At(t).Pressure/1000)), order)
	})
	return s
}

// NewMD02 returns a slave that looks like an XY-MD02 and counts in steps of 0.01.
func NewMD02(id byte, w World) *ModbusSlave {
	s := NewModbusSlave(id)
	s.Follow(Input, 1, func(t time.Time) []uint16 {
		c := w.At(t)
		return []uint16{hundredths(c.Temperature), hundredths(c.Humidity)}
	})
	return s
}

func hundredths(v float64) uint16 { return uint16(int16(math.Round(v * 100))) }

// NewFloatPressureTransmitter returns a slave of the family of Chinese pressure
// transmitters that have a float: holding registers 2 (parity, 0), 3 (unit, here 10
// for mbar), 4 (decimals, here 2), 22 (pressure in mbar) and 38 (temperature).
func NewFloatPressureTransmitter(id byte, w World, order string) *ModbusSlave {
	s := NewModbusSlave(id)
	s.Set(Holding, 2, 0, 10, 2)
	float := func(register uint16, value func(Climate) float64) {
		s.Follow(Holding, register, func(t time.Time) []uint16 {
			return Words32(math.Float32bits(float32(value(w.At(t)))), order)
		})
	}
	float(22, func(c Climate) float64 { return c.Pressure / 100 })
	float(38, func(c Climate) float64 { return c.Temperature })
	return s
}

// NewHMD60 returns a slave with the register map of Vaisala's HMD60 series, and its
// test registers: -12345 as a whole number and -123.45 as a float and as a text.
func NewHMD60(id byte, w World) *ModbusSlave {
	const order = "CDAB"
	s := NewModbusSlave(id)
	s.Follow(Holding, 0, func(t time.Time) []uint16 {
		c := w.At(t)
		var words []uint16
		for _, v := range []float64{c.Humidity, c.Temperature, dewPoint(c)} {
			words = append(words, Words32(math.Float32bits(float32(v)), order)...)
		}
		return words
	})
	s.Set(Holding, 0x1F00, 0xCFC7)
	s.Set(Holding, 0x1F01, Words32(0xC2F6E666, order)...)
	s.Set(Holding, 0x1F03, 0x2D31, 0x3233, 0x2E34, 0x3500)
	return s
}

// Words64 splits a 64-bit value into four registers: "ABCD" the highest first,
// "CDAB" the lowest first, "BADC" and "DCBA" the same with the bytes of each
// register swapped.
func Words64(value uint64, order string) []uint16 {
	var words []uint16
	for _, half := range []uint32{uint32(value >> 32), uint32(value)} {
		words = append(words, Words32(half, order)...)
	}
	if strings.HasPrefix(order, "C") || strings.HasPrefix(order, "D") { // the low half comes first
		words = append(words[2:], words[:2]...)
	}
	return words
}

package chip

import (
	"strconv"
	"strings"

	"weir/sensors"
)

// scratchpad is the memory of a thermometer: temperature (2 bytes, low first),
// alarms (2), configuration, reserved (FF), reserved or count remain, count per
// degree, CRC. DS18B20 figure 9, DS18S20 page 7.
type scratchpad [9]byte

// bits returns the resolution the configuration byte says, 0 for chips that have
// another byte there.
func (p *scratchpad) bits(id string) int {
	if strings.HasPrefix(id, "10") || strings.HasPrefix(id, "3b") || p[4]&0x9f != 0x1f {
		return 0
	}
	return 9 + int(p[4]>>5&3)
}

// w1Value is what a file w1_slave says.
type w1Value struct {
	celsius, step float64
	raw           int64
	pad           scratchpad
}

// w1Empty is 127.937 °C: the register at its highest, as chips without a conversion
// and counterfeits show it.
const w1Empty = 127937

func emptyW1(id string) error {
	return sensors.Errorf(sensors.Garbage, id, "its register is at the highest value (127.937 °C): it has not converted, or is broken")
}

// parseW1Slave reads the two lines of the kernel's file
//
//	72 01 4b 46 7f ff 0e 10 57 : crc=57 YES
//	72 01 4b 46 7f ff 0e 10 57 t=23125
//
// What a chip says before it has converted, and what a shorted bus says, is an error.
func parseW1Slave(id, text string) (w1Value, error) {
	var v w1Value
	first, second, _ := strings.Cut(text, "\n")
	pad, ok := parseScratchpad(first)
	if !ok {
		return v, sensors.Errorf(sensors.Garbage, id, "got %.60q, want nine bytes and their checksum", first)
	}
	if !strings.HasSuffix(strings.TrimSpace(first), "YES") || crc8(pad[:8], 0x8c, 0) != pad[8] {
		return v, sensors.Errorf(sensors.Garbage, id, "checksum of % x is wrong", pad)
	}
	if allSame(pad[:], 0) { // eight zeros have the checksum zero
		return v, sensors.Errorf(sensors.Garbage, id, "all bytes are zero: the data line is shorted")
	}
	v.pad, v.raw = pad, int64(signed(uint32(pad[0])|uint32(pad[1])<<8, 16))
	if pad.afterPowerUp(id) {
		return v, sensors.Errorf(sensors.Garbage, id, "it has not converted (85 °C, the value after power-up): its supply is too weak")
	}
	n, kernelSays := kernelValue(second)
	if v.raw == 0x07ff && !strings.HasPrefix(id, "10") {
		return v, emptyW1(id)
	}
	if kernelSays && (strings.HasPrefix(id, "3b") || pad[4]&0x80 != 0 && !strings.HasPrefix(id, "10")) {
		v.celsius, v.step = float64(n)/1000, 0.0625 // formats of clones and thermocouples that the kernel knows
		return v, nil
	}
	v.celsius, v.step = pad.temperature(id)
	return v, nil
}

// kernelValue reads the number behind "t=", in thousandths of a degree.
func kernelValue(line string) (int64, bool) {
	_, text, ok := strings.Cut(line, "t=")
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	return n, ok && err == nil
}

func parseScratchpad(line string) (pad scratchpad, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < len(pad) {
		return pad, false
	}
	for i := range pad {
		v, err := strconv.ParseUint(fields[i], 16, 8)
		if err != nil {
			return pad, false
		}
		pad[i] = byte(v)
	}
	return pad, true
}

// afterPowerUp reports whether the temperature is the one of a chip that has not
// converted since it got power. A measured 85.0 °C differs in byte 6.
func (p *scratchpad) afterPowerUp(id string) bool {
	low := byte(0x50)
	high := byte(0x05)
	if strings.HasPrefix(id, "10") {
		low, high = 0xaa, 0x00
	}
	return p[0] == low && p[1] == high && p[6] == 0x0c
}

// temperature returns °C and the resolution.
func (p *scratchpad) temperature(id string) (celsius, step float64) {
	word := signed(uint32(p[0])|uint32(p[1])<<8, 16)
	if strings.HasPrefix(id, "10") {
		half := float64(word >> 1) // whole degrees, cut
		if p[7] == 0 {
			return float64(word) / 2, 0.5
		}
		return half - 0.25 + float64(int(p[7])-int(p[6]))/float64(p[7]), 0.0625 // DS18S20 page 6
	}
	unused := 3 - p[4]>>5&3       // bits that mean nothing at lower resolutions: table 2
	word &^= int32(1)<<unused - 1 // they are not always zero
	return float64(word) / 16, float64(int(1)<<unused) / 16
}

// crc8 is the checksum with the given reflected polynomial, low bit first.
func crc8(data []byte, polynomial, crc byte) byte {
	for _, b := range data {
		crc ^= b
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ polynomial
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

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

// parseW1Slave reads the two lines of the kernel's file
//
//	72 01 4b 46 7f ff 0e 10 57 : crc=57 YES
//	72 01 4b 46 7f ff 0e 10 57 t=23125
//
// and returns °C, its resolution and the raw word. What a chip says before it
// has converted, and what a shorted bus says, is an error.
func parseW1Slave(id, text string) (celsius, step float64, raw int64, err error) {
	first, second, _ := strings.Cut(text, "\n")
	pad, ok := parseScratchpad(first)
	if !ok {
		return 0, 0, 0, sensors.Errorf(sensors.Garbage, id, "got %.60q, want nine bytes and their checksum", first)
	}
	if !strings.HasSuffix(strings.TrimSpace(first), "YES") || crc8(pad[:8], 0x8c, 0) != pad[8] {
		return 0, 0, 0, sensors.Errorf(sensors.Garbage, id, "checksum of % x is wrong", pad)
	}
	if allSame(pad[:], 0) { // eight zeros have the checksum zero
		return 0, 0, 0, sensors.Errorf(sensors.Garbage, id, "all bytes are zero: the data line is shorted")
	}
	if pad.afterPowerUp(id) {
		return 0, 0, 0, sensors.Errorf(sensors.Garbage, id, "it has not converted (85 °C, the value after power-up): its supply is too weak")
	}
	raw = int64(signed(uint32(pad[0])|uint32(pad[1])<<8, 16))
	if n, ok := kernelValue(second); ok && (strings.HasPrefix(id, "3b") || pad[4]&0x80 != 0) {
		return float64(n) / 1000, 0.0625, raw, nil // formats of clones and thermocouples that the kernel knows
	}
	celsius, step = pad.temperature(id)
	return celsius, step, raw, nil
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

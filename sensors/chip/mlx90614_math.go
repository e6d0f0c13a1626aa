package chip

import "math"

// mlxCelsius turns a word of the RAM into °C; false when its error bit is set. 1/50 K:
// data sheet 3901090614, section 8.7.
func mlxCelsius(word uint16) (float64, bool) {
	return float64(word)/50 - 273.15, word&0x8000 == 0
}

// mlxSound checks the packet error code of an answer of two bytes: over both address
// bytes and the command too (SMBus 2.0, section 5.4; the sheet's 8.4.3).
func mlxSound(address, command byte, answer []byte) bool {
	crc := crc8High(0, address<<1, command, address<<1|1, answer[0], answer[1])
	return crc == answer[2]
}

// crc8High is the CRC-8 with polynomial 07, high bit first.
func crc8High(crc byte, data ...byte) byte {
	for _, b := range data {
		crc ^= b
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ 0x07
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// mlxCorrected is the temperature in °C of a surface with another emissivity than the
// one the chip computed with. NaN where there is none: the surface would send less than
// nothing.
func mlxCorrected(object, ambient, inside, emissivity float64) float64 {
	fourth := func(celsius float64) float64 { return math.Pow(celsius+273.15, 4) }
	from := fourth(ambient)
	return math.Pow((fourth(object)-from)*inside/emissivity+from, 0.25) - 273.15
}

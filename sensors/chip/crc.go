package chip

// crcHighFirst is an 8-bit polynomial checksum of data, highest bit first and without
// a final inversion.
//
// With 0x31 and 0xff it is Sensirion's (SHT3x data sheet, table 20: BE EF gives 92),
// used by the SHT3x, SHT4x, SHTC3, HDC302x and AHT20 as well; with 0x31 and 0 that of
// the SHT2x family (application note "CRC checksum calculation for SHT2x": 68 3A
// gives 7C); with 0x07 and 0 that of SMBus (specification 3.1, section 5.4.1).
func crcHighFirst(polynomial, initial byte, data []byte) byte {
	sum := initial
	for _, b := range data {
		sum ^= b
		for range 8 {
			carry := sum & 0x80
			sum <<= 1
			if carry != 0 {
				sum ^= polynomial
			}
		}
	}
	return sum
}

// The polynomial of Sensirion and its two starting values.
const (
	crcSensirion = 0x31
	crcFromFF    = 0xff
	crcFrom0     = 0
)

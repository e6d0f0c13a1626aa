package chip

// Words of several bytes, as the answers of chips hold them, and the signs of broken ones.

// word16 reads 16 bits, high byte first.
func word16(b []byte) uint32 { return uint32(b[0])<<8 | uint32(b[1]) }

// word20 reads the upper 20 bits of three bytes, high byte first.
func word20(b []byte) uint32 { return word24(b) >> 4 }

// word24 reads 24 bits, high byte first.
func word24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

// little16 reads 16 bits, low byte first.
func little16(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 }

// little24 reads 24 bits, low byte first.
func little24(b []byte) uint32 { return little16(b) | uint32(b[2])<<16 }

// signed extends the low bits of a raw word by its sign bit, the highest of
// them.
func signed(raw uint32, bits uint) int32 {
	shift := 32 - bits
	return int32(raw<<shift) >> shift
}

// coefficients are calibration words of chips that send the low byte first.
type coefficients []byte

func (b coefficients) unsigned(i int) float64 { return float64(little16(b[i:])) }
func (b coefficients) word(i int) float64     { return float64(signed(little16(b[i:]), 16)) }
func (b coefficients) small(i int) float64    { return float64(int8(b[i])) }

// allSame reports whether every byte of b is v, the signature of a bus fault
// when v is 00 or FF.
func allSame(b []byte, v byte) bool {
	for _, x := range b {
		if x != v {
			return false
		}
	}
	return true
}

// busFault reports whether b is what a broken bus reads: all 00 or all FF.
func busFault(b []byte) bool { return allSame(b, 0) || allSame(b, 0xff) }

package chip

// lm75Celsius turns the register into °C: the value stands in its upper bits with a
// sign, 1 °C is 256 of the whole word, and the bits below mean nothing. LM75: they are
// not always zero; FFFF is what a broken bus reads, and with a value in it is -0.5 °C
// on an LM75, so it is refused; TMP105 and TMP1075 have zeros there.
func lm75Celsius(word uint16, bits uint) (value, step float64, ok bool) {
	if word == 0xffff {
		return 0, 0, false
	}
	unused := 16 - bits
	raw := int16(word) >> unused
	step = float64(uint(1)<<unused) / 256
	return float64(raw) * step, step, true
}

// tmp102Celsius turns the register of a TMP102 or TMP112 into °C: 12 bits, or 13 when
// bit 0 says that extended mode is on (SBOS397 section 7.5.1). The bits between are
// zero.
func tmp102Celsius(word uint16, _ uint) (value, step float64, ok bool) {
	const step12 = 0.0625
	if word&1 != 0 {
		return float64(int16(word)>>3) * step12, step12, word&0x6 == 0
	}
	return float64(int16(word)>>4) * step12, step12, word&0xf == 0
}

// tmp117Celsius turns the register of a TMP117 into °C. 8000 is what it holds before
// its first conversion (SNOSD82 section 7.6.2).
func tmp117Celsius(word uint16, _ uint) (value, step float64, ok bool) {
	const step16 = 1.0 / 128
	return float64(int16(word)) * step16, step16, word != 0x8000
}

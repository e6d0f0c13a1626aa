package chip

// ST's barometers compensate themselves; what is left to do is the scale. LPS22HB
// data sheet (DocID027083) sections 4.4 and 4.5, the same in LPS22HH and LPS33HW:
// 4096 per hPa and 100 per °C. LPS25HB (DocID027112) and LPS331AP (DocID022112):
// 480 per °C around 42.5 °C.

// lpsPressure returns Pa of the three bytes from 0x28, low byte first.
func lpsPressure(b []byte) (pascal float64, raw int32) {
	raw = signed(little24(b), 24)
	return float64(raw) / 4096 * 100, raw
}

// lpsTemperature returns °C of the two bytes from 0x2b, low byte first.
func lpsTemperature(b []byte, old bool) (celsius float64, raw int32) {
	raw = signed(little16(b), 16)
	if old {
		return 42.5 + float64(raw)/480, raw
	}
	return float64(raw) / 100, raw
}

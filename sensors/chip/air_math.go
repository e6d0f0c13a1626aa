package chip

// The formulas of the chips that send temperature and humidity as two words. The
// words that were asked for come first, the sheets behind them.

// SHT3x data sheet (December 2022), section 4.13; HDC302x data sheet SNAS778, section
// 8.3.3: T = -45 + 175*S/(2^16-1), H = 100*S/(2^16-1).
func sht3xCelsius(raw uint32) float64 { return -45 + 175*float64(raw)/65535 }
func sht3xPercent(raw uint32) float64 { return 100 * float64(raw) / 65535 }

// SHT4x data sheet (version 6.6), section 4.6: the temperature as of the SHT3x,
// H = -6 + 125*S/(2^16-1).
func sht4xPercent(raw uint32) float64 { return -6 + 125*float64(raw)/65535 }

// SHTC3 data sheet (version 3), section 5.11: T = -45 + 175*S/2^16, H = 100*S/2^16.
func shtc3Celsius(raw uint32) float64 { return -45 + 175*float64(raw)/65536 }
func shtc3Percent(raw uint32) float64 { return 100 * float64(raw) / 65536 }

// HTU21D data sheet HPC199 (page 15), SHT21 data sheet (version 4) section 6, Si7021
// data sheet (revision 1.2) sections 5.1.1 and 5.1.2: T = -46.85 + 175.72*S/2^16,
// H = -6 + 125*S/2^16, with the two status bits of the word set to 0.
func sht2xCelsius(raw uint32) float64 { return -46.85 + 175.72*float64(raw)/65536 }
func sht2xPercent(raw uint32) float64 { return -6 + 125*float64(raw)/65536 }

// AHT20 data sheet (version 1.1), section 6; AHT10 data sheet, section 6: 20-bit
// words, T = 200*S/2^20 - 50, H = 100*S/2^20.
func ahtCelsius(raw uint32) float64 { return 200*float64(raw)/(1<<20) - 50 }
func ahtPercent(raw uint32) float64 { return 100 * float64(raw) / (1 << 20) }

// HDC1080 data sheet SNAS672, sections 8.6.1 and 8.6.2: T = 165*S/2^16 - 40,
// H = 100*S/2^16.
func hdc1080Celsius(raw uint32) float64 { return 165*float64(raw)/65536 - 40 }
func hdc1080Percent(raw uint32) float64 { return 100 * float64(raw) / 65536 }

// parseAHT takes the two 20-bit words out of the bytes behind the status.
func parseAHT(b []byte) (t, h uint32) {
	return word24(b[3:]) & 0xfffff, word20(b[1:])
}

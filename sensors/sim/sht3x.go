package sim

// Sheet: Sensirion SHT3x-DIS, version 5 to 7: timing table 4 (power-up and reset
// 1 and 1.5 ms, measurements of low, medium and high repeatability), section 4.1
// (1 ms between two commands), 4.3 to 4.7 (measurements), noise as the
// repeatability of tables 1 and 2. The commands stand in statuscommand.go.
//
// Assumed: the serial number is read at once; low bytes of an alert limit are not
// simulated.

import "time"

// shtSpans are the measurement times of table 4: low, medium, high repeatability.
var shtSpans = [3]span{
	{4500 * time.Microsecond, 2500 * time.Microsecond},
	{6500 * time.Microsecond, 4500 * time.Microsecond},
	{15500 * time.Microsecond, 12500 * time.Microsecond},
}

var shtSpeech = &dialect{
	startup: 1500 * time.Microsecond, reset: 1500 * time.Microsecond,
	gap: time.Millisecond, breaks: time.Millisecond, deafToReset: true,
	single: map[uint16]span{
		0x2400: shtSpans[2], 0x240B: shtSpans[1], 0x2416: shtSpans[0],
		0x2C06: shtSpans[2], 0x2C0D: shtSpans[1], 0x2C10: shtSpans[0],
	},
	periodic: map[uint16]rhythm{
		0x2032: {2 * time.Second, shtSpans[2]}, 0x2024: {2 * time.Second, shtSpans[1]}, 0x202F: {2 * time.Second, shtSpans[0]},
		0x2130: {time.Second, shtSpans[2]}, 0x2126: {time.Second, shtSpans[1]}, 0x212D: {time.Second, shtSpans[0]},
		0x2236: {500 * time.Millisecond, shtSpans[2]}, 0x2220: {500 * time.Millisecond, shtSpans[1]}, 0x222B: {500 * time.Millisecond, shtSpans[0]},
		0x2334: {250 * time.Millisecond, shtSpans[2]}, 0x2322: {250 * time.Millisecond, shtSpans[1]}, 0x2329: {250 * time.Millisecond, shtSpans[0]},
		0x2737: {100 * time.Millisecond, shtSpans[2]}, 0x2721: {100 * time.Millisecond, shtSpans[1]}, 0x272A: {100 * time.Millisecond, shtSpans[0]},
	},
	noise: Climate{Temperature: 0.02, Humidity: 0.03},
}

// SHT3x is a simulated SHT30, SHT31 or SHT35. Safe for concurrent use.
type SHT3x struct{ wordChip }

// NewSHT3x returns an SHT3x (temperature, humidity) in this world. It has no
// identity for ChipID to change.
func NewSHT3x(w World, options ...ChipOption) *SHT3x {
	c := &SHT3x{wordChip{
		speech: shtSpeech,
		words:  map[uint16][]uint16{0x3780: {0x0F41, 0x5C2B}, 0x3682: {0x0F41, 0x5C2B}}, // serial number, tables of a later note
	}}
	c.tuning = tune(w, 0, options)
	c.PowerUp(time.Time{})
	return c
}

package sim

// Sheet: TI HDC3020, HDC3021, HDC3022, SNAS778: electrical characteristics 6.5
// (measurement time by low-power mode, reset 3 ms, power-up 5 ms), commands table
// 7-5 and 7.5.7, heater 7.5.7.6, identities 7.5.7.9 and 7.5.7.10, status 7.5.7.8.
// The commands it shares with the SHT3x stand in statuscommand.go.
//
// Assumed: typical measurement times are four fifths of the longest; the offset
// word (A004) is kept but not applied; a word is written by the command that reads
// it, except the alert limits, which are not simulated.

import "time"

// hdcSpans are the measurement times of low-power modes 0 to 3.
var hdcSpans = [4]span{
	{12500 * time.Microsecond, 10 * time.Millisecond},
	{7500 * time.Microsecond, 6 * time.Millisecond},
	{5 * time.Millisecond, 4 * time.Millisecond},
	{3700 * time.Microsecond, 3 * time.Millisecond},
}

var hdcSpeech = &dialect{
	startup: 5 * time.Millisecond, reset: 3 * time.Millisecond, identity: 0x3781,
	single: map[uint16]span{0x2400: hdcSpans[0], 0x240B: hdcSpans[1], 0x2416: hdcSpans[2], 0x24FF: hdcSpans[3]},
	periodic: map[uint16]rhythm{
		0x2032: {2 * time.Second, hdcSpans[0]}, 0x2130: {time.Second, hdcSpans[0]}, 0x2236: {500 * time.Millisecond, hdcSpans[0]},
		0x2334: {250 * time.Millisecond, hdcSpans[0]}, 0x2737: {100 * time.Millisecond, hdcSpans[0]},
	},
	noise: Climate{Temperature: 0.02, Humidity: 0.02},
}

// HDC302x is a simulated HDC3020, HDC3021 or HDC3022. Safe for concurrent use.
type HDC302x struct{ wordChip }

// NewHDC302x returns an HDC302x (temperature, humidity) in this world. ChipID
// changes the high byte of its manufacturer's number, 30.
func NewHDC302x(w World, options ...ChipOption) *HDC302x {
	c := &HDC302x{wordChip{speech: hdcSpeech}}
	c.tuning = tune(w, 0x30, options)
	c.words = map[uint16][]uint16{
		0x3683: {0x1A2B}, 0x3684: {0x3C4D}, 0x3685: {0x5E6F}, // serial number
		0x306E: {0}, // heater current
		0xA004: {0}, // offsets
		0x61BB: {0}, // state after power-up
	}
	c.PowerUp(time.Time{})
	return c
}

package chip_test

import (
	"testing"

	"weir/sensors"
	"weir/sensors/sim"
)

// Each driver names what answers instead, and what to write.
func TestLPSOfAnotherKind(tt *testing.T) {
	for _, v := range []struct {
		driver, text string
		chip         sim.Device
	}{
		{"lps22hb", `chip id 0xb3 (LPS22HH) at 0x5c on bus 1, want 0xb1 (LPS22HB); write driver = "lps22hh"`, sim.NewLPS22HH(sim.Steady(indoors))},
		{"lps22hh", `write driver = "lps22hb"`, sim.NewLPS33HW(sim.Steady(indoors))},
		{"lps25hb", `write driver = "lps331"`, sim.NewLPS331(sim.Steady(indoors))},
		{"lps331", `chip id 0xbd (LPS25HB)`, sim.NewLPS25HB(sim.Steady(indoors))},
		{"lps33hw", `chip id 0x33 (unknown) at 0x5c on bus 1, want 0xb1 (LPS33HW)`, sim.NewLPS22HB(sim.Steady(indoors), sim.ChipID(0x33))},
	} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x5c, v.chip)
			b.wantFault(b.open(v.driver, map[string]any{"address": 0x5c}), sensors.WrongChip, v.text)
		})
	}
}

func TestLPSBadWords(tt *testing.T) {
	type reasons = map[sensors.Quantity]sensors.Reason
	for name, c := range map[string]struct {
		raw sim.RawWords
		why reasons
	}{
		"sound":               {sim.RawWords{Pressure: 4191629, Temperature: 2150}, nil},
		"too cold":            {sim.RawWords{Pressure: 4191629, Temperature: -4100}, reasons{t: sensors.OutsideChip, p: sensors.NoTemperature}},
		"too hot":             {sim.RawWords{Pressure: 4191629, Temperature: 8600}, reasons{t: sensors.OutsideChip, p: sensors.NoTemperature}},
		"temperature at end":  {sim.RawWords{Pressure: 4191629, Temperature: 32767}, reasons{t: sensors.Saturated, p: sensors.NoTemperature}},
		"temperature at end ": {sim.RawWords{Pressure: 4191629, Temperature: -32768}, reasons{t: sensors.Saturated, p: sensors.NoTemperature}},
		"pressure at end":     {sim.RawWords{Pressure: 1<<23 - 1, Temperature: 2150}, reasons{p: sensors.Saturated}},
		"pressure at end ":    {sim.RawWords{Pressure: -1 << 23, Temperature: 2150}, reasons{p: sensors.Saturated}},
		"no such pressure":    {sim.RawWords{Pressure: 200 * 4096, Temperature: 2150}, reasons{p: sensors.OutsideChip}},
	} {
		tt.Run(name, func(tt *testing.T) {
			onBench(tt, func(b *bench) {
				chip := sim.NewLPS22HB(sim.Steady(indoors))
				b.wire.Add(0x5d, chip)
				d := b.open("lps22hb", map[string]any{"address": 0x5d})
				b.want(d, indoors, t, p)
				chip.Hold(&c.raw)
				b.wantBad(d, c.why)
			})
		})
	}
}

package chip_test

import (
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

var dps310Chip = pressureChip{driver: "dps310", addr: 0x77, near: map[sensors.Quantity]float64{t: 0.01, p: 1}}

func TestDPS310OversamplesAsAsked(tt *testing.T) {
	for _, oversample := range []int{1, 2, 4, 8} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x77, sim.NewDPS310(sim.Steady(indoors)))
			d := b.open("dps310", map[string]any{"oversample": oversample, "address": 0x77})
			for range 3 {
				b.wantNear(d, &dps310Chip, indoors)
			}
			b.wire.BrownOut(0x77)
			time.Sleep(100 * time.Millisecond)
			b.wantNear(d, &dps310Chip, indoors)
		})
	}
}

// The source of the temperature is that of the coefficients, and chips that read far
// too hot are healed, after each reset.
func TestDPS310SourceAndHeat(tt *testing.T) {
	for _, element := range []bool{false, true} {
		onBench(tt, func(b *bench) {
			c := sim.NewDPS310(sim.Steady(indoors))
			c.SetSource(element)
			c.ReadHot(true)
			b.wire.Add(0x77, c)
			d := b.open("dps310", map[string]any{"address": 0x77})
			b.wantNear(d, &dps310Chip, indoors)
			b.wire.BrownOut(0x77)
			time.Sleep(100 * time.Millisecond)
			b.wantNear(d, &dps310Chip, indoors)
		})
	}
}

func TestDPS310AnotherChip(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBMP280(sim.Steady(indoors)))
		b.wantFault(b.open("dps310", map[string]any{"address": 0x76}), sensors.WrongChip, "chip id 0x58 (BMP280) at 0x76 on bus 1, want 0x10 (DPS310 or SPL06-001)")
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewSPL06(sim.Steady(indoors), sim.ChipID(0x11)))
		b.wantFault(b.open("spl06", map[string]any{"address": 0x76}), sensors.WrongChip, "chip id 0x11 (SPL07-003)")
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x77, sim.NewDPS310(sim.Steady(indoors)))
		b.wire.Inject(0x77, sim.Zeros().At(0x10))
		b.wantFault(b.open("dps310", map[string]any{"address": 0x77}), sensors.Garbage, "its calibration is all 0x00")
	})
}

func TestDPS310BadWords(tt *testing.T) {
	type reasons = map[sensors.Quantity]sensors.Reason
	for name, c := range map[string]struct {
		change func(raw *sim.RawWords)
		why    reasons
	}{
		"sound":              {func(*sim.RawWords) {}, nil},
		"temperature at end": {func(r *sim.RawWords) { r.Temperature = 1<<23 - 1 }, reasons{t: sensors.Saturated, p: sensors.NoTemperature}},
		"never measured":     {func(r *sim.RawWords) { r.Temperature = -1 << 23 }, reasons{t: sensors.Saturated, p: sensors.NoTemperature}},
		"too hot":            {func(r *sim.RawWords) { r.Temperature = -1000000 }, reasons{t: sensors.OutsideChip, p: sensors.NoTemperature}},
		"pressure at end":    {func(r *sim.RawWords) { r.Pressure = -1 << 23 }, reasons{p: sensors.Saturated}},
	} {
		tt.Run(name, func(tt *testing.T) {
			onBench(tt, func(b *bench) {
				chip := sim.NewDPS310(sim.Steady(indoors))
				b.wire.Add(0x77, chip)
				d := b.open("dps310", map[string]any{"address": 0x77})
				s, err := b.read(d)
				if err != nil {
					b.Fatal(err)
				}
				raw := sim.RawWords{Temperature: s.Readings[0].Raw, Pressure: s.Readings[1].Raw}
				c.change(&raw)
				chip.Hold(&raw)
				b.wantBad(d, c.why)
			})
		})
	}
}

package chip_test

import (
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

func TestMS5611OversamplesAsAsked(tt *testing.T) {
	for _, oversample := range []int{256, 512, 1024, 2048, 4096} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x77, sim.NewMS5611(sim.Steady(indoors)))
			d := b.open("ms5611", map[string]any{"oversample": oversample})
			b.wantNear(d, &pressureChips[0], indoors)
		})
	}
}

// The two types cannot be told apart, but a pressure can be impossible.
func TestMS56OfTheOtherType(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x77, sim.NewMS5607(sim.Steady(indoors)))
		b.wantFault(b.open("ms5611", nil), sensors.WrongChip, `write driver = "ms5607", or low_pressure = true`)
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x77, sim.NewMS5611(sim.Steady(indoors)))
		b.wantFault(b.open("ms5607", nil), sensors.WrongChip, `write driver = "ms5611"`)
	})
	thin := sim.Climate{Temperature: -20, Pressure: 45000}
	onBench(tt, func(b *bench) {
		b.wire.Add(0x77, sim.NewMS5611(sim.Steady(thin)))
		b.wantFault(b.open("ms5611", nil), sensors.WrongChip, "450")
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x77, sim.NewMS5611(sim.Steady(thin)))
		b.wantNear(b.open("ms5611", map[string]any{"low_pressure": true}), &pressureChips[0], thin)
	})
	// A pressure that falls while it is read is followed.
	onBench(tt, func(b *bench) {
		start := time.Now()
		rises := sim.Ramp(indoors, thin, start, start.Add(time.Hour))
		b.wire.Add(0x77, sim.NewMS5611(rises))
		d := b.open("ms5611", nil)
		b.wantNear(d, &pressureChips[0], indoors)
		time.Sleep(2 * time.Hour)
		b.wantNear(d, &pressureChips[0], thin)
	})
}

func TestMS56BrokenPROM(tt *testing.T) {
	onBench(tt, func(b *bench) {
		c := sim.NewMS5611(sim.Steady(indoors))
		words := c.PROM()
		words[3] ^= 0x0100
		c.SetPROM(words)
		b.wire.Add(0x77, c)
		b.wantFault(b.open("ms5611", map[string]any{"address": 0x77}), sensors.WrongChip, "has no PROM of an MS5611: its checksum is")
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBMP280(sim.Steady(indoors)))
		b.wantFault(b.open("ms5611", map[string]any{"address": 0x76}), sensors.WrongChip, "chip id 0x58 (BMP280) at 0x76 on bus 1, want an MS5611, which has no id")
	})
	onBench(tt, func(b *bench) { // one that breaks later
		c := sim.NewMS5611(sim.Steady(indoors))
		b.wire.Add(0x77, c)
		d := b.open("ms5611", map[string]any{"address": 0x77})
		b.wantNear(d, &pressureChips[0], indoors)
		b.wire.Inject(0x77, sim.Flip(3).At(0xa4))
		b.wantNear(d, &pressureChips[0], indoors) // it is not read again while all is well
		b.wire.Unplug(0x77)
		b.wantFault(d, sensors.NotAnswering, "")
		b.wire.Plug(0x77)
		time.Sleep(time.Second)
		b.wantFault(d, sensors.WrongChip, "checksum")
	})
}

func TestMS56AnotherChip(tt *testing.T) {
	onBench(tt, func(b *bench) {
		c := sim.NewMS5611(sim.Steady(indoors))
		b.wire.Add(0x77, c)
		d := b.open("ms5611", nil)
		b.wantNear(d, &pressureChips[0], indoors)
		b.wire.Unplug(0x77)
		b.wantFault(d, sensors.NotAnswering, "")
		trim := sim.SheetTrimMS5611()
		trim.C1++
		c.SetTrim(trim)
		b.wire.Plug(0x77)
		time.Sleep(time.Second)
		s, err := b.read(d)
		if err != nil || s.Readings[0].Quality != (sensors.Quality{Level: sensors.Uncertain, Reason: sensors.OtherChip}) {
			b.Errorf("got %v, %+v, want uncertain: another chip", err, s.Readings)
		}
		b.wantNear(d, &pressureChips[0], indoors)
	})
}

func TestMS56WithoutTemperatureHasNoPressure(tt *testing.T) {
	onBench(tt, func(b *bench) {
		c := sim.NewMS5611(sim.Steady(indoors))
		b.wire.Add(0x77, c)
		d := b.open("ms5611", nil)
		b.wantNear(d, &pressureChips[0], indoors)
		for _, word := range []int64{5000000, 12000000} {
			c.Hold(&sim.RawWords{Pressure: 9085466, Temperature: word})
			b.wantBad(d, map[sensors.Quantity]sensors.Reason{t: sensors.OutsideChip, p: sensors.NoTemperature})
		}
	})
}

package chip_test

import (
	"testing"

	"weir/sensors"
	"weir/sensors/sim"
)

func TestMPL3115OversamplesAsAsked(tt *testing.T) {
	c := &pressureChip{driver: "mpl3115a2", near: map[sensors.Quantity]float64{t: 0.04, p: 0.2}}
	for _, oversample := range []int{1, 2, 4, 8, 16, 32, 64, 128} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x60, sim.NewMPL3115A2(sim.Steady(indoors)))
			d := b.open("mpl3115a2", map[string]any{"oversample": oversample})
			for range 3 {
				b.wantNear(d, c, indoors)
			}
			b.wire.BrownOut(0x60)
			b.wantNear(d, c, indoors)
		})
	}
}

// The two share an address.
func TestMPLOfTheOtherType(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x60, sim.NewMPL3115A2(sim.Steady(indoors)))
		b.wantFault(b.open("mpl115a2", nil), sensors.WrongChip, `chip id 0xc4 (MPL3115A2) at 0x60 on bus 1, want an MPL115A2, which has no id; write driver = "mpl3115a2"`)
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x60, sim.NewMPL115A2(sim.Steady(indoors)))
		if _, err := b.read(b.open("mpl3115a2", nil)); err == nil {
			b.Error("an MPL115A2 was read as an MPL3115A2")
		}
	})
}

func TestMPLBadWords(tt *testing.T) {
	type reasons = map[sensors.Quantity]sensors.Reason
	for name, c := range map[string]struct {
		driver string
		chip   interface {
			sim.Device
			Hold(*sim.RawWords)
		}
		temperature, pressure int64 // to hold; 0: as measured
		why                   reasons
	}{
		"3115 at its hottest word": {"mpl3115a2", sim.NewMPL3115A2(sim.Steady(indoors)), 2047, 0, reasons{t: sensors.Saturated, p: sensors.NoTemperature}},
		"3115 at its coldest word": {"mpl3115a2", sim.NewMPL3115A2(sim.Steady(indoors)), -2048, 0, reasons{t: sensors.Saturated, p: sensors.NoTemperature}},
		"3115 too hot":             {"mpl3115a2", sim.NewMPL3115A2(sim.Steady(indoors)), 90 * 16, 0, reasons{t: sensors.OutsideChip, p: sensors.NoTemperature}},
		"3115 pressure at its end": {"mpl3115a2", sim.NewMPL3115A2(sim.Steady(indoors)), 0, 1<<20 - 1, reasons{p: sensors.Saturated}},
	} {
		tt.Run(name, func(tt *testing.T) {
			onBench(tt, func(b *bench) {
				b.wire.Add(0x60, c.chip)
				d := b.open(c.driver, nil)
				s, err := b.read(d)
				if err != nil {
					b.Fatal(err)
				}
				raw := sim.RawWords{Temperature: s.Readings[0].Raw, Pressure: s.Readings[1].Raw}
				if c.temperature != 0 {
					raw.Temperature = c.temperature
				}
				if c.pressure != 0 {
					raw.Pressure = c.pressure
				}
				c.chip.Hold(&sim.RawWords{Temperature: raw.Temperature << 4, Pressure: raw.Pressure << 4}) // at the top of the bytes
				b.wantBad(d, c.why)
			})
		})
	}
}

func TestMPL115BadWords(tt *testing.T) {
	bad := sensors.Quality{Level: sensors.Bad, Reason: sensors.NoTemperature}
	for _, v := range []struct {
		t, p  int64
		wantT sensors.Quality
		wantP sensors.Quality
	}{
		{507, 410, sensors.Quality{Level: sensors.Uncertain, Reason: sensors.NotCalibrated}, sensors.Quality{Level: sensors.Good}},
		{1023, 410, sensors.Quality{Level: sensors.Bad, Reason: sensors.Saturated}, bad},
		{0, 410, sensors.Quality{Level: sensors.Bad, Reason: sensors.Saturated}, bad},
		{900, 410, sensors.Quality{Level: sensors.Uncertain, Reason: sensors.NotCalibrated}, bad}, // -55 °C
		{507, 1023, sensors.Quality{Level: sensors.Uncertain, Reason: sensors.NotCalibrated}, sensors.Quality{Level: sensors.Bad, Reason: sensors.Saturated}},
	} {
		onBench(tt, func(b *bench) {
			c := sim.NewMPL115A2(sim.Steady(indoors))
			b.wire.Add(0x60, c)
			d := b.open("mpl115a2", nil)
			c.Hold(&sim.RawWords{Temperature: v.t, Pressure: v.p})
			s, err := b.read(d)
			if err != nil || s.Readings[0].Quality != v.wantT || s.Readings[1].Quality != v.wantP {
				b.Errorf("counts %d, %d: %v, %+v, want %v and %v", v.t, v.p, err, s.Readings, v.wantT, v.wantP)
			}
		})
	}
}

package chip_test

import (
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

func TestBMP180Reads(tt *testing.T) {
	for _, driver := range []string{"bmp180", "bmp085"} {
		for _, oversample := range []int{1, 2, 4, 8} {
			onBench(tt, func(b *bench) {
				b.wire.Add(0x77, sim.NewBMP180(sim.Steady(indoors)))
				d := b.open(driver, map[string]any{"oversample": oversample})
				for range 3 {
					b.want180(d)
				}
			})
		}
	}
}

// want180 expects the indoor climate within the coarser steps of this chip.
func (b *bench) want180(d sensors.Device) {
	b.Helper()
	s, err := b.read(d)
	if err != nil {
		b.Fatal(err)
	}
	temp, okT := s.Get(t)
	press, okP := s.Get(p)
	if !okT || !okP || temp.Value < 21.4 || temp.Value > 21.6 || press.Value < 101315 || press.Value > 101335 || temp.Quality.Level != sensors.Good {
		b.Errorf("got %+v, want about 21.5 °C and 101325 Pa", s.Readings)
	}
}

func TestBMP180FaultsHealInsideTheSlot(tt *testing.T) {
	for name, f := range map[string]sim.Fault{
		"nack": sim.Nack(), "eio": sim.InputOutput(), "zeros": sim.Zeros().At(0xf6), "ones": sim.Ones().At(0xf6), "power-up": sim.Answer(0x80, 0, 0).At(0xf6),
	} {
		for after := range 6 {
			onBench(tt, func(b *bench) {
				b.wire.Add(0x77, sim.NewBMP180(sim.Steady(indoors)))
				d := b.open("bmp180", nil)
				b.want180(d)
				b.wire.Inject(0x77, f.Times(1).After(after))
				for range 3 {
					b.want180(d)
				}
			})
			_ = name
		}
	}
}

func TestBMP180ReplugAndWrongChip(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x77, sim.NewBMP180(sim.Steady(indoors)))
		d := b.open("bmp180", nil)
		b.want180(d)
		b.wire.BrownOut(0x77)
		time.Sleep(20 * time.Millisecond)
		b.want180(d)
		b.wire.Unplug(0x77)
		b.wantFault(d, sensors.NotAnswering, "")
		b.wire.Plug(0x77)
		time.Sleep(time.Second)
		b.want180(d)
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x77, sim.NewBME280(sim.Steady(indoors)))
		b.wantFault(b.open("bmp180", nil), sensors.WrongChip, "chip id 0x60 (BME280) at 0x77 on bus 1, want 0x55 (BMP180 or BMP085)")
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x77, sim.NewBMP180(sim.Steady(indoors)))
		b.wire.Inject(0x77, sim.Zeros().At(0xaa))
		b.wantFault(b.open("bmp180", nil), sensors.Garbage, "calibration word 0xaa is 0x0000")
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x77, sim.NewBMP180(sim.Steady(indoors), sim.Slow(50)))
		b.wantFault(b.open("bmp180", nil), sensors.Timeout, "still measuring")
	})
}

func TestBMP180OtherChip(tt *testing.T) {
	onBench(tt, func(b *bench) {
		c := sim.NewBMP180(sim.Steady(indoors))
		b.wire.Add(0x77, c)
		d := b.open("bmp180", nil)
		b.want180(d)
		b.wire.Unplug(0x77)
		b.wantFault(d, sensors.NotAnswering, "")
		trim := sim.SheetTrimBMP180()
		trim.AC5++
		c.SetTrim(trim)
		b.wire.Plug(0x77)
		time.Sleep(time.Second)
		s, err := b.read(d)
		if err != nil || s.Readings[0].Quality != (sensors.Quality{Level: sensors.Uncertain, Reason: sensors.OtherChip}) {
			b.Errorf("got %v %+v, want uncertain: another chip", err, s.Readings)
		}
	})
}

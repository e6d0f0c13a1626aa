package chip_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

const (
	t = sensors.Temperature
	p = sensors.Pressure
	h = sensors.Humidity
)

var indoors = sim.Climate{Temperature: 21.5, Pressure: 101325, Humidity: 45}

func TestBME280Reads(tt *testing.T) {
	for _, c := range []sim.Climate{indoors,
		{Temperature: -39, Pressure: 30500, Humidity: 2}, {Temperature: 84, Pressure: 109000, Humidity: 98}, {Temperature: 0, Pressure: 95000, Humidity: 60}} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x77, sim.NewBME280(sim.Steady(c)))
			d := b.open("bme280", map[string]any{"bus": "/dev/i2c-1", "address": 0x77})
			for range 3 {
				b.want(d, c, t, p, h)
			}
			if err := d.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

func TestBMP280Reads(tt *testing.T) {
	for _, oversample := range []int{1, 2, 4, 8, 16} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x76, sim.NewBMP280(sim.Steady(indoors)))
			d := b.open("bmp280", map[string]any{"oversample": oversample, "filter": 4})
			b.want(d, indoors, t, p)
			b.want(d, indoors, t, p)
		})
	}
}

func TestFirstReadFindsTheAddress(tt *testing.T) {
	onBench(tt, func(b *bench) {
		d := b.open("bme280", nil)
		b.wantFault(d, sensors.NotAnswering, "")
		b.wire.Add(0x77, sim.NewBME280(sim.Steady(indoors)))
		b.want(d, indoors, t, p, h)
		other := b.open("bme280", nil)
		b.wantFault(other, sensors.Refused, "")
		b.wire.Add(0x76, sim.NewBME280(sim.Steady(indoors)))
		b.want(other, indoors, t, p, h) // the only free one
	})
}

func TestTwoThatFitAreAmbiguous(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBMP280(sim.Steady(indoors)))
		b.wire.Add(0x77, sim.NewBMP280(sim.Steady(indoors)))
		b.wantFault(b.open("bmp280", nil), sensors.Ambiguous, "")
	})
}

func TestExactChipIsPreferred(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBMP280(sim.Steady(indoors)))
		b.wire.Add(0x77, sim.NewBME280(sim.Steady(indoors)))
		b.want(b.open("bme280", nil), indoors, t, p, h)
		b.want(b.open("bmp280", nil), indoors, t, p)
	})
}

func TestBME280OnABMP280(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBMP280(sim.Steady(indoors)))
		d := b.open("bme280", nil)
		for i := range 4 {
			if i == 2 { // set up anew, it has been said
				b.wire.BrownOut(0x76)
				time.Sleep(10 * time.Millisecond)
			}
			s, err := b.read(d)
			if err != nil {
				b.Fatal(err)
			}
			hum, ok := s.Get(h)
			if !ok || hum.Quality != (sensors.Quality{Level: sensors.Bad, Reason: sensors.NoHumidity}) || s.Chip != "BMP280" {
				b.Errorf("humidity %+v of %s, want bad with its reason, of a BMP280", hum, s.Chip)
			}
			s.Readings = s.Readings[:2]
			b.check(s, indoors, t, p)
		}
		if n := strings.Count(b.log.String(), "no humidity"); n != 1 || !strings.Contains(b.log.String(), `write driver = \"bmp280\"`) {
			b.Errorf("%d warnings, want 1 that says what to write: %s", n, b.log)
		}
	})
}

func TestWrongChipIsNamed(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBME280(sim.Steady(indoors)))
		d := b.open("bmp280", map[string]any{"address": 0x76})
		b.wantFault(d, sensors.WrongChip, `chip id 0x60 (BME280) at 0x76 on bus 1, want 0x58 (BMP280); write driver = "bme280"`)
		b.wire.Add(0x77, sim.NewBMP280(sim.Steady(indoors), sim.ChipID(0x61)))
		d = b.open("bme280", map[string]any{"address": 0x77})
		b.wantFault(d, sensors.WrongChip, `chip id 0x61 (BME680 or BME688) at 0x77 on bus 1, want 0x60 (BME280); write driver = "bme680"`)
	})
}

func TestTransientFaultsHealInsideTheSlot(tt *testing.T) {
	faults := map[string]sim.Fault{
		"nack": sim.Nack(), "two nacks": sim.Nack().Times(2), "eio": sim.InputOutput(), "lost": sim.Lost(),
		"zeros": sim.Zeros().At(0xf7), "ones": sim.Ones().At(0xf7), "skipped": sim.Answer(0x80, 0, 0, 0x80, 0, 0, 0x80, 0).At(0xf7),
	}
	for name, f := range faults {
		for after := range 8 {
			onBench(tt, func(b *bench) {
				b.wire.Add(0x76, sim.NewBME280(sim.Steady(indoors)))
				d := b.open("bme280", nil)
				b.want(d, indoors, t, p, h)
				if name != "two nacks" {
					f = f.Times(1)
				}
				b.wire.Inject(0x76, f.After(after))
				for i := range 3 {
					s, err := b.read(d)
					if err != nil {
						b.Fatalf("%s after %d, read %d: %v", name, after, i, err)
					}
					b.check(s, indoors, t, p, h)
				}
			})
		}
	}
}

func TestBrownOutIsNoticed(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBME280(sim.Steady(indoors)))
		d := b.open("bme280", nil)
		b.want(d, indoors, t, p, h)
		for range 3 {
			b.wire.BrownOut(0x76)
			time.Sleep(10 * time.Millisecond)
			b.want(d, indoors, t, p, h)
		}
	})
}

func TestUnplugAndReplug(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBME280(sim.Steady(indoors)))
		d := b.open("bme280", nil)
		b.want(d, indoors, t, p, h)
		b.wire.Unplug(0x76)
		for range 4 {
			b.wantFault(d, sensors.NotAnswering, "")
		}
		b.wire.Plug(0x76)
		time.Sleep(time.Second)
		b.want(d, indoors, t, p, h)
	})
}

func TestHungBusAndRecovery(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBME280(sim.Steady(indoors)))
		d := b.open("bme280", map[string]any{"address": 0x76})
		b.want(d, indoors, t, p, h)
		release := b.wire.Hang()
		b.wantFault(d, sensors.Timeout, "")
		release()
		time.Sleep(2 * time.Second)
		b.want(d, indoors, t, p, h)
	})
}

func TestChangedCalibrationIsDoubted(tt *testing.T) {
	onBench(tt, func(b *bench) {
		c := sim.NewBME280(sim.Steady(indoors))
		b.wire.Add(0x76, c)
		d := b.open("bme280", nil)
		b.want(d, indoors, t, p, h)
		trim := sim.TypicalTrimBME280()
		trim.T2++
		c.SetTrim(trim)
		b.wire.BrownOut(0x76)
		time.Sleep(10 * time.Millisecond)
		s, err := b.read(d)
		if err != nil {
			b.Fatal(err)
		}
		if q := s.Readings[0].Quality; q != (sensors.Quality{Level: sensors.Uncertain, Reason: sensors.OtherChip}) {
			b.Errorf("got %v, want uncertain: another chip", q)
		}
		b.want(d, indoors, t, p, h)
		if n := strings.Count(b.log.String(), "calibration has changed"); n != 1 {
			b.Errorf("%d warnings, want 1", n)
		}
	})
}

func TestSlowChipTimesOut(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBMP280(sim.Steady(indoors), sim.Slow(2)))
		b.want(b.open("bmp280", map[string]any{"oversample": 16}), indoors, t, p)
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBMP280(sim.Steady(indoors), sim.Slow(100)))
		b.wantFault(b.open("bmp280", map[string]any{"address": 0x76}), sensors.Timeout, "still measuring")
	})
}

func TestCancelledReadReturns(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBMP280(sim.Steady(indoors)))
		d := b.open("bmp280", nil)
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		var s sensors.Sample
		if err := d.Read(ctx, &s); sensors.FaultOf(err) != sensors.Timeout {
			b.Errorf("got %v, want a timeout", err)
		}
		b.want(d, indoors, t, p)
	})
}

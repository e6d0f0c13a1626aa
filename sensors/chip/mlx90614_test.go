package chip_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

const seen sensors.Quantity = "object_temperature"

// wantIR reads: both temperatures good, within a step.
func (b *bench) wantIR(d sensors.Device, own, object float64) {
	b.Helper()
	s, err := b.read(d)
	if err != nil {
		b.Fatal(err)
	}
	a, okA := s.Get(t)
	o, okO := s.Get(seen)
	if !okA || !okO || a.Quality != good || o.Quality != good || math.Abs(a.Value-own) > 0.011 || math.Abs(o.Value-object) > 0.03 {
		b.Errorf("got %+v, want %v and %v", s.Readings, own, object)
	}
}

func facing(celsius float64) sim.World {
	return sim.Facing(sim.Steady(indoors), func(time.Time) float64 { return celsius })
}

func TestMLX90614Reads(tt *testing.T) {
	for _, object := range []float64{-69, -20, 0, 21.5, 37, 100, 380} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x5a, sim.NewMLX90614(facing(object)))
			d := b.open("mlx90614", nil)
			for range 3 {
				b.wantIR(d, indoors.Temperature, object)
			}
			if b.log.Len() != 0 {
				b.Errorf("log: %s", b.log)
			}
		})
	}
}

// The surface in view has the emissivity of the chip's memory; told that it is half of
// it, the driver computes what would send as much.
func TestMLX90614Emissivity(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x5a, sim.NewMLX90614(facing(80)))
		d := b.open("mlx90614", map[string]any{"emissivity": 0.5})
		fourth := func(c float64) float64 { return math.Pow(c+273.15, 4) }
		want := math.Pow(2*fourth(80)-fourth(indoors.Temperature), 0.25) - 273.15
		for range 2 {
			b.wantIR(d, indoors.Temperature, want)
		}
		if n := strings.Count(b.log.String(), "emissivity"); !strings.Contains(b.log.String(), "memory=1 set=0.5") || n != 1 {
			b.Errorf("log: %s", b.log)
		}
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x5a, sim.NewMLX90614(facing(-60)))
		b.wantBad(b.open("mlx90614", map[string]any{"emissivity": 0.1}), map[sensors.Quantity]sensors.Reason{seen: sensors.NotANumber})
	})
}

// The checksum finds every single flipped bit.
func TestMLX90614SeesEveryFlippedBit(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x5a, sim.NewMLX90614(facing(60)))
		d := b.open("mlx90614", nil)
		b.wantIR(d, indoors.Temperature, 60)
		for _, command := range []byte{0x06, 0x07} {
			for seed := range uint64(50) {
				clear := b.wire.Inject(0x5a, sim.FlipAny(seed).At(command).Times(1))
				b.wantIR(d, indoors.Temperature, 60)
				clear()
			}
		}
	})
}

func TestMLX90614Faults(tt *testing.T) {
	for name, f := range map[string]sim.Fault{"nack": sim.Nack(), "zeros": sim.Zeros(), "ones": sim.Ones()} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x5a, sim.NewMLX90614(facing(60)))
			d := b.open("mlx90614", nil)
			b.wantIR(d, indoors.Temperature, 60)
			for after := range 6 {
				clear := b.wire.Inject(0x5a, f.Times(1).After(after))
				b.wantIR(d, indoors.Temperature, 60)
				clear()
			}
			defer b.wire.Inject(0x5a, f)()
			if s, err := b.read(d); err == nil {
				b.Errorf("%s for ever: %+v", name, s.Readings)
			}
		})
	}
	onBench(tt, func(b *bench) {
		b.wire.Add(0x5a, sim.NewMLX90614(facing(60)))
		d := b.open("mlx90614", nil)
		b.wantIR(d, indoors.Temperature, 60)
		b.wire.Inject(0x5a, sim.Answer(0xff, 0xff, 0x22).At(0x07)) // an error bit with its checksum
		b.wantBad(d, map[sensors.Quantity]sensors.Reason{seen: sensors.FaultValue})
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x5a, sim.NewBMP180(sim.Steady(indoors)))
		b.wantFault(b.open("mlx90614", nil), sensors.Garbage, "look at the wiring")
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x5a, sim.NewMLX90614(facing(60)))
		b.wire.Inject(0x5a, sim.Answer(0x12, 0x34, 0x56).At(0x06))
		b.wantFault(b.open("mlx90614", nil), sensors.WrongChip, "the checksum of 12 34 56 at 0x5a on bus 1 is not that of an MLX90614")
	})
}

// Right after its supply came back it has nothing to say, and says nothing false.
func TestMLX90614BrownOutAndReplug(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x5a, sim.NewMLX90614(facing(60)))
		d := b.open("mlx90614", nil)
		b.wantIR(d, indoors.Temperature, 60)
		for range 20 {
			b.wire.BrownOut(0x5a)
			b.wantIR(d, indoors.Temperature, 60)
		}
		b.wire.Unplug(0x5a)
		b.wantFault(d, sensors.NotAnswering, "")
		b.wire.Plug(0x5a)
		b.wantIR(d, indoors.Temperature, 60)
	})
}

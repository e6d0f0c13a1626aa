package chip_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// Every fault the wire or the chip can show, at random, through thousands of
// readings: a value that is called good is right, and the device comes back.
func TestNoFaultBecomesAGoodValue(tt *testing.T) {
	type soaked struct {
		addr      uint16
		make      func(sim.World) sim.Device
		tolerance map[sensors.Quantity]float64
		flips     bool // it notices a bit that flips
	}
	chips := map[string]soaked{
		"bme280": {0x76, func(w sim.World) sim.Device { return sim.NewBME280(w) }, map[sensors.Quantity]float64{t: 0.02, p: 6, h: 0.1}, false},
		"bmp280": {0x76, func(w sim.World) sim.Device { return sim.NewBMP280(w) }, map[sensors.Quantity]float64{t: 0.02, p: 6}, false},
		"bmp388": {0x76, func(w sim.World) sim.Device { return sim.NewBMP388(w) }, map[sensors.Quantity]float64{t: 0.02, p: 6}, false},
		"bmp390": {0x76, func(w sim.World) sim.Device { return sim.NewBMP390(w) }, map[sensors.Quantity]float64{t: 0.02, p: 6}, false},
		"bmp581": {0x46, func(w sim.World) sim.Device { return sim.NewBMP581(w) }, map[sensors.Quantity]float64{t: 0.02, p: 6}, false},
		"bme680": {0x76, func(w sim.World) sim.Device { return sim.NewBME680(w) }, map[sensors.Quantity]float64{t: 0.02, p: 6, h: 0.1}, false},
		"bme688": {0x76, func(w sim.World) sim.Device { return sim.NewBME688(w) }, map[sensors.Quantity]float64{t: 0.02, p: 6, h: 0.1}, false},
		"bmp180": {0x77, func(w sim.World) sim.Device { return sim.NewBMP180(w) }, map[sensors.Quantity]float64{t: 0.1, p: 10}, false},

		"tmp102":   {0x48, func(w sim.World) sim.Device { return sim.NewTMP102(w) }, map[sensors.Quantity]float64{t: 0.04}, false},
		"tmp117":   {0x48, func(w sim.World) sim.Device { return sim.NewTMP117(w) }, map[sensors.Quantity]float64{t: 0.01}, false},
		"mcp9808":  {0x18, func(w sim.World) sim.Device { return sim.NewMCP9808(w) }, map[sensors.Quantity]float64{t: 0.04}, false},
		"mlx90614": {0x5a, func(w sim.World) sim.Device { return sim.NewMLX90614(w) }, map[sensors.Quantity]float64{t: 0.02}, false},
	}
	for _, c := range airCases {
		chips[c.driver] = soaked{c.addr, func(w sim.World) sim.Device { return c.make(w) }, map[sensors.Quantity]float64{t: 0.02, h: 0.1}, c.crc}
	}
	for driver, c := range chips {
		onBench(tt, func(b *bench) {
			b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
			d := b.open(driver, nil)
			for i, f := range []sim.Fault{sim.Nack(), sim.InputOutput(), sim.Lost(), sim.Zeros(), sim.Ones()} {
				b.wire.Inject(c.addr, f.Chance(0.01, uint64(i)))
			}
			if c.flips {
				b.wire.Inject(c.addr, sim.FlipAny(7).Chance(0.01, 8))
			}
			r := rand.New(rand.NewPCG(5, 6))
			good, failed, row := 0, 0, 0
			for range 3000 {
				if r.IntN(20) == 0 {
					b.wire.BrownOut(c.addr)
					time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
				}
				s, err := b.read(d)
				if err != nil {
					failed++
					if row++; row > 5 {
						b.Fatalf("%s: %d reads in a row failed, the last with %v", driver, row, err)
					}
					continue
				}
				row = 0
				for q, near := range c.tolerance {
					got, ok := s.Get(q)
					want := map[sensors.Quantity]float64{t: indoors.Temperature, p: indoors.Pressure, h: indoors.Humidity}[q]
					if !ok || got.Quality.Level == sensors.Good && math.Abs(got.Value-want) > near {
						b.Errorf("%s: %s is %v, %v, want %v", driver, q, got.Value, got.Quality, want)
					}
					if got.Quality.Level == sensors.Good {
						good++
					}
				}
			}
			b.Logf("%s: %d good values, %d of 3000 reads failed", driver, good, failed)
			if failed > 300 {
				b.Errorf("%s: %d of 3000 reads failed in spite of two retries each", driver, failed)
			}
		})
	}
}

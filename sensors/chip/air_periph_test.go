package chip_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/aht20"
	"periph.io/x/devices/v3/hdc302x"

	"weir/sensors"
	"weir/sensors/sim"
)

// A second opinion: periph's own drivers read the same chips on the same bus.

func TestPeriphAgreesOnAir(tt *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	for range 100 {
		climate := sim.Climate{Temperature: 120*random.Float64() - 38, Humidity: 1 + 98*random.Float64()}
		onBench(tt, func(b *bench) {
			b.wire.Add(0x38, sim.NewAHT20(sim.Steady(climate)))
			b.wire.Add(0x44, sim.NewHDC302x(sim.Steady(climate)))
			ours := map[string]sensors.Sample{}
			for _, driver := range []string{"aht20", "hdc302x"} {
				s, err := b.read(b.open(driver, nil))
				if err != nil {
					b.Fatal(err)
				}
				ours[driver] = s
			}
			aht, err := aht20.NewI2C(b.wire, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.agree("aht20", ours["aht20"], aht.Sense)
			hdc, err := hdc302x.NewI2C(b.wire, 0x44, hdc302x.RateHertz)
			if err != nil {
				b.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond) // it reads before the first of its measurements is over
			b.agree("hdc302x", ours["hdc302x"], hdc.Sense)
			if err := hdc.Halt(); err != nil {
				b.Error(err)
			}
		})
	}
}

// agree compares with what periph reads, which rounds humidities to 1e-5 %.
func (b *bench) agree(driver string, ours sensors.Sample, sense func(*physic.Env) error) {
	b.Helper()
	var e physic.Env
	if err := sense(&e); err != nil {
		b.Fatalf("%s: periph: %v", driver, err)
	}
	celsius := float64(e.Temperature-physic.ZeroCelsius) / float64(physic.Kelvin)
	percent := float64(e.Humidity) / float64(physic.PercentRH)
	temp, _ := ours.Get(t)
	hum, _ := ours.Get(h)
	if math.Abs(temp.Value-celsius) > 1e-5 || math.Abs(hum.Value-percent) > 2e-5 {
		b.Errorf("%s: %v °C and %v %%, periph reads %v and %v", driver, temp.Value, hum.Value, celsius, percent)
	}
}

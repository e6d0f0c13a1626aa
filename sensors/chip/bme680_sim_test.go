package chip_test

import (
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// Without being asked for it the heater stays cold, and nothing is said of gas.
func TestBME680GasIsOffByDefault(tt *testing.T) {
	onBench(tt, func(b *bench) {
		chip := sim.NewBME680(sim.Steady(indoors))
		b.wire.Add(0x76, chip)
		d := b.open("bme680", nil)
		b.want(d, indoors, t, p, h)
		if got := chip.Heater(); got.Celsius != 0 {
			b.Errorf("the heater was set to %v °C", got.Celsius)
		}
		s, _ := driver("bme680").Settings("x", nil, nil)
		if n := len(driver("bme680").Delivers(s)); n != 3 {
			b.Errorf("the driver says that it delivers %d quantities, want 3", n)
		}
		s, _ = driver("bme680").Settings("x", map[string]any{"gas": true}, nil)
		if n := len(driver("bme680").Delivers(s)); n != 4 {
			b.Errorf("with gas the driver says that it delivers %d quantities, want 4", n)
		}
	})
}

// The resistance of the air comes back, over the whole range of both converters,
// with the heater as hot and as long as it was asked for.
func TestBME680Gas(tt *testing.T) {
	makes := map[string]func(w sim.World, o ...sim.ChipOption) *sim.BME68x{"bme680": sim.NewBME680, "bme688": sim.NewBME688}
	for name, make := range makes {
		for _, ohms := range []float64{2000, 12345, 100e3, 1.5e6, 9e6} {
			onBench(tt, func(b *bench) {
				chip := make(sim.Steady(indoors), sim.Gas(ohms))
				b.wire.Add(0x76, chip)
				d := b.open(name, map[string]any{"gas": true, "heater_temperature": 300, "heater_time": "100ms"})
				s, err := b.read(d)
				if err != nil {
					b.Fatal(err)
				}
				gas, ok := s.Get(sensors.GasResistance)
				if !ok || gas.Quality.Level != sensors.Good || gas.Value < ohms*0.998 || gas.Value > ohms*1.002 {
					b.Errorf("%s: %+v, want %v Ω", name, gas, ohms)
				}
				if got := chip.Heater(); got.Celsius < 295 || got.Celsius > 305 || got.For != 100*time.Millisecond {
					b.Errorf("%s: heater %+v, want 300 °C for 100 ms", name, got)
				}
			})
		}
	}
}

// Too short a time leaves the layer cold: a resistance that is wrong is not given.
func TestBME680ColdHeaterIsBad(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBME680(sim.Steady(indoors)))
		d := b.open("bme680", map[string]any{"gas": true, "heater_time": "5ms"})
		b.wantBad(d, map[sensors.Quantity]sensors.Reason{sensors.GasResistance: sensors.HeaterCold})
	})
}

// The longest heating still ends inside what the driver says.
func TestBME680LongHeating(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x76, sim.NewBME680(sim.Steady(indoors)))
		given := map[string]any{"gas": true, "heater_time": "4s"}
		s, _ := driver("bme680").Settings("room", given, nil)
		d := b.open("bme680", given)
		start := time.Now()
		var sample sensors.Sample
		if err := d.Read(b.Context(), &sample); err != nil {
			b.Fatal(err)
		}
		if took, most := time.Since(start), driver("bme680").Most(s); took > most {
			b.Errorf("the first read took %v, the driver says at most %v", took, most)
		}
	})
}

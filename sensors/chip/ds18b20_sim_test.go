package chip_test

import (
	"errors"
	"strings"
	"testing"

	"weir/sensors"
	"weir/sensors/sim"
)

// A thermometer that lives on its data line is told of once, by its number, and again
// only when that has changed; what it then shows instead of a temperature is blamed on it.
func TestDS18B20WithoutASupply(tt *testing.T) {
	onBench(tt, func(b *bench) {
		const says = "powered through its data line alone"
		probe := must[*sim.Probe](b)(b.tree().AddProbe(w1a, 21.5))
		told := func(when string, want int) {
			b.Helper()
			if n := strings.Count(b.log.String(), says); n != want {
				b.Errorf("%s: told %d times, want %d:\n%s", when, n, want, b.log)
			}
		}
		d := b.open("ds18b20", map[string]any{"address": w1a})
		b.wantValue(d, 21.5, good)
		told("with a supply", 0)
		if err := errors.Join(probe.ShowPowerUp(), probe.SetParasite(true)); err != nil {
			b.Fatal(err)
		}
		b.wantFault(d, sensors.Garbage, "its supply is too weak") // as far as is known
		b.wantFault(d, sensors.Garbage, "it is powered through its data line alone, which is too weak; connect its VDD pin")
		told("without", 1)
		if log := b.log.String(); !strings.Contains(log, "sensor=room") || !strings.Contains(log, "id="+w1a) {
			b.Errorf("neither sensor nor number: %s", log)
		}
		if err := probe.Show(-3.25); err != nil {
			b.Fatal(err)
		}
		for range 3 {
			b.wantValue(d, -3.25, good)
		}
		if err := probe.Unplug(); err != nil {
			b.Fatal(err)
		}
		b.wantFault(d, sensors.Gone, "no such device")
		if err := probe.Plug(); err != nil {
			b.Fatal(err)
		}
		b.wantValue(d, -3.25, good)
		told("after it was away", 1)

		for _, parasite := range []bool{false, true} { // somebody connects the pin, and takes the wire off again
			if err := errors.Join(probe.SetParasite(parasite), probe.Unplug()); err != nil {
				b.Fatal(err)
			}
			b.wantFault(d, sensors.Gone, "no such device")
			if err := probe.Plug(); err != nil {
				b.Fatal(err)
			}
			b.wantValue(d, -3.25, good)
		}
		told("after its pin was connected for a while", 2)
	})
}

// A kernel without the file, and one that got no answer to the question, do not keep a
// temperature back.
func TestDS18B20OfUnknownSupply(tt *testing.T) {
	onBench(tt, func(b *bench) {
		probe := must[*sim.Probe](b)(b.tree().AddProbe(w1a, 21.5))
		for name, change := range map[string]func() error{
			"no answer": func() error { return probe.Set("ext_power", "-19\n") },
			"no file":   func() error { return probe.Remove("ext_power") },
			"no read":   func() error { return errors.Join(probe.Set("ext_power", "1\n"), probe.Break("ext_power")) },
		} {
			if err := change(); err != nil {
				b.Fatal(err)
			}
			b.wantValue(b.open("ds18b20", nil), 21.5, good)
			if b.log.Len() > 0 {
				b.Errorf("%s: %s", name, b.log)
			}
		}
	})
}

// With bit 0 of features the kernel shows nothing of a conversion that failed, so that
// 85 °C is a temperature, also where the scratchpad is not to be seen; after a bulk
// conversion it does not look.
func TestDS18B20ConversionCheckOfTheKernel(tt *testing.T) {
	onBench(tt, func(b *bench) {
		probe := must[*sim.Probe](b)(b.tree().AddProbe(w1a, 85))
		d := b.open("ds18b20", nil)
		b.wantValue(d, 85, good) // its scratchpad says that it is one
		if err := probe.ShowNothing(); err != nil {
			b.Fatal(err)
		}
		b.wantFault(d, sensors.NotAnswering, "the kernel has nothing from it: no answer, or a conversion that failed")
		if err := errors.Join(probe.Show(85), probe.Remove("w1_slave")); err != nil {
			b.Fatal(err)
		}
		doubtful := sensors.Quality{Level: sensors.Uncertain, Reason: sensors.ResetValue}
		for _, c := range []struct {
			features string
			bulk     bool
			want     sensors.Quality
		}{
			{"0\n", false, doubtful}, {"0\n", true, doubtful}, {"2\n", false, doubtful},
			{"1\n", false, good}, {"3\n", false, good}, {"1\n", true, doubtful}, {"", false, doubtful},
		} {
			b.machine.noOne = !c.bulk
			if err := probe.Set("features", c.features); err != nil {
				b.Fatal(err)
			}
			b.wantValue(d, 85, c.want)
		}
		if err := probe.Set("temperature", ""); err != nil {
			b.Fatal(err)
		}
		b.wantFault(d, sensors.NotAnswering, "the kernel has nothing from it")
	})
}

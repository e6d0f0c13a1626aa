package chip_test

import (
	"log/slog"
	"testing"

	"weir/sensors"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// quick is a machine in real time whose bus takes none, with one chip.
func quick(t testing.TB, addr uint16, d sim.Device) *machine {
	w := sim.NewBus("I2C1", sim.Speed(0))
	w.Add(addr, d)
	return &machine{wire: w, log: slog.New(slog.DiscardHandler), taken: map[uint16]bool{}}
}

func TestReadAllocatesNothing(t *testing.T) {
	for driver, m := range map[string]*machine{
		"bme280": quick(t, 0x76, sim.NewBME280(sim.Steady(indoors))),
		"bmp280": quick(t, 0x76, sim.NewBMP280(sim.Steady(indoors))),
		"bmp180": quick(t, 0x77, sim.NewBMP180(sim.Steady(indoors))),
		"bmp388": quick(t, 0x76, sim.NewBMP388(sim.Steady(indoors))),
		"bmp581": quick(t, 0x46, sim.NewBMP581(sim.Steady(indoors))),
		"bme680": quick(t, 0x76, sim.NewBME680(sim.Steady(indoors))),
	} {
		d := openedAt(t, m, driver)
		var s sensors.Sample
		read := func() {
			if err := d.Read(t.Context(), &s); err != nil {
				t.Fatal(err)
			}
		}
		read()
		if n := testing.AllocsPerRun(10, read); n != 0 {
			t.Errorf("%s: a read allocates %v times, want 0", driver, n)
		}
	}
}

func openedAt(t testing.TB, m *machine, driver string) sensors.Device {
	d := sensors.Find(chip.Drivers, driver)
	s, _ := d.Settings("x", map[string]any{"oversample": 1}, nil)
	dev, err := d.Open(m, s)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

func BenchmarkReadBME280(b *testing.B) {
	b.ReportAllocs()
	d := openedAt(b, quick(b, 0x76, sim.NewBME280(sim.Steady(indoors))), "bme280")
	var s sensors.Sample
	for b.Loop() { // nearly all of it is the conversion time of 9.3 ms
		if err := d.Read(b.Context(), &s); err != nil {
			b.Fatal(err)
		}
	}
}

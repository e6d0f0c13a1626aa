package chip_test

import (
	"log/slog"
	"testing"
	"testing/synctest"

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
	for _, c := range onlyThose(everyChip) {
		synctest.Test(t, func(t *testing.T) { // so that waiting takes no time
			d := openedAt(t, quick(t, c.addresses[0], c.make()), c.driver, c.settings)
			var s sensors.Sample
			read := func() {
				if err := d.Read(t.Context(), &s); err != nil {
					t.Fatalf("%s: %v", c.driver, err)
				}
			}
			read()
			if n := testing.AllocsPerRun(10, read); n != 0 {
				t.Errorf("%s: a read allocates %v times, want 0", c.driver, n)
			}
		})
	}
}

func openedAt(t testing.TB, m *machine, driver string, settings map[string]any) sensors.Device {
	d := sensors.Find(chip.Drivers, driver)
	s, wrong := d.Settings("x", map[string]any{"oversample": 1}, nil)
	if len(wrong) > 0 { // it has no such setting, or no such choice
		s, _ = d.Settings("x", settings, nil)
	}
	dev, err := d.Open(m, s)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

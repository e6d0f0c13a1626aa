package chip_test

import (
	"testing"

	"weir/sensors"
	"weir/sensors/sim"
)

// TestFailedTriesAreCounted: the tries inside a read that failed are in its sample, whether the read failed in the end or not.
func TestFailedTriesAreCounted(tt *testing.T) {
	onBench(tt, func(t *bench) {
		t.wire.Add(0x76, sim.NewBME280(sim.Steady(sim.Climate{Temperature: 20, Pressure: 100000, Humidity: 50})))
		d := t.open("bme280", nil)
		if s, err := t.read(d); err != nil || s.Failed.Sum() != 0 {
			t.Fatalf("a read without faults: %v, %v", s.Failed, err)
		}
		t.wire.Inject(0x76, sim.Nack().Times(2))
		if s, err := t.read(d); err != nil || s.Failed[sensors.NotAnswering] != 2 || s.Failed.Sum() != 2 {
			t.Errorf("a read that went well at last: %v, %v, want two tries not answered", s.Failed, err)
		}
		t.wire.Unplug(0x76)
		if s, err := t.read(d); err == nil || s.Failed[sensors.NotAnswering] != 3 || len(s.Readings) != 0 {
			t.Errorf("a read that failed: %v, %v, want three tries not answered", s.Failed, err)
		}
		t.wire.Plug(0x76)
		if _, err := t.read(d); err != nil { // while the chip powers up a try may fail
			t.Fatal(err)
		}
		if s, err := t.read(d); err != nil || s.Failed.Sum() != 0 {
			t.Errorf("a read after it: %v, %v", s.Failed, err)
		}
	})
}

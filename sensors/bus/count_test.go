package bus

import (
	"context"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// TestCounts: each transfer of a bus is counted, and each that failed by its class, apart from those of other buses.
func TestCounts(t *testing.T) {
	running(t, board{1: {0x76: 0x60}, 3: {0x77: 0x60}}, func(ctx context.Context, m *Machine, w wires) {
		connect := func(bus string, address uint16) sensors.Conn {
			c, err := m.I2C(ctx, bus, []uint16{address}, func(context.Context, sensors.Conn) (int, error) { return 2, nil })
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		one, three := connect("1", 0x76), connect("3", 0x77)
		before := m.Counts()
		ask := func(c sensors.Conn) { _ = c.Tx(ctx, []byte{0xd0}, make([]byte, 1)) } // what fails is counted, too
		ask(one)
		ask(three)
		w[1].Unplug(0x76)
		ask(one)
		w[1].Plug(0x76)
		time.Sleep(time.Second) // it powers up
		w[1].Inject(0x76, sim.Timeout().Times(1))
		ask(one)
		after := m.Counts()
		if len(after) != 2 || after[0].Name != "bus 1" || after[1].Name != "bus 3" {
			t.Fatalf("counted %+v, want buses 1 and 3", after)
		}
		for i, want := range []Count{
			{Transfers: 3, Failed: sensors.Tally{sensors.NotAnswering: 1, sensors.Timeout: 1}}, {Transfers: 1},
		} {
			got := Count{Transfers: after[i].Transfers - before[i].Transfers, Failed: after[i].Failed}
			for class, n := range before[i].Failed {
				got.Failed[class] -= n
			}
			if got != want {
				t.Errorf("%s: %+v, want %+v", after[i].Name, got, want)
			}
		}
	})
}

package bus

import (
	"context"
	"testing"

	"weir/sensors"
	"weir/sensors/sim"
)

// TestCounts: each transfer of a bus is counted, and each that failed by its class, apart from those of other buses.
func TestCounts(t *testing.T) {
	running(t, board{1: {0x76: 0x60}, 3: {0x77: 0x60}}, func(ctx context.Context, m *Machine, w wires) {
		id := func(bus string, address uint16) {
			c, err := m.I2C(ctx, bus, []uint16{address}, func(ctx context.Context, c sensors.Conn) (int, error) {
				return 2, c.Tx(ctx, []byte{0xd0}, make([]byte, 1))
			})
			if err == nil {
				c.Close()
			}
		}
		id("1", 0x76)
		id("3", 0x77)
		w[1].Unplug(0x76)
		id("1", 0x76)
		w[1].Plug(0x76)
		w[1].Inject(0x76, sim.Timeout().Times(1))
		id("1", 0x76)
		counts := m.Counts()
		if len(counts) != 2 || counts[0].Name != "bus 1" || counts[1].Name != "bus 3" {
			t.Fatalf("counted %+v, want buses 1 and 3", counts)
		}
		if c := counts[0]; c.Transfers != 3 || c.Failed[sensors.NotAnswering] != 1 || c.Failed[sensors.Timeout] != 1 || c.Failed.Sum() != 2 {
			t.Errorf("bus 1: %+v, want three transfers, one not answered, one timed out", c)
		}
		if c := counts[1]; c.Transfers != 1 || c.Failed.Sum() != 0 {
			t.Errorf("bus 3: %+v, want one transfer", c)
		}
	})
}

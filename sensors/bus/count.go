package bus

import (
	"maps"
	"slices"
	"sync"

	"weir/sensors"
)

// Count is what happened on one I2C bus or serial line since the start.
type Count struct {
	Name      string // "bus 1", "serial rs485 (/dev/ttyUSB0)"
	Transfers uint64 // transactions and exchanges, with those that failed
	Failed    sensors.Tally
}

// counter counts for one owner. Safe for concurrent use.
type counter struct {
	mu    sync.Mutex
	count Count // without the name
}

func (c *counter) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count.Transfers++
	c.count.Failed.Count(err)
}

func (c *counter) named(name string) Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := c.count
	count.Name = name
	return count
}

// Counts returns what happened on the I2C buses that were used, by number, and on the serial lines, by name. Addresses
// at which a scan found nothing count as not answering. Safe for concurrent use.
func (m *Machine) Counts() []Count {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := make([]Count, 0, len(m.adapters)+len(m.lines))
	for _, n := range slices.Sorted(maps.Keys(m.adapters)) {
		counts = append(counts, m.adapters[n].counter.named(m.adapters[n].String()))
	}
	for _, name := range slices.Sorted(maps.Keys(m.lines)) {
		counts = append(counts, m.lines[name].counter.named(m.lines[name].String()))
	}
	return counts
}

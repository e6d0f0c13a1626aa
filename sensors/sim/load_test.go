package sim

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// readOnce is one reading as a driver takes it: trigger, wait, status, burst.
func readOnce(b *Bus, addr uint16) error {
	if err := b.Tx(addr, []byte{0xF2, 0x01, 0xF4, 0x25}, nil); err != nil {
		return err
	}
	time.Sleep(10 * time.Millisecond)
	var data [9]byte
	if err := b.Tx(addr, []byte{0xF3}, data[:1]); err != nil {
		return err
	}
	return b.Tx(addr, []byte{0xF7}, data[:8])
}

// A hundred chips, two to a bus, at 1 Hz for an hour.
func TestHundredChipsForAnHour(t *testing.T) {
	const buses, hour = 50, 3600
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		var g sync.WaitGroup
		chips := make([]*BMx280, 0, 2*buses)
		for i := range buses {
			b := NewBus("I2C")
			for n, addr := range []uint16{0x76, 0x77} {
				c := NewBME280(Room(uint64(2*i+n)), Noise(uint64(i)))
				chips = append(chips, c)
				b.Add(addr, c)
				g.Go(func() {
					tick := time.NewTicker(time.Second)
					defer tick.Stop()
					for range hour {
						<-tick.C
						if err := readOnce(b, addr); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
		}
		g.Wait()
		for i, c := range chips {
			if c.Conversions() != hour {
				t.Errorf("chip %d: %d conversions, want %d", i, c.Conversions(), hour)
			}
		}
	})
	t.Logf("360,000 readings in %v", time.Since(start))
}

func BenchmarkReading(b *testing.B) {
	now := time.Now()
	bus := NewBus("I2C1", Clock(func() time.Time { return now }, func(d time.Duration) { now = now.Add(d) }))
	bus.Add(0x76, NewBME280(Room(1), Noise(1)))
	trigger, status, burst, data := []byte{0xF2, 0x01, 0xF4, 0x25}, []byte{0xF3}, []byte{0xF7}, make([]byte, 8)
	b.ReportAllocs()
	for b.Loop() {
		_ = bus.Tx(0x76, trigger, nil)
		now = now.Add(10 * time.Millisecond)
		_ = bus.Tx(0x76, status, data[:1])
		_ = bus.Tx(0x76, burst, data)
		now = now.Add(990 * time.Millisecond)
	}
}

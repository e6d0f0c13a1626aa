package bus

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/sensors"
)

// Two processes on one bus, each with its own idea of what is open, take turns for
// whole pieces of work.
func TestProcessesTakeTurns(t *testing.T) {
	b, _, _, _ := shelf()
	b.took = 20 * time.Microsecond // so that they would get into each other's way
	device := filepath.Join(t.TempDir(), "i2c-1")
	write(t, device, "")
	ctx, cancel := context.WithCancel(t.Context())
	var owners, readers sync.WaitGroup
	for range 2 {
		m := New(Options{Root: t.TempDir(), Buses: func() []int { return []int{1} }, OpenI2C: func(int) (i2c.BusCloser, error) {
			file, err := os.OpenFile(device, os.O_RDWR, 0)
			return &sharedBus{b, file}, err
		}})
		owners.Go(func() { _ = m.Run(ctx) })
		for _, p := range shelfPlaces {
			c := chipAt(t, ctx, m, p.path, p.addr)
			readers.Go(func() {
				for range 40 {
					if id, err := idOf(ctx, c); err != nil || id != p.id {
						t.Errorf("%s: chip %d answers (%v), want %d", c, id, err, p.id)
						return
					}
				}
			})
		}
	}
	readers.Wait()
	cancel()
	owners.Wait()
	if b.mixed > 0 {
		t.Errorf("%d of %d transactions were heard by two chips", b.mixed, b.calls)
	}
}

// A process that never ends its turn costs the others a time-out, not for ever.
func TestProcessThatKeepsItsTurn(t *testing.T) {
	b, _, _, _ := shelf()
	device := filepath.Join(t.TempDir(), "i2c-1")
	write(t, device, "")
	open := func() *sharedBus {
		file, err := os.OpenFile(device, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		return &sharedBus{b, file}
	}
	first, second := open(), open()
	if err := first.take(); err != nil {
		t.Fatal(err)
	}
	err := second.take()
	if err == nil || classify("", err).Fault != sensors.Timeout {
		t.Errorf("got %v, want a timeout", err)
	}
	first.give()
	if err := second.take(); err != nil {
		t.Errorf("after the turn was given: %v", err)
	}
	for _, s := range []*sharedBus{first, second} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

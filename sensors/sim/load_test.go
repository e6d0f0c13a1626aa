package sim

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// step is a piece of a reading as a driver takes it: bytes written, bytes read, and a
// pause after it.
type step struct {
	write []byte
	read  int
	then  time.Duration
}

// kinds are chips of every sort there is: with registers of 8 and 16 bits, with
// commands, with nothing but a value; with how they are read.
var kinds = []struct {
	name string
	make func(World, ...ChipOption) Device
	read []step
}{
	{"BME280", func(w World, o ...ChipOption) Device { return NewBME280(w, o...) },
		[]step{{[]byte{0xF2, 0x01, 0xF4, 0x25}, 0, 10 * time.Millisecond}, {[]byte{0xF3}, 1, 0}, {[]byte{0xF7}, 8, 0}}},
	{"BMP180", func(w World, o ...ChipOption) Device { return NewBMP180(w, o...) },
		[]step{{[]byte{0xF4, 0x2E}, 0, 5 * time.Millisecond}, {[]byte{0xF6}, 2, 0}, {[]byte{0xF4, 0x34}, 0, 5 * time.Millisecond}, {[]byte{0xF6}, 3, 0}}},
	{"MS5611", func(w World, o ...ChipOption) Device { return NewMS5611(w, o...) },
		[]step{{[]byte{0x40}, 0, time.Millisecond}, {[]byte{0x00}, 3, 0}, {[]byte{0x50}, 0, time.Millisecond}, {[]byte{0x00}, 3, 0}}},
	{"LPS22HB", func(w World, o ...ChipOption) Device { return NewLPS22HB(w, o...) },
		[]step{{[]byte{0x11, 0x11}, 0, 14 * time.Millisecond}, {[]byte{0x27}, 6, 0}}},
	{"DPS310", func(w World, o ...ChipOption) Device { return NewDPS310(w, o...) },
		[]step{{[]byte{0x08, 0x02}, 0, 4 * time.Millisecond}, {[]byte{0x08, 0x01}, 0, 4 * time.Millisecond}, {[]byte{0x00}, 6, 0}}},
	{"MPL3115A2", func(w World, o ...ChipOption) Device { return NewMPL3115A2(w, o...) },
		[]step{{[]byte{0x26, 0x02}, 0, 7 * time.Millisecond}, {[]byte{0x00}, 6, 0}}},
	{"MPL115A2", func(w World, o ...ChipOption) Device { return NewMPL115A2(w, o...) },
		[]step{{[]byte{0x12, 0x00}, 0, 4 * time.Millisecond}, {[]byte{0x00}, 4, 0}}},
	{"HSC", func(w World, o ...ChipOption) Device { return NewHSC(w, TransferA, 0, 206843, o...) },
		[]step{{nil, 4, 0}}},
	{"ABP2", func(w World, o ...ChipOption) Device { return NewABP2(w, TransferA, 0, 206843, o...) },
		[]step{{[]byte{0xAA, 0x00, 0x00}, 0, 6 * time.Millisecond}, {nil, 7, 0}}},
	{"TMP117", func(w World, o ...ChipOption) Device { return NewTMP117(w, o...) },
		[]step{{[]byte{0x01, 0x0C, 0x20}, 0, 150 * time.Millisecond}, {[]byte{0x01}, 2, 0}, {[]byte{0x00}, 2, 0}}},
	{"MCP9808", func(w World, o ...ChipOption) Device { return NewMCP9808(w, o...) },
		[]step{{[]byte{0x05}, 2, 0}}},
	{"MLX90614", func(w World, o ...ChipOption) Device { return NewMLX90614(w, o...) },
		[]step{{[]byte{0x06}, 3, 0}, {[]byte{0x07}, 3, 0}}},
}

// readOnce takes one reading.
func readOnce(b *Bus, addr uint16, steps []step, data []byte) error {
	for _, s := range steps {
		if err := b.Tx(addr, s.write, data[:s.read]); err != nil {
			return err
		}
		if s.then > 0 {
			time.Sleep(s.then)
		}
	}
	return nil
}

// A hundred chips of all sorts, two to a bus, at 1 Hz for an hour. What the last
// reading of each brings is not what the first one brought: their world goes on.
func TestHundredChipsForAnHour(t *testing.T) {
	const buses, hour = 50, 3600
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		var g sync.WaitGroup
		for i := range buses {
			b := NewBus("I2C")
			for n, addr := range []uint16{0x5A, 0x5B} {
				kind := kinds[(2*i+n)%len(kinds)]
				steps := kind.read
				chip := kind.make(Weather(uint64(2*i+n)), Noise(uint64(i)))
				b.Add(addr, chip)
				g.Go(func() {
					tick := time.NewTicker(time.Second)
					defer tick.Stop()
					var first, data [16]byte
					for reading := range hour {
						<-tick.C
						if err := readOnce(b, addr, steps, data[:]); err != nil {
							t.Errorf("%s, reading %d: %v", kind.name, reading, err)
							return
						}
						if reading == 0 {
							first = data
						}
					}
					if data == first {
						t.Errorf("%s: the first and the last reading are both % x", kind.name, data)
					}
					if c, ok := chip.(*BMx280); ok && c.Conversions() != hour {
						t.Errorf("%s: %d conversions, want %d", kind.name, c.Conversions(), hour)
					}
				})
			}
		}
		g.Wait()
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

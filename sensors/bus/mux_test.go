package bus

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/sensors"
	"weir/sensors/sim"
)

// Chips of one address on many channels, read by many at once, never answer for
// each other.
func TestChannelsNeverMix(t *testing.T) {
	b, _, _, _ := shelf()
	b.took = 50 * time.Microsecond
	switching(t, b, nil, func(ctx context.Context, m *Machine) {
		var readers sync.WaitGroup
		for i, p := range shelfPlaces {
			c := chipAt(t, ctx, m, p.path, p.addr)
			if c.String() != p.name {
				t.Errorf("%s is called %q, want %q", p.path, c, p.name)
			}
			readers.Go(func() {
				for n := range 50 {
					time.Sleep(time.Duration(i*n*37%211) * time.Microsecond)
					if id, err := idOf(ctx, c); err != nil || id != p.id {
						t.Errorf("%s: chip %d answers (%v), want %d", c, id, err, p.id)
						return
					}
				}
			})
		}
		readers.Wait()
	})
}

// A channel is open only while a transfer goes through it.
func TestChannelsAreClosedAfterwards(t *testing.T) {
	b, a, c, inner := shelf()
	switching(t, b, nil, func(ctx context.Context, m *Machine) {
		for _, p := range shelfPlaces {
			if _, err := idOf(ctx, chipAt(t, ctx, m, p.path, p.addr)); err != nil {
				t.Error(err)
			}
			if a.mask != 0 || c.mask != 0 || inner.mask != 0 {
				t.Errorf("after %s the masks are %02x %02x %02x, want all closed", p.path, a.mask, c.mask, inner.mask)
			}
		}
	})
}

// A multiplexer whose supply dipped, or which somebody else has set, is right again
// with the next transfer.
func TestMuxLosesPower(t *testing.T) {
	b, a, _, inner := shelf()
	switching(t, b, nil, func(ctx context.Context, m *Machine) {
		first, nested := chipAt(t, ctx, m, "1/0x70/3", 0x76), chipAt(t, ctx, m, "1/0x70/4/0x71/5", 0x76)
		for _, mask := range []byte{0, 1 << 0, 0xff} {
			b.with(func() { a.mask, inner.mask = mask, mask })
			if id, err := idOf(ctx, first); err != nil || id != 2 {
				t.Errorf("mask %02x: chip %d, %v, want 2", mask, id, err)
			}
			b.with(func() { a.mask, inner.mask = 0, 0 })
			if id, err := idOf(ctx, nested); err != nil || id != 7 {
				t.Errorf("mask %02x: chip %d, %v, want 7", mask, id, err)
			}
		}
	})
}

// What a process that was killed left open is closed before anything is read.
func TestMuxLeftOpen(t *testing.T) {
	b, a, _, inner := shelf()
	a.mask, inner.mask = 1<<3|1<<4, 1<<5
	switching(t, b, []string{"1/0x70/3", "1/0x70/4/0x71/5"}, func(ctx context.Context, m *Machine) {
		for _, p := range shelfPlaces[2:] {
			if id, err := idOf(ctx, chipAt(t, ctx, m, p.path, p.addr)); err != nil || id != p.id {
				t.Errorf("%s: chip %d, %v, want %d", p.path, id, err, p.id)
			}
		}
	})
}

// A multiplexer that was pulled out is named, hinders nobody, and works again when
// it is back.
func TestMuxUnplugged(t *testing.T) {
	b, a, _, _ := shelf()
	switching(t, b, nil, func(ctx context.Context, m *Machine) {
		behind, beside, other := chipAt(t, ctx, m, "1/0x70/3", 0x76), chipAt(t, ctx, m, "1", 0x40), chipAt(t, ctx, m, "1/0x72/3", 0x76)
		b.with(func() { delete(b.root, 0x70) })
		_, err := idOf(ctx, behind)
		want := "0x76 on bus 1 behind mux 0x70 channel 3: not answering: the multiplexer 0x70 on bus 1 does not answer; look at its power, wiring and address"
		if sensors.FaultOf(err) != sensors.NotAnswering || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		for c, id := range map[sensors.Conn]byte{beside: 4, other: 3} {
			if got, err := idOf(ctx, c); err != nil || got != id {
				t.Errorf("%s: chip %d, %v, want %d", c, got, err, id)
			}
		}
		b.with(func() { a.PowerUp(time.Now()); b.root[0x70] = a })
		if id, err := idOf(ctx, behind); err != nil || id != 2 {
			t.Errorf("plugged in again: chip %d, %v, want 2", id, err)
		}
	})
}

// A multiplexer that took a selection and then is deaf keeps the same address
// elsewhere from being read, until it closes, or has been silent for so long that
// it is not there.
func TestMuxDoesNotClose(t *testing.T) {
	closing := byte(0)
	for _, deaf := range []int{closeTries, -1} {
		b, a, _, _ := shelf()
		switching(t, b, nil, func(ctx context.Context, m *Machine) {
			behind, beside, other := chipAt(t, ctx, m, "1/0x70/3", 0x76), chipAt(t, ctx, m, "1", 0x40), chipAt(t, ctx, m, "1/0x72/3", 0x76)
			b.with(func() { a.deaf, a.deafTo = deaf+1, &closing })
			if deaf < 0 {
				b.with(func() { a.deaf = -1 })
			}
			if id, err := idOf(ctx, behind); err != nil || id != 2 {
				t.Errorf("chip %d, %v, want 2", id, err)
			}
			if id, err := idOf(ctx, beside); err != nil || id != 4 {
				t.Errorf("an address that is not behind it: chip %d, %v, want 4", id, err)
			}
			if deaf < 0 {
				_, err := idOf(ctx, other)
				if sensors.FaultOf(err) != sensors.NotAnswering || !strings.Contains(err.Error(), "0x76 on bus 1 behind mux 0x72 channel 3") ||
					!strings.Contains(err.Error(), "the multiplexer 0x70 on bus 1 does not answer, so a channel of it may be open") {
					t.Errorf("got %v, want the multiplexer that does not close", err)
				}
				b.with(func() { a.mask = 0 }) // it is without power, in truth
				time.Sleep(goneAfter)
			}
			if id, err := idOf(ctx, other); err != nil || id != 3 {
				t.Errorf("afterwards: chip %d, %v, want 3", id, err)
			}
		})
	}
}

// Two users whose chips would answer for each other are refused with the reason.
func TestAddressesBehindAMux(t *testing.T) {
	for _, c := range []struct {
		name         string
		first, then  string
		addr1, addr2 uint16
		want         string // "": both work
	}{
		{"two channels", "1/0x70/0", "1/0x70/3", 0x76, 0x76, ""},
		{"two multiplexers", "1/0x70/0", "1/0x72/3", 0x76, 0x76, ""},
		{"twice the same", "1/0x70/0", "i2c-1/0x70/0", 0x76, 0x76, "another sensor of this configuration uses it"},
		{"the bus, then behind", "1", "1/0x70/3", 0x40, 0x40, "uses the same address on bus 1, which answers here too"},
		{"behind, then the bus", "1/0x70/3", "1", 0x76, 0x76, "uses the same address on bus 1 behind mux 0x70 channel 3, where this one would answer too"},
		{"a chip where the multiplexer is", "1/0x70/3", "1", 0x76, 0x70, `a multiplexer is there; what is behind it has bus = "1/0x70/CHANNEL"`},
		{"a chip behind with its address", "1/0x70/3", "1/0x72/3", 0x76, 0x70, "a multiplexer is there"},
		{"a multiplexer where a chip is", "1", "1/0x74/3", 0x74, 0x76, "0x74 on bus 1: refused: it cannot be a multiplexer: another sensor"},
		{"a multiplexer where one is already behind", "1/0x70/4/0x71/5", "1/0x71/0", 0x76, 0x76, "it cannot be a multiplexer"},
		{"no channel", "1", "1/0x70", 0x40, 0x76, "want the channel of the multiplexer"},
	} {
		b, _, _, _ := shelf()
		switching(t, b, nil, func(ctx context.Context, m *Machine) {
			first := chipAt(t, ctx, m, c.first, c.addr1)
			_, err := m.I2C(ctx, c.then, []uint16{c.addr2}, anyChip)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s: %v", c.name, err)
			case c.want != "" && (sensors.FaultOf(err) != sensors.Refused || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s: got %v, want refused: %s", c.name, err, c.want)
			}
			if err := first.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A multiplexer that nobody has named is not taken for a chip, and no channel of it is opened by what a driver asks.
func TestUnknownMuxIsNoChip(t *testing.T) {
	b, a, _, _ := shelf()
	switching(t, b, nil, func(ctx context.Context, m *Machine) {
		_, err := m.I2C(ctx, "1", []uint16{0x70}, func(ctx context.Context, c sensors.Conn) (int, error) { return 2, c.Tx(ctx, []byte{0x35, 0x17}, nil) })
		want := `0x70 on bus 1: refused: a multiplexer is there; what is behind it has bus = "1/0x70/CHANNEL"`
		if err == nil || err.Error() != want || a.mask != 0 {
			t.Errorf("got %v with mask %02x, want %s", err, a.mask, want)
		}
	})
}

// A multiplexer that the kernel drives is not driven twice.
func TestMuxOfTheKernel(t *testing.T) {
	b, _, _, _ := shelf()
	switching(t, b, nil, func(ctx context.Context, m *Machine) {
		link(t, m.Path("/sys/bus/i2c/devices/1-0070/driver"), "../../drivers/pca954x")
		link(t, m.Path("/sys/bus/i2c/devices/1-0070/channel-3"), "../i2c-11")
		_, err := m.I2C(ctx, "1/0x70/3", both[:1], anyChip)
		want := `0x70 on bus 1: refused: the kernel's driver "pca954x" has this multiplexer; its channel 3 is a bus of its own: write bus = "11"`
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

// hungBoard never answers in time.
type hungBoard struct{ switchboard }

func (*hungBoard) Tx(uint16, []byte, []byte) error {
	time.Sleep(sim.AdapterTimeout)
	return sim.ErrTimeout
}

// On a bus that hangs, what is behind a multiplexer costs no more time than what is not.
func TestHungBusBehindAMux(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdapter(1, func(int) (i2c.BusCloser, error) { return &hungBoard{}, nil })
		ctx, cancel := context.WithCancel(t.Context())
		go a.run(ctx)
		s, err := a.segment([]sensors.Hop{{Mux: 0x70, Channel: 3}})
		if err != nil {
			t.Fatal(err)
		}
		c, start := s.connect(0x76), time.Now()
		for range 3 {
			if err := c.Tx(ctx, nil, make([]byte, 1)); sensors.FaultOf(err) != sensors.Timeout || !strings.Contains(err.Error(), "mux 0x70 channel 3") {
				t.Errorf("got %v, want a timeout with the place", err)
			}
		}
		if took := time.Since(start); took != 3*sim.AdapterTimeout {
			t.Errorf("three transfers took %v, want one time-out each", took)
		}
		cancel()
		<-a.ended
	})
}

func TestTransferBehindAMuxAllocatesNothing(t *testing.T) {
	a := newAdapter(1, func(int) (i2c.BusCloser, error) { return &quietBus{}, nil })
	ctx, cancel := context.WithCancel(t.Context())
	go a.run(ctx)
	s, err := a.segment([]sensors.Hop{{Mux: 0x70, Channel: 3}, {Mux: 0x71, Channel: 0}})
	if err != nil {
		t.Fatal(err)
	}
	c, w, r := s.connect(0x76), []byte{0xd0}, make([]byte, 8)
	n := testing.AllocsPerRun(200, func() {
		if err := c.Tx(ctx, w, r); err != nil {
			t.Fatal(err)
		}
	})
	cancel()
	<-a.ended
	if n != 0 {
		t.Errorf("a transfer allocates %v times, want 0", n)
	}
}

// Scan finds what is behind each channel, and nothing twice.
func TestScanBehindAMux(t *testing.T) {
	inner := &switcher{}
	inner.channels[5] = stretch{0x76: sim.NewBME280(air)}
	mux := &switcher{}
	mux.channels[2] = stretch{0x76: sim.NewBMP280(air), 0x3c: idChip(1), 0x48: idChip(1)}
	mux.channels[7] = stretch{0x71: inner}
	b := &switchboard{root: stretch{0x70: mux, 0x77: sim.NewBME280(air), 0x48: idChip(2)}}
	powerUp(b.root)
	switching(t, b, nil, func(ctx context.Context, m *Machine) {
		for range 2 { // the second time the multiplexers are known
			b.mixed = 0
			s, err := m.Scan(ctx, scanDrivers)
			if err != nil {
				t.Fatal(err)
			}
			const want = `# 0x48 on bus 1: something answers
# 0x70 on bus 1: a TCA9548 multiplexer or one like it; a sensor on its channel 0 has bus = "1/0x70/0"
[sensor.bme280-1-77]   # BME280 at 0x77 on bus 1
driver  = "bme280"
bus     = "1"
address = 0x77

# 0x3c on bus 1 behind mux 0x70 channel 2: something answers
[sensor.bmp280-1-70-2-76]   # BMP280 at 0x76 on bus 1 behind mux 0x70 channel 2
driver  = "bmp280"
bus     = "1/0x70/2"
address = 0x76

# 0x71 on bus 1 behind mux 0x70 channel 7: a TCA9548 multiplexer or one like it; a sensor on its channel 0 has bus = "1/0x70/7/0x71/0"
[sensor.bme280-1-70-7-71-5-76]   # BME280 at 0x76 on bus 1 behind mux 0x70 channel 7 and mux 0x71 channel 5
driver  = "bme280"
bus     = "1/0x70/7/0x71/5"
address = 0x76

[sensor.cpu]   # cpu-thermal at thermal_zone0
driver  = "thermal"
name    = "cpu-thermal"

`
			if got := s.TOML(); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			i := 3 // the bus, channels 0, 1, 2
			if grid := s.Buses[i].Grid(); s.Buses[i].Path != "1/0x70/2" || !strings.Contains(grid, "70: ^^ -- -- -- -- -- 76 ^^") || !strings.Contains(grid, "40: -- -- -- -- -- -- -- -- ^^") {
				t.Errorf("grid of %s:\n%s", s.Buses[i].Path, grid)
			}
			if mux.mask != 0 || inner.mask != 0 {
				t.Errorf("masks %02x %02x, want closed", mux.mask, inner.mask)
			}
		}
	})
}

// What is no multiplexer, and where none can be, is only read.
func TestScanWritesNothingThatSticks(t *testing.T) {
	different, alike, elsewhere := &pointed{}, &pointed{}, &pointed{}
	different.registers[1] = 9
	b := &switchboard{root: stretch{0x70: different, 0x71: alike, 0x48: elsewhere}}
	switching(t, b, nil, func(ctx context.Context, m *Machine) {
		s, err := m.Scan(ctx, nil)
		if err != nil || len(s.Buses) != 1 || len(s.Buses[0].Found) != 3 {
			t.Fatalf("%v: found %+v, want three unknown chips", err, s)
		}
		if got := fmt.Sprint(different.written, alike.written, elsewhere.written); got != "[] [01 02 00] []" {
			t.Errorf("written: %s, want only what tells a multiplexer apart, where it could be one", got)
		}
	})
}

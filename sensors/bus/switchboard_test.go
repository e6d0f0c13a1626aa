package bus

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"

	"weir/sensors"
	"weir/sensors/sim"
)

// stretch is a piece of wire with chips, some of which lead on to further pieces.
type stretch map[uint16]sim.Device

// idChip answers every read with one byte, its id.
type idChip byte

func (idChip) PowerUp(time.Time)             {}
func (idChip) Write(time.Time, []byte) error { return nil }

func (c idChip) Read(_ time.Time, b []byte) error {
	for i := range b {
		b[i] = byte(c)
	}
	return nil
}

// switcher is a multiplexer: the last byte written says which channels are open.
type switcher struct {
	mask     byte
	deaf     int // so many messages are not acknowledged; below 0: none ever is
	deafTo   *byte
	channels [8]stretch
}

func (s *switcher) PowerUp(time.Time) { s.mask = 0 }

func (s *switcher) hears(w []byte) bool {
	if s.deaf == 0 || s.deafTo != nil && (len(w) == 0 || w[0] != *s.deafTo) {
		return true
	}
	s.deaf--
	return false
}

func (s *switcher) Write(_ time.Time, b []byte) error {
	if !s.hears(b) {
		return sim.ErrNack
	}
	s.mask = b[len(b)-1]
	return nil
}

func (s *switcher) Read(_ time.Time, b []byte) error {
	if !s.hears(nil) {
		return sim.ErrNack
	}
	for i := range b {
		b[i] = s.mask
	}
	return nil
}

// switchboard is a bus with multiplexers. It counts transactions that more than one
// chip has heard.
type switchboard struct {
	mu    sync.Mutex
	root  stretch
	mixed int
	calls int
	took  time.Duration // of each transaction
}

func (b *switchboard) String() string                  { return "switchboard" }
func (b *switchboard) SetSpeed(physic.Frequency) error { return nil }
func (b *switchboard) Close() error                    { return nil }

// heard are the chips at an address that hear it now.
func (s stretch) heard(addr uint16) (all []sim.Device) {
	for at, d := range s {
		if at == addr {
			all = append(all, d)
		}
		m, ok := d.(*switcher)
		for i := 0; ok && i < 8; i++ {
			if m.mask&(1<<i) != 0 && m.channels[i] != nil {
				all = append(all, m.channels[i].heard(addr)...)
			}
		}
	}
	return all
}

func (b *switchboard) Tx(addr uint16, w, r []byte) error {
	if b.took > 0 {
		time.Sleep(b.took)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	all := b.root.heard(addr) // a channel opens with the stop condition only
	if len(all) == 0 {
		return sim.ErrNack
	}
	if len(all) > 1 {
		b.mixed++
	}
	if len(w) > 0 {
		if err := all[0].Write(time.Now(), w); err != nil {
			return err
		}
	}
	if len(r) > 0 {
		return all[0].Read(time.Now(), r)
	}
	return nil
}

// with runs f while nothing is on the wire.
func (b *switchboard) with(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// switching runs f in fake time with a machine whose bus 1 is the board.
func switching(t *testing.T, b *switchboard, behind []string, f func(ctx context.Context, m *Machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Root: t.TempDir(), Buses: func() []int { return []int{1} }, OpenI2C: func(int) (i2c.BusCloser, error) { return b, nil }}
		for _, text := range behind {
			p, err := sensors.ParseBusPath(text)
			if err != nil {
				t.Fatal(err)
			}
			o.Behind = append(o.Behind, p)
		}
		m := New(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = m.Run(ctx) }()
		defer func() { cancel(); <-done }()
		f(ctx, m)
		if b.mixed > 0 {
			t.Errorf("%d of %d transactions were heard by two chips", b.mixed, b.calls)
		}
	})
}

func anyChip(ctx context.Context, c sensors.Conn) (int, error) {
	return 2, c.Tx(ctx, nil, make([]byte, 1))
}

// chipAt connects to one address and fails the test if it cannot.
func chipAt(t *testing.T, ctx context.Context, m *Machine, path string, addr uint16) sensors.Conn {
	t.Helper()
	c, err := m.I2C(ctx, path, []uint16{addr}, anyChip)
	if err != nil {
		t.Fatalf("0x%02x on %s: %v", addr, path, err)
	}
	return c
}

// idOf reads the id of a chip.
func idOf(ctx context.Context, c sensors.Conn) (byte, error) {
	var b [1]byte
	err := c.Tx(ctx, []byte{0}, b[:])
	return b[0], err
}

// shelf is a bus with two multiplexers, one of them with a third behind it, and
// chips of one address nearly everywhere.
func shelf() (b *switchboard, a, c, inner *switcher) {
	inner = &switcher{}
	inner.channels[5] = stretch{0x76: idChip(7)}
	a, c = &switcher{}, &switcher{}
	a.channels[0], a.channels[3] = stretch{0x76: idChip(1)}, stretch{0x76: idChip(2)}
	a.channels[4] = stretch{0x71: inner, 0x77: idChip(6)}
	c.channels[3] = stretch{0x76: idChip(3)}
	return &switchboard{root: stretch{0x70: a, 0x72: c, 0x40: idChip(4), 0x74: idChip(5)}}, a, c, inner
}

var shelfPlaces = []struct {
	path string
	addr uint16
	id   byte
	name string
}{
	{"1/0x70/0", 0x76, 1, "0x76 on bus 1 behind mux 0x70 channel 0"},
	{"1/0x70/3", 0x76, 2, "0x76 on bus 1 behind mux 0x70 channel 3"},
	{"1/0x72/3", 0x76, 3, "0x76 on bus 1 behind mux 0x72 channel 3"},
	{"1", 0x40, 4, "0x40 on bus 1"},
	{"i2c-1/0x70/4", 0x77, 6, "0x77 on bus 1 behind mux 0x70 channel 4"},
	{"1/0x70/4/0x71/5", 0x76, 7, "0x76 on bus 1 behind mux 0x70 channel 4 and mux 0x71 channel 5"},
}

// powerUp has the chips of a board measure at once.
func powerUp(s stretch) {
	for _, d := range s {
		d.PowerUp(time.Time{})
		if m, ok := d.(*switcher); ok {
			for _, c := range m.channels {
				powerUp(c)
			}
		}
	}
}

// pointed is a chip with one register pointer, as most have; it remembers what was
// written to it.
type pointed struct {
	registers [256]byte
	pointer   byte
	written   []string
}

func (*pointed) PowerUp(time.Time) {}

func (p *pointed) Write(_ time.Time, b []byte) error {
	p.pointer = b[0]
	p.written = append(p.written, fmt.Sprintf("%x", b))
	return nil
}

func (p *pointed) Read(_ time.Time, b []byte) error {
	for i := range b {
		b[i] = p.registers[p.pointer]
		p.pointer++
	}
	return nil
}

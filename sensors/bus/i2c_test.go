package bus

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"

	"weir/sensors"
	"weir/sensors/sim"
)

var air = sim.Steady(sim.Climate{Temperature: 20, Pressure: 100000, Humidity: 50})

// board says which chips (by id) sit at which addresses of which buses.
type board map[int]map[uint16]byte

// wires are the buses of a board while a test runs.
type wires map[int]*sim.Bus

// running runs f in fake time with a machine of this board.
func running(t *testing.T, b board, f func(ctx context.Context, m *Machine, w wires)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := wires{}
		for n, chips := range b {
			w[n] = sim.NewBus("I2C")
			for addr, id := range chips {
				w[n].Add(addr, sim.NewBME280(air, sim.ChipID(id)))
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		m := New(Options{
			Root:  t.TempDir(),
			Buses: func() []int { return slices.Sorted(maps.Keys(w)) },
			OpenI2C: func(n int) (i2c.BusCloser, error) {
				if w[n] != nil {
					return w[n], nil
				}
				return nil, errors.New("sysfs-i2c: bus #9 is not configured: no such file or directory")
			},
		})
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		f(ctx, m, w)
	})
}

// bosch fits chips whose id register holds id.
func bosch(id byte) sensors.Fits {
	return func(ctx context.Context, c sensors.Conn) (int, error) {
		var b [1]byte
		if err := c.Tx(ctx, []byte{0xd0}, b[:]); err != nil {
			return 0, err
		}
		if b[0] != id {
			return 0, sensors.Errorf(sensors.WrongChip, "", "id 0x%02x at %s", b[0], c)
		}
		return 2, nil
	}
}

var both = []uint16{0x76, 0x77}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, path, target string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestClassify(t *testing.T) {
	for text, want := range map[string]sensors.Fault{
		"sysfs-i2c: remote I/O error":                 sensors.NotAnswering,
		"sysfs-i2c: no such device or address":        sensors.NotAnswering,
		"sysfs-i2c: connection timed out":             sensors.Timeout,
		"sysfs-i2c: input/output error":               sensors.Timeout,
		"sysfs-i2c: resource temporarily unavailable": sensors.Timeout,
		"sysfs-i2c: no such device":                   sensors.Gone,
		"sysfs-i2c: bad file descriptor":              sensors.Gone,
	} {
		if got := classify("x", errors.New(text)); got.Fault != want || !strings.Contains(got.Error(), text) {
			t.Errorf("%q: got %v, want class %v and the text", text, got, want)
		}
	}
	err := classifyOpen("bus 1", errors.New("sysfs-i2c: are you member of group 'plugdev'? open /dev/i2c-1: permission denied"))
	if err.Fault != sensors.Refused || !strings.Contains(err.Text, "group i2c") {
		t.Errorf("got %v, want refused with the group", err)
	}
}

func TestHungBusLetsTheCallerGo(t *testing.T) {
	running(t, board{1: {0x76: 0x58}, 2: {0x76: 0x58}}, func(ctx context.Context, m *Machine, w wires) {
		c1, err1 := m.I2C(ctx, "1", both[:1], bosch(0x58))
		c2, err2 := m.I2C(ctx, "2", both[:1], bosch(0x58))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		release := w[1].Hang()
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		r := []byte{1, 2}
		if err := c1.Tx(short, []byte{0xd0}, r); sensors.FaultOf(err) != sensors.Timeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a timeout of the context", err)
		}
		if took := time.Since(start); took > 301*time.Millisecond {
			t.Errorf("the caller waited %v, want 300 ms", took)
		}
		start = time.Now()
		if err := c2.Tx(ctx, []byte{0xd0}, r[:1]); err != nil || time.Since(start) > 10*time.Millisecond {
			t.Errorf("the other bus: %v after %v", err, time.Since(start))
		}
		release()
		if err := c1.Tx(ctx, []byte{0xd0}, r[:1]); err != nil || r[0] != 0x58 {
			t.Errorf("afterwards: %v % x", err, r)
		}
	})
}

// stuckBus never comes back from the kernel, until the test lets it.
type stuckBus struct {
	quietBus
	free chan struct{}
}

func (s *stuckBus) Tx(_ uint16, _, r []byte) error {
	<-s.free
	for i := range r {
		r[i] = 0xee
	}
	return nil
}

func TestStuckKernelHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &stuckBus{free: make(chan struct{})}
		a := newAdapter(1, func(int) (i2c.BusCloser, error) { return b, nil })
		ctx, cancel := context.WithCancel(t.Context())
		go a.run(ctx)
		r := []byte{1}
		start := time.Now()
		for _, addr := range both { // one in the kernel, one waiting for it
			if err := a.root.connect(addr).Tx(t.Context(), nil, r); sensors.FaultOf(err) != sensors.Timeout {
				t.Errorf("got %v, want a timeout", err)
			}
		}
		if took := time.Since(start); took != 2*longestWait || r[0] != 1 {
			t.Errorf("took %v and left % x, want %v and nothing changed", took, r, 2*longestWait)
		}
		close(b.free)
		cancel()
		<-a.ended
		if r[0] != 1 {
			t.Errorf("a transfer nobody waits for wrote % x", r)
		}
	})
}

func TestAdapterComesBack(t *testing.T) {
	var opened int
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wire *sim.Bus
		m := New(Options{Root: t.TempDir(), OpenI2C: func(int) (i2c.BusCloser, error) {
			opened++
			wire = sim.NewBus("1")
			wire.Add(0x76, sim.NewBMP280(air))
			return wire, nil
		}})
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		c, err := m.I2C(ctx, "1", both[:1], bosch(0x58))
		if err != nil {
			t.Fatal(err)
		}
		wire.InjectAll(sim.Gone())
		if err := c.Tx(ctx, []byte{0xd0}, make([]byte, 1)); sensors.FaultOf(err) != sensors.Gone {
			t.Errorf("got %v, want gone", err)
		}
		if err := c.Tx(ctx, []byte{0xd0}, make([]byte, 1)); err != nil || opened != 2 {
			t.Errorf("got %v after %d openings, want the bus back after 2", err, opened)
		}
		cancel()
		<-done
		if err := c.Tx(t.Context(), []byte{0xd0}, make([]byte, 1)); sensors.FaultOf(err) != sensors.Gone {
			t.Errorf("after the end: got %v, want gone", err)
		}
		if _, err := m.I2C(t.Context(), "2", both, bosch(0x58)); sensors.FaultOf(err) != sensors.Gone {
			t.Errorf("after the end: got %v, want gone", err)
		}
	})
}

// movingBus looks whether its stack moves between taking an address of a
// variable on it and a "system call" eight KiB further down.
type movingBus struct{ moved, calls int }

func (m *movingBus) String() string                  { return "moving" }
func (m *movingBus) SetSpeed(physic.Frequency) error { return nil }
func (m *movingBus) Close() error                    { return nil }

func (m *movingBus) Tx(uint16, []byte, []byte) error {
	var here [8]byte
	before := address(&here)
	deep(8)
	runtime.GC() // shrinks stacks that are little used
	if address(&here) != before {
		m.moved++
	}
	m.calls++
	return nil
}

//go:noinline
func address(b *[8]byte) uintptr { return uintptr(unsafe.Pointer(b)) }

//go:noinline
func deep(n int) byte {
	var frame [1 << 10]byte
	frame[n] = byte(n)
	if n == 0 {
		return frame[0]
	}
	return deep(n-1) + frame[n]
}

func TestStackDoesNotMoveUnderATransfer(t *testing.T) {
	bare := &movingBus{}
	for range 5 { // the fault exists: on a fresh goroutine the stack moves
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = bare.Tx(0, nil, nil)
		}()
		<-done
	}
	if bare.moved == 0 {
		t.Error("the probe finds no moving stack even without precautions; it proves nothing")
	}
	owned := &movingBus{}
	a := newAdapter(1, func(int) (i2c.BusCloser, error) { return owned, nil })
	ctx, cancel := context.WithCancel(t.Context())
	go a.run(ctx)
	c := a.root.connect(0x76)
	for range 20 {
		if err := c.Tx(ctx, []byte{0}, nil); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-a.ended
	if owned.moved > 0 {
		t.Errorf("the stack moved in %d of %d transfers", owned.moved, owned.calls)
	}
}

func TestTransferAllocatesNothing(t *testing.T) {
	a := newAdapter(1, func(int) (i2c.BusCloser, error) { return &quietBus{}, nil })
	ctx, cancel := context.WithCancel(t.Context())
	go a.run(ctx)
	c := a.root.connect(0x76)
	w, r := []byte{0xd0}, make([]byte, 8)
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

// quietBus answers everything at once.
type quietBus struct{ movingBus }

func (q *quietBus) Tx(uint16, []byte, []byte) error { return nil }

func TestTooLongTransferIsRefused(t *testing.T) {
	c := newAdapter(1, nil).root.connect(0x50)
	if err := c.Tx(t.Context(), make([]byte, maxTransfer+1), nil); sensors.FaultOf(err) != sensors.Refused {
		t.Errorf("got %v, want refused", err)
	}
}

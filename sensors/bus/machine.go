package bus

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"periph.io/x/conn/v3/i2c"

	"weir/sensors"
)

// Options say what a Machine is made of. The zero value is this computer
// without serial lines.
type Options struct {
	Root    string                                  // kernel files are looked for below it; "": /
	Buses   func() []int                            // I2C buses there are now; nil: /dev/i2c-*
	OpenI2C func(number int) (i2c.BusCloser, error) // nil: periph's sysfs
	Lines   []LineOptions                           // serial lines, with names of their own
	Behind  []sensors.BusPath                       // places behind multiplexers that will be used: these are closed before anything else is read
	Log     *slog.Logger                            // nil: nothing is logged

	OpenSerial func(path string, m sensors.Mode) (SerialPort, error) // nil: tarm/serial, locked
}

// Machine owns the buses of a computer and implements sensors.Machine. Buses
// are opened when they are first used. It is safe for concurrent use.
type Machine struct {
	o       Options
	log     *slog.Logger
	starts  chan func(context.Context) // owners for Run to start
	stopped chan struct{}              // closed when Run has returned

	onewire oneWire
	lines   map[string]*line // fixed

	mu       sync.Mutex // guards adapters
	adapters map[int]*adapter
}

var _ sensors.Machine = (*Machine)(nil)

// New returns a machine. It opens nothing and starts nothing; its buses work
// while Run runs.
func New(o Options) *Machine {
	if o.OpenI2C == nil {
		o.OpenI2C = openSysfs
	}
	if o.OpenSerial == nil {
		o.OpenSerial = openTTY
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &Machine{
		o: o, log: o.Log,
		starts: make(chan func(context.Context)), stopped: make(chan struct{}),
		adapters: map[int]*adapter{}, lines: map[string]*line{},
	}
	for _, l := range o.Lines {
		m.lines[l.Name] = newLine(l, m)
	}
	return m
}

// Run starts the owners of buses and lines as they are needed. When ctx ends it
// closes everything and waits for it; a transfer that hangs in the kernel is
// waited for. It returns nil and is called once.
func (m *Machine) Run(ctx context.Context) error {
	var owners sync.WaitGroup
	defer close(m.stopped)
	defer owners.Wait()
	for _, l := range m.lines {
		owners.Go(func() { l.run(ctx) })
	}
	for {
		select {
		case f := <-m.starts:
			owners.Go(func() { f(ctx) })
		case <-ctx.Done():
			return nil
		}
	}
}

var errStopped = errors.New("the buses are closed")

// start hands an owner to Run.
func (m *Machine) start(ctx context.Context, f func(context.Context)) error {
	select {
	case m.starts <- f:
		return nil
	case <-m.stopped:
		return &sensors.Error{Fault: sensors.Gone, Err: errStopped}
	case <-ctx.Done():
		return &sensors.Error{Fault: sensors.Timeout, Text: "the buses are not running", Err: context.Cause(ctx)}
	}
}

// adapter returns the bus with the given number, with its owner running.
func (m *Machine) adapter(ctx context.Context, number int) (*adapter, error) {
	m.mu.Lock()
	a, ok := m.adapters[number]
	if !ok {
		a = newAdapter(number, m.o.OpenI2C)
		for _, p := range m.o.Behind {
			if n, ok := p.Number(); ok && n == number {
				_, _ = a.segment(p.Hops) // the first to know them; nobody has claimed anything yet
			}
		}
		m.adapters[number] = a
	}
	m.mu.Unlock()
	if ok {
		return a, nil
	}
	if err := m.start(ctx, a.run); err != nil {
		m.mu.Lock()
		delete(m.adapters, number)
		m.mu.Unlock()
		return nil, err
	}
	return a, nil
}

func (m *Machine) buses() []int {
	if m.o.Buses != nil {
		return m.o.Buses()
	}
	return m.listBuses()
}

// Path implements sensors.Machine.
func (m *Machine) Path(path string) string {
	if m.o.Root == "" {
		return path
	}
	return filepath.Join(m.o.Root, path)
}

// Log implements sensors.Machine.
func (m *Machine) Log() *slog.Logger { return m.log }

// Serial implements sensors.Machine.
func (m *Machine) Serial(name string) (sensors.Line, error) {
	if l, ok := m.lines[name]; ok {
		return l, nil
	}
	names := slices.Sorted(maps.Keys(m.lines))
	return nil, sensors.Errorf(sensors.Gone, "serial "+name, "no [serial.%s] in the configuration; there are: %s", name, orNone(names))
}

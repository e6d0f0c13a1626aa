package sim

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// What a transaction fails with. The texts are those of periph's sysfs bus, which
// loses the error number of the kernel, so that text is all a reader has.
var (
	ErrNack    = errors.New("sysfs-i2c: remote I/O error")                 // EREMOTEIO: nobody acknowledged
	ErrTimeout = errors.New("sysfs-i2c: connection timed out")             // ETIMEDOUT: a line is held low
	ErrIO      = errors.New("sysfs-i2c: input/output error")               // EIO: clock stretched too long, wrong length
	ErrLost    = errors.New("sysfs-i2c: resource temporarily unavailable") // EAGAIN: arbitration lost
	ErrGone    = errors.New("sysfs-i2c: no such device")                   // ENODEV: the adapter was pulled out
	errClosed  = errors.New("sysfs-i2c: bad file descriptor")              // EBADF: used after Close
	errAddress = errors.New("sysfs-i2c: invalid address")                  // no adapter here knows 10-bit addresses
	errLength  = errors.New("sysfs-i2c: invalid argument")                 // EINVAL: a message above longestMessage
)

const (
	// AdapterTimeout is how long a transaction takes on a bus whose lines are
	// stuck: the default of Linux adapters.
	AdapterTimeout = time.Second

	longestMessage = 8192 // bytes; i2c-dev of Linux refuses more
	seven          = 0x80 // addresses from here on need 10 bits
)

// Bus is a simulated I2C bus with the behaviour of periph's sysfs bus. It is safe
// for concurrent use; one transaction is on the wire at a time and takes the time
// that its bits need.
type Bus struct {
	name  string
	now   func() time.Time
	sleep func(time.Duration)
	wire  chan struct{} // holds a token while a transaction is on the wire

	mu     sync.Mutex // guards the fields below
	speed  physic.Frequency
	closed bool
	hung   int
	places map[uint16]*place
	faults []*scheduled // of the whole bus
	counts Counts

	multiplexers []multiplexerAt
}

// multiplexerAt is a multiplexer and the address it has.
type multiplexerAt struct {
	*TCA9548
	addr uint16
}

// place is an address of the bus.
type place struct {
	devices   []Device
	unplugged bool
	faults    []*scheduled
}

// Counts is what has happened on a bus since it was made.
type Counts struct {
	Transactions uint64 // all that reached the wire
	Failed       uint64 // of these, ended with an error
	Altered      uint64 // of these, succeeded with bytes changed by a fault
}

var _ i2c.BusCloser = (*Bus)(nil)

// Option changes how a Bus is made.
type Option func(*Bus)

// Clock gives the bus its time. Sleep must return when now has advanced by the
// given duration. The default is time.Now and time.Sleep.
func Clock(now func() time.Time, sleep func(time.Duration)) Option {
	return func(b *Bus) { b.now, b.sleep = now, sleep }
}

// Speed is the clock of the wire, which decides how long a transaction takes: nine
// bits per byte. 0 makes transactions take no time. The default is 100 kHz, that
// of a Raspberry Pi.
func Speed(f physic.Frequency) Option {
	return func(b *Bus) { b.speed = f }
}

// NewBus returns an empty bus of this name, for example "I2C1".
func NewBus(name string, options ...Option) *Bus {
	b := &Bus{
		name:   name,
		now:    time.Now,
		sleep:  time.Sleep,
		wire:   make(chan struct{}, 1),
		speed:  100 * physic.KiloHertz,
		places: make(map[uint16]*place),
	}
	for _, o := range options {
		o(b)
	}
	return b
}

// Add solders a device to the bus and gives it power long enough ago for it to
// be ready. Several devices at one address all hear what is written, and the
// wire carries the AND of what they answer, as it does with real chips.
func (b *Bus) Add(addr uint16, d Device) {
	d.PowerUp(b.now().Add(-time.Hour))
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.at(addr)
	p.devices = append(p.devices, d)
	if m, ok := d.(*TCA9548); ok {
		b.multiplexers = append(b.multiplexers, multiplexerAt{m, addr})
	}
}

// Unplug takes power and wires from the devices at the address.
func (b *Bus) Unplug(addr uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at(addr).unplugged = true
}

// Plug brings unplugged devices back, in power-up state from this moment on. It
// does nothing if they are plugged in.
func (b *Bus) Plug(addr uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.at(addr); p.unplugged {
		p.unplugged = false
		powerUp(p.devices, b.now())
	}
}

// BrownOut lets the supply of the devices at the address dip: they fall back to
// their power-up state without anybody being told.
func (b *Bus) BrownOut(addr uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	powerUp(b.at(addr).devices, b.now())
}

func powerUp(devices []Device, now time.Time) {
	for _, d := range devices {
		d.PowerUp(now)
	}
}

// at returns the place of an address, made if new. The caller holds mu.
func (b *Bus) at(addr uint16) *place {
	p := b.places[addr]
	if p == nil {
		p = &place{}
		b.places[addr] = p
	}
	return p
}

// Counts returns what has happened so far.
func (b *Bus) Counts() Counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts
}

// String returns the name of the bus.
func (b *Bus) String() string { return b.name }

// SetSpeed refuses, as a Raspberry Pi does, whose bus speed is set at boot.
func (b *Bus) SetSpeed(f physic.Frequency) error {
	switch {
	case f > 100*physic.MegaHertz:
		return fmt.Errorf("sysfs-i2c: invalid speed %s, at most 100MHz", f)
	case f < physic.KiloHertz:
		return fmt.Errorf("sysfs-i2c: invalid speed %s, at least 1kHz", f)
	}
	return errors.New("sysfs-i2c: not supported")
}

// Close waits for the transaction on the wire; later ones fail.
func (b *Bus) Close() error {
	b.wire <- struct{}{}
	defer func() { <-b.wire }()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed
	}
	b.closed = true
	return nil
}

// Tx writes w and then, after a repeated start, reads r. Either may be empty;
// if both are, it returns nil without touching the bus.
func (b *Bus) Tx(addr uint16, w, r []byte) error {
	switch {
	case addr >= seven:
		return errAddress
	case len(w) == 0 && len(r) == 0:
		return nil
	case len(w) > longestMessage || len(r) > longestMessage:
		return errLength
	}
	b.wire <- struct{}{}
	defer func() { <-b.wire }()

	x, err := b.begin(addr, w, r)
	if err != nil {
		return err
	}
	if x.takes > 0 {
		b.sleep(x.takes)
	}
	if x.err == nil {
		x.err = x.exchange(b.now(), w, r)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts.Transactions++
	if x.err != nil {
		b.counts.Failed++
	} else if x.altered {
		b.counts.Altered++
	}
	return x.err
}

// begin decides under the lock what will become of a transaction.
func (b *Bus) begin(addr uint16, w, r []byte) (transaction, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return transaction{}, errClosed
	}
	if b.hung > 0 {
		return transaction{takes: AdapterTimeout, err: ErrTimeout}, nil
	}
	x := transaction{takes: b.wireTime(len(w), len(r))}
	b.gather(&x, addr, w, r)
	if len(x.devices) == 0 && x.err == nil {
		x.err = ErrNack
	}
	return x, nil
}

// gather adds the devices at an address, behind multiplexers too, and the faults
// between them and the reader. The caller holds mu.
func (b *Bus) gather(x *transaction, addr uint16, w, r []byte) {
	p := b.at(addr)
	b.faults = x.meet(b.faults, w, r)
	p.faults = x.meet(p.faults, w, r)
	switch {
	case p.unplugged:
	case len(x.devices) == 0:
		x.devices = slices.Clip(p.devices) // what is added goes elsewhere
	default:
		x.devices = append(x.devices, p.devices...)
	}
	for _, m := range b.multiplexers {
		if !b.at(m.addr).unplugged {
			m.join(x, addr, w, r)
		}
	}
}

// join lets the bus, as a channel of a multiplexer, take part in a transaction. A
// fault that looks like an absent chip leaves those of other channels alone; all
// other errors are of the whole wire.
func (b *Bus) join(x *transaction, addr uint16, w, r []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hung > 0 {
		x.err, x.takes = ErrTimeout, AdapterTimeout
		return
	}
	own := transaction{}
	b.gather(&own, addr, w, r)
	switch {
	case own.err == ErrNack:
		return
	case own.err != nil && x.err == nil:
		x.err, x.takes = own.err, x.takes+own.takes
	}
	if len(own.devices) > 0 {
		b.counts.Transactions++
	}
	x.devices = append(x.devices, own.devices...)
	x.changes = append(x.changes, own.changes...)
}

// wireTime is how long a transaction occupies the wire: an address byte per
// message, nine bits per byte, a start per message and one stop.
func (b *Bus) wireTime(w, r int) time.Duration {
	if b.speed <= 0 {
		return 0
	}
	bits := 1
	if w > 0 {
		bits += 1 + 9*(1+w)
	}
	if r > 0 {
		bits += 1 + 9*(1+r)
	}
	return time.Duration(bits) * time.Duration(physic.Hertz) * time.Second / time.Duration(b.speed)
}

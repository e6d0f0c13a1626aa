package bus

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/sensors"
)

// maxTransfer is the most bytes written, and read, in one transaction.
const maxTransfer = 64

// longestWait bounds a transfer for callers whose context has no end. The kernel
// gives up after one second by itself; several others may be waiting before.
const longestWait = 10 * time.Second

// adapter is one I2C bus with the goroutine that owns it. Nothing else touches
// the bus; a hung transfer delays nobody but those who wait for this bus.
type adapter struct {
	number   int
	open     func(number int) (i2c.BusCloser, error)
	requests chan *transfer
	ended    chan struct{} // closed when the owner has returned
	counter  counter

	mu     sync.Mutex // guards claims
	claims map[uint16]bool

	bus i2c.BusCloser // owner only; nil while closed
}

// transfer is one transaction. While the owner works on it, it alone touches
// it. Its buffers are on the heap, where the kernel may keep writing to them
// although the one who asked has left.
type transfer struct {
	addr     uint16
	w, r     []byte // parts of room
	room     [2][maxTransfer]byte
	err      error
	finished chan struct{} // capacity 1
}

func newAdapter(number int, open func(int) (i2c.BusCloser, error)) *adapter {
	return &adapter{number: number, open: open, requests: make(chan *transfer), ended: make(chan struct{}), claims: map[uint16]bool{}}
}

func (a *adapter) String() string { return fmt.Sprintf("bus %d", a.number) }

// run serves requests until ctx ends, then closes the bus.
func (a *adapter) run(ctx context.Context) {
	defer close(a.ended)
	for {
		select {
		case t := <-a.requests:
			t.err = a.perform(t)
			a.counter.note(t.err)
			t.finished <- struct{}{}
		case <-ctx.Done():
			a.shut()
			return
		}
	}
}

func (a *adapter) shut() {
	if a.bus != nil {
		_ = a.bus.Close() // nothing is written to it that could get lost
		a.bus = nil
	}
}

// perform opens the bus if it is closed, and does the transaction.
func (a *adapter) perform(t *transfer) error {
	if a.bus == nil {
		b, err := a.open(a.number)
		if err != nil {
			return classifyOpen(a.String(), err)
		}
		a.bus = b
	}
	err := transact(a.bus, t)
	if err == nil {
		return nil
	}
	classified := classify(where(t.addr, a.number), err)
	if classified.Fault == sensors.Gone {
		a.shut() // the next request opens it anew: an adapter may have been plugged in again
	}
	return classified
}

// transact does the transaction far down a stack that has room.
//
// periph's sysfs bus puts addresses of its own stack variables into a structure
// for the kernel, as plain integers. If Go moves the stack between that and the
// system call, the kernel reads and writes where the stack was. Stacks move
// when they grow, and when the collector halves one that is less than a quarter
// used. The array makes this frame so large that the stack has grown to 32 KiB
// or more before Tx is called, with several KiB to spare for it, and that it
// stays half used until Tx has returned.
//
//go:noinline
func transact(b i2c.Bus, t *transfer) error {
	var ballast [16 << 10]byte
	weigh(&ballast)
	err := b.Tx(t.addr, t.w, t.r)
	weigh(&ballast)
	return err
}

// weigh uses the ballast, so that it lives until here.
//
//go:noinline
func weigh(b *[16 << 10]byte) { b[len(b)-1]++ }

// where names an address on a bus.
func where(addr uint16, number int) string { return fmt.Sprintf("0x%02x on bus %d", addr, number) }

// claim takes an address for one user.
func (a *adapter) claim(addr uint16) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.claims[addr] {
		return false
	}
	a.claims[addr] = true
	return true
}

func (a *adapter) release(addr uint16) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.claims, addr)
}

// conn is one address on an adapter, for one user at a time.
type conn struct {
	a       *adapter
	addr    uint16
	name    string
	claimed bool
	t       *transfer // nil: the last one is still with the owner
	limit   *time.Timer
}

func (a *adapter) connect(addr uint16) *conn {
	return &conn{a: a, addr: addr, name: where(addr, a.number)}
}

// String implements sensors.Conn.
func (c *conn) String() string { return c.name }

// Close implements sensors.Conn.
func (c *conn) Close() error {
	if c.claimed {
		c.claimed = false
		c.a.release(c.addr)
	}
	return nil
}

// Tx implements sensors.Conn.
func (c *conn) Tx(ctx context.Context, w, r []byte) error {
	if len(w) > maxTransfer || len(r) > maxTransfer {
		return sensors.Errorf(sensors.Refused, c.name, "transfer of %d and %d bytes, limit %d", len(w), len(r), maxTransfer)
	}
	t := c.t
	if t == nil {
		t = &transfer{addr: c.addr, finished: make(chan struct{}, 1)}
		c.t = t
	}
	t.w, t.r = t.room[0][:copy(t.room[0][:], w)], t.room[1][:len(r)]
	if c.limit == nil {
		c.limit = time.NewTimer(longestWait)
	} else {
		c.limit.Reset(longestWait)
	}
	defer c.limit.Stop()
	select {
	case c.a.requests <- t:
	case <-ctx.Done():
		return c.late("the bus was busy all the time", context.Cause(ctx))
	case <-c.limit.C:
		return c.late("the bus was busy all the time", errLongestWait)
	case <-c.a.ended:
		return sensors.Errorf(sensors.Gone, c.name, "the bus was closed")
	}
	select {
	case <-t.finished:
	case <-ctx.Done():
		c.t = nil
		return c.late("the bus does not finish the transfer", context.Cause(ctx))
	case <-c.limit.C:
		c.t = nil
		return c.late("the bus does not finish the transfer", errLongestWait)
	}
	copy(r, t.r)
	return t.err
}

var errLongestWait = fmt.Errorf("waited for %v", longestWait)

func (c *conn) late(text string, why error) error {
	return &sensors.Error{Fault: sensors.Timeout, Where: c.name, Text: text, Err: why}
}

// classify sorts an error of a transfer by its text, since periph keeps no
// error number. The texts are the kernel's names of EREMOTEIO, ENXIO,
// ETIMEDOUT, EIO, EAGAIN, ENODEV, EBADF and ENOENT.
func classify(where string, err error) *sensors.Error {
	text := err.Error()
	has := func(s string) bool { return strings.Contains(text, s) }
	e := &sensors.Error{Where: where, Err: err}
	switch {
	case has("remote I/O error"), has("no such device or address"):
		e.Fault, e.Text = sensors.NotAnswering, "look at power, wiring and address"
	case has("connection timed out"):
		e.Fault, e.Text = sensors.Timeout, "the bus hangs: a chip or a short holds a line low"
	case has("resource temporarily unavailable"):
		e.Fault, e.Text = sensors.Timeout, "lost the bus to another master or to noise"
	case has("no such device"), has("bad file descriptor"), has("no such file"), has("file already closed"):
		e.Fault, e.Text = sensors.Gone, "the bus adapter is gone"
	case has("input/output error"):
		e.Fault, e.Text = sensors.Timeout, "the transfer broke off; a chip may have held the clock for too long"
	default:
		e.Fault = sensors.NotAnswering
	}
	return e
}

// classifyOpen sorts the error of opening a bus, and says what to do.
func classifyOpen(where string, err error) *sensors.Error {
	text := err.Error()
	e := &sensors.Error{Fault: sensors.Gone, Where: where, Err: err}
	switch {
	case strings.Contains(text, "permission denied"):
		e.Fault, e.Text = sensors.Refused, "no permission: add the user to the group i2c"
	case strings.Contains(text, "not configured"), strings.Contains(text, "no such file"):
		e.Text = "no such bus: on a Raspberry Pi switch I2C on (dtparam=i2c_arm=on in config.txt), or plug the adapter in"
	}
	return e
}

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
	searches chan struct{} // capacity 1: full while somebody claims addresses to ask what is there

	mu     sync.Mutex // guards claims, and the lists of segments and multiplexers
	claims map[claim]bool
	root   *segment

	bus     i2c.BusCloser // owner only, as the next; nil while closed
	telling transfer      // what is said to multiplexers
}

// claim is an address with a user.
type claim struct {
	at   *segment
	addr uint16
}

// transfer is one transaction. While the owner works on it, it alone touches
// it. Its buffers are on the heap, where the kernel may keep writing to them
// although the one who asked has left.
type transfer struct {
	at       *segment
	addr     uint16
	probe    bool   // for a multiplexer, in place of the transaction: see probeMux
	w, r     []byte // parts of room
	room     [2][maxTransfer]byte
	err      error
	finished chan struct{} // capacity 1
}

func newAdapter(number int, open func(int) (i2c.BusCloser, error)) *adapter {
	a := &adapter{number: number, open: open, requests: make(chan *transfer), ended: make(chan struct{}), searches: make(chan struct{}, 1), claims: map[claim]bool{}}
	a.root = &segment{a: a, name: a.String()}
	return a
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
		a.unhear()
	}
}

// perform opens the bus if it is closed, opens the way through multiplexers, does
// the transaction, and closes the way.
func (a *adapter) perform(t *transfer) error {
	if a.bus == nil {
		b, err := a.open(a.number)
		if err != nil {
			return classifyOpen(a.String(), err)
		}
		a.bus = b
	}
	if shared, ok := a.bus.(turns); ok {
		if err := shared.take(); err != nil {
			return classify(t.at.where(t.addr), err)
		}
		defer shared.give()
	}
	failed := a.enter(t)
	if failed == nil {
		failed = a.exchange(t)
	}
	switch {
	case failed == nil:
		a.leave(t.at)
		return nil
	case failed.Fault == sensors.Gone:
		a.shut() // the next request opens it anew: an adapter may have been plugged in again
	case failed.Fault == sensors.Timeout: // each try on a bus that hangs costs a second; the next request closes the way first
	default:
		a.leave(t.at)
	}
	return failed
}

// turns is a bus that other processes use too, one at a time.
type turns interface {
	take() error
	give()
}

// exchange does the transaction of a request whose way is open.
func (a *adapter) exchange(t *transfer) *sensors.Error {
	var err error
	if t.probe {
		err = a.probeMux(a.bus, t)
	} else {
		err = transact(a.bus, t)
	}
	if err == nil {
		return nil
	}
	return classify(t.at.where(t.addr), err)
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

// search waits until nobody else searches on the bus; searched must follow.
func (a *adapter) search(ctx context.Context) error {
	select {
	case a.searches <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &sensors.Error{Fault: sensors.Timeout, Where: a.String(), Text: "other sensors are still being looked for there", Err: context.Cause(ctx)}
	}
}

func (a *adapter) searched() { <-a.searches }

// claim takes an address for one user. It returns who has it already, or "".
func (s *segment) claim(addr uint16) (user string) {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	if user := s.a.userOf(s, addr); user != "" {
		return user
	}
	s.a.claims[claim{s, addr}] = true
	return ""
}

// taken reports whether the address has a user on this very wire.
func (s *segment) taken(addr uint16) bool {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	return s.a.claims[claim{s, addr}]
}

func (s *segment) release(addr uint16) {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	delete(s.a.claims, claim{s, addr})
}

// conn is one address on an adapter, for one user at a time.
type conn struct {
	a       *adapter
	at      *segment
	addr    uint16
	name    string
	claimed bool
	t       *transfer // nil: the last one is still with the owner
	limit   *time.Timer
}

func (s *segment) connect(addr uint16) *conn {
	return &conn{a: s.a, at: s, addr: addr, name: s.where(addr)}
}

// String implements sensors.Conn.
func (c *conn) String() string { return c.name }

// Close implements sensors.Conn.
func (c *conn) Close() error {
	if c.claimed {
		c.claimed = false
		c.at.release(c.addr)
	}
	return nil
}

// Tx implements sensors.Conn.
func (c *conn) Tx(ctx context.Context, w, r []byte) error { return c.request(ctx, w, r, false) }

// request hands a transaction, or the question whether a multiplexer is there, to
// the owner and waits for it.
func (c *conn) request(ctx context.Context, w, r []byte, probe bool) error {
	if len(w) > maxTransfer || len(r) > maxTransfer {
		return sensors.Errorf(sensors.Refused, c.name, "transfer of %d and %d bytes, limit %d", len(w), len(r), maxTransfer)
	}
	t := c.t
	if t == nil {
		t = &transfer{at: c.at, addr: c.addr, finished: make(chan struct{}, 1)}
		c.t = t
	}
	t.probe = probe
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
		e.Fault, e.Text = sensors.Refused, "no permission: add the user to the group i2c (sudo usermod -aG i2c $USER) and log in anew"
	case strings.Contains(text, "not configured"), strings.Contains(text, "no such file"):
		e.Text = "no such bus: on a Raspberry Pi switch I2C on (dtparam=i2c_arm=on in config.txt), or plug the adapter in"
	}
	return e
}

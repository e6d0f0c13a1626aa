package transport

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Handler is what one connection does. Receive, MayWait, Deadline, Timeout and Closed are called by its reader only, never
// two at a time; Take by whoever is writing. The reader of many connections may be one and the same: all must not block, but
// for Receive where MayWait says so.
type Handler interface {
	// Receive looks at everything that was read and not yet consumed, and says how many bytes it is done with. b is
	// valid during the call. An error ends the connection as Shutdown does.
	Receive(b []byte) (n int, err error)

	// Deadline is when something must have been received; zero: never. It is asked before each read and may only move
	// as a result of Receive.
	Deadline() time.Time

	// Timeout says that the deadline has passed; the connection then ends as Shutdown does.
	Timeout()

	// MayWait tells whether the next Receive may block, such as one that checks a password. It is asked before each one.
	// Other connections do not wait for it.
	MayWait() bool

	// Take hands over bytes to be written, in order; empty: nothing now. done is the slice that the call before handed
	// over, no longer needed, or nil. It must not block.
	Take(done []byte) []byte

	// Closed says that nothing will be received any more and why. Called exactly once. Take is still asked afterwards
	// for last words, unless the connection is broken.
	Closed(err error)
}

// Why a connection ended, as Handler.Closed sees it, besides errors of the socket and of Receive.
var (
	ErrShutdown = errors.New("transport: ended from this side")
	ErrTimeout  = errors.New("transport: nothing received in time")
)

// Linger bounds the orderly end of a connection: writing what is left and waiting for the peer to close.
const Linger = time.Second

// States of the writing side. Only a poller knows stuck.
//
//	idle ──▶ busy ◀──▶ again          busy, again ──▶ dying ──▶ dead
//	  ▲──────┘ ▲                      idle, stuck ────────────▶ dead
//	           ▼
//	         stuck
const (
	writeIdle  int32 = iota // nobody writes
	writeBusy               // somebody does
	writeAgain              // somebody does, and must look again afterwards
	writeStuck              // the socket is full; the poller goes on when it is not
	writeDying              // somebody does, and is to stop
	writeDead               // nobody does, nor ever will
)

// Conn is one connection. Its methods are safe for concurrent use and never block.
type Conn struct {
	listener Listener
	handler  Handler
	*socket         // of the shell of goroutines; nil: the next field drives it
	driver   driver // nil: goroutines do

	ending atomic.Bool  // the reader is to stop, or has
	told   atomic.Bool  // Closed has returned: what Take gives now are the last words
	broken atomic.Bool  // a write failed
	state  atomic.Int32 // of the writing side

	done []byte // taken, being written or written; belongs to whoever is writing
}

// socket is what only the shell of goroutines has of a connection.
type socket struct {
	nc      net.Conn
	attempt *attempt // nil: only the writer goroutine writes

	ended   chan struct{} // closed when the writing side is dead, if somebody was writing
	last    sync.Once     // around closing the sending side
	written chan struct{} // closed when the last words are written
}

// driver is a shell of another kind, such as a poller.
type driver interface {
	remoteAddr() net.Addr
	shutdown()    // wakes the reader; ending is set
	writeOut()    // as Conn.writeOut
	failed()      // wakes the reader; broken is set
	lastWritten() // the same as that of Conn
	dead()        // the writing side is dead now, which it was told to be while somebody wrote
}

// newConn makes a connection without a handler yet. Until run begins it counts as being written, so that a Flush leaves a
// mark only.
func newConn(nc net.Conn, l Listener) *Conn {
	s := &socket{nc: nc, attempt: newAttempt(nc), ended: make(chan struct{}), written: make(chan struct{})}
	c := &Conn{listener: l, socket: s}
	c.state.Store(writeBusy)
	return c
}

// RemoteAddr is the address of the peer.
func (c *Conn) RemoteAddr() net.Addr {
	if c.driver != nil {
		return c.driver.remoteAddr()
	}
	return c.nc.RemoteAddr()
}

// Listener is where the connection came from.
func (c *Conn) Listener() Listener { return c.listener }

// Shutdown ends the connection in order: Closed is called, what Take gives is written, then the socket is closed.
func (c *Conn) Shutdown() {
	switch {
	case c.ending.Swap(true):
	case c.driver != nil:
		c.driver.shutdown()
	default:
		c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
	}
}

// run reads until the connection ends, then ends it.
func (c *Conn) run() {
	c.writeOut()
	ours, err := c.read()
	c.ending.Store(true)
	c.handler.Closed(err)
	c.told.Store(true)
	if ours && !c.broken.Load() {
		c.linger()
	}
	c.nc.Close()
	c.stopWriting()
}

// read feeds the handler until the end, and tells whether this side wanted it.
func (c *Conn) read() (ours bool, err error) {
	in := newInput()
	var armed time.Time // the deadline the socket has; later ones are set when it passes
	for {
		if want := c.handler.Deadline(); !want.IsZero() && (armed.IsZero() || want.Before(armed)) {
			c.nc.SetReadDeadline(want)
			armed = want
		}
		if c.ending.Load() { // after setting the deadline: Shutdown sets its own after ending
			return true, ErrShutdown
		}
		n, err := c.nc.Read(in.space())
		if n > 0 {
			used, err := c.handler.Receive(in.add(n))
			if err != nil {
				return true, err
			}
			in.used(used, n)
		}
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return false, err
		case c.ending.Load():
			return true, ErrShutdown
		case c.broken.Load():
			return false, err
		default:
			want := c.handler.Deadline()
			if !want.IsZero() && !time.Now().Before(want) {
				c.handler.Timeout()
				return true, ErrTimeout
			}
			c.nc.SetReadDeadline(want)
			armed = want
			if c.ending.Load() {
				return true, ErrShutdown
			}
		}
	}
}

// linger writes the last words and gives the peer time to read them.
func (c *Conn) linger() {
	c.nc.SetDeadline(time.Now().Add(Linger))
	c.Flush()
	if _, ok := c.nc.(closeWriter); !ok {
		t := time.NewTimer(Linger)
		defer t.Stop()
		select {
		case <-c.written:
		case <-t.C:
		}
		return
	}
	buf := make([]byte, 4<<10)
	for {
		if _, err := c.nc.Read(buf); err != nil {
			return
		}
	}
}

type closeWriter interface{ CloseWrite() error }

// lastWritten is reached when nothing is left to write and nothing will follow.
func (c *Conn) lastWritten() {
	if c.driver != nil {
		c.driver.lastWritten()
		return
	}
	c.last.Do(func() {
		if half, ok := c.nc.(closeWriter); ok {
			half.CloseWrite()
		}
		close(c.written)
	})
}

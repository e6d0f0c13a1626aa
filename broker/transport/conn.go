package transport

import (
	"errors"
	"net"
	"net/netip"
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

// marks say what has happened to a connection. None is ever taken back, so they share a word.
type marks struct{ set atomic.Uint32 }

const (
	markEnding uint32 = 1 << iota // the reader is to stop, or has
	markTold                      // Closed has returned: what Take gives now are the last words
	markBroken                    // a write failed
	markSaid                      // the sending side is closed, or is about to be
	markEOF                       // the peer has closed its own; of a poller
)

func (m *marks) has(mark uint32) bool           { return m.set.Load()&mark != 0 }
func (m *marks) mark(mark uint32) (before bool) { return m.set.Or(mark)&mark != 0 }

// Conn is one connection. Its methods are safe for concurrent use and never block.
type Conn struct {
	handler Handler
	served  *served // with others of its listener
	*socket         // of the shell of goroutines; nil: the next field drives it
	driver  *polled // nil: goroutines do

	marks
	state atomic.Int32 // of the writing side

	done []byte // taken, being written or written; belongs to whoever is writing
}

// socket is what only the shell of goroutines has of a connection.
type socket struct {
	nc      net.Conn
	attempt *attempt   // nil: only the writer goroutine writes
	secure  *secure    // the TLS in nc; nil: none
	frames  *webSocket // the WebSocket in nc; nil: none

	ended   chan struct{} // closed when the writing side is dead, if somebody was writing
	last    sync.Once     // around closing the sending side
	written chan struct{} // closed when the last words are written
}

// served is what the connections of one Serve share.
type served struct {
	listener Listener
	counts   *tally
	running  sync.WaitGroup // connections, and goroutines that have one
}

// newConn makes a connection without a handler yet. Until run begins it counts as being written, so that a Flush leaves a
// mark only.
func newConn(nc net.Conn, from *served) *Conn {
	s := &socket{nc: nc, attempt: newAttempt(nc), ended: make(chan struct{}), written: make(chan struct{})}
	c := &Conn{served: from, socket: s}
	if w, ok := nc.(*webSocket); ok {
		s.frames, w.nudge, nc = w, c.Flush, w.Conn
	}
	s.secure, _ = nc.(*secure)
	c.state.Store(writeBusy)
	return c
}

// RemoteAddr is the address of the peer; on a Unix socket, where peers have none, that of the listener.
func (c *Conn) RemoteAddr() net.Addr {
	if c.driver != nil {
		return c.driver.remoteAddr()
	}
	a := c.nc.RemoteAddr()
	if u, ok := a.(*net.UnixAddr); ok && (u.Name == "" || u.Name == "@") {
		return c.served.listener.Addr()
	}
	return a
}

// RemoteIP is the IP address of the peer, which costs no allocation where a poller drives the connection; the zero one: it has none.
func (c *Conn) RemoteIP() netip.Addr {
	if c.driver != nil {
		return c.driver.remoteIP()
	}
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr()
}

// Identity is the name that the client's certificate gives it, if the listener is to take it; empty: none. It is known
// when the first bytes are received.
func (c *Conn) Identity() string {
	if c.socket == nil || c.secure == nil {
		return ""
	}
	return c.secure.identity()
}

// Recheck holds the client's certificate against what the listener trusts now. An error says why it would be refused; what
// becomes of the connection is up to the caller. nil without a certificate, and before the handshake is over, which looks by
// itself once more when it is.
func (c *Conn) Recheck() error {
	if c.socket == nil || c.secure == nil {
		return nil
	}
	return c.secure.recheck()
}

// Shares tells whether the buffer that Receive looks at is not the connection's own: only what Receive leaves is kept for it.
func (c *Conn) Shares() bool { return c.driver != nil }

// Listener is where the connection came from.
func (c *Conn) Listener() Listener { return c.served.listener }

// Shutdown ends the connection in order: Closed is called, what Take gives is written, then the socket is closed.
func (c *Conn) Shutdown() {
	switch {
	case c.mark(markEnding):
	case c.driver != nil:
		c.driver.shutdown()
	default:
		c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
		if c.secure != nil {                  // which may wait for the writer: see turnstile
			c.secure.raw.SetWriteDeadline(time.Now().Add(Linger))
		}
	}
}

// run shakes hands, reads until the connection ends, then ends it.
func (c *Conn) run() {
	failed := c.open()
	c.writeOut()
	ours, err := true, error(failed)
	if failed == nil {
		ours, err = c.read()
	} else {
		c.served.counts.fail(failed.Reason)
	}
	c.mark(markEnding)
	c.handler.Closed(err)
	c.mark(markTold)
	switch {
	case failed != nil && failed.Reason != PeerLeft:
		c.drain() // so that the peer gets to read why
	case ours && !c.has(markBroken):
		c.linger()
	}
	c.nc.Close()
	c.stopWriting()
}

// handshaker is a connection that has to agree with its peer on something before bytes flow.
type handshaker interface {
	handshake(deadline time.Time) error
}

// open shakes hands, if that is to be done, within the handler's first deadline.
func (c *Conn) open() *HandshakeError {
	h, ok := c.nc.(handshaker)
	if !ok {
		return nil
	}
	deadline := c.handler.Deadline()
	c.nc.SetDeadline(deadline)
	err := error(nil)
	if c.has(markEnding) { // after setting the deadline: Shutdown sets its own after ending
		err = &HandshakeError{Reason: PeerLeft, Err: ErrShutdown}
	} else {
		err = h.handshake(deadline)
	}
	if err == nil {
		c.nc.SetWriteDeadline(time.Time{})
		return nil
	}
	c.mark(markBroken)
	failed := c.failure(err)
	if failed.Reason == TimedOut {
		c.handler.Timeout()
	}
	return failed
}

// failure sorts an error of a handshake.
func (c *Conn) failure(err error) *HandshakeError {
	var failed *HandshakeError
	switch {
	case errors.As(err, &failed):
		return failed
	case c.has(markEnding):
		return &HandshakeError{Reason: PeerLeft, Err: ErrShutdown}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &HandshakeError{Reason: TimedOut, Err: ErrTimeout}
	}
	return &HandshakeError{Reason: PeerLeft, Err: err}
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
		if c.has(markEnding) { // after setting the deadline: Shutdown sets its own after ending
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
		case isClosing(err): // the peer is owed the answer of its closing handshake, or the reason
			return true, err
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return false, err
		case c.has(markEnding):
			return true, ErrShutdown
		case c.has(markBroken):
			return false, err
		default:
			want := c.handler.Deadline()
			if !want.IsZero() && !time.Now().Before(want) {
				c.handler.Timeout()
				return true, ErrTimeout
			}
			c.nc.SetReadDeadline(want)
			armed = want
			if c.has(markEnding) {
				return true, ErrShutdown
			}
		}
	}
}

// linger writes the last words and gives the peer time to read them: until it closes, and they are written.
func (c *Conn) linger() {
	over := time.Now().Add(Linger)
	c.nc.SetDeadline(over)
	c.Flush()
	from := c.nc
	if c.frames != nil {
		from = c.frames.Conn // frames count for nothing any more
	}
	if _, ok := from.(closeWriter); ok {
		c.discard(from)
	}
	t := time.NewTimer(time.Until(over))
	defer t.Stop()
	select {
	case <-c.written:
	case <-t.C:
	}
}

// drain gives the peer of a failed handshake time to read what the handshake has written.
func (c *Conn) drain() {
	raw := c.nc
	if c.frames != nil {
		raw = c.frames.Conn
	}
	if c.secure != nil {
		raw = c.secure.raw
	}
	raw.SetDeadline(time.Now().Add(Linger))
	if half, ok := raw.(closeWriter); ok {
		half.CloseWrite()
		c.discard(raw)
	}
}

// discard reads until the peer closes or the deadline passes.
func (c *Conn) discard(from net.Conn) {
	buf := make([]byte, 4<<10)
	for {
		if _, err := from.Read(buf); err != nil {
			return
		}
	}
}

type closeWriter interface{ CloseWrite() error }

// lastWritten is reached when nothing is left to write and nothing will follow. On anything but a plain socket it may wait
// for the peer, so the writer goroutine gets here then.
func (c *Conn) lastWritten() {
	if c.driver != nil {
		c.driver.lastWritten()
		return
	}
	c.last.Do(func() {
		c.mark(markSaid)
		if half, ok := c.nc.(closeWriter); ok && !c.has(markBroken) {
			half.CloseWrite()
		}
		close(c.written)
	})
}

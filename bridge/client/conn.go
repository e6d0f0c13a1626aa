package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"weir/broker/packet"
)

// What Send says when it cannot take a message now. Nothing was sent; try again after OnAcks was called.
var (
	ErrWindow = errors.New("client: as many messages on the way as the window allows")
	ErrBusy   = errors.New("client: write buffer full")
	ErrClosed = errors.New("client: connection closed")
)

// Info is what the server said in CONNACK, with the standard's defaults filled in.
type Info struct {
	SessionPresent  bool
	ClientID        string // the one in use: ours, or the one the server assigned
	ReceiveMaximum  int    // QoS 1 and 2 messages the server takes at a time
	MaxPacket       int    // largest packet to be sent: the server's limit or Options.MaxSend; 0: no limit
	MaxQoS          byte
	RetainAvailable bool
	TopicAliasMax   int
	KeepAlive       int // seconds in use, after Server Keep Alive; 0: none
	SessionExpiry   uint32
}

// Conn is one connection, which keeps to the rules for clients: 3.1.1 [MQTT-7.0.0-1]. All methods are safe for concurrent use.
type Conn struct {
	o       Options
	name    string // host:port, for errors
	nc      net.Conn
	wake    chan struct{} // capacity 1: the writer has something to do
	done    chan struct{}
	group   sync.WaitGroup // reader and writer
	buf     []byte         // the reader's; buf[:left] was received and not used
	left    int
	waiting waiters
	written atomic.Int64 // bytes given to the socket so far

	mu      sync.Mutex // guards the fields below
	core    *core
	taken   int64 // bytes the writer has taken so far
	leaving bool  // the writer closes the connection when the buffer is empty
	broken  bool  // the server broke the protocol: the reader has stopped
	err     error // why the connection ended or ends
	ended   bool  // done is closed
}

const firstBuffer = 16 << 10

// Start shakes hands on nc, which it closes when that fails, and starts the connection. ctx bounds the handshake only.
func Start(ctx context.Context, nc net.Conn, o Options) (*Conn, error) {
	c, err := Greet(ctx, nc, o)
	if err != nil {
		return nil, err
	}
	c.Begin()
	return c, nil
}

// Greet is Start without the start: nothing is read or written after CONNACK, and no callback is called, until Begin.
func Greet(ctx context.Context, nc net.Conn, o Options) (*Conn, error) {
	o, t, err := o.complete()
	if err != nil {
		cut(nc)
		return nil, fault(Settings, err, "%v", err)
	}
	c := &Conn{
		o: o, name: t.address, nc: nc, core: newCore(&o), wake: make(chan struct{}, 1), done: make(chan struct{}),
		buf: make([]byte, firstBuffer), waiting: waiters{of: map[uint64]chan packet.Reason{}},
	}
	c.core.o = &c.o
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	err = c.greet()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		if cause := ctx.Err(); cause != nil && !isRejected(err) {
			err = cause
		}
		cut(nc)
		return nil, sortError("greet "+c.name, err)
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		cut(nc)
		return nil, sortError("greet "+c.name, err)
	}
	return c, nil
}

// Begin starts a connection that Greet made. Call it once.
func (c *Conn) Begin() {
	c.group.Go(c.read)
	c.group.Go(c.write)
}

func isRejected(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == Rejected
}

// greet sends CONNECT and reads until CONNACK is there.
func (c *Conn) greet() error {
	now := time.Now()
	if err := c.core.start(now); err != nil {
		return fault(Settings, err, "CONNECT cannot be written: %v", err)
	}
	out, _ := c.core.take(nil, nil)
	if _, err := c.nc.Write(out); err != nil {
		return err
	}
	c.core.wrote(now, 0)
	for !c.core.up {
		n, err := c.nc.Read(c.buf[c.left:])
		c.left += n
		f, used, perr := packet.Next(c.buf[:c.left], min(c.o.MaxPacket, len(c.buf))) // CONNACK alone; what follows is the reader's
		if perr == nil && used > 0 {
			perr = c.core.greeted(f)
			c.left = copy(c.buf, c.buf[used:c.left])
		}
		if perr != nil {
			return perr
		}
		if err != nil && !c.core.up {
			return err
		}
	}
	return nil
}

// read is the reader goroutine.
func (c *Conn) read() {
	start, end := 0, c.left
	for {
		used, err := c.digest(c.buf[start:end])
		start += used
		if err != nil {
			c.end(err)
			return
		}
		start, end = c.room(start, end)
		n, err := c.nc.Read(c.buf[end:])
		end += n
		if n == 0 && err != nil {
			c.end(err)
			return
		}
	}
}

// digest hands all whole packets of b to the core and delivers what comes of them.
func (c *Conn) digest(b []byte) (used int, err error) {
	for {
		c.mu.Lock()
		n, err := c.core.receive(b[used:], time.Now())
		work := len(c.core.out) > 0 || c.core.rearm
		c.core.rearm = false
		c.mu.Unlock()
		used += n
		acks, messages, releases := c.core.acks, c.core.messages, c.core.releases // filled by this goroutine only
		if len(acks) > 0 {
			c.deliver(acks)
			c.core.acks = acks[:0]
		}
		if len(messages) > 0 {
			if c.o.OnMessages != nil {
				c.o.OnMessages(messages)
			}
			c.core.messages = messages[:0]
			if !c.o.ManualAck {
				c.Ack(len(messages), packet.Success)
			}
		}
		if len(releases) > 0 { // behind the messages: a PUBREL may follow its PUBLISH
			if c.o.OnReleases != nil {
				c.o.OnReleases(releases)
			}
			c.core.releases = releases[:0]
		}
		if work {
			c.Flush()
		}
		if err != nil || n == 0 {
			return used, err
		}
	}
}

// room makes room to read into: it moves what is left to the front and grows the buffer when one packet fills it.
func (c *Conn) room(start, end int) (int, int) {
	if start == end {
		return 0, 0
	}
	if end < len(c.buf) && start < len(c.buf)/2 {
		return start, end
	}
	if start == 0 && end == len(c.buf) { // a packet longer than MaxPacket was refused when its length was readable
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
		return start, end
	}
	return 0, copy(c.buf, c.buf[start:end])
}

// deliver gives ended publishes to their owners.
func (c *Conn) deliver(acks []Ack) {
	acks = c.waiting.answer(acks)
	if len(acks) > 0 && c.o.OnAcks != nil {
		c.o.OnAcks(acks)
	}
}

// end ends the connection; the first reason counts. A breach of the protocol is told to a 5.0 server first.
func (c *Conn) end(err error) {
	var breach *packet.Error
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		var own *Error
		if !errors.As(err, &own) {
			c.err = sortError("connection to "+c.name, err)
		}
		if errors.As(err, &breach) && c.o.Version == packet.V5 && c.core.disconnect(breach.Reason) == nil { // [MQTT-4.13.1-1]
			c.leaving, c.broken = true, true
			c.Flush()
			return
		}
	}
	if !c.ended {
		c.ended = true
		cut(c.nc)
		close(c.done)
	}
}

// cut closes at once. A tls.Conn would first say goodbye, and wait for a peer that takes nothing.
func cut(nc net.Conn) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	nc.Close()
}

// Info is what the server said in CONNACK.
func (c *Conn) Info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.info
}

// ownRef marks the refs of Publish.
const ownRef = 1 << 63

// Send appends a PUBLISH to the write buffer; p.ID is set here, p and its bytes may be used again when Send returns.
// ref, which must be below 1<<63, comes back in OnAcks. ErrWindow, ErrBusy: not now. ErrClosed: never. *packet.Error:
// not to this server (PacketTooLarge, QoSNotSupported, RetainNotSupported) or to none (TopicNameInvalid, ...).
// Call Flush after the last of a batch.
func (c *Conn) Send(p *packet.Publish, ref uint64) error {
	if ref >= ownRef {
		return fmt.Errorf("client: ref %#x, want it below 1<<63", ref)
	}
	return c.send(p, ref)
}

func (c *Conn) send(p *packet.Publish, ref uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.leaving {
		return ErrClosed
	}
	return c.core.publish(p, ref)
}

// Flush has everything appended so far written. It does not wait.
func (c *Conn) Flush() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Ack acknowledges the next n messages given to OnMessages, those at QoS 0 counted, in their order. r is told to a 5.0
// server; with a failure the message stays the server's. It is written with the next Flush or soon by itself.
func (c *Conn) Ack(n int, r packet.Reason) {
	c.mu.Lock()
	err := c.core.acknowledge(n, r)
	c.mu.Unlock()
	if err != nil {
		c.end(err)
	}
	c.Flush()
}

// InFlight is the number of QoS 1 and 2 messages sent that have not ended.
func (c *Conn) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.outbound.InFlight()
}

// Window is how many there may be: Options.Window or less, if the server says so.
func (c *Conn) Window() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return min(c.o.Window, c.core.info.ReceiveMaximum)
}

// Appended is how many bytes have been appended since the handshake.
func (c *Conn) Appended() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken + int64(len(c.core.out))
}

// Delivered is how many of them are at the peer, as far as is known: what its system has acknowledged on Linux, what the
// socket has taken elsewhere. Over TLS, whose records are longer, it is a little less until nothing is on the way.
func (c *Conn) Delivered() int64 { return c.written.Load() - int64(queued(c.nc)) }

// Done is closed when the connection has ended; Err then says why: an *Error, or ErrClosed after Close or Disconnect.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is nil while the connection is up.
func (c *Conn) Err() error {
	select {
	case <-c.done:
	default:
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close cuts the connection without DISCONNECT, so that the server publishes the will, and waits for its goroutines.
// It must not be called from a callback. Closing twice is allowed.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.err == nil {
		c.err = ErrClosed
	}
	c.leaving = false
	if !c.ended {
		c.ended = true
		cut(c.nc)
		close(c.done)
	}
	c.mu.Unlock()
	c.group.Wait()
	return nil
}

// Abort is Close without waiting; it may be called from a callback.
func (c *Conn) Abort() { c.end(ErrClosed) }

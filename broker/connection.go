package broker

import (
	"errors"
	"sync/atomic"
	"time"

	"weir/broker/packet"
	"weir/broker/transport"
)

// connection is the half that faces a publisher: it decodes what one socket brings, in place. It implements
// transport.Handler. Its fields belong to the reader, but for those marked.
type connection struct {
	b      *Broker
	told   *Config // what held when CONNECT came, and what the client was told of it
	conn   *transport.Conn
	out    atomic.Pointer[out] // where Take finds bytes: the session's, or last words of its own; nil: nowhere yet
	kicked atomic.Uint32       // the reason of the kick; 0: none

	generation uint32        // of out, here so that nothing is padded
	heard      time.Duration // since Broker.began: when the last whole packet came, or before, when it was accepted
	credential uint64        // what Users said of the user before it was asked
	session    *session      // nil before CONNECT is accepted
	token      uint64        // what Entry.Publisher says
	aliases    *aliases      // nil before the first one
	maxPacket  uint32        // of the client; 0: any
	keepAlive  uint16        // seconds; 0: off
	version    packet.Version
	checked    bool       // Users was asked about the user
	problems   bool       // a 5.0 client wants reasons in words on every packet
	asked      bool       // in CONNECT for what zeroExpiry, or bridge, says
	many       bool       // it was logged that there are no more subscriptions for this client
	even       bool       // whose turn it was: see refill
	ended      bool       // the end is accounted for
	connecting bool       // it counts as one that has not sent CONNECT; guarded by Broker.mu
	stage      stage      // of enhanced authentication
	short      *shortener // aliases towards the client; nil: it takes none. Used under the mutex of out
	inputs     int32      // what limits.memory counts for its read buffer, see input
	names      int32      // and for the topics of its aliases
}

// zeroExpiry tells whether a 5.0 client asked for session expiry 0.
func (c *connection) zeroExpiry() bool { return c.version == packet.V5 && c.asked }

// bridge tells whether a 3.1.1 client says that it is one, see subscribeOne.
func (c *connection) bridge() bool { return c.version == packet.V311 && c.asked }

// login is what is known of a client before it has a session.
type login struct {
	id      string   // the client id, as CONNECT gave it or as it was assigned
	user    string   // who logged in; empty: nobody
	epoch   uint64   // of Broker.accessEpoch, when the login began
	granted *granted // what it may do; nil: everything
	proof   []byte   // that the server knows the user's keys; nil: there was no exchange
}

// aliases are topics by alias, 1 to the announced maximum.
type aliases [][]byte

// errDone ends a connection whose client said DISCONNECT or was refused: nothing is to be told any more.
var errDone = errors.New("done")

// open makes the handler of a connection, or nil if there are so many that it is not even told why it is refused.
func (b *Broker) open(conn *transport.Conn) transport.Handler {
	c := &connection{b: b, told: b.cfg(), conn: conn, heard: b.age(), version: packet.V311, token: b.token.Add(1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sockets >= c.told.sockets() || !b.connecting.take(c, conn.RemoteIP()) {
		b.count.refused.Add(1)
		return nil
	}
	if !b.roomToRefuse(c.cost()) {
		b.connecting.give(c, conn.RemoteIP())
		b.count.refused.Add(1)
		return nil
	}
	b.count.sockets.Add(1)
	b.strangers[c] = struct{}{}
	b.sockets++
	if b.stopping {
		conn.Shutdown()
	}
	return c
}

// Receive implements transport.Handler: it handles all packets of one read, hands the journal what it is to keep, and
// lets every subscriber that got something have it. After an error the connection is closed, once its last words are
// written: v5 [MQTT-3.14.4-2] [MQTT-4.13.2-1], 3.1.1 [MQTT-4.8.0-2].
func (c *connection) Receive(b []byte) (n int, err error) {
	r := c.b.newReading()
	if c.session != nil {
		err = c.session.freeAcked()
	}
	if err == nil {
		n, err = c.packets(r, b)
	}
	if n > 0 {
		if c.session != nil { // an exchange has the time of CONNECT, as a whole
			c.heard = c.b.age()
		}
		r.counts.bytesIn += uint64(n)
	}
	size := cap(b)
	if c.conn.Shares() {
		size = len(b) - n
	}
	if size > 4<<10 || c.inputs > 0 {
		if e := c.input(size, len(b)-n); err == nil {
			err = e
		}
	}
	if c.session != nil {
		if e := c.submit(r); err == nil {
			err = e
		}
		if e := c.promise(r); err == nil {
			err = e
		}
		c.refill(r)
	}
	if err != nil {
		c.fail(err, b)
	}
	r.finish()
	return n, err
}

// packets handles the whole packets in b and says how many bytes they took.
func (c *connection) packets(r *reading, b []byte) (n int, err error) {
	for n < len(b) {
		f, size, err := packet.Next(b[n:], c.told.MaxPacket) // v5 [MQTT-3.2.2-15]
		if err != nil || size == 0 {
			return n, err
		}
		switch {
		case c.session != nil:
			err = c.packet(r, f)
		case c.stage.exchanging():
			err = c.proceed(f)
		default:
			err = c.connect(f)
		}
		r.counts.packetsIn++
		if n += size; err != nil {
			return n, err
		}
	}
	return n, nil
}

// packet handles one packet of a client that is connected.
func (c *connection) packet(r *reading, f packet.Frame) error {
	switch f.Type {
	case packet.TypePublish:
		return c.publish(r, f)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubcomp:
		return c.acknowledged(r, f)
	case packet.TypePubrel:
		return c.release(r, f)
	case packet.TypeSubscribe:
		return c.subscribe(r, f)
	case packet.TypeUnsubscribe:
		return c.unsubscribe(r, f)
	case packet.TypePingreq: // v5 [MQTT-3.12.4-1], 3.1.1 [MQTT-3.12.4-1]
		if err := new(packet.Pingreq).Decode(f, c.version); err != nil {
			return err
		}
		return c.answer(r, &packet.Pingresp{})
	case packet.TypeDisconnect:
		return c.disconnect(f)
	case packet.TypeAuth:
		return c.authenticateAgain(r, f)
	case packet.TypeConnect: // and no second CONNACK: [MQTT-3.1.0-2], v5 [MQTT-3.2.0-2]
		return packet.Errorf(packet.ProtocolError, "a second CONNECT")
	}
	return packet.Errorf(packet.ProtocolError, "%s from a client", f.Type)
}

// disconnect handles DISCONNECT.
func (c *connection) disconnect(f packet.Frame) error {
	var d packet.Disconnect
	if err := d.Decode(f, c.version); err != nil {
		return err
	}
	if d.Props.Has(packet.PropSessionExpiry) {
		if c.zeroExpiry() && d.Props.SessionExpiry != 0 { // v5 section 3.14.2.2.2
			return packet.Errorf(packet.ProtocolError, "DISCONNECT gives a session expiry to a session without one")
		}
		c.session.lasts = c.b.expiry(d.Props.SessionExpiry)
	}
	if d.Reason == packet.Success { // the will is dropped: v5 [MQTT-3.14.4-3] [MQTT-3.1.2-10], 3.1.1 [MQTT-3.14.4-3] [MQTT-3.1.2-10]
		c.session.will = nil
	}
	c.closeOut()
	return errDone
}

// closeOut lets nothing more follow to this connection.
func (c *connection) closeOut() {
	o := &c.session.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn == c {
		o.closing = true
	}
}

// Deadline implements transport.Handler.
func (c *connection) Deadline() time.Time {
	switch {
	case c.session == nil:
		return c.b.began.Add(c.heard + c.b.cfg().ConnectWait)
	case c.keepAlive > 0: // v5 [MQTT-3.1.2-22], 3.1.1 [MQTT-3.1.2-24]
		return c.b.began.Add(c.heard + time.Duration(c.keepAlive)*time.Second*3/2)
	}
	return time.Time{}
}

// MayWait implements transport.Handler: only CONNECT does, and what follows it until there is a session.
func (c *connection) MayWait() bool { return c.session == nil }

// Timeout implements transport.Handler.
func (c *connection) Timeout() {
	if c.session == nil {
		c.b.count.connectTimeouts.Add(1)
		c.ended = true
		what := "connection sent no CONNECT in time"
		if c.stage.exchanging() {
			what = "client did not finish its authentication in time"
		}
		c.b.quiet.warn(c.b.log, what, "peer", c.peer())
		return
	}
	c.b.count.keepAliveLost.Add(1)
	c.ended = true
	c.b.log.Info("client did not send anything in time", "client", c.session.id(), "keepalive", time.Duration(c.keepAlive)*time.Second)
	c.lastWords(packet.KeepAliveTimeout, "")
}

// Take implements transport.Handler.
func (c *connection) Take(done []byte) []byte {
	recycle(done)
	o := c.out.Load()
	if o == nil {
		return nil
	}
	if o.durable != nil {
		o.durable.pump()
	}
	o.mu.Lock()
	if o.conn != c {
		o.mu.Unlock()
		return nil
	}
	dropped := 0
	if len(o.pending) == 0 && !o.closing {
		o.fill(c.b)
		if o.dropping > 0 && o.queue.len() == 0 {
			dropped, o.dropping = o.dropping, 0
		}
	}
	b := o.pending
	add(&c.b.count.others, uint64(o.others))
	o.pending, o.answers, o.others, o.writing = nil, 0, 0, int32(len(b))
	if len(b) > 0 && !o.closing { // or a stream of QoS 0 would come first every time, and what waits never
		o.fill(c.b)
	}
	if c.short != nil && len(b) > 0 {
		b = c.short.shorten(b, int(c.maxPacket))
		c.short.count(&c.b.limits.memory)
	}
	o.settle(c.b)
	o.mu.Unlock()
	if len(b) > 0 {
		if o.durable != nil {
			o.durable.pump()
		} else if o.shares.Load() != nil {
			c.session.share()
		}
	}
	if dropped > 0 {
		c.b.quiet.info(c.b.log, "subscriber keeps up again", "peer", c.peer(), "dropped", dropped)
	}
	c.b.count.bytesOut.Add(uint64(len(b)))
	return b
}

// flush sends what is pending. Nothing is locked while it writes.
func (o *out) flush() {
	o.mu.Lock()
	c := o.conn
	o.mu.Unlock()
	if c != nil {
		c.conn.Flush()
	}
}

func (c *connection) peer() string { return c.conn.RemoteAddr().String() }

var _ transport.Handler = (*connection)(nil)

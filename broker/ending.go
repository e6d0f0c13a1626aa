package broker

import (
	"bytes"
	"errors"
	"io"

	"weir/broker/packet"
	"weir/broker/transport"
)

// fail ends a connection because of err, which handling its packets gave: 5.0 clients are told why. v5 [MQTT-4.13.1-1],
// 3.1.1 [MQTT-4.8.0-1]
func (c *connection) fail(err error, received []byte) {
	var wrong *packet.Error
	if c.ended || !errors.As(err, &wrong) {
		return
	}
	c.ended = true
	if c.session == nil && err == errMemory {
		c.b.count.refused.Add(1)
		return
	}
	if c.session == nil && c.stage.exchanging() {
		c.b.count.protocolErrors.Add(1)
		c.refuse(wrong)
		return
	}
	if c.session == nil { // no DISCONNECT before CONNACK: v5 [MQTT-3.14.0-1]
		c.b.count.protocolErrors.Add(1)
		c.b.quiet.warn(c.b.log, "connection did not begin with a valid CONNECT", "peer", c.peer(),
			"listener", c.conn.Listener().Name(), "err", err, "hint", guess(received))
		return
	}
	switch wrong.Reason {
	case packet.QuotaExceeded:
		c.b.count.allowanceClosed.Add(1)
	case packet.NotAuthorized, packet.ConnectionRateExceeded: // counted as a login
	default:
		c.b.count.protocolErrors.Add(1)
	}
	c.b.quiet.warn(c.b.log, "client disconnected because of what it sent", "client", c.session.id(), "peer", c.peer(), "err", err)
	c.lastWords(wrong.Reason, wrong.Text)
}

// guess says what else may be speaking on an MQTT port.
func guess(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte{0x16, 0x03}):
		return "this looks like TLS, on a listener without it"
	case bytes.HasPrefix(b, []byte("GET ")), bytes.HasPrefix(b, []byte("POST ")), bytes.HasPrefix(b, []byte("HEAD ")):
		return "this looks like HTTP"
	}
	return "not an MQTT client, or not MQTT 3.1.1 or 5.0"
}

// lastWords puts a DISCONNECT after everything else, without a session expiry (v5 [MQTT-3.14.2-2]); 3.1.1 has none. Safe for concurrent use.
func (c *connection) lastWords(reason packet.Reason, text string) {
	o := c.out.Load()
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn != c || o.closing {
		return
	}
	o.closing = true // v5 [MQTT-3.14.4-1]
	if o.version != packet.V5 {
		return
	}
	d := packet.Disconnect{Reason: reason}
	if !reason.Fits(packet.TypeDisconnect) { // v5 [MQTT-3.14.2-1]
		d.Reason = packet.UnspecifiedError
	}
	if text != "" {
		d.Props.SetReasonString([]byte(text))
	}
	c.refer(d.Reason, &d.Props)
	o.room()
	at := len(o.pending)
	b, err := d.Append(o.pending, packet.V5)
	if err != nil || o.maxPacket > 0 && len(b)-at > int(o.maxPacket) { // v5 [MQTT-3.14.2-3]
		d.Props.Reset()
		b, err = d.Append(o.pending[:at], packet.V5)
	}
	if err == nil && (o.maxPacket == 0 || len(b)-at <= int(o.maxPacket)) {
		o.others++
		o.pending = b
	}
}

// kick ends the connection from outside. Safe for concurrent use, never blocks.
func (c *connection) kick(reason packet.Reason) {
	c.kicked.Store(uint32(reason)) // first: attach looks for it after it has given last words a place
	c.lastWords(reason, "")
	c.conn.Shutdown()
}

// unopened tells whether a connection never got as far as MQTT, and logs why: each reason once a minute. A peer that left by
// itself, such as one that only looks whether the port is open, is counted by the listener and not logged.
func (c *connection) unopened(err error) bool {
	var failed *transport.HandshakeError
	if !errors.As(err, &failed) {
		return false
	}
	if !c.ended && failed.Reason != transport.PeerLeft {
		more := []any{"listener", c.conn.Listener().Name(), "peer", c.peer()}
		if failed.Err != nil {
			more = append(more, "err", failed.Err)
		}
		c.b.quiet.warn(c.b.log, "handshake failed: "+string(failed.Reason), more...)
	}
	return true
}

// Closed implements transport.Handler: the session is let go, or ends with its connection, and the will goes out.
func (c *connection) Closed(err error) {
	b := c.b
	defer c.letGo()
	b.mu.Lock()
	delete(b.strangers, c)
	b.sockets--
	if c.connecting {
		b.connecting.give(c, c.conn.RemoteIP())
	}
	b.mu.Unlock()
	if c.stage.exchanging() {
		c.exchanged()
	}
	b.limits.memory.give(b, c.cost()+int(c.inputs+c.names))
	s := c.session
	if s == nil {
		if c.unopened(err) {
			return
		}
		if !c.ended && !errors.Is(err, io.EOF) && !errors.Is(err, transport.ErrShutdown) && !errors.Is(err, errDone) {
			b.quiet.warn(b.log, "connection broke before CONNECT", "peer", c.peer(), "err", err)
		}
		return
	}
	s.detach(c)
	ended := b.letGo(s)
	b.count.connected.Add(-1)
	b.calm.moved()
	b.leaves(c)
	b.log.Debug("client gone", "client", s.id(), "err", err)
	if ended {
		b.bury(s)
	}
}

// letGo tells whoever waits for it that the connection has no session any more.
func (c *connection) letGo() {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if done := c.b.leaving[c]; done != nil {
		close(done)
		delete(c.b.leaving, c)
	}
}

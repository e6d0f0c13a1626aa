package client

import (
	"time"

	"weir/broker/packet"
	"weir/broker/qos"
	"weir/broker/topic"
)

const (
	maxOut      = 1 << 20 // bytes waiting for the socket, above which Send says ErrBusy
	maxMessages = 256     // messages delivered in one batch
)

// core is the protocol of one connection without its socket: received bytes and times go in, bytes to write and events
// come out. It reads no clock and does no I/O. Not safe for concurrent use.
//
//	greeting ──CONNACK──▶ up ──error──▶ (the shell closes)
type core struct {
	o        *Options
	up       bool
	info     Info
	outbound *qos.Outbound
	inbound  *qos.Inbound

	out      []byte   // waits for the writer
	zeros    []uint64 // refs of QoS 0 publishes in out
	owed     []owed   // messages delivered and not acknowledged, oldest first, from owedAt
	owedAt   int
	requests map[uint16]chan<- []packet.Reason // SUBSCRIBE and UNSUBSCRIBE by id

	acks     []Ack            // ended publishes, for the shell to deliver and truncate
	messages []packet.Publish // received messages, for the shell to deliver and truncate
	releases []Release        // PUBRELs, the same

	keepAlive    time.Duration // 0: none
	lastSent     time.Time
	lastReceived time.Time
	ping         pingState
	pingSent     time.Time
	pingEnd      int64 // the PINGREQ ends before this byte of all that were written
	delivered    int64 // bytes that were at the peer when last looked
	rearm        bool  // the next tick is due sooner than the last one said

	ack     packet.Ack // scratch: decoding and encoding allocate nothing
	connack packet.Connack
}

type pingState uint8

const (
	noPing      pingState = iota
	pingQueued            // PINGREQ is in out, or being written
	pingWritten           // PINGREQ left at pingSent
)

// owed is an acknowledgement the caller owes: of one message, or of n messages at QoS 0, which need none.
type owed struct {
	qos byte
	id  uint16
	n   uint32
}

func newCore(o *Options) *core {
	c := &core{o: o, requests: map[uint16]chan<- []packet.Reason{}}
	receive := 65535 // 5.0 3.1.2.11.3 [MQTT-3.3.4-7]; 3.1.1 knows no limit but the identifiers
	if o.Version == packet.V5 && o.ReceiveMaximum > 0 && !o.Lenient {
		receive = int(o.ReceiveMaximum)
	}
	c.inbound = qos.NewInbound(receive)
	return c
}

// start appends CONNECT.
func (c *core) start(now time.Time) error {
	o := c.o
	p := packet.Connect{
		Version: o.Version, CleanStart: !o.Resume, ClientID: []byte(o.ClientID),
		HasUsername: o.Username != "", Username: []byte(o.Username), HasPassword: o.Password != nil, Password: o.Password,
	}
	if o.KeepAlive > 0 {
		p.KeepAlive = uint16((o.KeepAlive + time.Second - 1) / time.Second)
	}
	if w := o.Will; w != nil {
		p.HasWill = true
		p.Will = packet.Will{QoS: w.QoS, Retain: w.Retain, Topic: []byte(w.Topic), Payload: w.Payload}
	}
	if o.Version == packet.V5 {
		if o.SessionExpiry > 0 {
			p.Props.SetSessionExpiry(uint32(min(o.SessionExpiry/time.Second, 0xFFFFFFFF)))
		}
		if o.ReceiveMaximum > 0 {
			p.Props.SetReceiveMaximum(o.ReceiveMaximum)
		}
		p.Props.SetMaximumPacketSize(uint32(o.MaxPacket))
	}
	c.info.KeepAlive = int(p.KeepAlive)
	c.lastSent, c.lastReceived = now, now
	return c.append(&p)
}

// append adds a packet to the write buffer.
func (c *core) append(p interface {
	Append(dst []byte, v packet.Version) ([]byte, error)
}) error {
	out, err := p.Append(c.out, c.o.Version)
	if err == nil {
		c.out = out
	}
	return err
}

// publish appends one PUBLISH, or says why not.
func (c *core) publish(p *packet.Publish, ref uint64) error {
	if len(c.out) >= maxOut {
		return ErrBusy
	}
	out, err := c.claim(c.out, p, ref)
	if err != nil {
		return err
	}
	c.out = out
	if p.QoS == 0 {
		c.zeros = append(c.zeros, ref)
	}
	return nil
}

// claim takes the packet id of a message and appends its PUBLISH to dst, or says why not.
func (c *core) claim(dst []byte, p *packet.Publish, ref uint64) ([]byte, error) {
	if err := c.proper(p); err != nil {
		return dst, err
	}
	p.ID = 0
	if p.QoS > 0 {
		id, ok := c.outbound.Send(p.QoS, ref)
		if !ok {
			return dst, ErrWindow
		}
		p.ID = id
	}
	out, err := c.encode(dst, p)
	if err != nil {
		if p.QoS > 0 { // the identifier was never on the wire: it is free at once
			c.outbound.Receive(rollback[p.QoS], p.ID, packet.UnspecifiedError)
		}
		return dst, err
	}
	return out, nil
}

// proper says why this server, or any, takes no such message.
func (c *core) proper(p *packet.Publish) error {
	switch {
	case p.QoS > c.info.MaxQoS:
		return packet.Errorf(packet.QoSNotSupported, "QoS %d, the server takes at most %d", p.QoS, c.info.MaxQoS) // v5 [MQTT-3.2.2-11]
	case p.Retain && !c.info.RetainAvailable:
		return packet.Errorf(packet.RetainNotSupported, "the server keeps no retained messages") // v5 [MQTT-3.2.2-14]
	}
	if err := topic.ValidName(p.Topic); err != nil {
		return packet.Errorf(packet.TopicNameInvalid, "%v", err)
	}
	return nil
}

// encode appends a PUBLISH to dst unless it is larger than the server takes.
func (c *core) encode(dst []byte, p *packet.Publish) ([]byte, error) {
	out, err := p.Append(dst, c.o.Version)
	if size := len(out) - len(dst); err == nil && c.info.MaxPacket > 0 && size > c.info.MaxPacket {
		err = packet.Errorf(packet.PacketTooLarge, "packet of %d bytes, limit %d", size, c.info.MaxPacket) // v5 [MQTT-3.1.2-24]
	}
	return out, err
}

// rollback is the packet whose failure frees an identifier of a QoS.
var rollback = [3]packet.Type{1: packet.TypePuback, 2: packet.TypePubrec}

// owe notes a delivered message.
func (c *core) owe(q byte, id uint16) {
	if n := len(c.owed); q == 0 && n > c.owedAt && c.owed[n-1].qos == 0 {
		c.owed[n-1].n++
		return
	}
	if c.owedAt == len(c.owed) {
		c.owed, c.owedAt = c.owed[:0], 0
	} else if c.owedAt > 1024 && c.owedAt > len(c.owed)/2 {
		c.owed, c.owedAt = c.owed[:copy(c.owed, c.owed[c.owedAt:])], 0
	}
	c.owed = append(c.owed, owed{qos: q, id: id, n: 1})
}

// isOwed reports whether the caller has not yet acknowledged the message of an id.
func (c *core) isOwed(id uint16) bool {
	for _, o := range c.owed[c.owedAt:] {
		if o.qos > 0 && o.id == id {
			return true
		}
	}
	return false
}

// acknowledge appends the acknowledgements of the next n messages, in the order they came. [MQTT-4.6.0-2], [MQTT-4.6.0-3]
func (c *core) acknowledge(n int, r packet.Reason) error {
	for n > 0 && c.owedAt < len(c.owed) {
		o := &c.owed[c.owedAt]
		if o.qos == 0 {
			take := min(n, int(o.n))
			n -= take
			if o.n -= uint32(take); o.n > 0 {
				return nil
			}
			c.owedAt++
			continue
		}
		n--
		c.owedAt++
		t := packet.TypePuback
		if o.qos == 2 {
			t = packet.TypePubrec
		}
		if o.qos == 1 || r.Failed() {
			c.inbound.Acked(o.id)
		}
		if err := c.answer(t, o.id, r); err != nil {
			return err
		}
	}
	return nil
}

// answer appends one of the four acknowledgements.
func (c *core) answer(t packet.Type, id uint16, r packet.Reason) error {
	c.ack.Props.Reset()
	c.ack.Type, c.ack.ID, c.ack.Reason = t, id, r
	return c.append(&c.ack)
}

// disconnect appends DISCONNECT; 3.1.1 has no reason in it and no DISCONNECT for errors.
func (c *core) disconnect(r packet.Reason) error {
	return c.append(&packet.Disconnect{Reason: r})
}

// take gives the shell what is to be written and the refs that end with it, in exchange for two used slices.
func (c *core) take(spare []byte, spareZeros []uint64) (out []byte, zeros []uint64) {
	out, zeros = c.out, c.zeros
	c.out, c.zeros = spare[:0], spareZeros[:0]
	return out, zeros
}

// wrote tells the core that what it gave was written, which made so many bytes in all.
func (c *core) wrote(now time.Time, written int64) {
	c.lastSent = now
	if c.ping == pingQueued {
		c.ping, c.pingSent, c.pingEnd = pingWritten, now, written
	}
}

// tick does what is due and returns when the next thing is; zero: nothing. delivered is how many bytes are at the peer:
// while they grow towards a PINGREQ behind them, there can be no answer yet.
func (c *core) tick(now time.Time, delivered int64) (next time.Time, err error) {
	grown := delivered > c.delivered && c.delivered < c.pingEnd
	c.delivered = delivered
	if c.keepAlive == 0 || !c.up {
		return time.Time{}, nil
	}
	switch c.ping {
	case pingQueued: // the write deadline watches it
		return time.Time{}, nil
	case pingWritten:
		if grown {
			c.pingSent = now
		}
		since := c.pingSent
		if c.lastReceived.After(since) {
			since = c.lastReceived
		}
		due := since.Add(c.o.PingTimeout)
		if !now.Before(due) {
			return due, fault(Silent, nil, "the server has not answered a PINGREQ for %s", c.o.PingTimeout)
		}
		return due, nil
	}
	idle := c.lastSent
	if c.lastReceived.Before(idle) {
		idle = c.lastReceived
	}
	due := idle.Add(c.keepAlive * 3 / 4) // within the keep alive v5 [MQTT-3.1.2-20], v3 [MQTT-3.1.2-23]
	if now.Before(due) {
		return due, nil
	}
	c.ping = pingQueued
	return time.Time{}, c.append(&packet.Pingreq{})
}

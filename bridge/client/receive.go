package client

import (
	"time"

	"weir/broker/packet"
	"weir/broker/qos"
	"weir/broker/topic"
)

// receive takes received bytes and returns how many it used: whole packets only. It stops early when the batch of
// messages is full: call again until it uses nothing. After an error the connection must be closed.
func (c *core) receive(buf []byte, now time.Time) (used int, err error) {
	c.lastReceived = now
	for len(c.messages) < maxMessages {
		f, n, err := packet.Next(buf[used:], c.o.MaxPacket)
		if err != nil || n == 0 {
			return used, err
		}
		used += n
		if err := c.packet(f); err != nil {
			return used, err
		}
	}
	return used, nil
}

func (c *core) packet(f packet.Frame) error {
	if !c.up {
		return c.greeted(f)
	}
	switch f.Type {
	case packet.TypePublish:
		return c.published(f)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubcomp:
		return c.acknowledged(f)
	case packet.TypePubrel:
		return c.released(f)
	case packet.TypeSuback:
		var p packet.Suback
		if err := p.Decode(f, c.o.Version); err != nil {
			return err
		}
		return c.answered(f.Type, p.ID, p.Reasons)
	case packet.TypeUnsuback:
		var p packet.Unsuback
		if err := p.Decode(f, c.o.Version); err != nil {
			return err
		}
		return c.answered(f.Type, p.ID, p.Reasons)
	case packet.TypePingresp:
		var p packet.Pingresp
		c.rearm = c.rearm || c.ping == pingWritten // the writer waits for PingTimeout, the next ping may be due sooner
		c.ping = noPing                            // also when the answer is quicker than the news that the PINGREQ was written
		return p.Decode(f, c.o.Version)
	case packet.TypeDisconnect:
		return c.dismissed(f)
	}
	return packet.Errorf(packet.ProtocolError, "%s from a server", f.Type)
}

// greeted takes the first packet, which must be CONNACK. [MQTT-3.2.0-1]
func (c *core) greeted(f packet.Frame) error {
	if f.Type != packet.TypeConnack {
		return packet.Errorf(packet.ProtocolError, "%s as the first packet of a server, want CONNACK", f.Type)
	}
	p, v := &c.connack, c.o.Version
	if len(f.Body) == 2 {
		v = packet.V311 // how a 3.1.1 server refuses 5.0; a CONNACK of 5.0 is longer
	}
	if err := p.Decode(f, v); err != nil {
		return err
	}
	if p.Reason.Failed() {
		return refusal(p)
	}
	if v != c.o.Version {
		return packet.Errorf(packet.ProtocolError, "CONNACK of 3.1.1 accepts a connection of 5.0")
	}
	if p.SessionPresent && !c.o.Resume {
		return packet.Errorf(packet.ProtocolError, "a session is present after a clean start") // v5 [MQTT-3.2.2-2], v3 [MQTT-3.2.2-1]
	}
	c.learn(p)
	c.up = true
	c.keepAlive = time.Duration(c.info.KeepAlive) * time.Second
	window := min(c.o.Window, c.info.ReceiveMaximum) // v5 [MQTT-3.3.4-7]
	c.outbound = qos.NewOutbound(window)
	c.resume(window)
	return nil
}

// refusal puts a failed CONNACK into words.
func refusal(p *packet.Connack) *Error {
	e := fault(Rejected, nil, "the server refuses the connection: %s", p.Reason)
	e.Reason = p.Reason
	e.add(&p.Props)
	return e
}

// add puts what the server says for people behind the text.
func (e *Error) add(p *packet.Properties) {
	if p.Has(packet.PropReasonString) {
		e.Text += ": " + printable(p.ReasonString)
	}
	if p.Has(packet.PropServerReference) {
		e.Text += "; it names another server: " + printable(p.ServerReference)
	}
}

// printable makes a server's text fit for one line of a log.
func printable(b []byte) string {
	const limit = 200
	if len(b) > limit {
		b = b[:limit]
	}
	out := make([]rune, 0, len(b))
	for _, r := range string(b) {
		if r < ' ' || r == 0x7F || r == 0xFFFD {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}

// learn keeps what CONNACK says, with the standard's defaults. (5.0, 3.2.2.3)
func (c *core) learn(p *packet.Connack) {
	i := &c.info
	i.SessionPresent, i.ClientID = p.SessionPresent, c.o.ClientID
	i.ReceiveMaximum, i.MaxQoS, i.RetainAvailable = 65535, 2, true
	i.SessionExpiry = uint32(c.o.SessionExpiry / time.Second)
	props := &p.Props
	if props.Has(packet.PropAssignedClientID) {
		i.ClientID = string(props.AssignedClientID)
	}
	if props.Has(packet.PropReceiveMaximum) {
		i.ReceiveMaximum = int(props.ReceiveMaximum)
	}
	if props.Has(packet.PropMaximumPacketSize) {
		i.MaxPacket = int(min(props.MaximumPacketSize, 1<<31-1))
	}
	if most := c.o.MaxSend; most > 0 && (i.MaxPacket == 0 || most < i.MaxPacket) {
		i.MaxPacket = most
	}
	if props.Has(packet.PropMaximumQoS) {
		i.MaxQoS = props.MaximumQoS
	}
	if props.Has(packet.PropRetainAvailable) {
		i.RetainAvailable = props.RetainAvailable
	}
	if props.Has(packet.PropTopicAliasMaximum) {
		i.TopicAliasMax = int(props.TopicAliasMaximum)
	}
	if props.Has(packet.PropServerKeepAlive) {
		i.KeepAlive = int(props.ServerKeepAlive) // [MQTT-3.2.2-21]
	}
	if props.Has(packet.PropSessionExpiry) {
		i.SessionExpiry = props.SessionExpiry
	}
}

// published takes a message.
func (c *core) published(f packet.Frame) error {
	n := len(c.messages)
	if n < cap(c.messages) {
		c.messages = c.messages[:n+1]
	} else {
		c.messages = append(c.messages, packet.Publish{})
	}
	p := &c.messages[n]
	keep, err := c.accept(p, f)
	if !keep {
		c.messages = c.messages[:n]
	}
	return err
}

func (c *core) accept(p *packet.Publish, f packet.Frame) (keep bool, err error) {
	if err := p.Decode(f, c.o.Version); err != nil {
		return false, err
	}
	if p.Props.Has(packet.PropTopicAlias) {
		return false, packet.Errorf(packet.TopicAliasInvalid, "topic alias %d, but none is allowed", p.Props.TopicAlias) // v5 [MQTT-3.1.2-26]
	}
	if err := topic.ValidName(p.Topic); err != nil {
		return false, packet.Errorf(packet.TopicNameInvalid, "%v", err) // [MQTT-3.3.2-2]
	}
	if p.QoS > 0 {
		switch c.inbound.Publish(p.QoS, p.ID, p.Dup) {
		case qos.Duplicate:
			if c.isOwed(p.ID) {
				return false, nil // the answer to the first one is still to come
			}
			if c.o.Handshakes {
				break // the caller knows what became of the first one
			}
			return false, c.answer(packet.TypePubrec, p.ID, packet.Success) // [MQTT-4.3.3-10]
		case qos.Exceeded:
			return false, packet.Errorf(packet.ReceiveMaximumExceeded, "more than %d unacknowledged messages", c.o.ReceiveMaximum) // v5 [MQTT-3.3.4-9]
		case qos.Conflict:
			return false, packet.Errorf(packet.ProtocolError, "packet id %d is in use with another QoS", p.ID)
		}
	}
	c.owe(p.QoS, p.ID)
	return true, nil
}

// acknowledged takes PUBACK, PUBREC and PUBCOMP.
func (c *core) acknowledged(f packet.Frame) error {
	if err := c.ack.Decode(f, c.o.Version); err != nil {
		return err
	}
	id, reason := c.ack.ID, c.ack.Reason
	step, ref := c.outbound.Receive(f.Type, id, reason)
	switch step {
	case qos.SendPubrel:
		if c.o.Handshakes {
			c.acks = append(c.acks, Ack{Ref: ref, ID: id, QoS: 2, Received: true})
			return nil
		}
		return c.answer(packet.TypePubrel, id, packet.Success) // [MQTT-4.3.3-4]
	case qos.Done, qos.Refused:
		q := byte(2)
		if f.Type == packet.TypePuback {
			q = 1
		}
		if q == 2 && step == qos.Done {
			reason = packet.Success // the server has it, or has forgotten that it had it
		}
		c.acks = append(c.acks, Ack{Ref: ref, ID: id, QoS: q, Reason: reason})
	case qos.Wrong:
		return packet.Errorf(packet.ProtocolError, "%s for packet id %d does not fit its state", f.Type, id)
	case qos.Ignored:
		if f.Type == packet.TypePubrec {
			return c.answer(packet.TypePubrel, id, packet.PacketIdentifierNotFound)
		}
	}
	return nil
}

// released takes PUBREL.
func (c *core) released(f packet.Frame) error {
	if err := c.ack.Decode(f, c.o.Version); err != nil {
		return err
	}
	id, reason := c.ack.ID, packet.Success
	known := c.inbound.Release(id)
	if c.o.Handshakes {
		c.releases = append(c.releases, Release{id, known})
		return nil
	}
	if !known {
		reason = packet.PacketIdentifierNotFound
	}
	if err := c.answer(packet.TypePubcomp, id, reason); err != nil { // [MQTT-4.3.3-11]
		return err
	}
	c.inbound.Completed(id)
	return nil
}

// request notes that someone waits for the SUBACK or UNSUBACK of an id it returns.
func (c *core) request(answer chan<- []packet.Reason) (id uint16, err error) {
	id, ok := c.outbound.Reserve()
	if !ok {
		return 0, ErrWindow
	}
	c.requests[id] = answer
	return id, nil
}

// answered takes SUBACK and UNSUBACK.
func (c *core) answered(t packet.Type, id uint16, reasons []packet.Reason) error {
	answer, ok := c.requests[id]
	if !ok {
		return packet.Errorf(packet.ProtocolError, "%s for packet id %d, which is not in use", t, id)
	}
	delete(c.requests, id)
	c.outbound.Return(id)
	answer <- append([]packet.Reason(nil), reasons...) // has room for one
	return nil
}

// dismissed takes DISCONNECT, which only a 5.0 server sends.
func (c *core) dismissed(f packet.Frame) error {
	if c.o.Version != packet.V5 {
		return packet.Errorf(packet.ProtocolError, "DISCONNECT from a 3.1.1 server")
	}
	var p packet.Disconnect
	if err := p.Decode(f, c.o.Version); err != nil {
		return err
	}
	e := fault(Disconnected, nil, "the server ended the connection: %s", p.Reason)
	e.Reason = p.Reason
	e.add(&p.Props)
	return e
}

package broker

import "weir/broker/packet"

// answerBytes is what answers that the client does not read may take beyond the bound of messages: acknowledgements for
// all packet ids of a 3.1.1 client that publishes first and reads later, of up to 5 bytes, and something for the rest.
const answerBytes = 512 << 10

// answer appends a packet to this connection's own output.
func (c *connection) answer(r *reading, p interface {
	Append([]byte, packet.Version) ([]byte, error)
}) error {
	o := &c.session.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn != c || o.closing {
		return nil
	}
	o.room()
	if err := o.unread(c.b); err != nil {
		return err
	}
	at := len(o.pending)
	b, err := p.Append(o.pending, c.version)
	if err != nil {
		return err
	}
	if c.tooLarge(len(b) - at) { // v5 [MQTT-3.1.2-24]
		return packet.Errorf(packet.PacketTooLarge, "answer of %d bytes, the client takes %d", len(b)-at, c.maxPacket)
	}
	o.pending = b
	o.others++
	o.answers += int32(len(b) - at)
	r.touch(o)
	return nil
}

// answerKept is answer for what must be kept first, if the session outlives the process.
func (c *connection) answerKept(r *reading, p interface {
	Append([]byte, packet.Version) ([]byte, error)
}) error {
	if c.session.out.durable == nil {
		return c.answer(r, p)
	}
	at := len(r.kept.bytes)
	b, err := p.Append(r.kept.bytes, c.version)
	if err != nil {
		return err
	}
	if c.tooLarge(len(b) - at) { // v5 [MQTT-3.1.2-24]
		return packet.Errorf(packet.PacketTooLarge, "answer of %d bytes, the client takes %d", len(b)-at, c.maxPacket)
	}
	r.kept.bytes = b
	r.kept.packets++
	return nil
}

// promise hands over what this read made the connection promise, with one barrier for all, and lets the session go on.
func (c *connection) promise(r *reading) error {
	d := c.session.out.durable
	if d == nil {
		return nil
	}
	for _, p := range []*promise{&r.kept, &r.over} {
		if len(p.bytes) == 0 {
			continue
		}
		p.generation, p.soft = c.generation, p == &r.kept
		ok := d.promise(*p)
		*p = promise{}
		if !ok {
			return packet.Errorf(packet.QuotaExceeded, "answers that wait for the disk were not waited for")
		}
	}
	if c.session.out.shares.Load() == nil { // else see refill
		d.pumpOut()
	}
	return nil
}

// tooLarge tells whether the client does not take packets of n bytes.
func (c *connection) tooLarge(n int) bool { return c.maxPacket > 0 && n > int(c.maxPacket) }

// acknowledged handles PUBACK, PUBREC and PUBCOMP from a subscriber.
func (c *connection) acknowledged(r *reading, f packet.Frame) error {
	var a packet.Ack
	if err := a.Decode(f, c.version); err != nil {
		return err
	}
	o := &c.session.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.received(a.Type, a.ID, a.Reason) {
		return packet.Errorf(packet.ProtocolError, "%s for packet id %d, which is in another state", a.Type, a.ID)
	}
	if o.conn == c {
		if o.shares.Load() == nil { // else see refill
			o.fill(c.b) // the window may have room now
		}
		r.touch(o)
	}
	o.settle(c.b)
	return nil
}

// refill uses the room that acknowledgements have made, for a session that is or was in a shared group: the group comes first every
// other time, so that neither it nor the session's own messages wait for ever.
func (c *connection) refill(r *reading) {
	s := c.session
	if s.out.shares.Load() == nil {
		return
	}
	s.settleLent()
	if c.even = !c.even; c.even {
		s.share()
	}
	if s.out.durable == nil {
		o := &s.out
		o.mu.Lock()
		if o.conn == c && !o.closing {
			o.fill(c.b)
			r.touch(o)
		}
		o.mu.Unlock()
	} else {
		s.out.durable.pumpOut()
	}
	if !c.even {
		s.share()
	}
}

// release handles PUBREL from a publisher. v5 [MQTT-4.3.3-11], 3.1.1 [MQTT-4.3.3-2]
func (c *connection) release(r *reading, f packet.Frame) error {
	var a packet.Ack
	if err := a.Decode(f, c.version); err != nil {
		return err
	}
	s := c.session
	if _, owed := s.owed.unanswered(a.ID); owed || r.owes(a.ID) {
		return packet.Errorf(packet.ProtocolError, "PUBREL for packet id %d, whose PUBREC was not sent yet", a.ID)
	}
	answer := packet.Ack{Type: packet.TypePubcomp, ID: a.ID}
	if !s.in.Release(a.ID) {
		answer.Reason = packet.PacketIdentifierNotFound
	}
	if d := s.out.durable; d != nil { // also for an unknown id: that it was removed may not be kept yet
		c.b.cfg().Store.Delete(d.serial.held(a.ID))
		b, err := answer.Append(r.over.bytes, c.version)
		r.over.packets++
		r.over.bytes, r.over.completed = b, append(r.over.completed, a.ID)
		return err
	}
	if err := c.answer(r, &answer); err != nil {
		return err
	}
	s.in.Completed(a.ID) // v5 [MQTT-4.3.3-12]
	return nil
}

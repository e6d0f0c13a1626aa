package broker

import (
	"weir/broker/message"
	"weir/broker/packet"
)

// keep is a copy of the message out of the read buffer, made once for all sessions that keep it.
func (r *reading) keep(m *message.Message) *message.Message {
	if r.shared == nil {
		c := m.Clone()
		r.shared = &c
	}
	return r.shared
}

// deliver gives the message to one session: encoded to its socket, or into its queue.
func (r *reading) deliver(m *message.Message, t *target) {
	o := &t.session.out
	q := min(m.QoS, t.qos) // v5 [MQTT-3.8.4-8], 3.1.1 [MQTT-3.8.4-6]
	o.mu.Lock()
	c := o.conn
	dropped := 0
	switch {
	case o.gone || o.closing && !o.persistent || c == nil && (q == 0 || !o.persistent):
		o.mu.Unlock()
		return
	case q == 0: // the window does not matter: v5 [MQTT-3.3.4-10] [MQTT-4.9.0-3]
		dropped = r.sendQoS0(o, m, t)
	default: // v5 [MQTT-4.5.0-1], 3.1.1 [MQTT-3.1.2-5] [MQTT-4.5.0-1]
		dropped = r.sendOrQueue(o, m, t, q)
	}
	if dropped > 0 {
		o.own()
		o.dropping += dropped
	}
	firstDrop := dropped > 0 && o.dropping == dropped
	if c != nil {
		r.touch(o)
	}
	o.mu.Unlock()
	if firstDrop {
		r.b.quiet.warn(r.b.log, slowSubscriber, "client", t.session.id())
	}
}

func (r *reading) sendQoS0(o *out, m *message.Message, t *target) (dropped int) {
	if o.closing {
		return 0
	}
	if o.full(r.b.cfg().QueueBytes) {
		r.counts.droppedQoS0++
		return 1
	}
	e := r.encode(m, o.version, 0, t)
	if !e.valid || o.maxPacket > 0 && len(e.bytes) > int(o.maxPacket) { // v5 [MQTT-3.1.2-24] [MQTT-3.1.2-25]
		r.counts.tooLarge++
		return 0
	}
	if !o.fits(r.b, len(e.bytes)) {
		r.counts.droppedQoS0++
		return 1
	}
	o.room()
	o.put(e, 0, t.retain, 0)
	r.counts.sent[0]++
	r.counts.payloadOut += uint64(len(m.Payload))
	return 0
}

// sendOrQueue sends a QoS 1 or 2 message if nothing waits before it and the window is open, and queues it otherwise.
func (r *reading) sendOrQueue(o *out, m *message.Message, t *target, q byte) (dropped int) {
	o.own()
	cfg := r.b.cfg()
	size := footprint(m)
	busy := o.conn == nil || o.closing || o.queue.len() > 0 || o.full(fillBytes) || o.flight.Free() == 0
	full := func() bool {
		return o.bytes > 0 && o.bytes+size > cfg.QueueBytes || busy && o.queue.len() >= cfg.QueueMessages
	}
	if full() {
		f := filler{b: r.b, out: o, now: r.stamp, asked: true}
		f.expireQueue() // v5 [MQTT-3.3.2-5]
		r.counts.expired += f.counts.expired
		if full() { // the newest is dropped
			r.counts.droppedQueue++
			return 1
		}
	}
	if !o.fits(r.b, 2*size) || busy && !o.mayWait(r.b) {
		r.counts.droppedQueue++
		return 1
	}
	if busy {
		o.wait(r.b, held{message: r.keep(m), qos: q, retain: t.retain, ids: t.all(), bytes: size}, r.stamp)
		o.bytes += size
		return 0
	}
	e := r.encode(m, o.version, q, t)
	if !e.valid || o.maxPacket > 0 && len(e.bytes) > int(o.maxPacket) { // v5 [MQTT-3.1.2-24] [MQTT-3.1.2-25]
		r.counts.tooLarge++
		return 0
	}
	ref := o.holding.put(held{message: r.keep(m), qos: q, retain: t.retain, ids: t.all(), bytes: size})
	id, ok := o.flight.Send(q, ref)
	if !ok { // messages of the connection before are still to be sent again
		o.wait(r.b, *o.holding.at(ref), r.stamp)
		o.holding.drop(ref)
		if o.queued < o.queue.len() { // it was to be in flight
			o.queued++
			r.b.limits.queued.force(1)
		}
	} else {
		o.room()
		o.put(e, q, t.retain, id)
		r.counts.sent[q]++
		r.counts.payloadOut += uint64(len(m.Payload))
	}
	o.bytes += size
	return 0
}

// all is the list of subscription identifiers, to be kept.
func (t *target) all() []uint32 { return append([]uint32(nil), t.ids...) }

// encode gives the message as a packet for subscribers of a version and QoS class. The bytes are made once for all of
// them, but for those that need their own subscription identifiers.
func (r *reading) encode(m *message.Message, v packet.Version, q byte, t *target) *encoded {
	class, own := 0, v == packet.V5 && len(t.ids) > 0
	if v == packet.V5 {
		class = 2
	}
	if q > 0 {
		class++
	}
	if own {
		class = ownCopy
	}
	e := &r.copies[class]
	if e.valid && !own {
		return e
	}
	p := m.Publish // as it came: v5 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20]
	p.Dup, p.Retain, p.QoS, p.ID = false, false, q, 1
	p.Props.Unset(packet.PropTopicAlias) // of the publisher's connection: v5 [MQTT-3.3.2-7]
	p.Props.SubscriptionIDs = nil
	if own { // v5 [MQTT-3.3.4-3]
		p.Props.SubscriptionIDs = t.ids
	}
	b, err := p.Append(e.bytes[:0], v)
	e.valid = err == nil
	if err != nil {
		return e
	}
	e.bytes = b
	if q > 0 {
		e.idAt = idPlace(b, m.Topic)
	}
	return e
}

// idPlace is where the packet id of a PUBLISH stands: behind the fixed header and the topic.
func idPlace(b, name []byte) int {
	at := 1
	for b[at]&0x80 != 0 {
		at++
	}
	return at + 1 + 2 + len(name)
}

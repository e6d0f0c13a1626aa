package broker

import (
	"slices"

	"weir/broker/packet"
	"weir/broker/qos"
)

// step sends what the queue has next. again: there may be more to do. onDisk: the next message is on the disk.
func (d *durable) step(disk bool) (again, onDisk bool) {
	o, b := &d.s.out, d.s.b
	o.mu.Lock()
	if o.conn == nil || o.closing || o.gone || d.staged || len(o.pending) >= fillBytes {
		o.mu.Unlock()
		return false, false
	}
	rewind := d.rewind
	if rewind {
		d.rewound()
	}
	hold, generation := d.hold, o.generation
	o.mu.Unlock()
	if rewind {
		d.at, d.n, d.ended = 0, 0, false
		d.queue.Rewind()
	}
	if hold != 0 {
		b.pledges.add(d) // before looking, so that a settlement in between finds it
		if !b.journal.Settled(hold) {
			return false, false
		}
	}
	o.mu.Lock()
	if d.hold == hold {
		d.hold = 0
	}
	resending, room := o.flight.Resending(), o.flight.Free()
	o.mu.Unlock()
	if resending {
		room = batchSize
	}
	if d.at == d.n && room > 0 && !(resending && d.ended) {
		if d.resting.Load() {
			return false, false
		}
		onDisk, err := d.read(room, disk)
		switch {
		case err != nil:
			d.broke(err)
			return false, false
		case onDisk:
			return false, true
		}
		d.ended = d.n == 0
	}
	if d.at == d.n && !resending {
		return false, false
	}
	return d.send(generation, resending), false
}

// send encodes messages of the batch for the connection of a generation. Those of QoS 2, and whatever follows them in the
// batch, leave when their pairs are kept.
func (d *durable) send(generation uint32, resending bool) (again bool) {
	o, b := &d.s.out, d.s.b
	f := filler{b: b, out: o}
	o.mu.Lock()
	if o.generation != generation || o.conn == nil || o.closing {
		o.mu.Unlock()
		return true // step finds out what is to be done
	}
	if resending {
		if again = len(d.released) > 0; !again { // or it would be sent again as released before that is kept
			again = d.resend(&f)
		}
		o.mu.Unlock()
		b.count.add(&f.counts)
		return again
	}
	var pairs []Pair
	stage := 0 // where in pending what must wait begins; meaningful with pairs
	o.room()
	for d.at < d.n && o.flight.Free() > 0 && o.more(b) {
		from := len(o.pending)
		p, sent := d.sendOne(&f, &d.batch[d.at])
		d.at++
		again = true
		if sent && p.ID != 0 {
			if len(pairs) == 0 {
				stage = from
			}
			pairs = append(pairs, p)
		}
	}
	if len(pairs) == 0 {
		o.mu.Unlock()
		b.count.add(&f.counts)
		return again
	}
	p := promise{sends: true, staged: true, generation: generation, bytes: append([]byte(nil), o.pending[stage:]...)}
	o.pending = o.pending[:stage]
	d.staged = true
	o.mu.Unlock()
	b.count.add(&f.counts)
	for _, pair := range pairs {
		d.keep(pair)
	}
	d.promise(p)
	return true
}

// sendOne starts the delivery of a message. pair has an id if it is of QoS 2. What was sent before, and finished while the
// queue was read again, is passed over. The caller holds out.mu, and there is room in the window.
func (d *durable) sendOne(f *filler, m *Queued) (pair Pair, sent bool) {
	o := f.out
	if m.Number <= d.passed.Load() {
		return Pair{}, false
	}
	d.passed.Store(m.Number)
	h := d.held(m)
	if f.expired(h.message) {
		f.counts.expired++
		d.acks = append(d.acks, m.Number)
		return Pair{}, false
	}
	if !f.mayHave(h.message) {
		d.acks = append(d.acks, m.Number)
		return Pair{}, false
	}
	id, ok := o.flight.Send(h.qos, m.Number) // v5 [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1], 3.1.1 [MQTT-2.3.1-4]
	if ok && f.encode(h, id, false) {
		if h.qos == 2 {
			pair = Pair{ID: id, Number: m.Number}
			d.freed = slices.DeleteFunc(d.freed, func(old uint16) bool { return old == id }) // its pair takes that one's place
		}
		return pair, true
	}
	if ok { // too large for the client: as if it had been sent and acknowledged, v5 [MQTT-3.1.2-25]
		o.abandon(id, h.qos)
	}
	d.acks = append(d.acks, m.Number)
	return Pair{}, false
}

// held is a message of the queue as fillers take it.
func (d *durable) held(m *Queued) held {
	h := held{message: &m.Message}
	h.qos, h.retain, d.ids = parseHit(m.Data, d.ids)
	h.ids = d.ids
	return h
}

// resend sends again what an earlier connection left unfinished. The queue gives what was sent and not acknowledged first,
// in the order in which it was sent; what it lacks was given up by the store. Of that, QoS 2 is completed, since the
// subscriber may have it. v5 [MQTT-4.4.0-1] [MQTT-4.6.0-1], 3.1.1 [MQTT-4.4.0-1] [MQTT-4.6.0-1]. The caller holds out.mu.
func (d *durable) resend(f *filler) (again bool) {
	o := f.out
	for len(o.pending) < fillBytes {
		id, number, released, ok := o.flight.Peek()
		if !ok {
			return true
		}
		if !released && o.lent[id] == nil {
			for d.at < d.n && d.batch[d.at].Number < number { // finished meanwhile
				d.at++
			}
			if d.at == d.n && !d.ended {
				return true
			}
		}
		var lost *Pair
		sent := false
		o.flight.Resend(func(id uint16, number uint64, q byte, released bool) bool {
			sent = true
			switch l := o.lent[id]; {
			case released: // v5 [MQTT-4.3.3-6]
				o.acknowledge(packet.TypePubrel, id, packet.Success, whyNot)
			case l != nil: // v5 [MQTT-4.8.2-4]
				if l.sent.message == nil || !f.mayHave(l.sent.message) || !f.encode(l.sent, id, true) {
					lost = &Pair{ID: id, Number: number, Released: q == 2}
				}
			case d.at == d.n || d.batch[d.at].Number != number:
				lost = &Pair{ID: id, Number: number, Released: q == 2}
			case f.mayHave(&d.batch[d.at].Message) && f.encode(d.held(&d.batch[d.at]), id, true): // DUP 1: v5 [MQTT-3.3.1-1], 3.1.1 [MQTT-3.3.1-1]
				d.at++
			default: // too large for this client, or it may not have it any more
				lost = &Pair{ID: id, Number: number, Released: q == 2}
				d.at++
			}
			return false
		})
		if !sent { // the window is full
			return false
		}
		if lost != nil {
			d.giveUp(*lost)
		}
	}
	return false
}

// giveUp ends the delivery of a message that cannot be sent again. The caller holds out.mu.
func (d *durable) giveUp(p Pair) {
	o := &d.s.out
	if l := o.lent[p.ID]; l != nil && !p.Released {
		o.abandon(p.ID, 1)
		o.giveBack(p.ID, l)
		o.finish(l)
		return
	} else if l != nil {
		o.received(packet.TypePubrec, p.ID, packet.Success)
		return
	}
	if p.Released {
		if step, _ := o.flight.Receive(packet.TypePubrec, p.ID, packet.Success); step == qos.SendPubrel {
			d.released = append(d.released, p)
		}
		return
	}
	o.abandon(p.ID, 1)
	d.acks = append(d.acks, p.Number)
}

// received notes what an acknowledgement of the subscriber brought. The caller holds out.mu.
func (d *durable) received(step qos.Step, t packet.Type, id uint16, number uint64) {
	switch {
	case step == qos.SendPubrel:
		d.released = append(d.released, Pair{ID: id, Number: number})
		return
	case t == packet.TypePubcomp: // the record was acknowledged with PUBREC
		d.freed = append(d.freed, id)
		return
	case t == packet.TypePubrec: // refused
		d.freed = append(d.freed, id)
	}
	d.acks = append(d.acks, number) // v5 [MQTT-4.4.0-2]: refused is acknowledged too
}

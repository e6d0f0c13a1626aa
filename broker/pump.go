package broker

import (
	"slices"
	"sync"
	"time"

	"weir/broker/message"
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

// restAfter is how long a queue that could not be read is left alone.
const restAfter = time.Second

// broke notes that the queue could not be read, and sees to it that it is tried again, once in a while however often it is
// asked for.
func (d *durable) broke(err error) {
	b := d.s.b
	d.s.out.mu.Lock()
	gone := d.s.out.gone
	d.s.out.mu.Unlock()
	if gone || d.resting.Swap(true) {
		return
	}
	b.quiet.warn(b.log, "queue of a session cannot be read, trying again", "client", string(d.s.id), "err", err)
	time.AfterFunc(restAfter, func() {
		d.resting.Store(false)
		b.pledges.add(d) // so that the notice reaches it
		b.Notify()
	})
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
	for d.at < d.n && o.flight.Free() > 0 && len(o.pending) < fillBytes {
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
	if m.Number <= d.through {
		return Pair{}, false
	}
	d.through = m.Number
	h := d.held(m)
	if f.expired(h.message) {
		f.counts.expired++
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
		number, released, ok := o.flight.Peek()
		if !ok {
			return true
		}
		if !released {
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
			switch {
			case released: // v5 [MQTT-4.3.3-6]
				o.acknowledge(packet.TypePubrel, id, packet.Success)
			case d.at == d.n || d.batch[d.at].Number != number:
				lost = &Pair{ID: id, Number: number, Released: q == 2}
			case f.encode(d.held(&d.batch[d.at]), id, true): // DUP 1: v5 [MQTT-3.3.1-1], 3.1.1 [MQTT-3.3.1-1]
				d.at++
			default: // too large for this client
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

// feed puts retained messages for new subscriptions into the queue, some at a time, and sends those of QoS 0. One that was
// replaced by then is left out: its successor comes by the subscription itself.
func (d *durable) feed() {
	o, b := &d.s.out, d.s.b
	o.mu.Lock()
	waiting := len(o.replay) > 0
	o.mu.Unlock()
	if !waiting {
		return
	}
	messages, _ := d.queue.Waiting()
	meal := meals.Get().(*meal)
	defer meal.clear()
	o.mu.Lock()
	d.serve(meal, batchSize-messages)
	o.mu.Unlock()
	if len(meal.entries) == 0 {
		return
	}
	first, n := b.journal.Append(meal.entries)
	b.count.journaled.Add(uint64(n))
	for i, r := range meal.from[:n] { // only who has the turn reads the queue, so none has left yet
		if kept := r.list[0]; kept.over.Load() {
			d.queue.Ack([]uint64{first + uint64(i)})
		}
	}
	if n < len(meal.entries) {
		o.mu.Lock()
		o.replay = slices.Concat(meal.from[n:], o.replay)
		o.mu.Unlock()
		d.starved.Store(true)
		b.pledges.add(d)
	}
}

// meal is what one feed takes from the replays.
type meal struct {
	entries  []Entry
	from     []replay           // each with the message of one entry
	messages []*message.Message // to read retained messages into; those of entries come first
}

var meals = sync.Pool{New: func() any { return new(meal) }}

// message is space for the message of the next entry.
func (m *meal) message() *message.Message {
	if len(m.messages) == len(m.entries) {
		m.messages = append(m.messages, new(message.Message))
	}
	return m.messages[len(m.entries)]
}

// clear gives the meal back.
func (m *meal) clear() {
	for _, used := range m.messages[:len(m.entries)] {
		used.Props.Reset()
	}
	clear(m.entries)
	clear(m.from)
	m.entries, m.from = m.entries[:0], m.from[:0]
	meals.Put(m)
}

// serve takes up to most retained messages of QoS 1 and 2 for the queue, and sends those of QoS 0 that stand between them.
// The caller holds out.mu.
func (d *durable) serve(meal *meal, most int) {
	o := &d.s.out
	f := filler{b: d.s.b, out: o}
	defer func() {
		f.done()
		f.b.count.add(&f.counts)
	}()
	for len(o.replay) > 0 {
		p := &o.replay[0]
		opt := p.sub.load()
		for len(p.list) > 0 {
			kept := p.list[0]
			q := min(kept.qos, opt.qos())
			h := held{kept: kept, qos: q, retain: true, ids: p.identify(opt)} // v5 section 3.3.1.3, 3.1.1 [MQTT-3.3.1-8]
			away := o.conn == nil || o.closing
			switch {
			case kept.over.Load() || q == 0 && away: // QoS 0 is not kept for a session without a connection
			case q == 0 && len(o.pending) >= fillBytes || q > 0 && len(meal.entries) >= most:
				return
			case q == 0:
				f.encode(h, 0, false)
			default:
				hit := SessionHit{Queue: d.queue.ID(), QoS: q, Data: appendHit(nil, q, true, h.ids), session: d.s}
				m := meal.message()
				kept.read(m)
				meal.entries = append(meal.entries, Entry{Message: m, Sessions: []SessionHit{hit}})
				meal.from = append(meal.from, replay{sub: p.sub, list: []*retained{kept}})
			}
			p.list = p.list[1:]
		}
		o.replay = o.replay[1:]
	}
	o.replay = nil
}

package broker

import (
	"cmp"
	"slices"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/qos"
)

// lent is a message of a shared group. While a member has it, the member's out does, by packet id, until it is acknowledged.
type lent struct {
	group   *group
	number  uint64 // of its record; 0: it is in no queue
	order   uint64 // of its group; rises
	message *message.Message
	own     bool // the message is a copy of its own
	qos     byte // as published
	retain  bool
	size    int

	// Since it was given to a member, and then guarded by its out.mu:
	sent   held
	ticket uint16 // the id of its pair, if the member's session is in memory
	staged bool   // its PUBLISH has not left yet
	done   bool   // the group is done with it: PUBREC came
}

// lend makes a message of the queue one that can be given: the next one. Its message is valid as long as that of the batch.
func (g *group) lend(m *Queued) *lent {
	g.passed.Store(m.Number)
	l := &lent{group: g, number: m.Number, order: m.Number, message: &m.Message, size: footprint(&m.Message)}
	l.qos, l.retain, _ = parseHit(m.Data, nil)
	return l
}

// keep makes the message outlive the batch it was read with.
func (l *lent) keep() {
	if !l.own {
		m := l.message.Clone()
		l.message, l.own = &m, true
	}
}

// borrow notes that the session has a message under a packet id. The caller holds mu.
func (o *out) borrow(id uint16, l *lent) {
	o.own()
	if o.lent == nil {
		o.lent = map[uint16]*lent{}
	}
	o.lent[id] = l
	o.lentBytes += l.sent.bytes
}

// stage takes the packet that was just encoded, from there on, out of pending until its pair is kept. The caller holds mu.
func (o *out) stage(id uint16, l *lent, from int) {
	x := o.lending
	x.bytes = append(x.bytes, o.pending[from:]...)
	o.pending = o.pending[:from]
	x.lents, x.ids = append(x.lents, l), append(x.ids, id)
	l.staged = true
	if d := o.durable; d != nil && l.sent.qos == 2 {
		d.freed = slices.DeleteFunc(d.freed, func(old uint16) bool { return old == id }) // its pair takes that one's place
	}
}

// say sends what was staged, whose pairs are kept. The caller holds mu, and x is the lending.
func (o *out) say(x *lending) {
	if o.conn == nil || o.closing { // detach gives it back
		return
	}
	o.room()
	o.pending = append(o.pending, x.bytes...)
	for _, l := range x.lents {
		l.staged = false
	}
	o.lending = nil
}

// unstage takes back what was staged for a connection that is gone: it was not sent. The caller holds mu.
func (o *out) unstage() {
	x := o.lending
	if x == nil {
		return
	}
	o.lending = nil
	for i, l := range x.lents {
		id := x.ids[i]
		if o.lent[id] != l {
			continue
		}
		o.abandon(id, l.sent.qos)
		o.giveBack(id, l)
		if o.durable != nil && l.sent.qos == 2 {
			o.durable.freed = append(o.durable.freed, id)
		}
		if !l.done {
			o.giving().unsent = append(o.giving().unsent, l)
		}
	}
}

// giveBack ends that the session has a message. The caller holds mu.
func (o *out) giveBack(id uint16, l *lent) {
	delete(o.lent, id)
	o.lentBytes -= l.sent.bytes
}

// lentReceived handles an acknowledgement for a message of a group; ok is false if it breaks the protocol. One that was refused is
// discarded, and goes to no other member: v5 [MQTT-4.8.2-6]. The caller holds mu.
func (o *out) lentReceived(l *lent, step qos.Step, t packet.Type, id uint16) (ok bool) {
	d := o.durable
	switch step {
	case qos.SendPubrel: // v5 [MQTT-4.3.3-4], 3.1.1 [MQTT-4.3.3-1]
		if d != nil {
			d.released = append(d.released, l.pair(id))
		} else {
			o.acknowledge(packet.TypePubrel, id, packet.Success, whyNot)
		}
	case qos.Done, qos.Refused:
		o.giveBack(id, l)
		if d != nil && t != packet.TypePuback {
			d.freed = append(d.freed, id)
		}
	default:
		return false
	}
	o.finish(l)
	return true
}

// finish notes that the group is done with a message. The caller holds mu.
func (o *out) finish(l *lent) {
	if !l.done {
		l.done = true
		o.giving().finished = append(o.giving().finished, l)
	}
}

// nowhere is the queue of a pair whose record is in none.
const nowhere = 1<<32 - 1

// pair is what a stored session keeps of a message at QoS 2.
func (l *lent) pair(id uint16) Pair {
	p := Pair{ID: id, Number: l.number, Queue: nowhere}
	if l.number != 0 && l.group != nil {
		p.Queue = l.group.queue.ID()
	}
	return p
}

// returned is what settleLent tells groups.
type returned struct{ finished, unsent []*lent } // are over; were not sent

func (r *returned) len() int {
	if r == nil {
		return 0
	}
	return len(r.finished) + len(r.unsent)
}

// giving is where what is returned is noted. The caller holds mu.
func (o *out) giving() *returned {
	o.own()
	if o.returned == nil {
		o.returned = &returned{}
	}
	return o.returned
}

// takeReturned gives what groups are to be told. The caller holds mu.
func (o *out) takeReturned() returned {
	if o.returned == nil {
		return returned{}
	}
	r := *o.returned
	o.returned = nil
	return r
}

// settleLent tells groups what a session in memory is done with. That of a stored one is told by who has its turn.
func (s *session) settleLent() {
	if s.out.durable != nil || s.out.shares.Load() == nil {
		return
	}
	s.out.mu.Lock()
	r := s.out.takeReturned()
	s.out.mu.Unlock()
	r.finish()
	s.b.share(r.unsend()...)
}

// finish lets groups acknowledge records. Not called under any lock.
func (r returned) finish() {
	for _, l := range r.finished {
		l.finish()
	}
}

func (l *lent) finish() {
	g := l.group
	if g == nil {
		return
	}
	if l.number != 0 {
		g.ack([]uint64{l.number}) // before its pair goes
	}
	l.forgetTicket()
	if g.lent.Add(-1) == 0 {
		g.over()
	}
}

func (l *lent) forgetTicket() {
	g := l.group
	if l.ticket == 0 {
		return
	}
	g.queue.Forget(l.ticket)
	g.mu.Lock()
	delete(g.tickets, l.ticket)
	g.mu.Unlock()
	l.ticket = 0
}

// unsend gives messages back to groups, which are to give them to other members.
func (r returned) unsend() (some []*group) {
	for _, l := range r.unsent {
		g := l.group
		if g == nil {
			continue
		}
		l.forgetTicket()
		l.staged = false
		g.mu.Lock()
		at, _ := slices.BinarySearchFunc(g.back, l, func(a, b *lent) int { return cmp.Compare(a.order, b.order) })
		g.back = slices.Insert(g.back, at, l)
		g.foreseeBack(l)
		g.mu.Unlock()
		if g.lent.Add(-1) == 0 {
			g.over()
		}
		if !slices.Contains(some, g) {
			some = append(some, g)
		}
	}
	return some
}

// endLent takes everything from a session that ends. What was sent at QoS 1 and not acknowledged goes to other members, as what was
// not sent does; what was sent at QoS 2 goes to nobody: v5 [MQTT-4.8.2-5]. The caller holds mu.
func (o *out) endLent() (r returned, dropped int) {
	o.unstage()
	for id, l := range o.lent {
		switch {
		case l.done:
		case l.sent.qos == 1:
			o.giving().unsent = append(o.giving().unsent, l)
		default:
			o.finish(l)
			dropped++
		}
		delete(o.lent, id)
	}
	if o.lentBytes != 0 {
		o.lentBytes = 0
	}
	return o.takeReturned(), dropped
}

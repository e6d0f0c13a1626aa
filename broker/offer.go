package broker

// answer is what comes of offering a message to a member.
type answer uint8

const (
	away      answer = iota // it has no connection
	busy                    // it has no room now
	tooLarge                // it does not take packets of that size
	forbidden               // its rights do not cover the topic
	given
)

// offer gives a message to the next member that has room: v5 section 4.8.2 leaves it to the server which one. A message that is
// too large for one, or not for one to have, goes to another one, and is discarded if that is so for all that are there:
// v5 [MQTT-3.1.2-25]. Those that are not there are not waited for, since what stands behind it would wait too.
func (g *group) offer(l *lent, f *filler) answer {
	g.mu.Lock()
	defer g.mu.Unlock() // over all: who has left the group is given nothing any more
	worst, large, kept := away, 0, 0
	for i := range g.members {
		at := (g.next + i) % len(g.members)
		switch g.offerTo(g.members[at], l, f) {
		case given:
			g.next = at + 1
			g.takenNow(l)
			return given
		case tooLarge:
			large++
		case forbidden:
			kept++
		case busy:
			worst = busy
		}
	}
	if kept > 0 && large == 0 && worst == away {
		f.counts.withheld++
		g.takenNow(l)
		return forbidden
	}
	if large > 0 && worst == away {
		f.counts.tooLarge++
		g.takenNow(l)
		return tooLarge
	}
	return worst
}

// offerTo gives a message to a member if it has room. The caller holds mu.
func (g *group) offerTo(m *subscription, l *lent, f *filler) answer {
	s := m.session
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn == nil || o.closing || o.gone {
		return away
	}
	if !m.takes(l.message.Topic) {
		return forbidden
	}
	if len(o.pending) >= fillBytes || o.lending != nil && (o.lending.group != g || !o.lending.open) {
		return busy
	}
	opt := m.load()
	h := held{message: l.message, qos: min(l.qos, opt.qos()), bytes: l.size} // v5 [MQTT-3.8.4-8] [MQTT-4.8.2-3]
	h.retain = l.retain && opt.retainAsPublished()                           // v5 [MQTT-3.3.1-12] [MQTT-3.3.1-13]
	if id := opt.id(); id != 0 {                                             // v5 [MQTT-3.3.4-3]
		h.ids = []uint32{id}
	}
	f.out = o
	if h.qos == 0 {
		if !g.encode(f, h, 0) {
			return tooLarge
		}
		l.sent = h
		g.touched[o] = struct{}{}
		return given
	}
	return g.lendTo(s, l, h, f)
}

// lendTo gives a message of QoS 1 or 2 to a member, which has to acknowledge it. The caller holds mu, and that of the out-half.
func (g *group) lendTo(s *session, l *lent, h held, f *filler) answer {
	o := &s.out
	if o.flight.Free() == 0 || o.lentBytes > 0 && o.lentBytes+h.bytes > g.b.cfg().QueueBytes {
		return busy
	}
	stage := h.qos == 2 && (s.out.durable != nil || l.number != 0)
	ticket := uint16(0)
	if stage && s.out.durable == nil {
		if ticket = g.ticket(); ticket == 0 {
			return busy
		}
	}
	id, ok := o.flight.Send(h.qos, l.number) // v5 [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1]
	if !ok {
		return busy
	}
	o.room()
	from := len(o.pending)
	if !g.encode(f, h, id) {
		o.abandon(id, h.qos)
		return tooLarge
	}
	l.keep()
	h.message = l.message
	l.sent, l.ticket, l.done = h, ticket, false
	if ticket != 0 {
		g.tickets[ticket] = struct{}{}
	}
	if stage && o.lending == nil {
		o.own()
		o.lending = &lending{group: g, open: true, generation: o.generation}
		g.opened = append(g.opened, o)
	}
	o.borrow(id, l)
	if o.lending != nil {
		o.stage(id, l, from)
	}
	g.lent.Add(1)
	g.touched[o] = struct{}{}
	return given
}

// encode is that of the filler, whose count of packets that are too large is not for members that others stand in for.
func (g *group) encode(f *filler, h held, id uint16) bool {
	large := f.counts.tooLarge
	ok := f.encode(h, id, false)
	f.counts.tooLarge = large
	return ok
}

// ticket is a number that no message to a member in memory has; 0: there is none. The caller holds mu.
func (g *group) ticket() uint16 {
	if len(g.tickets) >= 1<<16-1 {
		return 0
	}
	for {
		g.lastTicket++
		if _, used := g.tickets[g.lastTicket]; !used && g.lastTicket != 0 {
			return g.lastTicket
		}
	}
}

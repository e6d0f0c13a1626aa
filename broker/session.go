package broker

import (
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/qos"
	"weir/broker/topic"
)

// session is what the broker knows of a client id. [MQTT-3.1.3-2] [MQTT-4.1.0-1]
//
// Its parts belong to different hands. out and owed have their own locks. in, subs, will, version and lasts belong to the
// connection that owns the session (its reader), and to whoever holds Broker.mu while there is none.
type session struct {
	b     *Broker
	names string // its client id, and who made it; nobody else gets it

	owner *connection // guarded by Broker.mu

	in    qos.Inbound
	subs  subscribed
	lasts time.Duration // how long it outlives its connection
	will  *will

	absence  *absence       // guarded by Broker.mu; nil: somebody owns it, or nobody can any more
	charged  int32          // what limits.memory counts for it, see base
	idLength uint16         // of names
	version  packet.Version // of the connection it had last
	placed   bool           // it counts as a session

	out  out
	owed *owed // made when something is owed for the first time
}

// absence is what there is to know of a session while nobody owns it.
type absence struct {
	expires time.Time     // when it ends
	away    message.Stamp // when its connection was lost; meaningful if it is stored
	willDue time.Time     // when its will is published
	place   int           // in the calendar; -1: not there
}

// owes is what the session's publisher is owed. Called by the reader.
func (s *session) owes() *owed {
	if s.owed == nil {
		s.owed = &owed{b: s.b, sink: s}
	}
	return s.owed
}

// will is the message published when a connection is lost.
type will struct {
	message message.Message
	delay   time.Duration
}

func (b *Broker) newSession(id, user string) *session {
	s := &session{b: b, names: id + user, idLength: uint16(len(id)), in: *qos.NewInbound(b.cfg().ReceiveMaximum)}
	s.out.backlog, s.out.flight = &noBacklog, *qos.NewOutbound(b.cfg().Inflight)
	return s
}

// id is the client id.
func (s *session) id() string { return s.names[:s.idLength] }

// user is who made it.
func (s *session) user() string { return s.names[s.idLength:] }

// settled puts acknowledgements out that the journal has released, and sends them.
func (s *session) settled(acks []due) {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range acks {
		told := o.conn != nil && !o.closing && a.generation == o.generation // else it is owed to a connection that is gone
		if told {
			o.acknowledge(a.answer, a.id, a.reason, a.why)
		}
		switch {
		case a.answer == packet.TypePubrec && a.reason.Failed(): // a message that nobody took is new when it comes again, whether or not that was told
			o.answered.ack(a.id)
		case a.answer == packet.TypePuback && told:
			o.answered.ack(a.id)
		}
	}
}

// flush sends what settled has put out.
func (s *session) flush() { s.out.flush() }

// freeAcked gives the places of what was acknowledged meanwhile back to the in-half. The error is that of unread: the
// places are free when the acknowledgement is put out, so they do not bound what waits for the socket. Called by the reader.
func (s *session) freeAcked() error {
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	s.freeAnswered()
	return o.unread(s.b)
}

// freeAnswered is freeAcked for who holds out.mu.
func (s *session) freeAnswered() {
	done := &s.out.answered
	if done.ids == nil {
		return
	}
	for _, id := range done.acked {
		s.in.Acked(id) // v5 [MQTT-4.3.2-5] [MQTT-4.3.3-9]
	}
	for _, id := range done.completed {
		s.in.Completed(id) // v5 [MQTT-4.3.3-12]
	}
	done.clear()
}

// subscribe adds or replaces a subscription. v5 [MQTT-3.8.4-3], 3.1.1 [MQTT-3.8.4-3]: the options change in one step, so no
// message is lost or repeated meanwhile. due: see durable.owe. The caller has counted a new one; remove counts it out. Called by the
// reader.
func (s *session) subscribe(f topic.Filter, o options, due bool) *subscription {
	if sub := s.subs.get(f.String()); sub != nil {
		sub.options.Store(uint64(o))
		if sharedFilter(f) {
			s.b.rejoin(sub)
		}
		return sub
	}
	sub := &subscription{filter: f, session: s}
	sub.options.Store(uint64(o))
	s.subs.add(sub)
	if due {
		s.out.mu.Lock()
		s.out.durable.due = append(s.out.durable.due, sub)
		s.out.mu.Unlock()
	}
	s.b.count.subscriptions.Add(1)
	s.b.watch(sub, true)
	if s.subs.len() > 1 {
		s.out.several.Store(true) // before the tree has two, so that whoever finds both knows
	}
	if sharedFilter(f) {
		s.b.join(sub)
	} else {
		s.b.tree.Add(f, sub)
	}
	return sub
}

// unsubscribe removes a subscription and tells whether there was one. Filters are compared byte for byte:
// v5 [MQTT-3.10.4-1], 3.1.1 [MQTT-3.10.4-1]. Called by the reader.
func (s *session) unsubscribe(filter string) bool {
	sub := s.subs.get(filter)
	if sub == nil {
		return false
	}
	s.subs.remove(filter)
	s.remove(sub)
	return true
}

func (s *session) remove(sub *subscription) {
	s.b.count.subscriptions.Add(-1)
	s.b.uncountSubscription(sub.filter)
	s.b.watch(sub, false)
	if sharedFilter(sub.filter) {
		s.b.leave(sub)
	} else {
		s.b.tree.Remove(sub.filter, sub)
	}
}

// attach makes c the connection of the session: answer, then what was begun before, then what waited. Called by c's
// reader, which owns the session.
func (s *session) attach(c *connection, answer []byte, window int) {
	s.owed.prune(s.in.Acked)
	o := &s.out
	o.mu.Lock()
	s.freeAnswered() // or ids that were refused at the end of the connection before would be held for ever
	s.in.Reconnect(receiveMaximum(c.version, c.told.ReceiveMaximum))
	o.conn, o.closing, o.version, o.maxPacket = c, false, c.version, c.maxPacket
	o.generation++
	o.toucher = 0 // who touched the connection before has not touched this one
	c.generation = o.generation
	o.persistent = s.lasts > 0
	o.pending, o.answers = nil, 0
	o.room()
	o.others++
	o.pending = append(o.pending, answer...) // before anything else: v5 [MQTT-3.2.0-1], 3.1.1 [MQTT-3.2.0-1]
	o.flight.Reconnect(window)
	if s.out.durable != nil {
		s.out.durable.attached()
	}
	o.fill(s.b)
	o.online.Store(true)
	o.mu.Unlock()
	c.out.Store(o)
	if reason := c.kicked.Load(); reason != 0 { // meanwhile, when there was no place for last words
		c.lastWords(packet.Reason(reason), "")
	}
	if s.out.durable != nil {
		s.out.durable.queue.Live(true)
		s.out.durable.pump()
	}
	for _, g := range o.groups() {
		g.enliven()
	}
	s.settleLent()
	s.share()
}

// receiveMaximum is how many messages may be unacknowledged: 3.1.1 clients cannot be told, so they may use every id.
func receiveMaximum(v packet.Version, announced int) int {
	if v == packet.V311 {
		return 65535
	}
	return announced
}

// detach takes the connection away. Its last words stay with it. Called by c's reader.
func (s *session) detach(c *connection) {
	o := &s.out
	last := lastOut(c, nil)
	o.mu.Lock()
	o.online.Store(false)
	if o.conn == c {
		last.pending = o.pending
	}
	o.conn, o.closing, o.pending, o.answers, o.writing = nil, false, nil, 0, 0
	o.settle(s.b)
	o.persistent = s.lasts > 0
	o.unstage()
	if c.short != nil { // what is pending goes out without
		c.b.limits.memory.force(-c.short.counted)
		c.short = nil
	}
	o.mu.Unlock()
	if c.out.Load() == o { // or it has last words already, being refused
		c.out.Store(last)
	}
	if s.out.durable != nil {
		s.out.durable.queue.Live(false)
	}
	if o.shares.Load() == nil {
		return
	}
	for _, g := range o.groups() {
		g.enliven()
	}
	s.settleLent()
	if s.out.durable != nil {
		s.out.durable.pump() // which tells the groups
	}
}

// leave ends the subscriptions of a session that nobody owns and nobody can find any more: v5 [MQTT-4.1.0-2]; retained
// messages stay: 3.1.1 [MQTT-3.1.2-7]. Not called under Broker.mu.
func (s *session) leave() {
	for sub := range s.subs.all() {
		s.remove(sub)
	}
}

// end drops everything else of it, also from the store; no other session gets any of it: v5 [MQTT-4.8.2-5]. Call leave before.
func (s *session) end() {
	o := &s.out
	o.mu.Lock()
	o.gone = true
	if o.backlog != &noBacklog {
		o.queue, o.replay, o.holding, o.bytes, o.replays = fifo[held]{}, nil, holding{}, 0, 0
	}
	o.flight.Reset()
	lent, dropped := o.endLent()
	o.settle(s.b)
	s.b.forgo(o)
	o.mu.Unlock()
	if dropped > 0 {
		s.b.count.droppedShared.Add(uint64(dropped))
		s.b.quiet.warn(s.b.log, "session has ended with messages of a shared group that it was sent at QoS 2: they are dropped", "client", s.id(), "messages", dropped)
	}
	lent.finish() // before the pairs go
	if s.out.durable != nil {
		s.out.durable.forgo()
		s.out.durable.forget()
	}
	s.b.share(lent.unsend()...)
	s.subs = subscribed{}
	s.owed.drop()
	s.charge(0)
	if s.placed {
		s.b.limits.sessions.give(s.b, 1)
	}
}

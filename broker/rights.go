package broker

import (
	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// Who is a client as far as its rights go.
type Who struct {
	User     string // "" for a client that did not log in
	ClientID string // as CONNECT gave it, or as it was assigned
	Listener string // the name of the listener it came by; "" if that is not known any more: its session was stored
}

// Rights is what one client may do. They are called by the goroutines of all connections and must not block or allocate;
// a topic name is valid during the call only. Two of them can be compared; clients that are given the same ones share what
// the broker notes of them. Safe for concurrent use.
type Rights interface {
	// MayPublish tells whether the client may publish to a topic, also by a will. The name does not begin with $.
	MayPublish(name []byte) bool
	// MaySubscribe tells whether a SUBSCRIBE with the filter is granted. Of a shared filter only its Topic counts.
	MaySubscribe(f topic.Filter) bool
	// MayReceive tells whether a message of a topic may be delivered. It is asked for each message of a subscription
	// that ReceivesAll denies.
	MayReceive(name []byte) bool
	// ReceivesAll tells whether MayReceive is true for every topic that a filter takes. It may say no where that is so.
	ReceivesAll(f topic.Filter) bool
}

// granted are the rights of clients of a listener, as they were asked for last. It does not change: whoever gets other rights
// gets another one.
type granted struct {
	listener string
	rights   Rights

	all, some byte // only their addresses mean something: see subscription.judged
}

// grant asks for the rights of a client; nil: it may do everything.
func (b *Broker) grant(who Who) *granted {
	if b.cfg().Rights == nil {
		return nil
	}
	rights := b.cfg().Rights(who)
	if g := b.grantedLast.Load(); g != nil && g.listener == who.Listener && g.rights == rights {
		return g // most clients of most brokers may do the same
	}
	g := &granted{listener: who.Listener, rights: rights}
	b.grantedLast.Store(g)
	return g
}

// takes tells whether a subscription may get a message of a topic. What the rights say of its filter is found out once
// and kept, so that a subscription which may have all costs two loads, however many rights there are. Safe for
// concurrent use.
func (s *subscription) takes(name []byte) bool {
	g := s.session.out.granted.Load()
	if g == nil {
		return true
	}
	switch s.judged.Load() {
	case &g.all:
		return true
	case &g.some:
		return g.rights.MayReceive(name)
	}
	if g.rights.ReceivesAll(s.filter) {
		s.judged.Store(&g.all)
		return true
	}
	s.judged.Store(&g.some)
	return g.rights.MayReceive(name)
}

// mayHave tells whether the client may be sent a message that was found for it earlier: rights may have changed since.
func (f *filler) mayHave(m *message.Message) bool {
	g := f.out.granted.Load()
	if g == nil || g.rights.MayReceive(m.Topic) {
		return true
	}
	f.counts.withheld++
	return false
}

// authorize finds what the client may do, once it is known who it is, and judges its will: a CONNECT whose will could
// not be published is refused at once, as one for a topic with $ is. It is judged again when it is published: rights change.
// v5 [MQTT-3.1.4-2], 3.1.1 section 3.1.4
func (c *connection) authorize(p *packet.Connect, l *login) *packet.Error {
	l.granted = c.b.grant(c.who(l.id, l.user))
	if l.granted != nil && p.HasWill && !l.granted.rights.MayPublish(p.Will.Topic) {
		c.b.count.denied.Add(1)
		return packet.Errorf(packet.NotAuthorized, "user %q may not publish the will to %q", l.user, clip(p.Will.Topic))
	}
	return nil
}

// who is a client at the listener of the connection.
func (c *connection) who(id, user string) Who {
	return Who{User: user, ClientID: id, Listener: c.conn.Listener().Name()}
}

// mayPublish tells whether the client may publish to a topic; if not, that is counted and logged. A session that was stored, and
// that no connection has had since the start, has rights of which the listener is not known.
func (s *session) mayPublish(name []byte) bool {
	rights := Rights(nil)
	if g := s.out.granted.Load(); g != nil {
		rights = g.rights
	} else if of := s.b.cfg().Rights; of != nil {
		rights = of(Who{User: s.user(), ClientID: s.id()})
	}
	if rights == nil || rights.MayPublish(name) {
		return true
	}
	s.b.count.denied.Add(1)
	s.b.quiet.warn(s.b.log, "not allowed to publish, message dropped", "client", s.id(), "user", s.user(), "topic", clip(name))
	return false
}

// maySubscribe is the same for a subscription.
func (c *connection) maySubscribe(f topic.Filter) bool {
	g := c.session.out.granted.Load()
	if g == nil || g.rights.MaySubscribe(f) {
		return true
	}
	c.b.count.denied.Add(1)
	c.b.quiet.warn(c.b.log, "not allowed to subscribe", "client", c.session.id(), "user", c.session.user(), "filter", clip(f.String()))
	return false
}

// clip shortens a topic for a log.
func clip[S string | []byte](name S) string {
	const limit = 100
	if len(name) <= limit {
		return string(name)
	}
	return string(name[:limit]) + "..."
}

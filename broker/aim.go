package broker

import "weir/broker/message"

// target is one delivery to one session.
type target struct {
	session *session
	qos     byte
	retain  bool
	ids     []uint32 // subscription identifiers; the room is used again
}

// choose keeps, for each upstream, the first route by order.
func (r *reading) choose(route *Route) {
	for i, other := range r.routes {
		if other.Upstream == route.Upstream {
			if route.Order < other.Order {
				r.routes[i] = route
			}
			return
		}
	}
	r.routes = append(r.routes, route)
}

// aim adds a subscription of a session to the targets. A session gets one copy, at the highest QoS and with all
// identifiers of its subscriptions: v5 [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4], 3.1.1 [MQTT-3.3.5-1].
func (r *reading) aim(s *subscription, m *message.Message, from source) {
	o := s.load()
	if o.noLocal() && s.session == from.session { // v5 [MQTT-3.8.3-3]
		return
	}
	if !s.takes(m.Topic) {
		r.counts.withheld++
		return
	}
	if !s.session.out.several.Load() || len(r.matches) == 1 {
		r.add(s.session, o, m)
		return
	}
	at, known := r.seen[s.session]
	if !known {
		r.seen[s.session] = len(r.targets)
		r.add(s.session, o, m)
		return
	}
	t := &r.targets[at]
	t.qos = max(t.qos, o.qos())
	t.retain = t.retain || m.Retain && o.retainAsPublished()
	t.identify(o)
}

func (r *reading) add(s *session, o options, m *message.Message) {
	n := len(r.targets)
	if n == cap(r.targets) {
		r.targets = append(r.targets, target{})
	}
	r.targets = r.targets[:n+1]
	t := &r.targets[n]
	t.session, t.qos, t.ids = s, o.qos(), t.ids[:0]
	t.retain = m.Retain && o.retainAsPublished() // v5 [MQTT-3.3.1-12] [MQTT-3.3.1-13], 3.1.1 [MQTT-3.3.1-9]
	t.identify(o)
}

// identify adds the identifier of a subscription, if it has one.
func (t *target) identify(o options) {
	if id := o.id(); id != 0 {
		t.ids = append(t.ids, id)
	}
}

// aimGroup finds how a shared group gets the message: at QoS 0 one member gets it now or never, else it belongs to the group
// until a member has room. A member gets a copy of its own even if it has another subscription that matches: v5 section 4.8.2,
// [MQTT-3.3.4-5].
func (r *reading) aimGroup(g *group, m *message.Message) {
	if m.QoS > 0 && g.most.Load() > 0 {
		r.shares = append(r.shares, g)
		return
	}
	if member := g.online(m.Topic, r.b.cfg().QueueBytes); member != nil {
		r.add(member.session, member.load(), m)
		r.targets[len(r.targets)-1].qos = 0
	}
}

// entrust gives the message to a shared group: to its memory, and kept is true, or to its queue. How it is to be delivered depends
// on the member that will get it, so it is kept as it was published.
func (r *reading) entrust(m *message.Message, g *group) (kept bool) {
	g.mu.Lock()
	switch {
	case g.ended:
		g.mu.Unlock()
		return false
	case g.queue == nil:
		f := filler{b: r.b, now: r.stamp, asked: true}
		room := g.remember(&f, r.keep(m))
		g.mu.Unlock()
		r.counts.expired += f.counts.expired
		if !room {
			r.groupFull(g)
		}
		r.note(g)
		return true
	}
	g.mu.Unlock()
	room := g.room(footprint(m), int(g.lent.Load()))
	if !room {
		r.groupFull(g)
	}
	at := len(r.data)
	r.data = appendHit(r.data, m.QoS, m.Retain, nil)
	q := min(m.QoS, byte(g.most.Load()))
	r.hit(g, SessionHit{Queue: g.queue.ID(), QoS: max(q, 1), Drop: !room, Data: r.data[at:len(r.data):len(r.data)], to: g})
	return false
}

// groupFull counts a message that a shared group has no room for.
func (r *reading) groupFull(g *group) {
	r.counts.droppedQueue++
	r.b.quiet.warn(r.b.log, "members of a shared group do not keep up, dropping messages for it", "group", g.name)
}

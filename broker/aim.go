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
// identifiers of its subscriptions: v5 [MQTT-3.3.4-2] [MQTT-3.3.4-3], 3.1.1 [MQTT-3.3.5-1].
func (r *reading) aim(s *subscription, m *message.Message, from source) {
	o := s.load()
	if o.noLocal() && s.session == from.session { // v5 [MQTT-3.8.3-3]
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

// aimGroup adds one member of a shared group. It gets a copy of its own even if it has another subscription that
// matches: v5 section 4.8.2.
func (r *reading) aimGroup(g *group, m *message.Message) {
	if member := g.pick(m.QoS > 0); member != nil {
		r.add(member.session, member.load(), m)
	}
}

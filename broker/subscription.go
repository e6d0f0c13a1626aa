package broker

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"weir/broker/packet"
	"weir/broker/topic"
)

// subscription is one entry of the tree: of a session, of a shared group, or of a route. Exactly one of the three is set.
type subscription struct {
	filter  topic.Filter
	session *session
	group   *group
	route   *Route
	options atomic.Uint64 // of a session or a group's member; replaced as a whole
}

// Options of a subscription, packed: bits 0-1 QoS, 2 no local, 3 retain as published, from 8 the identifier.
type options uint64

func packOptions(s *packet.Subscription, id uint32) options {
	o := options(s.QoS) | options(id)<<8
	if s.NoLocal {
		o |= 1 << 2
	}
	if s.RetainAsPublished {
		o |= 1 << 3
	}
	return o
}

// appendOptions and parseOptions are how they are stored: as a big-endian u64.
func appendOptions(b []byte, o options) []byte { return binary.BigEndian.AppendUint64(b, uint64(o)) }
func parseOptions(b []byte) options            { return options(binary.BigEndian.Uint64(b)) }

func (o options) qos() byte               { return byte(o & 3) }
func (o options) atMost(q byte) options   { return o&^3 | options(min(o.qos(), q)) }
func (o options) noLocal() bool           { return o&(1<<2) != 0 }
func (o options) retainAsPublished() bool { return o&(1<<3) != 0 }
func (o options) id() uint32              { return uint32(o >> 8) }

func (s *subscription) load() options { return options(s.options.Load()) }

// group is a shared subscription: each message goes to one member. v5 section 4.8.2
type group struct {
	entry *subscription // in the tree

	mu      sync.Mutex // guards the two fields below
	members []*subscription
	next    int
}

// pick chooses the member for the next message: the connected ones in turn, or else one that is away but keeps its
// session, if the message is one to be kept.
func (g *group) pick(keep bool) *subscription {
	g.mu.Lock()
	defer g.mu.Unlock()
	var away *subscription
	for i := range g.members {
		at := (g.next + i) % len(g.members)
		m := g.members[at]
		if m.session.out.online.Load() {
			g.next = at + 1
			return m
		}
		if away == nil && keep {
			away = m
		}
	}
	g.next++
	return away
}

// groups of shared subscriptions by filter.
type groups struct {
	mu  sync.Mutex // guards the field below and who is in which group; taken before a group's own
	all map[string]*group
}

// join adds a member to the group of its filter, which is made if needed.
func (b *Broker) join(s *subscription) {
	b.groups.mu.Lock()
	defer b.groups.mu.Unlock()
	if b.groups.all == nil {
		b.groups.all = map[string]*group{}
	}
	name := s.filter.String()
	g := b.groups.all[name]
	if g == nil {
		g = &group{}
		g.entry = &subscription{filter: s.filter, group: g}
		b.groups.all[name] = g
	}
	g.mu.Lock()
	g.members = append(g.members, s)
	g.mu.Unlock()
	b.tree.Set(s.filter, g.entry, g.entry)
}

// leave takes a member out of its group, and the group away if it was the last one.
func (b *Broker) leave(s *subscription) {
	b.groups.mu.Lock()
	defer b.groups.mu.Unlock()
	name := s.filter.String()
	g := b.groups.all[name]
	if g == nil {
		return
	}
	g.mu.Lock()
	g.members = slices.DeleteFunc(g.members, func(m *subscription) bool { return m == s })
	left := len(g.members)
	g.mu.Unlock()
	if left == 0 {
		delete(b.groups.all, name)
		b.tree.Remove(s.filter, g.entry)
	}
}

// SetRoutes replaces all routes. Messages that are being published at the same moment go by the old ones or the new ones.
func (b *Broker) SetRoutes(routes []Route) {
	b.routesMu.Lock()
	defer b.routesMu.Unlock()
	before := b.routes
	b.routes = make([]*subscription, len(routes))
	for i := range routes {
		r := routes[i]
		r.Exclude = slices.Clone(r.Exclude)
		b.routes[i] = &subscription{filter: r.Filter, route: &r}
		b.tree.Set(r.Filter, b.routes[i], b.routes[i])
	}
	for _, s := range before {
		b.tree.Remove(s.filter, s)
	}
}

// takes tells whether a route takes a message that its filter matches.
func (r *Route) takes(name []byte, hops, maxHops uint8, publisher string) bool {
	if hops >= maxHops || publisher != "" && publisher == r.NotFrom {
		return false
	}
	for _, f := range r.Exclude {
		if f.Match(name) {
			return false
		}
	}
	return true
}

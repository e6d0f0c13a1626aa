package broker

import (
	"encoding/binary"
	"slices"
	"sync/atomic"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// subscription is one entry of the tree: of a session, or of something else. There are many of the first kind.
type subscription struct {
	filter  topic.Filter
	session *session
	*extra                // of a session: nil as long as everything in it is zero
	options atomic.Uint64 // of a session or a group's member; replaced as a whole

	judged atomic.Pointer[byte] // of a session: the all or some of the granted under which its filter was looked at last
}

// extra is whose a subscription is that is of no session, and what few of a session have.
type extra struct {
	group *group // this, the next or the one after is set, if there is no session
	route *Route
	told  func(m *message.Message) // see Watch

	// What a stored session knows of the retained messages of a subscription; guarded by its out.mu:
	round uint32   // how often they were asked for again
	given []string // keys of those that were given while they are due
}

// askedFor makes room for what a stored session knows. The caller holds out.mu.
func (s *subscription) askedFor() *extra {
	if s.extra == nil {
		s.extra = &extra{}
	}
	return s.extra
}

// rounds is how often retained messages were asked for again. The caller holds out.mu of a stored session.
func (s *subscription) rounds() uint32 {
	if s.extra == nil {
		return 0
	}
	return s.round
}

// Options of a subscription, packed: bits 0-1 QoS, 2 no local, 3 retain as published, 4, only where it is stored, that retained
// messages are due, from 8 the identifier.
type options uint64

const optionDue options = 1 << 4

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

// SetRoutes replaces all routes. Messages that are being published at the same moment go by the old ones or the new ones.
func (b *Broker) SetRoutes(routes []Route) {
	b.routesMu.Lock()
	defer b.routesMu.Unlock()
	before := b.routes
	b.routes = make([]*subscription, len(routes))
	for i := range routes {
		r := routes[i]
		r.Exclude = slices.Clone(r.Exclude)
		b.routes[i] = &subscription{filter: r.Filter, extra: &extra{route: &r}}
		b.tree.Add(r.Filter, b.routes[i])
		b.watch(b.routes[i], true)
	}
	for _, s := range before {
		b.tree.Remove(s.filter, s)
		b.watch(s, false)
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

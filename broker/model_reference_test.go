package broker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/broker/packet"
)

// reference says what each client must, may and must not get, as naively as possible: lists of messages, looked through
// from the start, and the rules of the standard (3.1.1 and 5.0, sections 3.1.2, 3.3, 3.8, 4.1, 4.3, 4.4, 4.6, 4.8), with what
// doc.go decides where the standard leaves a choice: one copy for overlapping subscriptions, at the highest QoS, with all
// identifiers; retained messages for each filter of a SUBSCRIBE.
type reference struct {
	now      func() time.Time
	sessions map[string]*standing
	retained map[string]*sent
	groups   map[string]*common
	window   int
	last     int // payload of the last message
	order    int // of the last one that was published
}

// sent is one message that was published.
type sent struct {
	n         int // in the order of being published
	publisher string
	p         packet.Publish // as published; with props of a 5.0 publisher
	at        time.Time
}

func (m *sent) expired(now time.Time) bool {
	return m.p.Props.Has(packet.PropMessageExpiry) && now.Sub(m.at) >= time.Duration(m.p.Props.MessageExpiry)*time.Second
}

// standing is what is known of a client id while it has a session.
type standing struct {
	id      string
	v       packet.Version
	online  bool
	stored  bool
	lasts   time.Duration
	lost    time.Time // when its connection was, while not online
	will    *sent
	delay   time.Duration
	subs    map[string]wish
	owed    []*delivery // to come
	begun   []*delivery // came at QoS 1 or 2 and are not acknowledged, in order
	again   []*delivery // of those: to come again on this connection
	freed   []uint16    // PUBREC was sent, PUBCOMP not
	regrets []uint16    // of those: PUBREL is to come again
	most    int         // receive maximum
}

// wish is a subscription.
type wish struct {
	packet.Subscription
	id uint32
}

// delivery is one message for one session.
type delivery struct {
	m      *sent
	qos    byte
	retain bool
	ids    []uint32
	filter string // a retained message for a new subscription to it
	group  *common
	must   bool
	loose  bool // QoS and identifiers may be others: the subscription has changed
	dup    bool // DUP may be set, because it may have been sent before
	brief  bool // it is of a group that had no stored member, so it is in memory only
	id     uint16
}

// common is a shared subscription.
type common struct {
	filter  string
	members []string
	owed    []*delivery
}

func (d *delivery) String() string {
	return fmt.Sprintf("%s=%s q%d retain=%v ids=%v must=%v dup=%v loose=%v id=%d", d.m.p.Topic, d.m.p.Payload, d.qos, d.retain, d.ids, d.must, d.dup, d.loose, d.id)
}

// takesTopic tells by the letter of section 4.7 whether a filter takes a topic.
func takesTopic(filter, name string) bool {
	f, n := strings.Split(filter, "/"), strings.Split(name, "/")
	if name[0] == '$' && (f[0] == "#" || f[0] == "+") {
		return false
	}
	for i, level := range f {
		switch {
		case level == "#":
			return true
		case i >= len(n) || level != "+" && level != n[i]:
			return false
		}
	}
	return len(f) == len(n)
}

// sharedTopic gives the group and the filter of a shared subscription.
func sharedTopic(filter string) (rest string, shared bool) {
	if !strings.HasPrefix(filter, "$share/") {
		return filter, false
	}
	return strings.SplitN(filter, "/", 3)[2], true
}

// publish says who gets a message. must is false if it is not certain that it was published at all.
func (r *reference) publish(m *sent, must bool) {
	name := string(m.p.Topic)
	r.order++
	m.n = r.order
	if m.p.Retain {
		if old := r.retained[name]; old != nil { // what of the old one was not sent yet need not be any more
			r.each(func(d *delivery) {
				if d.m == old && d.filter != "" {
					d.must = false
				}
			})
		}
		delete(r.retained, name)
		if len(m.p.Payload) > 0 {
			r.retained[name] = m
		}
	}
	for _, id := range sorted(r.sessions) {
		s := r.sessions[id]
		d := &delivery{m: m, must: must}
		hit := false
		for _, filter := range sorted(s.subs) {
			w := s.subs[filter]
			if _, shared := sharedTopic(filter); shared || !takesTopic(filter, name) || w.NoLocal && m.publisher == id {
				continue
			}
			hit = true
			d.qos = max(d.qos, w.QoS)
			d.retain = d.retain || m.p.Retain && w.RetainAsPublished
			if w.id != 0 {
				d.ids = append(d.ids, w.id)
			}
		}
		d.qos = min(d.qos, m.p.QoS)
		if hit && (s.online || d.qos > 0 && s.lasts > 0) {
			s.owed = append(s.owed, d)
		}
	}
	for _, filter := range sorted(r.groups) {
		g := r.groups[filter]
		if topic, _ := sharedTopic(filter); len(g.members) > 0 && takesTopic(topic, name) {
			online := slices.ContainsFunc(g.members, func(id string) bool { return r.sessions[id].online })
			if m.p.QoS > 0 && (r.best(g) > 0 || !must) || online {
				g.owed = append(g.owed, &delivery{m: m, must: must, group: g, brief: !r.keeps(g)})
			}
		}
	}
}

// best is the highest QoS of a group's members.
func (r *reference) best(g *common) (q byte) {
	for _, id := range g.members {
		q = max(q, r.sessions[id].subs[g.filter].QoS)
	}
	return q
}

// keeps tells whether a group has a stored member that may get QoS 1 or 2.
func (r *reference) keeps(g *common) bool {
	return slices.ContainsFunc(g.members, func(id string) bool {
		s := r.sessions[id]
		return s.stored && s.subs[g.filter].QoS > 0
	})
}

func (r *reference) each(f func(*delivery)) {
	for _, s := range r.sessions {
		for _, d := range s.owed {
			f(d)
		}
	}
}

// subscribe adds a subscription, and what is retained for it. v5 section 3.8.3.1
func (r *reference) subscribe(s *standing, w wish) {
	filter := string(w.Filter)
	_, had := s.subs[filter]
	s.subs[filter] = w
	if _, shared := sharedTopic(filter); shared {
		g := r.groups[filter]
		if g == nil {
			g = &common{filter: filter}
			r.groups[filter] = g
		}
		if !had {
			g.members = append(g.members, s.id)
		}
		return
	}
	for _, d := range s.owed {
		if d.filter == filter { // what was to come for it as it was
			d.must, d.loose = false, true
		}
	}
	if w.RetainHandling == 2 || w.RetainHandling == 1 && had {
		return
	}
	for _, name := range sorted(r.retained) {
		m := r.retained[name]
		if !takesTopic(filter, name) || m.expired(r.now()) {
			continue
		}
		d := &delivery{m: m, must: true, qos: min(w.QoS, m.p.QoS), retain: true, filter: filter}
		if w.id != 0 {
			d.ids = []uint32{w.id}
		}
		s.owed = append(s.owed, d)
	}
}

func (r *reference) unsubscribe(s *standing, filter string) (had bool) {
	if _, had = s.subs[filter]; !had {
		return false
	}
	delete(s.subs, filter)
	if _, shared := sharedTopic(filter); shared {
		r.leave(s, filter)
	}
	for _, d := range s.owed {
		if d.filter == filter {
			d.must, d.loose = false, true
		}
	}
	return true
}

func (r *reference) leave(s *standing, filter string) {
	g := r.groups[filter]
	g.members = slices.DeleteFunc(g.members, func(id string) bool { return id == s.id })
	if len(g.members) == 0 {
		delete(r.groups, filter)
	}
}

// lose takes the connection away; said: the client said DISCONNECT with success. The will goes now, or waits.
func (r *reference) lose(s *standing, said bool) {
	s.online, s.lost = false, r.now()
	if said {
		s.will = nil
	}
	s.owed = slices.DeleteFunc(s.owed, func(d *delivery) bool {
		if d.filter != "" && d.qos == 0 {
			d.must = false
		}
		return d.qos == 0 && d.filter == ""
	})
	s.again, s.regrets = nil, nil
	if s.lasts == 0 {
		r.end(s, true)
		return
	}
	if w := s.will; w != nil && s.delay == 0 {
		s.will = nil
		r.publishNow(w, true)
	}
}

func (r *reference) publishNow(m *sent, must bool) {
	m.at = r.now()
	r.publish(m, must)
}

// end ends a session: v5 section 4.1. What a member of a group had at QoS 1 goes to the others.
func (r *reference) end(s *standing, must bool) {
	delete(r.sessions, s.id)
	for _, d := range s.begun {
		if d.group != nil && d.qos == 1 && r.groups[d.group.filter] == d.group {
			d.dup = true
			d.group.owed = append(d.group.owed, &delivery{m: d.m, must: d.must && must, group: d.group, dup: true})
		}
	}
	for filter := range s.subs {
		if _, shared := sharedTopic(filter); shared {
			r.leave(s, filter)
		}
	}
	if w := s.will; w != nil {
		s.will = nil
		r.publishNow(w, must)
	}
}

// resume gives a session a connection again.
func (r *reference) resume(s *standing) {
	s.online = true
	s.again = slices.Clone(s.begun)
	s.regrets = slices.Clone(s.freed)
}

// next is when something happens by itself first, and to whom: a session ends, or its will is due.
func (r *reference) next() (when time.Time, first *standing, ends bool) {
	for _, id := range sorted(r.sessions) {
		s := r.sessions[id]
		if s.online {
			continue
		}
		if t := s.lost.Add(s.lasts); first == nil || t.Before(when) {
			when, first, ends = t, s, true
		}
		if t := s.lost.Add(s.delay); s.will != nil && s.delay < s.lasts && t.Before(when) {
			when, first, ends = t, s, false
		}
	}
	return when, first, ends
}

// pass does what is due now.
func (r *reference) pass() {
	for {
		when, s, ends := r.next()
		switch {
		case s == nil || when.After(r.now()):
			return
		case ends:
			r.end(s, true)
		default:
			w := s.will
			s.will = nil
			r.publishNow(w, true)
		}
	}
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

package broker

import (
	"bytes"
	"fmt"
	"slices"

	"weir/broker/packet"
)

// find takes the delivery that a PUBLISH is, or returns nil. One of the session's own and one of a group may look the same:
// then it is the one that is in order, and that must come. v5 [MQTT-4.6.0-6], 3.1.1 [MQTT-4.6.0-6]
func (a *actor) find(s *standing, p *packet.Publish) *delivery {
	own, early := a.own(s, p)
	take := func() *delivery {
		d := s.owed[own]
		s.owed = slices.Delete(s.owed, own, own+1)
		a.direct[string(p.Payload)] = true
		return d
	}
	if own >= 0 && early == nil && s.owed[own].must {
		if filter, alike := a.inGroup(s, p, true); alike != nil { // it may have been that one: see swapped
			own := *s.owed[own]
			a.alike[string(p.Payload)] = lookAlike{own: &own, filter: filter, group: alike}
		}
		return take()
	}
	if d := a.ofGroup(s, p, own < 0 || early != nil, own >= 0 && early == nil); d != nil {
		return d
	}
	switch {
	case own < 0:
		return a.swapped(p)
	case early == nil:
		return take()
	}
	a.m.fail("%s: %s comes before %v", a.id, brief(p), early)
	return s.owed[own]
}

// lookAlike is what was taken for a delivery to the session itself, and one of a group that looked the same then.
type lookAlike struct {
	own    *delivery
	filter string
	group  *delivery
}

// swapped takes the delivery to the session that was thought to have come before, when it was the group's.
func (a *actor) swapped(p *packet.Publish) *delivery {
	x, ok := a.alike[string(p.Payload)]
	g := a.m.ref.groups[x.filter]
	if !ok || g == nil || !slices.Contains(g.owed, x.group) || !a.is(x.own, p) {
		return nil
	}
	delete(a.alike, string(p.Payload))
	g.owed = slices.DeleteFunc(g.owed, func(d *delivery) bool { return d == x.group })
	x.own.group = g // no order is known of the two
	return x.own
}

// own is the place of a delivery for the session itself, and one that should have come before it.
func (a *actor) own(s *standing, p *packet.Publish) (best int, early *delivery) {
	best = -1
	due := func(d *delivery) bool { return d.must && !d.m.expired(a.m.ref.now()) } // else it may be left out
	for i, d := range s.owed {
		if a.is(d, p) && (best < 0 || due(d) && !due(s.owed[best]) || due(d) == due(s.owed[best]) && d.m.n < s.owed[best].m.n) {
			best = i // of two that look alike, such as two without a payload, the older one
		}
	}
	if best < 0 {
		return best, nil
	}
	d := s.owed[best]
	for _, before := range s.owed {
		if before.must && before.qos == d.qos && before.m.publisher == d.m.publisher && before.m.n < d.m.n && before.filter == "" &&
			d.filter == "" && string(before.m.p.Topic) == string(d.m.p.Topic) && !before.m.expired(a.m.ref.now()) {
			return best, before
		}
	}
	return best, nil
}

// ofGroup takes a delivery of one of the session's groups: one that must come, or any. unsure: it may as well be another one that
// looks alike, so that the group may still have this one.
func (a *actor) ofGroup(s *standing, p *packet.Publish, any, unsure bool) *delivery {
	filter, d := a.inGroup(s, p, any)
	if d == nil {
		return nil
	}
	g := a.m.ref.groups[filter]
	g.owed = slices.DeleteFunc(g.owed, func(x *delivery) bool { return x == d })
	if unsure {
		still := *d
		still.must, still.dup = false, true
		g.owed = append(g.owed, &still)
	}
	key := fmt.Sprint(filter, d.m.publisher, string(d.m.p.Topic), d.m.p.QoS, p.QoS)
	if a.seen[key] > d.m.n && !d.dup && !a.direct[string(p.Payload)] {
		a.m.fail("%s: %s comes after message %d of %s", a.id, brief(p), a.seen[key], key)
	}
	a.seen[key] = max(a.seen[key], d.m.n)
	return &delivery{m: d.m, qos: p.QoS, group: g, must: d.must, dup: d.dup, brief: d.brief}
}

// inGroup finds a delivery of one of the session's groups: one that must come, or any.
func (a *actor) inGroup(s *standing, p *packet.Publish, any bool) (filter string, d *delivery) {
	for _, filter := range sorted(s.subs) {
		g := a.m.ref.groups[filter]
		if g == nil {
			continue
		}
		w := s.subs[filter]
		for _, d := range g.owed {
			retain := d.m.p.Retain && w.RetainAsPublished
			if !any && !d.must || !a.same(d, p) || min(d.m.p.QoS, w.QoS) != p.QoS || retain != p.Retain ||
				!slices.Equal(p.Props.SubscriptionIDs, idList(w.id, a.v)) || d.m.expired(a.m.ref.now()) {
				continue
			}
			return filter, d
		}
	}
	return "", nil
}

func idList(id uint32, v packet.Version) []uint32 {
	if id == 0 || v != packet.V5 {
		return nil
	}
	return []uint32{id}
}

// same tells whether a PUBLISH is the message of a delivery. Those that remove a retained one have no payload to know them by.
func (a *actor) same(d *delivery, p *packet.Publish) bool {
	was := &d.m.p
	return string(was.Payload) == string(p.Payload) && string(was.Topic) == string(p.Topic) &&
		(a.v != packet.V5 || len(was.Props.User) == len(p.Props.User) && was.Props.Has(packet.PropMessageExpiry) == p.Props.Has(packet.PropMessageExpiry))
}

// is tells whether a PUBLISH is what a delivery says.
func (a *actor) is(d *delivery, p *packet.Publish) bool {
	if !a.same(d, p) || d.m.expired(a.m.ref.now()) && !d.dup {
		return false
	}
	if d.loose {
		return true
	}
	ids := slices.Clone(p.Props.SubscriptionIDs)
	slices.Sort(ids)
	want := slices.Clone(d.ids)
	slices.Sort(want)
	return d.qos == p.QoS && d.retain == p.Retain && (a.v != packet.V5 || slices.Equal(ids, want))
}

// sameProperties wants the properties of the publisher unchanged, and the expiry counted down: v5 [MQTT-3.3.2-6]
// [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-18] [MQTT-3.3.2-20].
func (a *actor) sameProperties(p *packet.Publish, d *delivery) {
	if a.v != packet.V5 {
		return
	}
	was, is := &d.m.p.Props, &p.Props
	same := len(was.User) == len(is.User) && bytes.Equal(was.ContentType, is.ContentType) &&
		bytes.Equal(was.ResponseTopic, is.ResponseTopic) && bytes.Equal(was.CorrelationData, is.CorrelationData)
	for i := range was.User {
		same = same && bytes.Equal(was.User[i].Key, is.User[i].Key) && bytes.Equal(was.User[i].Value, is.User[i].Value)
	}
	if !same {
		a.m.fail("%s: %s has properties %+v, published were %+v", a.id, brief(p), is, was)
	}
	if !was.Has(packet.PropMessageExpiry) {
		return
	}
	waited := uint32(a.m.ref.now().Sub(d.m.at).Seconds())
	if want := was.MessageExpiry - waited; is.MessageExpiry != want && !d.dup {
		a.m.fail("%s: %s expires in %d s, want %d", a.id, brief(p), is.MessageExpiry, want)
	}
}

// ofGroups are the messages of the groups that a session is in.
func (r *reference) ofGroups(s *standing) (all []*delivery) {
	for _, filter := range sorted(s.subs) {
		if g := r.groups[filter]; g != nil {
			all = append(all, g.owed...)
		}
	}
	return all
}

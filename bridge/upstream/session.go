package upstream

import (
	"io"
	"time"

	"weir/broker/packet"
	"weir/broker/topic"
)

// publish takes a message, held against everything the standard and CONNACK say. The caller holds Server.mu.
func (p *peer) publish(f packet.Frame) error {
	var m packet.Publish
	if err := m.Decode(f, p.version); err != nil {
		return err
	}
	if err := p.proper(&m); err != nil {
		return err
	}
	b := p.s.behaviour
	a := arrival(p.name, &m)
	if m.QoS == 2 && p.held[m.ID] {
		p.unacked[m.ID] = 2
		if !m.Dup {
			return packet.Errorf(packet.ProtocolError, "packet id %d of a new message belongs to one without PUBREL", m.ID)
		}
		p.acknowledge(packet.TypePubrec, m.ID, packet.Success, b)
		return nil
	}
	if b.Allergic != nil && b.Allergic(&a) {
		p.queue = nil
		p.reset()
		return io.EOF
	}
	reason := packet.Success
	if b.Verdict != nil {
		reason = b.Verdict(&a)
	}
	if m.QoS > 0 {
		p.unacked[m.ID] = m.QoS
	}
	p.published++
	if m.QoS == 2 {
		p.held[m.ID] = !reason.Failed()
	}
	if !reason.Failed() {
		p.s.arrived(a, p)
	}
	if b.ResetAfter > 0 && p.published >= b.ResetAfter {
		p.queue = nil
		p.reset()
		return io.EOF
	}
	if b.Unanswered != nil && b.Unanswered(&a) {
		return nil
	}
	if m.QoS == 1 {
		p.acknowledge(packet.TypePuback, m.ID, reason, b)
	}
	if m.QoS == 2 {
		p.acknowledge(packet.TypePubrec, m.ID, reason, b)
	}
	return nil
}

// proper finds what is wrong with a PUBLISH.
func (p *peer) proper(m *packet.Publish) error {
	if err := topic.ValidName(m.Topic); err != nil {
		return packet.Errorf(packet.TopicNameInvalid, "%v", err)
	}
	t := &p.told
	switch _, busy := p.unacked[m.ID]; {
	case m.Props.Has(packet.PropTopicAlias):
		return packet.Errorf(packet.TopicAliasInvalid, "topic alias, none is allowed")
	case m.Props.Has(packet.PropSubscriptionID):
		return packet.Errorf(packet.ProtocolError, "subscription identifier from a client") // v5 [MQTT-3.3.4-6]
	case m.Retain && t.NoRetain:
		return packet.Errorf(packet.RetainNotSupported, "retained message, told that there are none") // v5 [MQTT-3.2.2-14]
	case t.MaxQoS != nil && m.QoS > *t.MaxQoS:
		return packet.Errorf(packet.QoSNotSupported, "QoS %d, told at most %d", m.QoS, *t.MaxQoS) // v5 [MQTT-3.2.2-11]
	case m.Dup && m.QoS == 0:
		return packet.Errorf(packet.ProtocolError, "DUP at QoS 0") // [MQTT-3.3.1-2]
	case m.Dup && !busy && !p.held[m.ID] && !p.resumed: // in a session that goes on, the first one may have been lost on its way
		return packet.Errorf(packet.ProtocolError, "DUP for packet id %d, which this session does not know", m.ID)
	case m.QoS > 0 && !m.Dup && busy:
		return packet.Errorf(packet.ProtocolError, "packet id %d is in use", m.ID) // v5 [MQTT-2.2.1-3], v3 [MQTT-2.3.1-2]
	case m.QoS > 0 && t.ReceiveMaximum > 0 && !busy && len(p.unacked) >= int(t.ReceiveMaximum):
		return packet.Errorf(packet.ReceiveMaximumExceeded, "more than %d messages without acknowledgement", t.ReceiveMaximum) // v5 [MQTT-3.3.4-7]
	}
	return nil
}

func arrival(client string, m *packet.Publish) Arrival {
	a := Arrival{Client: client, Topic: string(m.Topic), Payload: append([]byte(nil), m.Payload...), QoS: m.QoS, Retain: m.Retain, Dup: m.Dup, At: time.Now()}
	for _, u := range m.Props.User {
		a.User = append(a.User, [2]string{string(u.Key), string(u.Value)})
	}
	return a
}

// acknowledge answers a PUBLISH when the behaviour says so.
func (p *peer) acknowledge(t packet.Type, id uint16, r packet.Reason, b Behaviour) {
	if b.Mute {
		return
	}
	due := time.Time{}
	if b.AckDelay > 0 {
		due = time.Now().Add(b.AckDelay)
	}
	free := id
	if t == packet.TypePubrec && !r.Failed() {
		free = 0 // PUBCOMP frees it
	}
	p.sayAt(&packet.Ack{Type: t, ID: id, Reason: r}, due, free)
}

// release takes PUBREL.
func (p *peer) release(f packet.Frame) error {
	var a packet.Ack
	if err := a.Decode(f, p.version); err != nil {
		return err
	}
	if p.s.behaviour.CutAtRelease {
		p.queue = nil
		p.reset()
		return io.EOF
	}
	reason := packet.Success
	if !p.held[a.ID] {
		reason = packet.PacketIdentifierNotFound
		if !p.resumed { // else PUBCOMP may have been lost on its way
			p.s.violation(p.name, "PUBREL for packet id %d, which is not held", a.ID)
		}
	}
	delete(p.held, a.ID)
	if !p.s.behaviour.Mute {
		p.sayAt(&packet.Ack{Type: packet.TypePubcomp, ID: a.ID, Reason: reason}, time.Time{}, a.ID)
	}
	return nil
}

// subscribe takes SUBSCRIBE.
func (p *peer) subscribe(f packet.Frame) error {
	var sub packet.Subscribe
	if err := sub.Decode(f, p.version); err != nil {
		return err
	}
	ack := packet.Suback{ID: sub.ID}
	var fresh []subscribed
	for _, s := range sub.Filters {
		filter, err := topic.ParseFilter(string(s.Filter))
		if err != nil {
			return packet.Errorf(packet.TopicFilterInvalid, "%v", err)
		}
		if _, shared := filter.Shared(); shared && s.NoLocal {
			return packet.Errorf(packet.ProtocolError, "no local on a shared subscription") // v5 [MQTT-3.8.3-4]
		}
		reason := packet.Reason(s.QoS)
		if p.s.behaviour.SubscribeReason != nil {
			if r := p.s.behaviour.SubscribeReason(string(s.Filter)); r.Failed() {
				reason = r
			}
		}
		ack.Reasons = append(ack.Reasons, reason)
		if !reason.Failed() {
			p.drop(filter)
			fresh = append(fresh, subscribed{filter: filter, qos: s.QoS, noLocal: s.NoLocal, asIs: s.RetainAsPublished})
		}
	}
	if p.s.behaviour.Mute {
		return nil
	}
	p.say(&ack)
	p.filters = append(p.filters, fresh...)
	p.s.changed.Broadcast()
	for _, s := range fresh {
		for _, a := range p.s.retained {
			if s.filter.Match([]byte(a.Topic)) {
				p.deliver(delivery{a: a, qos: min(a.QoS, s.qos), retain: true})
			}
		}
	}
	return nil
}

func (p *peer) unsubscribe(f packet.Frame) error {
	var u packet.Unsubscribe
	if err := u.Decode(f, p.version); err != nil {
		return err
	}
	ack := packet.Unsuback{ID: u.ID}
	for _, text := range u.Filters {
		filter, err := topic.ParseFilter(string(text))
		if err != nil {
			return packet.Errorf(packet.TopicFilterInvalid, "%v", err)
		}
		reason := packet.NoSubscriptionExisted
		if p.drop(filter) {
			reason = packet.Success
		}
		ack.Reasons = append(ack.Reasons, reason)
	}
	p.say(&ack)
	return nil
}

// drop removes a subscription.
func (p *peer) drop(filter topic.Filter) bool {
	for i, s := range p.filters {
		if s.filter.String() == filter.String() {
			p.filters = append(p.filters[:i], p.filters[i+1:]...)
			return true
		}
	}
	return false
}

// offer sends a message if a subscription takes it.
func (p *peer) offer(a Arrival, from *peer) {
	if d, ok := p.match(a, from == p); ok {
		p.deliver(d)
	}
}

// match tells whether a subscription takes a message: once, at the highest QoS of those that do. own: it came from this
// session.
func (st *state) match(a Arrival, own bool) (delivery, bool) {
	found, best := false, subscribed{}
	for _, s := range st.filters {
		if !s.filter.Match([]byte(a.Topic)) || s.noLocal && own {
			continue
		}
		if !found || s.qos > best.qos {
			best = s
		}
		found = true
	}
	return delivery{a: a, qos: min(a.QoS, best.qos), retain: a.Retain && best.asIs}, found
}

// deliver sends a message now or when the client's window has room.
func (p *peer) deliver(d delivery) {
	if d.qos > 0 && len(p.onWay) >= p.window {
		p.waiting = append(p.waiting, d)
		return
	}
	m := p.packetOf(d)
	if d.qos > 0 {
		m.ID = p.freeID()
		p.onWay = append(p.onWay, sent{id: m.ID, qos: d.qos, d: d})
	}
	p.say(m)
}

// more delivers what waited for room.
func (p *peer) more() {
	for len(p.waiting) > 0 && len(p.onWay) < p.window {
		d := p.waiting[0]
		p.waiting = p.waiting[1:]
		p.deliver(d)
	}
}

func (p *peer) packetOf(d delivery) *packet.Publish {
	m := &packet.Publish{QoS: d.qos, Retain: d.retain, Topic: []byte(d.a.Topic), Payload: d.a.Payload}
	if p.version == packet.V5 {
		for _, u := range d.a.User {
			m.Props.User = append(m.Props.User, packet.UserProperty{Key: []byte(u[0]), Value: []byte(u[1])})
		}
	}
	return m
}

func (p *peer) freeID() uint16 {
	for {
		p.nextID++
		if p.nextID != 0 && p.find(p.nextID) < 0 {
			return p.nextID
		}
	}
}

func (p *peer) find(id uint16) int {
	for i, s := range p.onWay {
		if s.id == id {
			return i
		}
	}
	return -1
}

// confirmed takes the client's PUBACK, PUBREC and PUBCOMP, which must come in the order of the messages.
func (p *peer) confirmed(f packet.Frame) error {
	var a packet.Ack
	if err := a.Decode(f, p.version); err != nil {
		return err
	}
	i := p.find(a.ID)
	if i < 0 {
		return packet.Errorf(packet.ProtocolError, "%s for packet id %d, which is not in use", f.Type, a.ID)
	}
	s := &p.onWay[i]
	switch {
	case f.Type == packet.TypePuback && s.qos == 1, f.Type == packet.TypePubcomp && s.qos == 2 && s.received:
	case f.Type == packet.TypePubrec && s.qos == 2 && s.received && p.resumed: // again, as our DUP crossed it
		p.say(&packet.Ack{Type: packet.TypePubrel, ID: a.ID})
		return nil
	case f.Type == packet.TypePubrec && s.qos == 2 && !s.received:
		p.ordered(i, f.Type)
		if !a.Reason.Failed() {
			s.received = true
			p.say(&packet.Ack{Type: packet.TypePubrel, ID: a.ID})
			return nil
		}
	default:
		return packet.Errorf(packet.ProtocolError, "%s for packet id %d does not fit its QoS %d", f.Type, a.ID, s.qos)
	}
	if f.Type == packet.TypePuback {
		p.ordered(i, f.Type)
	}
	p.onWay = append(p.onWay[:i], p.onWay[i+1:]...)
	p.s.changed.Broadcast()
	p.more()
	return nil
}

// ordered checks that no older message of the same QoS still waits for the same acknowledgement. [MQTT-4.6.0-2], [MQTT-4.6.0-3]
func (p *peer) ordered(i int, t packet.Type) {
	for _, older := range p.onWay[:i] {
		if older.qos == p.onWay[i].qos && !older.received {
			p.s.violation(p.name, "%s for packet id %d before that of id %d, which came first", t, p.onWay[i].id, older.id)
			return
		}
	}
}

package broker

import (
	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/qos"
	"weir/broker/topic"
)

// publish handles PUBLISH from a client.
func (c *connection) publish(r *reading, f packet.Frame) error {
	m := r.message()
	if err := m.Publish.Decode(f, c.version); err != nil {
		return err
	}
	if len(m.Props.SubscriptionIDs) > 0 { // v5 [MQTT-3.3.4-6]
		return packet.Errorf(packet.ProtocolError, "PUBLISH from a client with a subscription identifier")
	}
	if err := c.supported(m); err != nil {
		return err
	}
	if err := c.resolve(m); err != nil {
		return err
	}
	s := c.session
	m.Stamp, m.Origin, m.Hops = r.stamp, r.from(s), 0
	answer := due{generation: c.generation, id: m.ID, answer: packet.TypePuback}
	kind, key := KindQoS0, ""
	switch m.QoS { // v5 [MQTT-3.3.4-1], 3.1.1 [MQTT-3.3.4-1]
	case 1: // v5 [MQTT-4.3.2-4], 3.1.1 [MQTT-4.3.2-2]
		kind = KindQoS1
	case 2: // v5 [MQTT-4.3.3-8], 3.1.1 [MQTT-4.3.3-2]
		answer.answer, kind = packet.TypePubrec, KindQoS2Clean
		if s.lasts > 0 {
			kind = KindQoS2Persistent
		}
		if s.out.durable != nil { // v5 section 4.1: the id is part of the session
			key = s.out.durable.serial.held(m.ID)
		}
	}
	refusal, why := c.refusal(r, m.Topic)
	if c.version == packet.V5 { // 3.1.1 knows no reasons: acknowledged and dropped, [MQTT-3.3.5-2]
		answer.reason, answer.why = refusal, why
	}
	if m.QoS > 0 {
		if known, err := c.admit(r, m, answer); known || err != nil {
			return err
		}
	}
	entry := noEntry
	if !refusal.Failed() {
		var wanted bool
		entry, wanted = r.publish(m, source{session: s, told: c.version == packet.V5 && m.QoS > 0}, kind, key)
		if r.refused { // v5 sections 3.4.2.1 and 3.5.2.1
			answer.reason, answer.why, refusal = packet.QuotaExceeded, whyRetained, packet.QuotaExceeded
		} else if !wanted && c.version == packet.V5 {
			answer.reason = packet.NoMatchingSubscribers
		}
	}
	if m.QoS > 0 {
		r.batch.dues = append(r.batch.dues, dueIn{due: answer, entry: entry, told: c.version == packet.V5 && !refusal.Failed()})
	}
	return nil
}

// refusal is why the client may not publish to a topic, counted; Success: it may.
func (c *connection) refusal(r *reading, name []byte) (packet.Reason, why) {
	switch {
	case name[0] == '$': // v5 section 4.7.2: not for clients
		r.counts.rejected++
		return packet.TopicNameInvalid, whySystem
	case allowed(c.b.cfg(), name) != nil: // v5 sections 3.4.2.1 and 3.5.2.1: valid, and not accepted
		r.counts.rejected++
		return packet.TopicNameInvalid, whyUnfit
	case !c.session.mayPublish(name): // v5 sections 3.4.2.1 and 3.5.2.1
		return packet.NotAuthorized, whyNoRight
	}
	return packet.Success, whyNot
}

// resolve sets and uses topic aliases, and checks the topic name.
func (c *connection) resolve(m *message.Message) error {
	if m.Props.Has(packet.PropTopicAlias) {
		alias, most := int(m.Props.TopicAlias), c.told.TopicAliases
		if alias == 0 || alias > most { // v5 [MQTT-3.3.2-8] [MQTT-3.2.2-17] [MQTT-3.2.2-18] [MQTT-3.3.2-12]
			return packet.Errorf(packet.TopicAliasInvalid, "topic alias %d, want 1 to %d", alias, most)
		}
		if c.aliases == nil {
			all := make(aliases, most)
			c.aliases = &all
		}
		if len(m.Topic) == 0 {
			if m.Topic = (*c.aliases)[alias-1]; m.Topic == nil {
				return packet.Errorf(packet.ProtocolError, "topic alias %d was not set on this connection", alias)
			}
		} else {
			if err := validTopic(m.Topic); err != nil {
				return err
			}
			if !c.nameAlias(len(m.Topic) - len((*c.aliases)[alias-1])) {
				return errMemory
			}
			(*c.aliases)[alias-1] = append([]byte(nil), m.Topic...) // anew: messages of this batch may use the old one
		}
		m.Props.Unset(packet.PropTopicAlias)
	}
	if err := validTopic(m.Topic); err != nil {
		return err
	}
	if m.Props.Has(packet.PropResponseTopic) { // v5 [MQTT-3.3.2-14]
		if err := topic.ValidName(m.Props.ResponseTopic); err != nil {
			return packet.Errorf(packet.ProtocolError, "PUBLISH: response topic: %s", err)
		}
	}
	return nil
}

// admit looks at the packet id of a QoS 1 or 2 PUBLISH. known: it was received before and must not be delivered again;
// answer is owed for it once more.
func (c *connection) admit(r *reading, m *message.Message, answer due) (known bool, err error) {
	switch c.session.in.Publish(m.QoS, m.ID, m.Dup) {
	case qos.New:
		return false, nil
	case qos.Duplicate: // v5 [MQTT-4.3.3-10], 3.1.1 [MQTT-4.3.3-2]
		first, owed := c.session.owed.unanswered(m.ID)
		if owed && first.generation == c.generation || r.owes(m.ID) {
			return true, nil
		}
		answer.reason, answer.why = first.reason, first.why // of the message that was taken, or refused and not told so, then
		r.batch.dues = append(r.batch.dues, dueIn{due: answer, entry: again})
		return true, nil
	case qos.Exceeded: // v5 [MQTT-3.3.4-7]
		return false, packet.Errorf(packet.ReceiveMaximumExceeded, "more than %d unacknowledged messages", c.told.ReceiveMaximum)
	}
	return false, packet.Errorf(packet.ProtocolError, "packet id %d is in use with another QoS", m.ID)
}

// owes tells whether the batch itself holds the PUBREC of a packet id.
func (r *reading) owes(id uint16) bool {
	for i := range r.batch.dues {
		if d := &r.batch.dues[i]; d.id == id && d.answer == packet.TypePubrec {
			return true
		}
	}
	return false
}

// submit hands the batch of a reading to the journal. An error means that the client's allowance is used up.
func (c *connection) submit(r *reading) error {
	if len(r.batch.entries) == 0 && len(r.batch.dues) == 0 {
		return nil
	}
	s := c.session
	r.batch.publisher = c.token
	taken := s.owes().submit(&r.batch, c.b.cfg().AllowanceBytes)
	if taken == len(r.batch.dues) {
		return nil
	}
	for _, d := range r.batch.dues[taken:] { // not kept: when it comes again it is new
		if d.answer == packet.TypePubrec && (d.entry >= 0 || d.reason.Failed()) { // nor is its key
			s.in.Release(d.id)
			s.in.Completed(d.id)
		}
	}
	return packet.Errorf(packet.QuotaExceeded, "messages of more than %d bytes wait for the disk", c.b.cfg().AllowanceBytes)
}

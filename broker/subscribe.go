package broker

import (
	"weir/broker/packet"
	"weir/broker/topic"
)

// subscribe handles SUBSCRIBE: each filter by itself, then one SUBACK with a reason for each, in their order.
// v5 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1], 3.1.1 [MQTT-3.8.4-1] [MQTT-3.8.4-2]
// [MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1]
func (c *connection) subscribe(r *reading, f packet.Frame) error {
	p := &r.subscribe
	if err := p.Decode(f, c.version); err != nil {
		return err
	}
	id := uint32(0)
	if len(p.Props.SubscriptionIDs) > 0 {
		id = p.Props.SubscriptionIDs[0]
	}
	answer := packet.Suback{ID: p.ID, Reasons: make([]packet.Reason, len(p.Filters))} // v5 [MQTT-2.2.1-6], 3.1.1 [MQTT-2.3.1-7]
	var fresh []wanted
	said := ""
	for i := range p.Filters {
		w, reason, why, err := c.subscribeOne(&p.Filters[i], id)
		if err != nil {
			return err
		}
		if answer.Reasons[i] = reason; why != nil && said == "" {
			said = why.Error()
		}
		if w.sub != nil {
			fresh = append(fresh, w)
		}
	}
	c.inWords(said, &answer.Props, &answer)
	err := c.answerKept(r, &answer)
	for _, w := range fresh { // whatever becomes of the connection
		c.b.replayRetained(c.session, w.sub, w.again, nil)
	}
	return err
}

// wanted is a subscription that retained messages are to be sent for.
type wanted struct {
	sub   *subscription
	again bool // it existed before
}

// subscribeOne adds one subscription. w.sub is set if retained messages are to be sent. The reason is the QoS granted or
// a failure, which why may explain: v5 [MQTT-3.8.4-7], 3.1.1 [MQTT-3.8.4-5]. err closes the connection.
func (c *connection) subscribeOne(p *packet.Subscription, id uint32) (w wanted, reason packet.Reason, why, err error) {
	var opts []topic.Option
	if c.b.cfg().InnerWildcard {
		opts = append(opts, topic.InnerWildcard())
	}
	filter, why := topic.ParseFilter(string(p.Filter), opts...)
	if why != nil { // v5 [MQTT-4.7.1-1] [MQTT-4.8.2-1] [MQTT-4.8.2-2], 3.1.1 [MQTT-4.7.1-2]; on 3.1.1 it becomes 0x80
		c.b.quiet.warn(c.b.log, "subscription refused", "client", c.session.id(), "err", why)
		return wanted{}, packet.TopicFilterInvalid, why, nil
	}
	if err := allowed(c.b.cfg(), filter.Topic()); err != nil { // v5 section 3.9.3: valid, and not accepted
		c.b.quiet.warn(c.b.log, "subscription refused", "client", c.session.id(), "err", err)
		return wanted{}, packet.TopicFilterInvalid, err, nil
	}
	_, shared := filter.Shared()
	if shared && p.NoLocal { // v5 [MQTT-3.8.3-4]
		return wanted{}, 0, nil, packet.Errorf(packet.ProtocolError, "no local on a shared subscription")
	}
	if c.bridge() { // what the options of 5.0 are for, and a bridge on 3.1.1 cannot ask for
		p.NoLocal, p.RetainAsPublished = !shared, true
	}
	if !c.maySubscribe(filter) { // v5 section 3.9.3; on 3.1.1 it becomes 0x80, section 3.9.3
		return wanted{}, packet.NotAuthorized, about(p.Filter, "no right to subscribe"), nil
	}
	o := packOptions(p, id).atMost(*c.told.MaxQoS) // v5 [MQTT-3.2.2-10] [MQTT-3.8.4-7], 3.1.1 [MQTT-3.8.4-5]
	isNew := c.session.subs.get(filter.String()) == nil
	if isNew && !c.countSubscription(filter) { // v5 section 3.9.3; on 3.1.1 it becomes 0x80
		return wanted{}, packet.QuotaExceeded, about(p.Filter, "no room for more subscriptions"), nil
	}
	send := p.RetainHandling == 0 || p.RetainHandling == 1 && isNew // v5 [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
	send = send && !shared                                          // never for shared ones: v5 section 4.8.2
	due := false
	if d := c.session.out.durable; d != nil {
		var ok bool
		if ok, due = d.owe(filter, o, send); !ok { // v5 section 3.9.3; on 3.1.1 it becomes 0x80
			if isNew {
				c.b.uncountSubscription(filter)
			}
			return wanted{}, packet.QuotaExceeded, about(p.Filter, "no room for the subscription in the store"), nil
		}
	}
	sub := c.session.subscribe(filter, o, due)
	if send {
		w = wanted{sub: sub, again: !isNew}
	}
	return w, packet.Reason(o.qos()), nil, nil
}

// unsubscribe handles UNSUBSCRIBE. What was begun or queued is still delivered: v5 [MQTT-3.10.4-3], 3.1.1 [MQTT-3.10.4-3].
func (c *connection) unsubscribe(r *reading, f packet.Frame) error {
	var p packet.Unsubscribe
	if err := p.Decode(f, c.version); err != nil {
		return err
	}
	answer := packet.Unsuback{ID: p.ID, Reasons: make([]packet.Reason, len(p.Filters))}
	said := ""
	for i, filter := range p.Filters {
		sub := c.session.subs.get(string(filter))
		if !c.session.unsubscribe(string(filter)) { // v5 [MQTT-3.10.4-5], 3.1.1 [MQTT-3.10.4-5]
			if answer.Reasons[i] = packet.NoSubscriptionExisted; said == "" {
				said = about(filter, "there was no such subscription").Error()
			}
			continue
		}
		if d := c.session.out.durable; d != nil {
			c.b.cfg().Store.Delete(d.serial.sub(string(filter)))
			d.cancel(sub)
		}
		c.b.forgetReplay(c.session, sub) // v5 [MQTT-3.10.4-2], 3.1.1 [MQTT-3.10.4-2]
	}
	c.inWords(said, &answer.Props, &answer)
	return c.answerKept(r, &answer) // v5 [MQTT-3.10.4-4] [MQTT-3.10.4-6] [MQTT-3.11.3-1], 3.1.1 [MQTT-3.10.4-4] [MQTT-3.10.4-6]
}

package broker

import (
	"fmt"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// What the broker is configured not to do, and what a client is told about it.

// capable refuses a CONNECT that asks for what the broker does not do.
func (c *connection) capable(p *packet.Connect) *packet.Error {
	cfg := c.told
	switch {
	case p.HasWill && p.Will.QoS > *cfg.MaxQoS: // v5 [MQTT-3.2.2-12]
		return packet.Errorf(packet.QoSNotSupported, "will: qos %d, max_qos is %d", p.Will.QoS, *cfg.MaxQoS)
	case p.HasWill && p.Will.Retain && cfg.NoRetain: // v5 [MQTT-3.2.2-13]
		return packet.Errorf(packet.RetainNotSupported, "will: messages are not retained here")
	case p.Version == packet.V311 && cfg.tooLongAlive(p): // it cannot be told to send more often
		return packet.Errorf(packet.ClientIdentifierNotValid, "keep alive of %d s, max_keep_alive is %s", p.KeepAlive, cfg.MaxKeepAlive)
	}
	if p.HasWill {
		if err := allowed(cfg, p.Will.Topic); err != nil {
			return packet.Errorf(packet.TopicNameInvalid, "will: %s", err)
		}
	}
	return nil
}

// tooLongAlive tells whether the keep alive asked for is not covered by the longest there may be.
func (cfg *Config) tooLongAlive(p *packet.Connect) bool {
	most := cfg.MaxKeepAlive
	return most > 0 && (p.KeepAlive == 0 || time.Duration(p.KeepAlive)*time.Second > most)
}

// keptAlive is the keep alive that counts: that of the client, or the one it is told. v5 [MQTT-3.2.2-22]
func (c *connection) keptAlive(p *packet.Connect) time.Duration {
	if c.told.tooLongAlive(p) {
		return c.told.MaxKeepAlive
	}
	return time.Duration(p.KeepAlive) * time.Second
}

// announce says in CONNACK what the client has to know. Wildcards, shared subscriptions and subscription identifiers are
// always there, which needs no word.
func (cfg *Config) announce(a *packet.Connack, p *packet.Connect) {
	if cfg.tooLongAlive(p) { // v5 section 3.2.2.3.14
		a.Props.SetServerKeepAlive(uint16(cfg.MaxKeepAlive / time.Second))
	}
	if q := *cfg.MaxQoS; q < 2 { // v5 [MQTT-3.2.2-9]
		a.Props.SetMaximumQoS(q)
	}
	if cfg.NoRetain { // v5 section 3.2.2.3.5
		a.Props.SetRetainAvailable(false)
	}
}

// supported refuses a PUBLISH that the client was told not to send: v5 [MQTT-3.2.2-11] [MQTT-3.2.2-14]. A 3.1.1 client was
// told nothing. Its connection is closed for the QoS, since neither can it be acknowledged nor delivered as asked, and its
// RETAIN flag has no effect.
func (c *connection) supported(m *message.Message) error {
	cfg := c.told
	switch {
	case m.QoS > *cfg.MaxQoS:
		return packet.Errorf(packet.QoSNotSupported, "PUBLISH at qos %d, max_qos is %d", m.QoS, *cfg.MaxQoS)
	case m.Retain && cfg.NoRetain && c.version == packet.V5:
		return packet.Errorf(packet.RetainNotSupported, "PUBLISH with retain, which is switched off")
	}
	return nil
}

// allowed tells what is wrong with a topic name, or the topic of a filter, that is valid.
func allowed[S string | []byte](c *Config, name S) error {
	if len(name) > c.MaxTopicLength {
		return fmt.Errorf("topic of %d bytes, max_topic_length is %d", len(name), c.MaxTopicLength)
	}
	if len(name) < c.MaxTopicLevels { // so many levels need about as many bytes
		return nil
	}
	levels := 1
	for i := range len(name) {
		if name[i] == '/' {
			levels++
		}
	}
	if levels > c.MaxTopicLevels {
		return fmt.Errorf("topic of %d levels, max_topic_levels is %d", levels, c.MaxTopicLevels)
	}
	return nil
}

// countSubscription takes the place of a new subscription of the client.
func (c *connection) countSubscription(f topic.Filter) bool {
	b := c.b
	if most := b.cfg().MaxClientSubscriptions; c.session.subs.len() >= most {
		b.count.tooManySubscriptions.Add(1)
		if !c.many {
			c.many = true
			b.quiet.warn(b.log, "limit reached: subscriptions of one client", "client", c.session.id(), "most", most)
		}
		return false
	}
	if !b.limits.subscriptions.take(b, 1) {
		return false
	}
	if !b.limits.memory.take(b, cost(f)) {
		b.limits.subscriptions.give(b, 1)
		return false
	}
	return true
}

func (b *Broker) uncountSubscription(f topic.Filter) {
	b.limits.subscriptions.give(b, 1)
	b.limits.memory.give(b, cost(f))
}

// nameAlias counts n bytes more of topics that aliases stand for.
func (c *connection) nameAlias(n int) bool {
	if n > 0 && !c.b.limits.memory.take(c.b, n) {
		return false
	}
	if n < 0 {
		c.b.limits.memory.give(c.b, -n)
	}
	c.names += int32(n)
	return true
}

// sockets is how many connections there may be before they are closed unheard: all that may be logged in, those that have not sent
// CONNECT, and one in eight more, which are those that are told that they are too many.
func (c *Config) sockets() int { return c.MaxConnections + c.MaxConnections/8 + c.MaxConnecting }

// roomToRefuse counts a new connection. When memory is used up there is a sixteenth more, so that clients can be told.
func (b *Broker) roomToRefuse(cost int) bool {
	m := &b.limits.memory
	if m.take(b, cost) {
		return true
	}
	if most := m.most.Load(); m.n.Load() > most+most/16 {
		return false
	}
	m.force(cost)
	return true
}

// admit takes the places of a client that is about to have a session: the one there is (resumed), or a new one. Who took a
// session over has been counted out before. The caller holds mu. v5 section 3.2.2.2; on 3.1.1 return code 3
func (b *Broker) admit(c *connection, old *session, resumed bool) error {
	l := b.listener(c.conn.Listener().Name())
	if !l.take(b, 1) {
		return packet.Errorf(packet.QuotaExceeded, "%d clients at listener %s, as many as there may be", l.most.Load(), c.conn.Listener().Name())
	}
	full := ""
	switch {
	case !b.limits.connections.take(b, 1):
		full = "max_connections clients are connected"
	case resumed:
	case old != nil: // which ends; the new one has its place from now on
		old.charged -= costSession
		old.placed = false
	case !b.limits.sessions.take(b, 1):
		full = "there are max_sessions sessions"
		b.limits.connections.give(b, 1)
	case !b.limits.memory.take(b, costSession):
		full = "the memory of the broker is used up"
		b.limits.connections.give(b, 1)
		b.limits.sessions.give(b, 1)
	}
	if full != "" {
		l.give(b, 1)
		return packet.Errorf(packet.QuotaExceeded, "%s", full)
	}
	return nil
}

// leaves gives the places of a connection back that admit has taken.
func (b *Broker) leaves(c *connection) {
	b.limits.connections.give(b, 1)
	b.mu.Lock()
	l := b.listener(c.conn.Listener().Name())
	b.mu.Unlock()
	l.give(b, 1)
}

// listener is the limit of a listener, which counts also if there is none. The caller holds mu.
func (b *Broker) listener(name string) *limit {
	l := b.listeners[name]
	if l == nil {
		l = &limit{name: "max_connections of listener " + name}
		l.most.Store(b.cfg().ofListener(name))
		b.listeners[name] = l
	}
	return l
}

// ofListener is how many clients may be connected to a listener; 0: as many as there may be at all.
func (c *Config) ofListener(name string) int64 {
	if c.ListenerConnections == nil {
		return 0
	}
	return int64(c.ListenerConnections(name))
}

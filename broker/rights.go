package broker

import (
	"weir/broker/packet"
	"weir/broker/topic"
)

// Rights is what one user may do. Both are called by the goroutines of connections and must not block or allocate; the
// topic name is valid during the call only, and does not begin with $. Safe for concurrent use.
type Rights interface {
	// MayPublish tells whether the user may publish to a topic, also by a will.
	MayPublish(name []byte) bool
	// MaySubscribe tells whether the user may have all that a filter takes. Of a shared filter only its Topic counts.
	MaySubscribe(f topic.Filter) bool
}

// authorize finds what the client may do, once it is known who it is, and judges its will: a CONNECT whose will could
// not be published is refused at once, as one for a topic with $ is, and the will is published without asking again.
// v5 [MQTT-3.1.4-2], 3.1.1 section 3.1.4
func (c *connection) authorize(p *packet.Connect) *packet.Error {
	if c.b.cfg.Rights == nil {
		return nil
	}
	c.rights = c.b.cfg.Rights(c.user)
	if p.HasWill && !c.rights.MayPublish(p.Will.Topic) {
		c.b.count.denied.Add(1)
		return packet.Errorf(packet.NotAuthorized, "user %q may not publish the will to %q", c.user, clip(p.Will.Topic))
	}
	return nil
}

// mayPublish tells whether the client may publish to a topic; if not, that is counted and logged.
func (c *connection) mayPublish(name []byte) bool {
	if c.rights == nil || c.rights.MayPublish(name) {
		return true
	}
	c.b.count.denied.Add(1)
	c.b.quiet.warn(c.b.log, "not allowed to publish, message dropped", "client", string(c.session.id), "user", c.user, "topic", clip(name))
	return false
}

// maySubscribe is the same for a subscription.
func (c *connection) maySubscribe(f topic.Filter) bool {
	if c.rights == nil || c.rights.MaySubscribe(f) {
		return true
	}
	c.b.count.denied.Add(1)
	c.b.quiet.warn(c.b.log, "not allowed to subscribe", "client", string(c.session.id), "user", c.user, "filter", clip(f.String()))
	return false
}

// clip shortens a topic for a log.
func clip[S string | []byte](name S) string {
	const limit = 100
	if len(name) <= limit {
		return string(name)
	}
	return string(name[:limit]) + "..."
}

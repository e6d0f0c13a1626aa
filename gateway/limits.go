package gateway

import "weir/broker"

// limits puts what [broker] and the listeners say about limits into the broker's configuration.
func (g *Gateway) limits(c *broker.Config) {
	b, listeners := g.cfg.Broker, g.cfg.Listener
	c.MaxConnections, c.MaxSessions = b.MaxConnections, b.MaxSessions
	c.ListenerConnections = func(name string) int {
		if l := listeners[name]; l != nil {
			return l.MaxConnections
		}
		return 0
	}
	c.MaxSubscriptions, c.MaxClientSubscriptions = b.MaxSubscriptions, b.MaxClientSubscriptions
	c.MaxRetained, c.MaxRetainedBytes = b.MaxRetained, int(b.MaxRetainedBytes)
	c.QueueTotal, c.Memory = b.QueueTotal, int(b.Memory)
	c.Inflight, c.ReceiveMaximum = b.Inflight, b.ReceiveMaximum
	c.TopicAliases = b.TopicAliases
	if b.TopicAliases == 0 {
		c.TopicAliases = -1
	}
	c.MaxTopicLevels, c.MaxTopicLength = b.MaxTopicLevels, b.MaxTopicLength
	c.MaxKeepAlive, c.MaxSessionExpiry = b.MaxKeepAlive, b.SessionExpiry
	c.MaxQoS, c.NoRetain = &b.MaxQoS, !b.Retain
	c.SysInterval = b.SysInterval
	if b.SysInterval == 0 {
		c.SysInterval = -1
	}
}

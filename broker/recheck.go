package broker

import "weir/broker/packet"

// Recheck holds the certificates of all clients against what their listeners trust now, which the caller has replaced
// before, and disconnects those that would not be let in any more: by administrative action (0x98), since nothing that
// they asked for is refused. It says how many. Connections of that moment that are not found here look by themselves
// before they are let in. Safe for concurrent use.
func (b *Broker) Recheck() (disconnected int) {
	b.mu.Lock()
	all := b.connections()
	b.mu.Unlock()
	for _, c := range all {
		if err := c.conn.Recheck(); err != nil {
			b.log.Warn("client disconnected: its certificate is not accepted any more", "peer", c.peer(), "listener", c.conn.Listener().Name(), "err", err)
			c.kick(packet.AdministrativeAction)
			disconnected++
		}
	}
	return disconnected
}

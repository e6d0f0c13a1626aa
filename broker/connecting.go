package broker

import (
	"net/netip"
)

// connecting bounds the connections that have not sent CONNECT, or authenticate still (exchange.go): all together, and those of one address, so that nobody keeps
// others out by connecting and saying nothing. What is beyond is closed unheard; each of them has Config.ConnectWait. An address
// of this machine is not bounded by itself: a proxy stands for many clients. Guarded by Broker.mu.
type connecting struct {
	byAddress map[netip.Prefix]int
}

// take counts a new connection from an address, or refuses it.
func (w *connecting) take(c *connection, peer netip.Addr) bool {
	l := &c.b.limits.connecting
	if !l.take(c.b, 1) {
		return false
	}
	if a, ok := boundedAddress(peer); ok {
		if w.byAddress[a] >= c.told.AddressConnecting {
			l.give(c.b, 1)
			c.b.count.addressConnecting.Add(1)
			c.b.quiet.warn(c.b.log, "limit reached: connections of one address that have not sent CONNECT", "address", a.String(), "most", c.told.AddressConnecting)
			return false
		}
		if w.byAddress == nil {
			w.byAddress = map[netip.Prefix]int{}
		}
		w.byAddress[a]++
	}
	c.connecting = true
	return true
}

// give counts a connection from an address out, if it was not before.
func (w *connecting) give(c *connection, peer netip.Addr) {
	if !c.connecting {
		return
	}
	c.connecting = false
	c.b.limits.connecting.give(c.b, 1)
	if a, ok := boundedAddress(peer); ok {
		if w.byAddress[a]--; w.byAddress[a] == 0 {
			delete(w.byAddress, a)
		}
	}
	if len(w.byAddress) == 0 {
		w.byAddress = nil
	}
}

// boundedAddress is what connections from an address are counted by, if they are.
func boundedAddress(peer netip.Addr) (a netip.Prefix, ok bool) {
	a = from(peer)
	return a, a.IsValid() && !a.Addr().IsLoopback()
}

// began notes that CONNECT has come, and that the client has proved who it is if that takes an exchange: what follows is
// bounded otherwise, see attempts.
func (c *connection) began() {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.b.connecting.give(c, c.conn.RemoteIP())
}

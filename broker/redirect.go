package broker

import "weir/broker/packet"

// Redirect is where clients of a listener are to go instead. v5 section 4.11
type Redirect struct {
	To        string // the server reference: a host, with its port unless that is the usual one, or several with a blank between
	Permanent bool   // for ever (0x9D), not for now (0x9C)
}

// reason is how clients are told.
func (r *Redirect) reason() packet.Reason {
	if r.Permanent {
		return packet.ServerMoved
	}
	return packet.UseAnotherServer
}

// redirect is where clients of this connection's listener are to go; nil: nowhere. Safe for concurrent use.
func (c *connection) redirect() *Redirect {
	if c.b.cfg().Redirect == nil {
		return nil
	}
	return c.b.cfg().Redirect(c.conn.Listener().Name())
}

// refer puts where to go into a packet that says so. A reference that changed meanwhile is the new one, and none if there is none
// any more: it may be left out (v5 sections 3.2.2.3.16 and 3.14.2.2.5).
func (c *connection) refer(reason packet.Reason, p *packet.Properties) {
	if reason != packet.UseAnotherServer && reason != packet.ServerMoved {
		return
	}
	if to := c.redirect(); to != nil {
		p.SetServerReference([]byte(to.To))
	}
}

// sendAway disconnects a client that is to go elsewhere.
func (c *connection) sendAway(s *session, to *Redirect) {
	c.b.log.Info("client disconnected: it is to use another server", "client", s.id(), "peer", c.peer(), "server", to.To)
	c.kick(to.reason())
}

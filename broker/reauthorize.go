package broker

import "weir/broker/packet"

// Reauthorize asks Config.Users, Config.Anonymous, Config.Redirect and Config.Rights anew for every client, because what they say has
// changed. A client whose user is gone or has another password, or which may not be anonymous any more, is disconnected;
// it is told that this is administrative action (0x98), since nothing that it asked for is refused: 0x87 would say that,
// and what its next CONNECT is refused for it learns then. Everybody else stays, with the rights of now: a
// subscription that they do not cover any more delivers what they do. It returns how many clients had to go.
// Those that are to use another server are disconnected and told which; they are not in that number. Safe for concurrent use; it
// waits for no client.
func (b *Broker) Reauthorize() (gone int) {
	b.accessEpoch.Add(1)
	type pair struct {
		s     *session
		owner *connection
	}
	b.mu.Lock()
	all := make([]pair, 0, len(b.sessions))
	for _, s := range b.sessions {
		all = append(all, pair{s, s.owner})
	}
	b.mu.Unlock()
	var moving []pair
	var leaving []pair // after everybody has new rights: what becomes known by their leaving, such as a will, goes by those
	for _, p := range all {
		if p.owner != nil {
			p.s.out.granted.Store(b.grant(p.owner.who(p.s.id(), p.s.user())))
			switch {
			case p.owner.redirect() != nil:
				moving = append(moving, p)
			case !p.owner.stillWelcome(p.s.user()):
				leaving = append(leaving, p) // with the rights of now: its will goes by those
			}
			continue
		}
		if g := p.s.out.granted.Load(); g != nil { // messages are queued for it while it is away
			p.s.out.granted.CompareAndSwap(g, b.grant(Who{User: p.s.user(), ClientID: p.s.id(), Listener: g.listener}))
		}
	}
	for _, p := range leaving {
		p.owner.turnOut(p.s)
	}
	for _, p := range moving {
		if to := p.owner.redirect(); to != nil {
			p.owner.sendAway(p.s, to)
		}
	}
	return len(leaving)
}

// turnOut disconnects a client whose login does not hold any more.
func (c *connection) turnOut(s *session) {
	c.b.count.revoked.Add(1)
	c.b.log.Info("client disconnected: its login does not hold any more", "client", s.id(), "user", s.user(), "peer", c.peer())
	c.kick(packet.AdministrativeAction)
}

// stillWelcome tells whether the login of the connection, by which it is user, would be accepted now. What it looks at does not
// change once the connection owns a session. Safe for concurrent use.
func (c *connection) stillWelcome(user string) bool {
	switch {
	case c.checked:
		return c.b.cfg().Users.Credential(c.conn.Listener().Name(), user) == c.credential
	case user == "":
		return c.anonymousAllowed()
	}
	return true // its name was checked by something else than a password, which is for that to look at again
}

// overtaken looks whether Reauthorize was called while the client logged in, which began in an epoch, and makes up for it.
func (c *connection) overtaken(s *session, epoch uint64) {
	if c.b.accessEpoch.Load() == epoch {
		return
	}
	s.out.granted.Store(c.b.grant(c.who(s.id(), s.user())))
	switch to := c.redirect(); {
	case to != nil:
		c.sendAway(s, to)
	case !c.stillWelcome(s.user()):
		c.turnOut(s)
	}
}

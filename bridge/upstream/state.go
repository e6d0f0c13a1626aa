package upstream

import "weir/broker/packet"

// state is a session: what both sides must remember beyond a connection. It belongs to a peer while that is connected.
//
//	CONNECT, clean ──▶ new ──end──▶ forgotten                        Clean Start 1, or nothing kept under the client id
//	CONNECT, not clean ──▶ new or kept ──end──▶ kept ──▶ CONNECT     3.1.1: Clean Session 0; 5.0: Session Expiry above 0
type state struct {
	lasts   bool // it outlives the connection
	filters []subscribed
	held    map[uint16]bool // QoS 2 ids between PUBLISH and PUBREL
	nextID  uint16
	onWay   []sent // QoS 1 and 2 messages without acknowledgement, in the order sent
	waiting []delivery
}

type sent struct {
	id       uint16
	qos      byte
	received bool // PUBREC came
	d        delivery
}

func newState() *state { return &state{held: map[uint16]bool{}} }

// join gives the peer the session that CONNECT asks for. The caller holds Server.mu.
func (p *peer) join(c *packet.Connect) {
	for other := range p.s.peers { // taken over: its session is here, and goes on with this connection
		if other != p && other.accepted && other.name == p.name && other.state.lasts {
			p.s.sessions[p.name] = other.state
			other.state = newState()
		}
	}
	kept := p.s.sessions[p.name]
	delete(p.s.sessions, p.name)
	if kept != nil && !c.CleanStart { // v5 [MQTT-3.1.2-5], v3 [MQTT-3.1.2-4]; Clean Start 1 discards it: v5 [MQTT-3.1.2-4]
		p.state, p.resumed = kept, true
	}
	p.state.lasts = c.Version == packet.V311 && !c.CleanStart || c.Version == packet.V5 && c.Props.Has(packet.PropSessionExpiry) && c.Props.SessionExpiry > 0
}

// leave keeps the session of a connection that ended, if it lasts. The caller holds Server.mu.
func (p *peer) leave() {
	if p.accepted && p.state.lasts {
		p.s.sessions[p.name] = p.state
		p.state = newState()
	}
}

// again sends what the earlier connections of the session have not brought to its end. [MQTT-4.4.0-1]
func (p *peer) again() {
	for _, s := range p.onWay {
		if s.received {
			p.say(&packet.Ack{Type: packet.TypePubrel, ID: s.id})
			continue
		}
		m := p.packetOf(s.d)
		m.ID, m.Dup = s.id, true // v5 and v3 [MQTT-3.3.1-1]
		p.say(m)
	}
	p.more()
}

// ForgetSessions drops the sessions of all clients that are not connected, as a server does that lost its store.
func (s *Server) ForgetSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

// Sessions is the number of sessions kept for clients that are not connected.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

package qos

// Resume begins a new connection of the same session as Reconnect does, for a caller that keeps the order of sending
// itself: Resend hands out nothing, Send is allowed at once, and each unfinished message is sent again with Again.
func (o *Outbound) Resume(window int) {
	o.Reconnect(window)
	o.resume = 0
}

// Again counts one unfinished message as sent on this connection. The caller writes PUBREL if released, else PUBLISH with
// DUP 1. ok is false, and nothing changed, for an id that is no unfinished message, and for a PUBLISH while the window is
// full. v5 [MQTT-4.4.0-1] [MQTT-3.3.4-9], 3.1.1 [MQTT-4.4.0-1].
func (o *Outbound) Again(id uint16) (released, ok bool) {
	place := o.table.find(id)
	if place == 0 {
		return false, false
	}
	s := &o.table.slots[place]
	switch s.state {
	case awaitPubcomp:
		return true, true
	case awaitPuback, awaitPubrec:
		if s.counted {
			return false, true
		}
		if o.table.open >= o.table.quota {
			return false, false
		}
		s.counted = true
		o.table.open++
		return false, true
	}
	return false, false
}

// GiveUp moves an unfinished QoS 2 message on to PUBREL though no PUBREC was seen: its content is gone and cannot be sent
// again, and the peer may hold its id. The peer answers PUBREL in any case. released is false for any other id.
func (o *Outbound) GiveUp(id uint16) (released bool) {
	place := o.table.find(id)
	if place == 0 {
		return false
	}
	s := &o.table.slots[place]
	if s.state == awaitPubrec {
		s.state = awaitPubcomp
	}
	return s.state == awaitPubcomp
}

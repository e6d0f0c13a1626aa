package broker

import (
	"strings"
	"testing"

	"weir/broker/packet"
)

// The packet id of a QoS 2 message that nobody took means a new message from then on, whatever becomes of the connection that
// was, or was not, told so; and a message that was taken is never reported as refused.

// again connects once more after the connection broke.
func (h *house) again(c *client, id string) *client {
	h.t.Helper()
	h.vanish(c)
	c, ack := h.login(packet.V5, id, as(id), resume, keepSession)
	if !ack.SessionPresent {
		h.t.Fatal("the session is gone")
	}
	return c
}

// TestRefusedIDIsFree: v5 [MQTT-4.3.3-9]. The connection breaks right after the PUBREC, or before it can leave.
func TestRefusedIDIsFree(t *testing.T) {
	for _, told := range []bool{true, false} {
		h := guarded(t)
		h.route("plant/pump/first")
		watch, _ := h.login(packet.V5, "boss", as("boss"))
		watch.subscribe(0, "#")
		c, _ := h.login(packet.V5, "pump", as("pump"), keepSession)
		if !told { // it stands behind a PUBACK that waits for the journal
			c.publish("plant/pump/first", "1", 1, 1)
			watch.expectMessage("plant/pump/first", "1")
		}
		c.publish("plant/other", "denied", 2, 7)
		h.until(func() bool { return h.b.Stats().Denied == 1 })
		if told {
			if a := c.expectAck(packet.TypePubrec, 7); a.Reason != packet.NotAuthorized {
				t.Errorf("PUBREC %s, want %s", a.Reason, packet.NotAuthorized)
			}
		}
		c = h.again(c, "pump")
		c.publish("plant/pump/speed", "new", 2, 7)
		if a := c.expectAck(packet.TypePubrec, 7); a.Reason != packet.Success {
			t.Errorf("told %v: PUBREC %s of a new message, want success", told, a.Reason)
		}
		watch.expectMessage("plant/pump/speed", "new")
	}
}

// TestRefusedByQueuesAndNotTold: v5 [MQTT-4.3.3-9], section 3.5.2.1. Nobody took the message, and the connection broke before that
// was known. It is new when it comes again after that, and is not reported as taken when it comes again before.
func TestRefusedByQueuesAndNotTold(t *testing.T) {
	for _, early := range []bool{true, false} {
		l := buildLasting(t, Config{QueueMessages: 1})
		sub, _ := l.stay(packet.V5, "sub")
		sub.subscribe(2, "x")
		l.vanish(sub)
		pub, _ := l.stay(packet.V5, "pub")
		pub.publish("x", "fills the queue", 2, 1)
		pub.expectAck(packet.TypePubrec, 1)
		pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 1})
		pub.expectAck(packet.TypePubcomp, 1)
		l.manual()
		m := message1("x", "lost?", 2, 7)
		pub.send(m)
		l.until(func() bool { return l.b.Stats().DroppedQueue == 1 })
		pub.nothing() // the count of it is not kept
		l.vanish(pub)
		m.Dup = true
		if !early {
			l.v.Commit()
			l.until(func() bool { return l.session("pub").owed.size() == 0 })
			l.quick()
			sub, _ = l.stay(packet.V5, "sub")
			sub.finish(sub.expectMessage("x", "fills the queue"))
		}
		pub, _ = l.stay(packet.V5, "pub")
		pub.send(m)
		if early {
			pub.nothing()
			l.quick()
			l.v.Commit()
			if a := pub.expectAck(packet.TypePubrec, 7); a.Reason != packet.QuotaExceeded {
				t.Errorf("PUBREC %s, want %s", a.Reason, packet.QuotaExceeded)
			}
			sub, _ = l.stay(packet.V5, "sub")
			sub.finish(sub.expectMessage("x", "fills the queue"))
			m.Dup = false
			pub.send(m)
		}
		if a := pub.expectAck(packet.TypePubrec, 7); a.Reason != packet.Success {
			t.Errorf("early %v: PUBREC %s, want success", early, a.Reason)
		}
		sub.finish(sub.expectMessage("x", "lost?"))
	}
}

// TestTakenIsNotRefusedLater: v5 [MQTT-4.3.3-10]. A message that was taken comes again when its topic would be refused: it is
// answered as what was taken.
func TestTakenIsNotRefusedLater(t *testing.T) {
	h := guarded(t)
	watch, _ := h.login(packet.V5, "boss", as("boss"))
	watch.subscribe(0, "#")
	c, _ := h.login(packet.V5, "pump", as("pump"), keepSession)
	m := message1("plant/pump/state", "1", 2, 7)
	c.send(m)
	c.expectAck(packet.TypePubrec, 7)
	watch.expectMessage("plant/pump/state", "1")
	h.b.SetLimits(Config{MaxTopicLevels: 2})
	c = h.again(c, "pump")
	m.Dup = true
	c.send(m)
	if a := c.expectAck(packet.TypePubrec, 7); a.Reason != packet.Success {
		t.Errorf("PUBREC %s, want success", a.Reason)
	}
	c.send(&packet.Ack{Type: packet.TypePubrel, ID: 7})
	if a := c.expectAck(packet.TypePubcomp, 7); a.Reason != packet.Success {
		t.Errorf("PUBCOMP %s, want success", a.Reason)
	}
	watch.nothing()
}

// TestRefusedBehindWhatWasNotTaken: v5 [MQTT-4.3.3-9]. It stands behind a message for which the client is disconnected.
func TestRefusedBehindWhatWasNotTaken(t *testing.T) {
	h := build(t, Config{AllowanceBytes: 10 << 10})
	h.route("up/#")
	h.journal.room = 0
	watch, _ := h.login(packet.V5, "watch")
	watch.subscribe(0, "x")
	pub, _ := h.login(packet.V5, "pub", keepSession)
	big := strings.Repeat("x", 6<<10)
	pub.send(message1("up/x", big, 1, 1), message1("up/x", big, 1, 2), message1("$x", "refused", 2, 7))
	pub.expectEnd(packet.QuotaExceeded)
	pub, _ = h.login(packet.V5, "pub", resume, keepSession)
	pub.publish("x", "new", 2, 7)
	watch.expectMessage("x", "new")
}

package broker

import (
	"fmt"
	"strings"
	"testing"

	"weir/broker/packet"
)

// v5 [MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-4.5.0-1],
// 3.1.1 [MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3]
func TestSessionOutlivesConnection(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(v, "pub")
		sub, ack := h.login(v, "sub", keepSession)
		if ack.SessionPresent {
			t.Error("a session present that was never made")
		}
		sub.subscribe(1, "x")
		sub.leave()
		for i := range 3 {
			pub.publish("x", fmt.Sprint(i), 1, uint16(i+1))
			pub.expectAck(packet.TypePuback, uint16(i+1))
		}
		pub.publish("x", "not kept", 0, 0)
		pub.nothing()
		sub, ack = h.login(v, "sub", resume, keepSession)
		if !ack.SessionPresent {
			t.Fatal("no session present")
		}
		for i := range 3 {
			p := sub.expectMessage("x", fmt.Sprint(i))
			sub.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
		}
		sub.nothing()
		sub.leave()
		sub, ack = h.login(v, "sub") // clean
		if ack.SessionPresent {
			t.Error("a clean start finds a session")
		}
		pub.publish("x", "gone", 1, 9)
		pub.expectAck(packet.TypePuback, 9)
		sub.nothing()
		sub.leave()
		h.until(func() bool { return h.b.Stats().Sessions == 1 })
		if s := h.b.Stats(); s.Subscriptions != 0 {
			t.Errorf("%d subscriptions left, want 0", s.Subscriptions)
		}
	})
}

// v5 [MQTT-3.1.4-3], 3.1.1 [MQTT-3.1.4-2]
func TestTakeOver(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(v, "pub")
		old, _ := h.login(v, "c", keepSession, lastWill("will", "taken", 0))
		watch, _ := h.login(v, "watch")
		watch.subscribe(0, "will")
		old.subscribe(1, "x")
		pub.publish("x", "1", 1, 1)
		pub.expectAck(packet.TypePuback, 1)
		p := *old.expectMessage("x", "1")
		young, ack := h.login(v, "c", resume, keepSession)
		if !ack.SessionPresent {
			t.Error("no session present")
		}
		if again := young.expectMessage("x", "1"); !again.Dup || again.ID != p.ID {
			t.Errorf("dup %t id %d, want a repeat of %d", again.Dup, again.ID, p.ID)
		}
		old.expectEnd(packet.SessionTakenOver)
		watch.expectMessage("will", "taken")
		if s := h.b.Stats(); s.TakenOver != 1 {
			t.Errorf("%d taken over, want 1", s.TakenOver)
		}
		young.nothing()
	})
}

// TestTakeOverStorm lets many connections fight over one client id: one is left.
func TestTakeOverStorm(t *testing.T) {
	h := build(t, Config{})
	const n = 30
	results := make(chan *client, n)
	for range n {
		c := h.dial(packet.V5)
		go func() {
			p := packet.Connect{ClientID: []byte("same")}
			b, _ := p.Append(nil, packet.V5)
			c.nc.Write(b)
			results <- c
		}()
	}
	for range n {
		<-results
	}
	h.until(func() bool { s := h.b.Stats(); return s.Connects+s.Refused == n && s.Connections == 1 })
	if s := h.b.Stats(); s.Sessions != 1 {
		t.Errorf("%d sessions, want 1", s.Sessions)
	}
}

func TestClientIDs(t *testing.T) {
	h := build(t, Config{})
	_, ack := h.login(packet.V5, "") // v5 [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
	if !strings.HasPrefix(string(ack.Props.AssignedClientID), "auto-") {
		t.Errorf("assigned %q", ack.Props.AssignedClientID)
	}
	h.login(packet.V311, "") // 3.1.1 [MQTT-3.1.3-6]
	c := h.dial(packet.V311)
	if ack := c.connect("", resume); ack.Reason != packet.ClientIdentifierNotValid { // 3.1.1 [MQTT-3.1.3-8] [MQTT-3.1.3-9]
		t.Errorf("CONNACK %s", ack.Reason)
	}
	c.expectEnd(packet.Success)
	_, ack = h.login(packet.V5, "given")
	if len(ack.Props.AssignedClientID) != 0 {
		t.Errorf("assigned %q to a client with an id", ack.Props.AssignedClientID)
	}
}

func TestQueueBounds(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{QueueMessages: 10})
		pub, _ := h.login(v, "pub")
		sub, _ := h.login(v, "sub", keepSession)
		sub.subscribe(1, "x")
		sub.leave()
		for i := range 15 {
			pub.publish("x", fmt.Sprint(i), 1, uint16(i+1))
			pub.expectAck(packet.TypePuback, uint16(i+1))
		}
		h.until(func() bool { return h.b.Stats().DroppedQueue == 5 })
		sub, _ = h.login(v, "sub", resume, keepSession)
		for i := range 10 { // the newest were dropped
			p := sub.expectMessage("x", fmt.Sprint(i))
			sub.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
		}
		sub.nothing()
	})
}

func TestQueueBytes(t *testing.T) {
	h := build(t, Config{QueueBytes: 10000})
	pub, _ := h.login(packet.V5, "pub")
	sub, _ := h.login(packet.V5, "sub", keepSession)
	sub.subscribe(1, "x")
	sub.leave()
	for i := range 4 {
		pub.publish("x", strings.Repeat("x", 4000), 1, uint16(i+1))
		pub.expectAck(packet.TypePuback, uint16(i+1))
	}
	h.until(func() bool { return h.b.Stats().DroppedQueue == 2 })
}

func TestSessionExpiryCapped(t *testing.T) {
	h := build(t, Config{MaxSessionExpiry: 100e9})
	_, ack := h.login(packet.V5, "a", expiry(0xFFFFFFFF))
	if !ack.Props.Has(packet.PropSessionExpiry) || ack.Props.SessionExpiry != 100 {
		t.Errorf("session expiry %d, want 100", ack.Props.SessionExpiry)
	}
	c, ack := h.login(packet.V5, "b", expiry(50))
	if ack.Props.Has(packet.PropSessionExpiry) {
		t.Error("the session expiry was repeated")
	}
	d := packet.Disconnect{}
	d.Props.SetSessionExpiry(0)
	c.send(&d)
	c.expectEnd(packet.Success)
	h.until(func() bool { return h.b.Stats().Sessions == 1 })
	c, _ = h.login(packet.V5, "c") // none in CONNECT: v5 section 3.14.2.2.2
	d.Props.SetSessionExpiry(5)
	c.send(&d)
	c.expectEnd(packet.ProtocolError)
}

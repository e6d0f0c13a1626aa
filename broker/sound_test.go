package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/packet"
)

// What FuzzServer and TestModel have found, each by itself.

// A refusal larger than the client takes is not sent: v5 [MQTT-3.1.2-24].
func TestRefusalTooLarge(t *testing.T) {
	h := build(t, Config{Anonymous: func(string) bool { return false }})
	for size, want := range map[uint32]bool{4: false, 5: true} {
		c := h.dial(packet.V5)
		p := &packet.Connect{CleanStart: true}
		p.Props.SetMaximumPacketSize(size)
		c.send(p)
		if _, kind, err := c.next(); (err == nil) != want {
			t.Errorf("largest packet %d: got %s %v", size, kind, err)
		}
	}
}

// A retained message that has expired is not for a new subscription of a stored session either, at any QoS: v5 [MQTT-3.3.2-5].
func TestExpiredRetainedForStoredSession(t *testing.T) {
	for q := range byte(3) {
		bubble(t, Config{}, func(t *testing.T, h *house) {
			h.stop()
			v := newVault(t)
			v.auto = true
			m := newMemory()
			h = &house{t: t, memory: m, over: v}
			h.run(Config{Store: v}, m)
			v.change(func() { v.b = h.b })
			pub, _ := h.login(packet.V5, "pub")
			p := retainedMessage("x", "old", q, 0)
			if q > 0 {
				p.ID = 1
			}
			p.Props.SetMessageExpiry(5)
			pub.send(p)
			after(5 * time.Second) // it goes with the next whole second since boot, which this is not
			sub, _ := h.login(packet.V5, "sub", keepSession)
			sub.subscribe(q, "x")
			after(time.Second)
			sub.nothing()
			if n := h.b.Stats().Expired; n != 1 {
				t.Errorf("%d are counted as expired, want 1", n)
			}
		})
	}
}

// A client whose CONNECT still waits for the disk when another one takes its session over is told so when it has its CONNACK:
// v5 [MQTT-3.1.4-3].
func TestTakenOverWhileConnecting(t *testing.T) {
	l := buildLasting(t, Config{ConnectWait: time.Minute})
	l.manual()
	first, second := l.dial(packet.V5), l.dial(packet.V5)
	p := &packet.Connect{ClientID: []byte("c")}
	p.Props.SetSessionExpiry(100)
	first.send(p)
	l.until(func() bool { s := l.session("c"); return s != nil })
	second.send(p)
	l.until(func() bool { return l.b.Stats().TakenOver == 1 })
	l.quick()
	first.expect(packet.TypeConnack)
	first.expectEnd(packet.SessionTakenOver)
	if a := second.expect(packet.TypeConnack).(*packet.Connack); a.Reason != packet.Success {
		t.Errorf("CONNACK %s", a.Reason)
	}
}

// A CONNECT whose session is not kept in time is told so: v5 section 3.1.4, [MQTT-4.13.1-1].
func TestNotKeptInTimeIsSaid(t *testing.T) {
	l := buildLasting(t, Config{ConnectWait: 100 * time.Millisecond})
	l.manual()
	c := l.dial(packet.V5)
	if a := c.connect("c", keepSession); a.Reason != packet.ServerUnavailable {
		t.Errorf("CONNACK %s, want %s", a.Reason, packet.ServerUnavailable)
	}
	c.expectEnd(packet.Success)
}

// A CONNACK that the client has no room for becomes one that says so, without properties: v5 [MQTT-3.1.2-24] [MQTT-4.13.1-1].
func TestConnackTooLarge(t *testing.T) {
	h := build(t, Config{})
	c := h.dial(packet.V5)
	if a := c.connect("c", func(p *packet.Connect) { p.Props.SetMaximumPacketSize(10) }); a.Reason != packet.PacketTooLarge {
		t.Errorf("CONNACK %s, want %s", a.Reason, packet.PacketTooLarge)
	}
	c.expectEnd(packet.Success)
}

// After DISCONNECT nothing follows, whatever the client has sent meanwhile: v5 [MQTT-3.14.4-1].
func TestNothingAfterDisconnect(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		pub, _ := h.login(packet.V5, "pub")
		sub, _ := h.login(packet.V5, "sub")
		sub.subscribe(2, "x")
		pub.publish("x", "1", 2, 1)
		p := sub.expectMessage("x", "1")
		c := h.session("sub").out.conn
		c.lastWords(packet.SessionTakenOver, "")
		sub.send(&packet.Ack{Type: packet.TypePubrec, ID: p.ID})
		synctest.Wait()
		c.kick(packet.SessionTakenOver)
		sub.expectEnd(packet.SessionTakenOver)
	})
}

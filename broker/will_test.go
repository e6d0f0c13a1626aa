package broker

import (
	"testing"

	"weir/broker/packet"
)

// v5 [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-3.1.2-15] [MQTT-3.14.4-3],
// 3.1.1 [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-3.1.2-17] [MQTT-3.14.4-3]
func TestWill(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		h.route("will/#")
		watch, _ := h.login(v, "watch")
		watch.subscribe(1, "will/#")
		c, _ := h.login(v, "c1", lastWill("will/1", "asked", 1))
		c.leave() // no will
		c, _ = h.login(v, "c2", lastWill("will/2", "lost", 1), func(p *packet.Connect) { p.Will.Retain = true })
		c.nc.Close()
		if p := watch.expectMessage("will/2", "lost"); p.QoS != 1 {
			t.Errorf("QoS %d, want 1", p.QoS)
		}
		if r := h.journal.wait(t, 1); string(r[0].message.Origin) != "c2" || r[0].kind != KindQoS1 || r[0].message.Hops != 0 {
			t.Errorf("record %+v", r[0])
		}
		late, _ := h.login(v, "late")
		late.subscribe(0, "will/2")
		if p := late.expectMessage("will/2", "lost"); !p.Retain {
			t.Error("the will was not retained")
		}
		c, _ = h.login(v, "c3", lastWill("will/3", "violated", 0))
		c.write([]byte{0xF1, 0x00})
		watch.expectMessage("will/3", "violated")
		if v == packet.V5 {
			c, _ = h.login(v, "c4", lastWill("will/4", "wanted", 0))
			c.send(&packet.Disconnect{Reason: packet.DisconnectWithWill})
			watch.expectMessage("will/4", "wanted")
		}
		watch.send(&packet.Ack{Type: packet.TypePuback, ID: 1})
		watch.nothing()
	})
}

func TestWillRefused(t *testing.T) {
	h := build(t, Config{})
	c := h.dial(packet.V5)
	if ack := c.connect("c", lastWill("$SYS/x", "", 0)); ack.Reason != packet.TopicNameInvalid {
		t.Errorf("CONNACK %s", ack.Reason)
	}
	c.expectEnd(packet.Success)
	c = h.dial(packet.V5)
	if ack := c.connect("c", lastWill("a/#", "", 0)); ack.Reason != packet.TopicNameInvalid {
		t.Errorf("CONNACK %s", ack.Reason)
	}
}

// TestWillAtShutdown: sessions end with the broker, so their wills are published: v5 [MQTT-3.1.2-8], 3.1.1 [MQTT-3.1.2-8].
func TestWillAtShutdown(t *testing.T) {
	h := build(t, Config{})
	h.route("will/#")
	one, _ := h.login(packet.V5, "one", lastWill("will/1", "x", 1))
	_, _ = h.login(packet.V311, "two", lastWill("will/2", "x", 1))
	delayed, _ := h.login(packet.V5, "three", keepSession, lastWill("will/3", "x", 1), func(p *packet.Connect) { p.Will.Props.SetWillDelay(1000) })
	h.vanish(delayed)
	done := make(chan struct{})
	go func() { h.stop(); close(done) }()
	one.expectEnd(packet.ServerShuttingDown)
	<-done
	names := map[string]bool{}
	for _, r := range h.journal.wait(t, 3) {
		names[string(r.message.Topic)] = true
	}
	if len(names) != 3 {
		t.Errorf("wills %v, want three", names)
	}
}

// TestExpiryOfWill: v5 [MQTT-3.3.2-6]. The message expiry of a will begins when it is published, however long the client was there.
func TestExpiryOfWill(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		c, _ := h.login(packet.V5, "c", lastWill("will", "gone", 1), func(p *packet.Connect) {
			p.Will.Retain = true
			p.Will.Props.SetMessageExpiry(10)
		})
		after(100e9)
		h.vanish(c)
		after(4e9)
		late, _ := h.login(packet.V5, "late")
		late.subscribe(1, "will")
		if p := late.expectMessage("will", "gone"); p.Props.MessageExpiry != 6 {
			t.Errorf("expires in %d s, want 6", p.Props.MessageExpiry)
		}
	})
}

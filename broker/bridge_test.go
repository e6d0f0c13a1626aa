package broker

import (
	"testing"

	"weir/broker/packet"
)

// TestBridgeOfMosquitto: a bridge that says so by the highest bit of its level, as mosquitto's do unless they are told not to, gets
// nothing back that it published, and keeps RETAIN; everybody else is served as before. What it is holds for its session.
func TestBridgeOfMosquitto(t *testing.T) {
	for _, name := range []string{"memory", "stored"} {
		t.Run(name, func(t *testing.T) {
			h := build(t, Config{})
			bridge, _ := h.login(packet.V311, "bridge", keepSession, func(p *packet.Connect) { p.Bridge = true })
			c, _ := h.login(packet.V311, "c")
			bridge.subscribe(1, "#", "$share/g/shared")
			c.subscribe(1, "#")
			bridge.send(retainedMessage("x", "from the bridge", 0, 0))
			if p := c.expectMessage("x", "from the bridge"); p.Retain {
				t.Error("RETAIN is set for who is no bridge")
			}
			bridge.nothing()
			c.send(retainedMessage("y", "to the bridge", 0, 0))
			if p := bridge.expectMessage("y", "to the bridge"); !p.Retain {
				t.Error("RETAIN was dropped for the bridge")
			}
			c.expectMessage("y", "to the bridge")
			bridge.publish("shared", "one", 0, 0) // to the group, which knows no publisher
			bridge.expectMessage("shared", "one")
			bridge.nothing()
			c.expectMessage("shared", "one")
			h.vanish(bridge)
			c.send(retainedMessage("z", "kept for the bridge", 1, 1))
			c.finish(c.expectMessage("z", "kept for the bridge"))
			c.expectAck(packet.TypePuback, 1)
			bridge, _ = h.login(packet.V311, "bridge", keepSession, func(p *packet.Connect) { p.Bridge = true })
			if p := bridge.expectMessage("z", "kept for the bridge"); !p.Retain {
				t.Error("RETAIN was dropped for the bridge that was away")
			}
			bridge.publish("x", "again", 0, 0)
			bridge.nothing()
			c.expectMessage("x", "again")
		})
	}
}

// TestStateOfBridge: what mosquitto's bridges say of themselves at the other broker is dropped and counted, the will too, on each
// version. Other wills for such topics are refused.
func TestStateOfBridge(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{SysInterval: -1})
		watch, _ := h.login(v, "watch")
		watch.subscribe(0, "#", "$SYS/#")
		const state = "$SYS/broker/connection/house.weir/state"
		bridge, _ := h.login(v, "bridge", lastWill(state, "0", 1), func(p *packet.Connect) { p.Will.Retain = true })
		bridge.send(retainedMessage(state, "1", 1, 1))
		bridge.expectAck(packet.TypePuback, 1)
		h.vanish(bridge)
		watch.nothing()
		if s := h.b.Stats(); s.Rejected != 2 || s.Retained != 0 {
			t.Errorf("rejected %d, retained %d, want 2, 0", s.Rejected, s.Retained)
		}
		c := h.dial(v)
		p := packet.Connect{CleanStart: true, ClientID: []byte("c")}
		lastWill("$SYS/broker/connection/house.weir/states", "0", 1)(&p)
		c.send(&p)
		if v == packet.V5 {
			if a := c.expect(packet.TypeConnack).(*packet.Connack); a.Reason != packet.TopicNameInvalid {
				t.Errorf("CONNACK %s, want %s", a.Reason, packet.TopicNameInvalid)
			}
		}
		c.expectEnd(packet.Success)
	})
}

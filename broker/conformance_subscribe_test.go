package broker

import (
	"fmt"
	"slices"
	"testing"

	"weir/broker/packet"
)

// TestSubackForEach: one SUBACK with the id of the request and a reason for each filter, in their order: the QoS granted, or a
// failure, and each filter is taken as if it had come alone.
// [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.9.3-1] [MQTT-3.9.3-2], v5 [MQTT-2.2.1-6] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7],
// 3.1.1 [MQTT-2.3.1-7] [MQTT-3.8.4-4] [MQTT-3.8.4-5]
func TestSubackForEach(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		c, _ := h.login(v, "c")
		failed := packet.TopicFilterInvalid // 0x8F
		if v == packet.V311 {
			failed = packet.UnspecifiedError // 0x80
		}
		for _, id := range []uint16{1, 256, 65535} {
			p := packet.Subscribe{ID: id}
			var want []packet.Reason
			for i, f := range []string{"a", "a/#/b", "b", "c+", "c", "e/#/", "$share/g/d", "$share/g+/d", "a"} {
				p.Filters = append(p.Filters, packet.Subscription{Filter: []byte(f), QoS: byte(i/2) % 3})
				want = append(want, packet.Reason(i/2%3))
				if i%2 == 1 {
					want[i] = failed
				}
			}
			if got := c.subscribeWith(&p); !slices.Equal(got, want) {
				t.Errorf("id %d: %v, want %v", id, got, want)
			}
			c.nothing() // one SUBACK
		}
		for i, name := range []string{"a", "b", "c"} {
			c.publish(name, "x", 2, uint16(i+1))
			m := c.expect(packet.TypePublish).(*packet.Publish)
			if want := []byte{1, 1, 2}[i]; m.QoS != want {
				t.Errorf("%s came at QoS %d, want %d", name, m.QoS, want)
			}
			c.expectAck(packet.TypePubrec, uint16(i+1))
		}
	})
}

// TestUnsubackForEach: one UNSUBACK with the id of the request, also if nothing was removed; filters are compared byte by byte;
// nothing new comes afterwards.
// [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6], v5 [MQTT-2.2.1-6] [MQTT-3.11.3-1]
// [MQTT-3.11.3-2], 3.1.1 [MQTT-2.3.1-7]
func TestUnsubackForEach(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		c, _ := h.login(v, "c")
		c.subscribe(0, "a/+", "b", "a/\u00e4", "$share/g/s", "c/#")
		unsubscribe := func(id uint16, filters ...string) {
			t.Helper()
			p := packet.Unsubscribe{ID: id}
			var want []packet.Reason
			for _, f := range filters {
				p.Filters = append(p.Filters, []byte(f))
				if r := packet.NoSubscriptionExisted; v == packet.V5 && !slices.Contains([]string{"a/+", "b", "$share/g/s"}, f) {
					want = append(want, r)
				} else if v == packet.V5 {
					want = append(want, packet.Success)
				}
			}
			c.send(&p)
			a := c.expect(packet.TypeUnsuback).(*packet.Unsuback)
			if a.ID != id || !slices.Equal(a.Reasons, want) {
				t.Errorf("UNSUBACK %d %v, want %d %v", a.ID, a.Reasons, id, want)
			}
			c.nothing()
		}
		publish := func(want ...string) {
			t.Helper()
			for _, name := range []string{"a/x", "b", "s", "c/x"} {
				c.publish(name, "", 0, 0)
			}
			for _, name := range want {
				c.expectMessage(name, "")
			}
			c.nothing()
		}
		unsubscribe(1, "a/x", "B", "a/a\u0308", "#", "+", "s", "c/", "$share/h/s") // none of them is there
		publish("a/x", "b", "s", "c/x")
		unsubscribe(65535, "a/+", "none", "b", "$share/g/s")
		publish("c/x")
	})
}

// TestUnsubscribeCompletes: what was sent before is brought to its end afterwards, on the next connection too.
// [MQTT-3.10.4-3]
func TestUnsubscribeCompletes(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(v, "pub")
		sub, _ := h.login(v, "sub", keepSession)
		sub.subscribe(2, "x")
		pub.publish("x", "one", 1, 1)
		pub.publish("x", "two", 2, 2)
		sub.expectMessage("x", "one")
		two := sub.expectMessage("x", "two").ID
		sub.send(&packet.Unsubscribe{ID: 5, Filters: [][]byte{[]byte("x")}})
		sub.expect(packet.TypeUnsuback)
		pub.publish("x", "none", 1, 3)
		sub.send(&packet.Ack{Type: packet.TypePubrec, ID: two})
		sub.expectAck(packet.TypePubrel, two)
		h.vanish(sub)
		sub, _ = h.login(v, "sub", resume, keepSession)
		one := sub.expectMessage("x", "one").ID
		sub.expectAck(packet.TypePubrel, two)
		sub.send(&packet.Ack{Type: packet.TypePuback, ID: one}, &packet.Ack{Type: packet.TypePubcomp, ID: two})
		sub.nothing()
	})
}

// TestAnswersLeaveOutWhatIsTooLarge: SUBACK and UNSUBACK have no reason in words if the client does not take so large a packet;
// neither has user properties. v5 [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2]
func TestAnswersLeaveOutWhatIsTooLarge(t *testing.T) {
	h := build(t, Config{})
	words, gone := 0, 0
	for most := uint32(20); most < 120; most += 3 {
		c, _ := h.login(packet.V5, "c", func(p *packet.Connect) { p.Props.SetMaximumPacketSize(most) })
		c.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("#/b")}}})
		a := c.expect(packet.TypeSuback).(*packet.Suback)
		if c.have > int(most) || a.Reasons[0] != packet.TopicFilterInvalid || len(a.Props.User) > 0 {
			t.Errorf("SUBACK of %d bytes, want at most %d: %v", c.have, most, a.Reasons)
		}
		if a.Props.Has(packet.PropReasonString) {
			words++
		}
		c.send(&packet.Unsubscribe{ID: 1, Filters: [][]byte{[]byte("#/b")}})
		u := c.expect(packet.TypeUnsuback).(*packet.Unsuback)
		if c.have > int(most) || u.Reasons[0] != packet.NoSubscriptionExisted || len(u.Props.User) > 0 {
			t.Errorf("UNSUBACK of %d bytes, want at most %d: %v", c.have, most, u.Reasons)
		}
		if u.Props.Has(packet.PropReasonString) {
			gone++
		}
	}
	if words == 0 || words == 34 || gone == 0 || gone == 34 {
		t.Errorf("%d and %d of 34 SUBACKs and UNSUBACKs with a reason in words, want some", words, gone)
	}
}

// TestSharedQoS: the QoS granted to the member holds for what it gets. v5 [MQTT-4.8.2-3] [MQTT-3.8.4-8]
func TestSharedQoS(t *testing.T) {
	h := build(t, Config{})
	pub, _ := h.login(packet.V5, "pub")
	for granted := range byte(3) {
		m, _ := h.login(packet.V5, fmt.Sprint("m", granted))
		m.subscribe(granted, "$share/g/x")
		for q := range byte(3) {
			pub.publish("x", "m", q, uint16(q)+1)
			p := m.expectMessage("x", "m")
			if p.QoS != min(q, granted) {
				t.Errorf("granted %d, published %d: came at %d", granted, q, p.QoS)
			}
			if p.QoS > 0 {
				m.finish(p)
			}
			if q == 2 {
				pub.nothingBut(packet.TypePuback, 1)
				pub.expectAck(packet.TypePubrec, 3)
				pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 3})
				pub.expectAck(packet.TypePubcomp, 3)
			}
		}
		m.leave()
	}
}

// TestSharedQoS2StaysWithItsMember: what was sent to one member is completed with it, and if it is refused, or its session ends,
// goes to nobody. v5 [MQTT-4.8.2-4] [MQTT-4.8.2-5] [MQTT-4.8.2-6]
func TestSharedQoS2StaysWithItsMember(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		for _, end := range []string{"comes back", "ends", "refuses"} {
			if end == "refuses" && v == packet.V311 {
				continue // has no way to
			}
			h := build(t, Config{})
			pub, _ := h.login(v, "pub")
			one, _ := h.login(v, "one", keepSession)
			one.subscribe(2, "$share/g/x")
			pub.publish("x", end, 2, 1)
			id := one.expectMessage("x", end).ID
			pub.nothingBut(packet.TypePubrec, 1)
			two, _ := h.login(v, "two", keepSession)
			two.subscribe(2, "$share/g/x")
			switch end {
			case "comes back":
				h.vanish(one)
				two.nothing()
				one, _ = h.login(v, "one", resume, keepSession)
				if p := one.expectMessage("x", end); !p.Dup || p.ID != id {
					t.Errorf("DUP %t, id %d, want a repeat of %d", p.Dup, p.ID, id)
				}
				one.send(&packet.Ack{Type: packet.TypePubrec, ID: id})
				one.expectAck(packet.TypePubrel, id)
				one.send(&packet.Ack{Type: packet.TypePubcomp, ID: id})
			case "ends":
				h.vanish(one)
				one, _ = h.login(v, "one") // clean
			case "refuses":
				one.send(&packet.Ack{Type: packet.TypePubrec, ID: id, Reason: packet.UnspecifiedError})
			}
			one.nothing()
			two.nothing()
		}
	})
}

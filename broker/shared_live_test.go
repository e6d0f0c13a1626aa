package broker

import (
	"fmt"
	"testing"

	"weir/broker/packet"
)

// TestSharedQoS0GoesToWhoIsThere: a member that is away has a session, and gets nothing at QoS 0 that another one could have.
// v5 section 4.8.2
func TestSharedQoS0GoesToWhoIsThere(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(v, "pub")
		var members []*client
		for i := range 3 {
			m, _ := h.login(v, fmt.Sprint("m", i), keepSession)
			m.subscribe(1, "$share/g/x")
			members = append(members, m)
		}
		h.vanish(members[1])
		for i := range 6 {
			pub.publish("x", fmt.Sprint(i), 0, 0)
		}
		pub.nothing()
		for k := range 3 { // in turn
			members[0].expectMessage("x", fmt.Sprint(2*k))
			members[2].expectMessage("x", fmt.Sprint(2*k+1))
		}
		members[0].nothing()
		members[2].nothing()
	})
}

// TestSharedMemberAsksForAnotherQoS: v5 [MQTT-3.8.4-3] [MQTT-4.8.2-3], 3.1.1 [MQTT-3.8.4-3]. The only member subscribes again: from
// then on its group keeps messages for it while it is away, or does not any more.
func TestSharedMemberAsksForAnotherQoS(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(v, "pub")
		m, _ := h.login(v, "m", keepSession)
		id := uint16(0)
		for round, q := range []byte{0, 1, 0, 2} {
			m.subscribe(q, "$share/g/x")
			name := fmt.Sprint(round)
			id++
			pub.publish("x", name, 2, id)
			pub.expectAck(packet.TypePubrec, id)
			if p := m.expectMessage("x", name); p.QoS != q {
				t.Errorf("granted %d: came at QoS %d", q, p.QoS)
			} else if q > 0 {
				m.finish(p)
			}
			h.vanish(m)
			id++
			pub.publish("x", name+" away", 1, id)
			pub.expectAck(packet.TypePuback, id)
			m, _ = h.login(v, "m", keepSession, resume)
			if q > 0 {
				m.finish(m.expectMessage("x", name+" away"))
			}
			m.nothing()
		}
	})
}

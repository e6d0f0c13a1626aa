package broker

import (
	"fmt"
	"slices"
	"testing"

	"weir/broker/packet"
)

// TestOptionsOfWhatComesAgain: what was in flight and what waited for a client that was away comes with the RETAIN flag and the
// identifier of its subscription, from its own subscription and from a shared one, also after a kill.
// v5 [MQTT-3.3.1-12] [MQTT-3.3.1-13] [MQTT-3.3.4-3] [MQTT-4.4.0-1] [MQTT-4.8.2-4]
func TestOptionsOfWhatComesAgain(t *testing.T) {
	for i, filter := range []string{"x", "$share/g/x", "x", "$share/g/x"} {
		asPublished := i < 2
		for _, how := range []string{"memory", "stored", "killed"} {
			t.Run(fmt.Sprintf("%.1s/%t/%s", filter, asPublished, how), func(t *testing.T) {
				var h *house
				var l *lasting
				if how == "killed" {
					l = buildLasting(t, Config{})
					h = l.house
				} else {
					h = build(t, Config{})
				}
				sub, _ := h.login(packet.V5, "sub", keepSession)
				ask := packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte(filter), QoS: 2, RetainAsPublished: asPublished}}}
				ask.Props.SubscriptionIDs = []uint32{7}
				sub.subscribeWith(&ask)
				pub, _ := h.login(packet.V5, "pub")
				publish := func(payload string, q byte, id uint16) {
					t.Helper()
					pub.send(retainedMessage("x", payload, q, id))
					pub.expectAck([...]packet.Type{1: packet.TypePuback, 2: packet.TypePubrec}[q], id)
				}
				var want []string
				for i, q := range []byte{1, 2} {
					name := fmt.Sprint("in flight ", q)
					pub.send(retainedMessage("x", name, q, uint16(i+1)))
					sub.expectMessage("x", name)
					pub.expect([...]packet.Type{1: packet.TypePuback, 2: packet.TypePubrec}[q])
					want = append(want, name)
				}
				h.vanish(sub)
				for i, q := range []byte{1, 2} {
					name := fmt.Sprint("waited ", q)
					publish(name, q, uint16(i+3))
					want = append(want, name)
				}
				if l != nil {
					l.again(Config{})
					h = l.house
				}
				sub, _ = h.login(packet.V5, "sub", keepSession)
				var got []string
				for range want {
					p := sub.expect(packet.TypePublish).(*packet.Publish)
					if p.Retain != asPublished || !slices.Equal(p.Props.SubscriptionIDs, []uint32{7}) {
						t.Errorf("%s: RETAIN %t, identifiers %v, want %t, [7]", p.Payload, p.Retain, p.Props.SubscriptionIDs, asPublished)
					}
					got = append(got, string(p.Payload))
				}
				if !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

// TestNoLocalSurvivesKill: v5 [MQTT-3.8.3-3]. The options of a subscription are part of the session.
func TestNoLocalSurvivesKill(t *testing.T) {
	l := buildLasting(t, Config{})
	c, _ := l.stay(packet.V5, "c")
	c.subscribeWith(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("x"), QoS: 1, NoLocal: true}}})
	l.again(Config{})
	c, _ = l.stay(packet.V5, "c")
	c.publish("x", "own", 1, 1)
	c.expectAck(packet.TypePuback, 1)
	other, _ := l.login(packet.V5, "other")
	other.publish("x", "other", 1, 1)
	c.finish(c.expectMessage("x", "other"))
	c.nothing()
}

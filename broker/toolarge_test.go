package broker

import (
	"strings"
	"testing"

	"weir/broker/packet"
)

// TestTooLargeWhenItComesAgain: v5 [MQTT-3.1.2-24] [MQTT-3.1.2-25]. What is in flight is too large for the connection on which it is
// to be sent again: it is dropped, as if it had been sent. The subscriber may hold the id of one at QoS 2, and would take the
// next message under that id for a repeat of it, so that handshake is brought to its end: v5 [MQTT-4.3.3-5].
func TestTooLargeWhenItComesAgain(t *testing.T) {
	for _, filter := range []string{"x", "$share/g/x"} {
		t.Run(filter[:1], func(t *testing.T) {
			each(t, func(t *testing.T, v packet.Version) {
				if v != packet.V5 { // cannot say how much it takes
					return
				}
				h := build(t, Config{})
				pub, _ := h.login(v, "pub")
				sub, _ := h.login(v, "sub", keepSession)
				sub.subscribe(2, filter)
				long := strings.Repeat("x", 200)
				pub.send(message1("x", long, 1, 1), message1("x", long, 2, 2), message1("x", "short", 1, 3))
				sub.expectMessage("x", long)
				two := sub.expectMessage("x", long).ID
				sub.expectMessage("x", "short")
				h.vanish(sub)
				sub, _ = h.login(v, "sub", resume, keepSession, func(p *packet.Connect) { p.Props.SetMaximumPacketSize(100) })
				released, came := false, false
				for !released || !came {
					switch p, kind, err := sub.next(); {
					case err != nil:
						t.Fatal(err)
					case kind == packet.TypePubrel && p.(*packet.Ack).ID == two:
						released = true
						sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: two})
					case kind == packet.TypePublish && string(p.(*packet.Publish).Payload) == "short":
						came = true
						sub.send(&packet.Ack{Type: packet.TypePuback, ID: p.(*packet.Publish).ID})
					default:
						t.Fatalf("got %s %+v", kind, p)
					}
				}
				sub.nothing()
				h.vanish(sub)
				sub, _ = h.login(v, "sub", resume, keepSession) // nothing of it is left
				sub.nothing()
				h.until(func() bool { return h.b.Stats().TooLarge == 2 })
			})
		})
	}
}

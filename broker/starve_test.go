package broker

import (
	"strings"
	"testing"
	"testing/synctest"

	"weir/broker/packet"
)

// TestQoS0DoesNotStarveQueue: a subscriber that is slower than a stream of QoS 0 still gets what is queued for it.
func TestQoS0DoesNotStarveQueue(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		sub, _ := h.login(packet.V5, "sub")
		sub.subscribe(1, "x", "y")
		pub, _ := h.login(packet.V5, "pub")
		chunk := strings.Repeat("x", 100_000)
		flood := func() {
			for range 2 { // more than the subscriber reads in one round
				pub.publish("x", chunk, 0, 0)
			}
			pub.nothing()
		}
		flood()
		pub.publish("y", "queued", 1, 1) // pending is above fillBytes
		pub.expectAck(packet.TypePuback, 1)
		for range 50 {
			flood()
			p := sub.expect(packet.TypePublish).(*packet.Publish)
			if string(p.Topic) == "y" {
				return
			}
			synctest.Wait()
		}
		t.Error("50 messages of QoS 0 came, and none that was queued before them")
	})
}

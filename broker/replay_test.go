package broker

import (
	"strings"
	"testing"

	"weir/broker/packet"
)

// TestRetainedInFlightDoNotCount: while a new subscriber works through large retained messages, live ones are not dropped.
func TestRetainedInFlightDoNotCount(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		pub, _ := h.login(packet.V5, "pub")
		large := strings.Repeat("x", 300_000)
		for _, name := range []string{"r/1", "r/2", "r/3", "r/4", "r/5", "r/6"} {
			pub.send(retainedMessage(name, large, 1, 1))
			pub.expectAck(packet.TypePuback, 1)
		}
		sub, _ := h.login(packet.V5, "sub")
		sub.subscribe(1, "r/#", "live")
		var ids []uint16
		got := map[string]bool{}
		for range 3 {
			p := sub.expect(packet.TypePublish).(*packet.Publish)
			ids, got[string(p.Topic)] = append(ids, p.ID), true
		}
		pub.publish("live", "1", 1, 1)
		pub.expectAck(packet.TypePuback, 1)
		if s := h.b.Stats(); s.DroppedQueue != 0 {
			t.Error("a live message was dropped")
		}
		for len(got) < 7 {
			for _, id := range ids {
				sub.send(&packet.Ack{Type: packet.TypePuback, ID: id})
			}
			p := sub.expect(packet.TypePublish).(*packet.Publish)
			ids, got[string(p.Topic)] = []uint16{p.ID}, true
		}
	})
}

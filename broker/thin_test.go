package broker

import (
	"fmt"
	"testing"

	"weir/broker/packet"
)

var versions = []packet.Version{packet.V311, packet.V5}

func each(t *testing.T, test func(t *testing.T, v packet.Version)) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) { test(t, v) })
		t.Run(v.String()+stored, func(t *testing.T) { test(t, v) })
	}
}

func TestPublishReachesSubscriber(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		sub, _ := h.login(v, "sub")
		pub, _ := h.login(v, "pub")
		if got := sub.subscribe(1, "/Home/#", "other/+"); got[0] != packet.GrantedQoS1 || got[1] != packet.GrantedQoS1 {
			t.Fatalf("granted %v", got)
		}
		pub.publish("/Home/Floor1/Room1/temperature", "75", 0, 0)
		sub.expectMessage("/Home/Floor1/Room1/temperature", "75")
		pub.publish("other/x", "1", 1, 5)
		pub.expectAck(packet.TypePuback, 5)
		p := sub.expectMessage("other/x", "1")
		if p.QoS != 1 || p.ID == 0 {
			t.Fatalf("QoS %d id %d, want QoS 1 and an id", p.QoS, p.ID)
		}
		sub.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
		sub.nothing()
	})
}

func TestAcknowledgementWaitsForJournal(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		h.route("up/#")
		pub, _ := h.login(v, "pub")
		for i := range 3 {
			pub.publish("up/x", fmt.Sprint(i), 1, uint16(i+1))
		}
		pub.publish("local", "3", 1, 4)
		h.journal.wait(t, 3)
		pub.nothing()
		h.journal.settle(2, 3) // not the first
		pub.nothing()
		pub.nothing()
		h.journal.settle(1)
		for i := range 4 {
			pub.expectAck(packet.TypePuback, uint16(i+1))
		}
		pub.nothing()
	})
}

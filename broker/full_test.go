package broker

import (
	"fmt"
	"testing"

	"weir/broker/message"
	"weir/broker/packet"
)

// TestFullJournalStarvesNobody: a client whose own messages wait for room is still read: its PUBACKs open its window, its
// subscriptions are made and its pings answered.
func TestFullJournalStarvesNobody(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{Inflight: 1})
		h.route("up/#")
		h.journal.room = 0
		c, _ := h.login(v, "both")
		c.subscribe(1, "down/#")
		for i := range 20 {
			c.publish("up/x", "waits", 1, uint16(i+1))
		}
		other, _ := h.login(v, "other")
		for i := range 5 {
			other.publish("down/x", fmt.Sprint(i), 1, uint16(i+1))
			other.expectAck(packet.TypePuback, uint16(i+1))
		}
		for i := range 5 {
			p := c.expectMessage("down/x", fmt.Sprint(i)) // the next one comes when this one is acknowledged
			c.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
		}
		c.subscribe(0, "else/#")
		c.nothing()
		if n := len(h.journal.wait(t, 0)); n != 0 {
			t.Fatalf("%d records in a journal without room", n)
		}
		h.journal.auto = true
		h.journal.makeRoom(100)
		for i := range 20 {
			c.expectAck(packet.TypePuback, uint16(i+1))
		}
	})
}

// TestReadingsNeverBlock: a publisher to whom nobody tells what is settled is never refused; what does not fit its
// allowance is dropped for upstreams and counted, and local subscribers have it all.
func TestReadingsNeverBlock(t *testing.T) {
	h := build(t, Config{AllowanceBytes: 4 << 10})
	h.route("up/#")
	h.journal.room = 0
	sub, _ := h.login(packet.V5, "sub")
	sub.subscribe(0, "up/#")
	p := h.b.NewPublisher("", nil)
	const n = 100
	for i := range n {
		m := message.Message{Stamp: stampNow(), Publish: packet.Publish{Topic: []byte("up/x"), Payload: []byte(fmt.Sprint(i)), QoS: byte(i % 2)}}
		if err := p.Publish([]message.Message{m}); err != nil {
			t.Fatalf("reading %d: %v", i, err)
		}
		sub.expectMessage("up/x", fmt.Sprint(i))
	}
	s := h.b.Stats()
	if s.WaitingBytes == 0 || s.WaitingBytes > 4<<10 || s.DroppedTail == 0 {
		t.Fatalf("%d bytes wait and %d messages were dropped, want some of each within the allowance", s.WaitingBytes, s.DroppedTail)
	}
	h.journal.auto = true
	h.journal.makeRoom(n)
	kept := int(n - s.DroppedTail)
	records := h.journal.wait(t, kept)
	for i := 1; i < len(records); i++ {
		if len(records[i-1].message.Payload) > len(records[i].message.Payload) {
			t.Errorf("record %d out of order", i)
		}
	}
	h.until(func() bool { return h.b.Stats().WaitingBytes == 0 })
	if got := len(h.journal.wait(t, kept)); got != kept {
		t.Errorf("%d records and %d dropped of %d: some are counted wrongly", got, s.DroppedTail, n)
	}
}

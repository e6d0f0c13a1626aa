package broker

import (
	"fmt"
	"testing"

	"weir/broker/packet"
)

// v5 [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8] [MQTT-3.3.1-9] [MQTT-3.3.1-12],
// 3.1.1 [MQTT-3.3.1-5] to [MQTT-3.3.1-12]
func TestRetained(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(v, "pub")
		sub, _ := h.login(v, "sub")
		sub.subscribe(1, "r/1")
		pub.send(retainedMessage("r/1", "old", 1, 1))
		pub.expectAck(packet.TypePuback, 1)
		if p := sub.expectMessage("r/1", "old"); p.Retain {
			t.Error("RETAIN is set for a subscription that was there before")
		}
		pub.send(retainedMessage("r/1", "new", 2, 2), retainedMessage("r/2", "two", 0, 0))
		pub.expectAck(packet.TypePubrec, 2)
		pub.publish("r/1", "not retained", 0, 0)
		pub.nothing()
		late, _ := h.login(v, "late")
		late.subscribe(1, "r/1")
		p := late.expectMessage("r/1", "new")
		if !p.Retain || p.QoS != 1 {
			t.Errorf("RETAIN %t QoS %d, want RETAIN at QoS 1", p.Retain, p.QoS)
		}
		late.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
		late.nothing()
		late.subscribe(0, "r/1") // again: 3.1.1 [MQTT-3.8.4-3], v5 [MQTT-3.8.4-4]
		late.expectMessage("r/1", "new")
		sub.expectMessage("r/1", "new")
		high, _ := h.login(v, "high", keepSession)
		high.subscribe(2, "r/+") // no higher than they were published: v5 [MQTT-3.8.4-8], 3.1.1 [MQTT-3.8.4-6]
		for range 2 {
			p := high.expect(packet.TypePublish).(*packet.Publish)
			if want := map[string]byte{"r/1": 2, "r/2": 0}[string(p.Topic)]; p.QoS != want || !p.Retain {
				t.Errorf("%s came at QoS %d, RETAIN %t, want %d, true", p.Topic, p.QoS, p.Retain, want)
			}
		}
		high.nothing()
		pub.send(retainedMessage("r/1", "", 0, 0))
		pub.nothing()
		sub.expectMessage("r/1", "not retained")
		sub.expectMessage("r/1", "") // still delivered
		last, _ := h.login(v, "last")
		last.subscribe(0, "r/+")
		last.expectMessage("r/2", "two")
		last.nothing()
		if s := h.b.Stats(); s.Retained != 1 {
			t.Errorf("%d retained, want 1", s.Retained)
		}
	})
}

// TestRetainedMoreThanQueue: retained messages are no queue: all of them arrive, whatever the bounds.
func TestRetainedMoreThanQueue(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{QueueMessages: 3, Inflight: 2})
		pub, _ := h.login(v, "pub")
		const n = 5000
		for i := 0; i < n; i += 100 {
			var all []appender
			for k := range 100 {
				all = append(all, retainedMessage(fmt.Sprint("r/", i+k), "x", byte(i/100%3), uint16(k+1)))
			}
			pub.send(all...)
			for k := range 100 {
				switch i / 100 % 3 {
				case 1:
					pub.expectAck(packet.TypePuback, uint16(k+1))
				case 2:
					pub.expectAck(packet.TypePubrec, uint16(k+1))
				}
			}
			for k := range 100 * (i / 100 % 3 / 2) {
				pub.send(&packet.Ack{Type: packet.TypePubrel, ID: uint16(k + 1)})
				pub.expectAck(packet.TypePubcomp, uint16(k+1))
			}
			pub.nothing()
		}
		sub, _ := h.login(v, "sub")
		sub.subscribe(1, "#")
		seen := map[string]bool{}
		for len(seen) < n {
			p := sub.expect(packet.TypePublish).(*packet.Publish)
			if seen[string(p.Topic)] {
				t.Fatalf("%s came twice", p.Topic)
			}
			seen[string(p.Topic)] = true
			if p.QoS == 1 {
				sub.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
			}
		}
		sub.nothing()
	})
}

// TestRetainedNeverOlderLast lets subscribers come while the value changes: the last one they see is the last one there is.
func TestRetainedNeverOlderLast(t *testing.T) {
	h := build(t, Config{QueueMessages: 100000})
	pub, _ := h.login(packet.V311, "pub")
	const n = 2000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			pub.send(retainedMessage("r", fmt.Sprint(i), 0, 0))
		}
		pub.nothing()
	}()
	for i := range 20 {
		sub, _ := h.login(packet.V311, fmt.Sprint("sub", i))
		sub.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("r")}}})
		last := -1
		for last < n-1 {
			p, kind, err := sub.next()
			if err != nil {
				t.Fatal(err)
			}
			if kind == packet.TypeSuback {
				continue
			}
			var got int
			fmt.Sscan(string(p.(*packet.Publish).Payload), &got)
			if got < last {
				t.Fatalf("%d came after %d", got, last)
			}
			last = got
		}
		sub.nc.Close()
	}
	<-done
}

// v5 [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.3.1-13]
func TestRetainHandling(t *testing.T) {
	h := build(t, Config{})
	pub, _ := h.login(packet.V5, "pub")
	pub.send(retainedMessage("r", "1", 0, 0))
	pub.nothing()
	sub, _ := h.login(packet.V5, "sub")
	ask := func(handling byte) {
		sub.subscribeWith(&packet.Subscribe{ID: 3, Filters: []packet.Subscription{{Filter: []byte("r"), RetainHandling: handling, RetainAsPublished: true}}})
	}
	ask(2)
	sub.nothing()
	ask(1) // not new
	sub.nothing()
	ask(0)
	sub.expectMessage("r", "1")
	sub.send(&packet.Unsubscribe{ID: 4, Filters: [][]byte{[]byte("r"), []byte("none")}})
	a := sub.expect(packet.TypeUnsuback).(*packet.Unsuback)
	if a.ID != 4 || fmt.Sprint(a.Reasons) != fmt.Sprint([]packet.Reason{packet.Success, packet.NoSubscriptionExisted}) { // v5 [MQTT-3.11.3-1]
		t.Errorf("UNSUBACK %d %v", a.ID, a.Reasons)
	}
	ask(1) // new
	sub.expectMessage("r", "1")
	pub.send(retainedMessage("r", "2", 0, 0))
	if p := sub.expectMessage("r", "2"); !p.Retain {
		t.Error("RETAIN was dropped in spite of retain as published")
	}
	sub.subscribe(0, "$share/g/r") // no retained messages for shared ones
	sub.nothing()
}

// TestRetainedOverBeforeSent: a value that was collected for a new subscriber and replaced before it was sent is not sent.
func TestRetainedOverBeforeSent(t *testing.T) {
	b := New(Config{}, newJournal(), stampNow, quietLog())
	publish := func(payload string) {
		r := b.newReading()
		m := r.message()
		m.Publish = *retainedMessage("r", payload, 0, 0)
		r.publish(m, source{}, KindQoS0, "")
		r.touched = r.touched[:0] // there is no socket
		r.finish()
	}
	publish("old")
	s := b.newSession("sub", "")
	s.out.conn, s.out.version = &connection{}, packet.V311
	sub := s.subscribe(mustFilter(t, "r"), 0, false)
	b.replayRetained(s, sub, false, nil)
	publish("new")
	s.out.fill(b)
	want, _ := message1("r", "new", 0, 0).Append(nil, packet.V311)
	if string(s.out.pending) != string(want) {
		t.Errorf("sent %q, want %q", s.out.pending, want)
	}
}

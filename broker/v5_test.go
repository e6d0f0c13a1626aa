package broker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/broker/packet"
)

// v5 [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.8.4-3] [MQTT-3.8.4-8], 3.1.1 [MQTT-3.3.5-1] [MQTT-3.8.4-3] [MQTT-3.8.4-6]
func TestOverlappingSubscriptions(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(v, "pub")
		sub, _ := h.login(v, "sub")
		for i, f := range []packet.Subscription{{Filter: []byte("a/#"), QoS: 0}, {Filter: []byte("a/+"), QoS: 2}, {Filter: []byte("a/b"), QoS: 1}} {
			p := packet.Subscribe{ID: 1, Filters: []packet.Subscription{f}}
			p.Props.SubscriptionIDs = []uint32{uint32(i + 10)}
			sub.subscribeWith(&p)
		}
		pub.publish("a/b", "x", 1, 1)
		p := sub.expectMessage("a/b", "x")
		ids := slices.Clone(p.Props.SubscriptionIDs)
		slices.Sort(ids)
		if p.QoS != 1 || v == packet.V5 && fmt.Sprint(ids) != "[10 11 12]" {
			t.Errorf("QoS %d ids %v, want QoS 1 and all three", p.QoS, ids)
		}
		sub.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
		sub.nothing()                  // one copy
		sub.subscribe(0, "a/b", "a/+") // replaced: the highest QoS is 0 now
		pub.publish("a/b", "y", 1, 2)
		if p := sub.expectMessage("a/b", "y"); p.QoS != 0 || v == packet.V5 && fmt.Sprint(p.Props.SubscriptionIDs) != "[10]" {
			t.Errorf("QoS %d ids %v, want QoS 0 and id 10", p.QoS, p.Props.SubscriptionIDs)
		}
		sub.nothing()
		sub.send(&packet.Unsubscribe{ID: 7, Filters: [][]byte{[]byte("a/b"), []byte("a/+"), []byte("a/#")}})
		if a := sub.expect(packet.TypeUnsuback).(*packet.Unsuback); a.ID != 7 {
			t.Errorf("UNSUBACK %d", a.ID)
		}
		pub.publish("a/b", "z", 0, 0)
		pub.expectAck(packet.TypePuback, 1)
		pub.expectAck(packet.TypePuback, 2)
		pub.nothing()
		sub.nothing()
	})
}

// v5 [MQTT-3.8.3-3] [MQTT-3.8.3-4]
func TestNoLocal(t *testing.T) {
	h := build(t, Config{})
	c, _ := h.login(packet.V5, "c")
	other, _ := h.login(packet.V5, "other")
	c.subscribeWith(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("x"), NoLocal: true}}})
	c.send(message1("x", "own", 0, 0), retainedMessage("x", "own and kept", 0, 0))
	c.nothing()
	other.publish("x", "other", 0, 0)
	c.expectMessage("x", "other")
	c.subscribeWith(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("x"), NoLocal: true}}})
	c.expectMessage("x", "own and kept") // see doc.go
	c.write(append([]byte{0x82, 16, 0, 1, 0, 0, 10}, "$share/g/x\x04"...))
	c.expectEnd(packet.ProtocolError)
}

// v5 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
func TestPropertiesPassUnaltered(t *testing.T) {
	h := build(t, Config{})
	pub, _ := h.login(packet.V5, "pub")
	sub, _ := h.login(packet.V5, "sub")
	old, _ := h.login(packet.V311, "old")
	sub.subscribe(2, "x")
	old.subscribe(2, "x")
	m := message1("x", "payload", 1, 1)
	m.Props.SetPayloadFormat(1)
	m.Props.SetContentType([]byte("text/plain"))
	m.Props.SetResponseTopic([]byte("answers/here"))
	m.Props.SetCorrelationData([]byte{0, 1, 255})
	m.Props.User = []packet.UserProperty{{Key: []byte("b"), Value: []byte("1")}, {Key: []byte("a"), Value: []byte("2")}, {Key: []byte("b"), Value: []byte("3")}}
	for range 2 { // the second time is from inflight, after a reconnect
		pub.send(m)
		p := sub.expectMessage("x", "payload")
		if p.Props.PayloadFormat != 1 || string(p.Props.ContentType) != "text/plain" || string(p.Props.ResponseTopic) != "answers/here" ||
			string(p.Props.CorrelationData) != "\x00\x01\xff" || fmt.Sprintf("%s", p.Props.User) != "[{b 1} {a 2} {b 3}]" {
			t.Errorf("properties %+v", p.Props)
		}
		old.expectMessage("x", "payload")
	}
}

// v5 [MQTT-3.3.2-7] [MQTT-3.3.2-8] [MQTT-3.3.2-12]
func TestTopicAliases(t *testing.T) {
	h := build(t, Config{TopicAliases: 2})
	h.route("up/#")
	pub, ack := h.login(packet.V5, "pub")
	if ack.Props.TopicAliasMaximum != 2 {
		t.Errorf("topic alias maximum %d, want 2", ack.Props.TopicAliasMaximum)
	}
	sub, _ := h.login(packet.V5, "sub")
	sub.subscribe(0, "up/#")
	aliased := func(name, payload string, alias uint16) *packet.Publish {
		m := message1(name, payload, 0, 0)
		m.Props.SetTopicAlias(alias)
		return m
	}
	pub.send(aliased("up/a", "1", 1), aliased("up/b", "2", 2), aliased("", "3", 1), aliased("up/c", "4", 1), aliased("", "5", 1), aliased("", "6", 2))
	names := []string{"up/a", "up/b", "up/a", "up/c", "up/c", "up/b"}
	for i, name := range names {
		if p := sub.expectMessage(name, fmt.Sprint(i+1)); p.Props.Has(packet.PropTopicAlias) {
			t.Error("the alias was passed on")
		}
	}
	for i, r := range h.journal.wait(t, 6) {
		if string(r.message.Topic) != names[i] {
			t.Errorf("record %d: topic %q, want %q", i, r.message.Topic, names[i])
		}
	}
	pub.send(aliased("up/a", "", 3))
	pub.expectEnd(packet.TopicAliasInvalid)
	pub, _ = h.login(packet.V5, "pub")
	pub.send(aliased("", "", 1)) // not set on this connection
	pub.expectEnd(packet.ProtocolError)
}

// TestAnswersWithinMaximumPacketSize: v5 [MQTT-3.1.2-24]
func TestAnswersWithinMaximumPacketSize(t *testing.T) {
	most := func(n uint32) func(*packet.Connect) {
		return func(p *packet.Connect) { p.Props.SetMaximumPacketSize(n) }
	}
	h := build(t, Config{})
	watch, _ := h.login(packet.V5, "watch")
	watch.subscribe(0, "will")
	c := h.dial(packet.V5)
	p := packet.Connect{CleanStart: true, ClientID: []byte("c")}
	most(10)(&p)
	lastWill("will", "refused", 0)(&p)
	c.send(&p)
	if a := c.expect(packet.TypeConnack).(*packet.Connack); a.Reason != packet.PacketTooLarge { // the one with success has more bytes
		t.Errorf("CONNACK %s, want %s", a.Reason, packet.PacketTooLarge)
	}
	c.expectEnd(packet.Success)
	h.until(func() bool { return h.b.Stats().Sessions == 1 })
	watch.nothing()

	c, _ = h.login(packet.V5, "c", most(20))
	c.subscribe(0, strings.Split("abcdefghijklmno", "")...) // a SUBACK of 20 bytes
	sub := packet.Subscribe{ID: 2}
	for _, f := range strings.Split("abcdefghijklmnop", "") {
		sub.Filters = append(sub.Filters, packet.Subscription{Filter: []byte(f)})
	}
	c.send(&sub)
	c.expectEnd(packet.PacketTooLarge)
}

// v5 [MQTT-3.1.2-24] [MQTT-3.1.2-25]
func TestMaximumPacketSizeOfClient(t *testing.T) {
	h := build(t, Config{})
	pub, _ := h.login(packet.V5, "pub")
	sub, _ := h.login(packet.V5, "sub", keepSession, func(p *packet.Connect) { p.Props.SetMaximumPacketSize(100) })
	sub.subscribe(1, "x")
	for q := range byte(2) {
		pub.publish("x", strings.Repeat("x", 200), q, 1)
		pub.publish("x", "small", q, 2)
		p := sub.expectMessage("x", "small")
		if q > 0 {
			sub.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
		}
	}
	sub.leave()
	pub.publish("x", strings.Repeat("x", 200), 1, 3)
	pub.publish("x", "queued", 1, 4)
	pub.nothingBut(packet.TypePuback, 4)
	sub, _ = h.login(packet.V5, "sub", keepSession, func(p *packet.Connect) { p.Props.SetMaximumPacketSize(100) })
	sub.expectMessage("x", "queued")
	h.until(func() bool { return h.b.Stats().TooLarge == 3 })
}

// nothingBut reads so many packets of a type.
func (c *client) nothingBut(want packet.Type, n int) {
	c.t.Helper()
	for range n {
		c.expect(want)
	}
}

// v5 [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3] [MQTT-3.3.4-10]
func TestReceiveMaximumOfClient(t *testing.T) {
	h := build(t, Config{})
	pub, _ := h.login(packet.V5, "pub")
	sub, _ := h.login(packet.V5, "sub", func(p *packet.Connect) { p.Props.SetReceiveMaximum(2) })
	sub.subscribe(1, "x")
	for i := range 5 {
		pub.publish("x", fmt.Sprint(i), 1, uint16(i+1))
	}
	pub.publish("x", "free", 0, 0)
	var ids []uint16
	for i := range 2 {
		ids = append(ids, sub.expectMessage("x", fmt.Sprint(i)).ID)
	}
	sub.expectMessage("x", "free") // QoS 0 is not held up
	sub.nothing()
	for i := 2; i < 5; i++ {
		sub.send(&packet.Ack{Type: packet.TypePuback, ID: ids[0]})
		ids = append(ids[1:], sub.expectMessage("x", fmt.Sprint(i)).ID)
		sub.nothing()
	}
}

// v5 [MQTT-3.3.4-7]
func TestReceiveMaximumOfServer(t *testing.T) {
	h := build(t, Config{ReceiveMaximum: 3})
	h.route("up/#")
	pub, ack := h.login(packet.V5, "pub")
	if ack.Props.ReceiveMaximum != 3 {
		t.Errorf("receive maximum %d, want 3", ack.Props.ReceiveMaximum)
	}
	for i := range 3 {
		pub.publish("up/x", "", 1+byte(i%2), uint16(i+1))
	}
	h.journal.wait(t, 3)
	h.journal.settle(1)
	pub.expectAck(packet.TypePuback, 1)
	pub.publish("up/x", "", 1, 4) // the place is free again
	h.journal.wait(t, 4)
	pub.nothing()
	pub.publish("up/x", "", 1, 5)
	pub.expectEnd(packet.ReceiveMaximumExceeded)
}

// v5 [MQTT-4.8.2-1] [MQTT-4.8.2-2] [MQTT-4.8.2-3]
func TestSharedSubscription(t *testing.T) {
	h := build(t, Config{})
	pub, _ := h.login(packet.V5, "pub")
	var members []*client
	for i := range 3 {
		m, _ := h.login(packet.V5, fmt.Sprint("m", i), keepSession)
		m.subscribe(1, "$share/g/x/#")
		members = append(members, m)
	}
	all, _ := h.login(packet.V5, "all")
	all.subscribe(1, "x/#", "$share/other/x/#")
	const n = 30
	for i := range n {
		pub.publish("x/1", fmt.Sprint(i), 0, 0)
	}
	pub.nothing()
	for i, m := range members {
		for k := range n / 3 {
			p := m.expect(packet.TypePublish).(*packet.Publish)
			if want := fmt.Sprint(k*3 + i); string(p.Payload) != want {
				t.Fatalf("member %d got %s, want %s", i, p.Payload, want)
			}
		}
		m.nothing()
	}
	all.nothingBut(packet.TypePublish, 2*n) // one for each of its two subscriptions
	all.nothing()
	h.vanish(members[0]) // the others go on
	pub.publish("x/1", "a", 1, 1)
	pub.publish("x/1", "b", 1, 2)
	pub.nothingBut(packet.TypePuback, 2)
	for _, m := range members[1:] {
		m.expect(packet.TypePublish)
	}
	h.vanish(members[1])
	h.vanish(members[2])
	pub.publish("x/1", "kept", 1, 3) // nobody is there, one keeps it
	pub.expectAck(packet.TypePuback, 3)
	found := 0
	for i := range 3 {
		m, _ := h.login(packet.V5, fmt.Sprint("m", i), resume, keepSession)
		for {
			m.send(&packet.Pingreq{})
			p, kind, err := m.next()
			if err != nil {
				t.Fatal(err)
			}
			if kind == packet.TypePingresp {
				break
			}
			if string(p.(*packet.Publish).Payload) == "kept" {
				found++
			}
		}
	}
	if found != 1 {
		t.Errorf("the message kept came %d times, want once", found)
	}
}

func TestSubscribeAnswers(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		c, _ := h.login(v, "c")
		failed := packet.TopicFilterInvalid
		if v == packet.V311 {
			failed = packet.UnspecifiedError
		}
		got := c.subscribe(2, "a", "/Home/#/Temperature", "$share//x", "b/+/c", "$SYS/#")
		want := []packet.Reason{packet.GrantedQoS2, failed, failed, packet.GrantedQoS2, packet.GrantedQoS2} // v5 [MQTT-3.8.4-6]
		if !slices.Equal(got, want) {
			t.Errorf("SUBACK %v, want %v", got, want)
		}
	})
	h := build(t, Config{InnerWildcard: true})
	c, _ := h.login(packet.V311, "c")
	c.subscribe(0, "/Home/#/Temperature")
	for _, name := range []string{"/Home/Floor1/Room1/Temperature", "/Home/Temperature", "/Home/Floor1/Room1/Pressure"} {
		c.publish(name, "75", 0, 0)
	}
	c.expectMessage("/Home/Floor1/Room1/Temperature", "75")
	c.expectMessage("/Home/Temperature", "75")
	c.nothing()
}

// $-topics: [MQTT-4.7.2-1], and clients may not publish to them.
func TestDollarTopics(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{SysInterval: -1})
		h.route("#")
		h.journal.auto = true
		c, _ := h.login(v, "c")
		c.subscribe(1, "#", "+/x", "$SYS/#")
		c.publish("$SYS/x", "", 0, 0)
		c.publish("$SYS/x", "", 1, 1)
		a := c.expectAck(packet.TypePuback, 1)
		c.publish("$SYS/x", "", 2, 2)
		r := *c.expectAck(packet.TypePubrec, 2)
		want := packet.TopicNameInvalid
		if v == packet.V311 { // 3.1.1 [MQTT-3.3.5-2]
			want = packet.Success
			c.send(&packet.Ack{Type: packet.TypePubrel, ID: 2})
			c.expectAck(packet.TypePubcomp, 2)
		}
		if a.Reason != want || r.Reason != want {
			t.Errorf("PUBACK %s, PUBREC %s, want %s", a.Reason, r.Reason, want)
		}
		c.publish("y", "", 2, 2) // the id is free
		c.expectMessage("y", "")
		c.expectAck(packet.TypePubrec, 2)
		h.until(func() bool { return h.b.Stats().Rejected == 3 })
		if n := len(h.journal.wait(t, 0)); n != 1 {
			t.Errorf("%d records, want 1", n)
		}
	})
}

func TestNoMatchingSubscribers(t *testing.T) {
	h := build(t, Config{})
	c, _ := h.login(packet.V5, "c")
	c.publish("x", "", 1, 1)
	if a := c.expectAck(packet.TypePuback, 1); a.Reason != packet.NoMatchingSubscribers {
		t.Errorf("PUBACK %s", a.Reason)
	}
}

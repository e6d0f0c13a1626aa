package broker

import (
	"fmt"
	"testing"

	"weir/broker/packet"
)

// TestQoS2InExactlyOnce cuts the publisher's connection after each packet of the handshake and repeats what a client must.
// v5 [MQTT-4.3.3-8] [MQTT-4.3.3-10] [MQTT-4.3.3-11] [MQTT-4.3.3-12], 3.1.1 [MQTT-4.3.3-2]
func TestQoS2InExactlyOnce(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		sub, _ := h.login(v, "sub")
		sub.subscribe(0, "x")
		for cut := range 4 {
			name := fmt.Sprint("pub", cut)
			payload := fmt.Sprint("message ", cut)
			pub, _ := h.login(v, name, keepSession)
			m := message1("x", payload, 2, 7)
			pub.send(m)
			if cut == 0 { // PUBREC lost
				sub.expectMessage("x", payload)
				h.vanish(pub)
				pub, _ = h.login(v, name, resume, keepSession)
				m.Dup = true
				pub.send(m)
			}
			pub.expectAck(packet.TypePubrec, 7)
			if cut == 1 { // PUBREC read, then lost: the client sends PUBREL
				h.vanish(pub)
				pub, _ = h.login(v, name, resume, keepSession)
			}
			pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 7})
			if cut == 2 { // PUBCOMP lost
				h.until(func() bool { return true })
				h.vanish(pub)
				pub, _ = h.login(v, name, resume, keepSession)
				pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 7})
			}
			pub.expectAck(packet.TypePubcomp, 7)
			if cut != 0 {
				sub.expectMessage("x", payload)
			}
			sub.nothing()
			m.Dup, m.Payload = false, []byte("next "+payload) // the id means a new message now
			pub.send(m)
			pub.expectAck(packet.TypePubrec, 7)
			sub.expectMessage("x", "next "+payload)
			pub.leave()
		}
	})
}

// TestQoS2OutExactlyOnce cuts the subscriber's connection after each packet. v5 [MQTT-3.3.1-1] [MQTT-4.3.3-4]
// [MQTT-4.3.3-6] [MQTT-4.4.0-1], 3.1.1 [MQTT-4.3.3-1] [MQTT-4.4.0-1]
func TestQoS2OutExactlyOnce(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(v, "pub")
		sub, _ := h.login(v, "sub", keepSession)
		sub.subscribe(2, "x")
		again := func() {
			h.vanish(sub)
			var ack packet.Connack
			if sub, ack = h.login(v, "sub", resume, keepSession); !ack.SessionPresent {
				t.Fatal("no session")
			}
		}
		pub.publish("x", "one", 0, 0)
		pub.publish("x", "two", 2, 1)
		sub.expectMessage("x", "one")
		first := *sub.expectMessage("x", "two")
		if first.Dup || first.QoS != 2 {
			t.Fatalf("dup %t QoS %d, want a new QoS 2", first.Dup, first.QoS)
		}
		again() // before PUBREC
		p := sub.expectMessage("x", "two")
		if !p.Dup || p.ID != first.ID {
			t.Fatalf("dup %t id %d, want a repeat of id %d", p.Dup, p.ID, first.ID)
		}
		sub.send(&packet.Ack{Type: packet.TypePubrec, ID: first.ID})
		sub.expectAck(packet.TypePubrel, first.ID)
		again() // before PUBCOMP
		sub.expectAck(packet.TypePubrel, first.ID)
		sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: first.ID})
		sub.nothing()
		again()
		sub.nothing()
	})
}

// TestResendOrder: v5 [MQTT-4.6.0-1], 3.1.1 [MQTT-4.6.0-1]; and nothing new goes between.
func TestResendOrder(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{Inflight: 5})
		pub, _ := h.login(v, "pub")
		sub, _ := h.login(v, "sub", keepSession)
		sub.subscribe(2, "x")
		for i := range 12 {
			pub.publish("x", fmt.Sprint(i), 1+byte(i%2), uint16(i+1))
		}
		for i := range 5 { // the window
			sub.expectMessage("x", fmt.Sprint(i))
		}
		sub.nothing()
		h.vanish(sub)
		pub.publish("x", "12", 1, 50)
		sub, _ = h.login(v, "sub", resume, keepSession)
		for i := 0; i < 13; {
			got, kind, err := sub.next()
			if err != nil {
				t.Fatal(err)
			}
			if kind == packet.TypePubrel {
				sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: got.(*packet.Ack).ID})
				continue
			}
			p := got.(*packet.Publish)
			if string(p.Payload) != fmt.Sprint(i) || p.Dup != (i < 5) {
				t.Fatalf("message %q dup %t, want message %d", p.Payload, p.Dup, i)
			}
			answer := []packet.Type{1: packet.TypePuback, 2: packet.TypePubrec}[p.QoS]
			sub.send(&packet.Ack{Type: answer, ID: p.ID})
			i++
		}
	})
}

// TestOrderPerTopicAndPublisher: v5 [MQTT-4.6.0-5] [MQTT-4.6.0-6], 3.1.1 [MQTT-4.6.0-5] [MQTT-4.6.0-6]
func TestOrderPerTopicAndPublisher(t *testing.T) {
	h := build(t, Config{QueueMessages: 100000, QueueBytes: 100 << 20})
	const publishers, messages = 4, 2000
	sub, _ := h.login(packet.V5, "sub")
	sub.subscribe(1, "t/#")
	done := make(chan struct{})
	for p := range publishers {
		pub, _ := h.login(packet.V311, fmt.Sprint("pub", p))
		go func() {
			defer func() { done <- struct{}{} }()
			for i := 0; i < messages; i += 50 {
				var all []appender
				for k := range 50 {
					all = append(all, message1(fmt.Sprintf("t/%d", p), fmt.Sprint(i+k), 1, uint16(i+k+1)))
				}
				pub.send(all...)
				for k := range 50 {
					pub.expectAck(packet.TypePuback, uint16(i+k+1))
				}
			}
		}()
	}
	next := map[string]int{}
	for range publishers * messages {
		p := sub.expect(packet.TypePublish).(*packet.Publish)
		name := string(p.Topic)
		if want := fmt.Sprint(next[name]); string(p.Payload) != want {
			t.Fatalf("%s: got %s, want %s", name, p.Payload, want)
		}
		next[name]++
		sub.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
	}
	for range publishers {
		<-done
	}
}

func TestWrongAcknowledgements(t *testing.T) {
	h := build(t, Config{})
	pub, _ := h.login(packet.V5, "pub")
	sub, _ := h.login(packet.V5, "sub")
	sub.subscribe(1, "x")
	sub.send(&packet.Ack{Type: packet.TypePubrec, ID: 99}) // unknown: PUBREL says so
	if a := sub.expectAck(packet.TypePubrel, 99); a.Reason != packet.PacketIdentifierNotFound {
		t.Errorf("PUBREL %s", a.Reason)
	}
	sub.send(&packet.Ack{Type: packet.TypePubrel, ID: 98})
	if a := sub.expectAck(packet.TypePubcomp, 98); a.Reason != packet.PacketIdentifierNotFound {
		t.Errorf("PUBCOMP %s", a.Reason)
	}
	pub.publish("x", "1", 1, 1)
	p := sub.expectMessage("x", "1")
	sub.send(&packet.Ack{Type: packet.TypePubrec, ID: p.ID}) // PUBREC for QoS 1
	sub.expectEnd(packet.ProtocolError)
}

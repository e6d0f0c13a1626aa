package broker

import (
	"fmt"
	"testing"

	"weir/broker/message"
	"weir/broker/packet"
)

// TestQoS2OutStepByStep: PUBLISH leaves when its pair is kept, PUBREL when PUBREC is, and after a kill at each point the
// handshake goes on under the same id, without a second delivery. v5 [MQTT-4.4.0-1] [MQTT-4.3.3-6], 3.1.1 [MQTT-4.4.0-1]
func TestQoS2OutStepByStep(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		l := buildLasting(t, Config{})
		sub, _ := l.stay(v, "sub")
		sub.subscribe(2, "x")
		pub, _ := l.login(v, "pub")
		pub.publish("x", "before", 2, 1)
		first := sub.expectMessage("x", "before") // takes id 1 and keeps it
		id := first.ID
		pub.expectAck(packet.TypePubrec, 1)
		l.manual()
		pub.publish("x", "1", 2, 2)
		pub.nothing() // the record is not kept
		sub.nothing() // nor is the pair
		l.v.Commit()
		pub.expectAck(packet.TypePubrec, 2)
		l.quick() // the barrier of the pair may have come after that commit
		second := sub.expectMessage("x", "1").ID
		l.manual()
		if second == id {
			t.Fatal("one id for two messages")
		}
		sub.send(&packet.Ack{Type: packet.TypePubrec, ID: id})
		sub.nothing() // that PUBREC came is not kept
		sub.nc.Close()

		l.again(Config{}) // so the first one comes again, under its id, as does the second
		l.quick()
		sub, _ = l.stay(v, "sub")
		for i, want := range []string{"before", "1"} {
			p := sub.expectMessage("x", want)
			if !p.Dup || p.ID != []uint16{id, second}[i] {
				t.Errorf("%s: DUP %v, id %d, want true, %d", want, p.Dup, p.ID, []uint16{id, second}[i])
			}
		}
		sub.send(&packet.Ack{Type: packet.TypePubrec, ID: id})
		sub.expectAck(packet.TypePubrel, id)
		sub.nc.Close()

		l.again(Config{}) // released: only PUBREL comes
		sub, _ = l.stay(v, "sub")
		sub.expectAck(packet.TypePubrel, id)
		sub.expectMessage("x", "1")
		sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: id}, &packet.Ack{Type: packet.TypePubrec, ID: second})
		sub.expectAck(packet.TypePubrel, second)
		sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: second})
		l.deliver("x", "2", 2)
		sub.finish(sub.expectMessage("x", "2"))
		sub.nothing()
		sub.leave()

		l.again(Config{})
		sub, _ = l.stay(v, "sub")
		sub.nothing()
	})
}

// TestQoS2InIsTakenOnce: a PUBLISH that comes again after a kill is answered and not delivered again until PUBREL is kept.
// v5 [MQTT-4.3.3-10] [MQTT-4.3.3-12], 3.1.1 [MQTT-4.3.3-2]
func TestQoS2InIsTakenOnce(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		l := buildLasting(t, Config{})
		sub, _ := l.stay(v, "sub")
		sub.subscribe(1, "x")
		sub.leave()
		pub, _ := l.stay(v, "pub")
		l.manual()
		pub.publish("x", "1", 2, 7)
		pub.publish("nobody", "2", 2, 8)
		pub.nothing() // neither the message nor the id is kept
		l.v.Commit()
		pub.expectAck(packet.TypePubrec, 7)
		pub.expectAck(packet.TypePubrec, 8)
		pub.nc.Close()

		l.again(Config{})
		pub, _ = l.stay(v, "pub")
		for _, id := range []uint16{7, 8} {
			again := message1("x", "1", 2, id)
			again.Dup = true
			pub.send(again)
			pub.expectAck(packet.TypePubrec, id)
		}
		pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 7})
		pub.nothing() // that the id is free is not kept
		pub.nc.Close()

		l.again(Config{}) // so it is held still
		l.quick()
		pub, _ = l.stay(v, "pub")
		pub.publish("x", "1", 2, 7)
		pub.expectAck(packet.TypePubrec, 7)
		pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 7}, &packet.Ack{Type: packet.TypePubrel, ID: 8})
		pub.expectAck(packet.TypePubcomp, 7)
		pub.expectAck(packet.TypePubcomp, 8)
		pub.nc.Close()

		l.again(Config{}) // now it means a new message
		pub, _ = l.stay(v, "pub")
		pub.publish("x", "3", 2, 7)
		pub.expectAck(packet.TypePubrec, 7)
		sub, _ = l.stay(v, "sub")
		for _, want := range []string{"1", "3"} {
			sub.finish(sub.expectMessage("x", want))
		}
		sub.nothing()
	})
}

// TestPubrelRepeatedAfterConnectionLoss: the PUBCOMP for an id that is not known any more waits too, since that it was
// removed may not be kept.
func TestPubrelRepeatedAfterConnectionLoss(t *testing.T) {
	l := buildLasting(t, Config{})
	pub, _ := l.stay(packet.V5, "pub")
	pub.publish("x", "1", 2, 7)
	pub.expectAck(packet.TypePubrec, 7)
	l.manual()
	pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 7})
	pub.nothing()
	l.vanish(pub)
	pub, _ = l.stay(packet.V5, "pub")
	pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 7})
	pub.nothing()
	l.v.Commit()
	if a := pub.expectAck(packet.TypePubcomp, 7); a.Reason != packet.PacketIdentifierNotFound {
		t.Errorf("PUBCOMP %s", a.Reason)
	}
	pub.nothing()
}

// TestInFlightComesAgain: within a process ids survive the connection, what was acknowledged does not come again, order
// holds, and the window is kept. v5 [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-3.3.1-1], 3.1.1 [MQTT-4.4.0-1] [MQTT-4.6.0-1]
func TestInFlightComesAgain(t *testing.T) {
	for _, slow := range []bool{false, true} {
		t.Run(fmt.Sprint("disk=", slow), func(t *testing.T) {
			l := buildLasting(t, Config{})
			l.v.slow = slow
			sub, _ := l.stay(packet.V5, "sub")
			sub.subscribe(2, "x")
			const n = 300 // more than a window, and than a batch
			for i := range n {
				q := byte(1 + i%3/2)
				publishFrom(l.b, q, "x", fmt.Sprint(i))
			}
			ids := map[string]uint16{}
			for i := range 256 {
				p := sub.expectMessage("x", fmt.Sprint(i))
				ids[fmt.Sprint(i)] = p.ID
			}
			sub.nothing() // the window is full
			finished := map[int]bool{0: true, 100: true, 255: true}
			for i := range finished {
				sub.send(&packet.Ack{Type: packet.TypePuback, ID: ids[fmt.Sprint(i)]})
			}
			for i := range 3 {
				sub.expectMessage("x", fmt.Sprint(256+i))
			}
			l.vanish(sub)
			sub, _ = l.stay(packet.V5, "sub")
			var got []packet.Publish
			for i := range 259 {
				if finished[i] {
					continue
				}
				p := sub.expectMessage("x", fmt.Sprint(i))
				if id := ids[fmt.Sprint(i)]; !p.Dup || id != 0 && id != p.ID {
					t.Fatalf("message %d: DUP %v, id %d, want true, %d", i, p.Dup, p.ID, id)
				}
				got = append(got, packet.Publish{QoS: p.QoS, ID: p.ID})
			}
			for i := 259; i < n; {
				for _, p := range got[:1] {
					sub.finishOver(t, &p, func(p *packet.Publish) {
						if string(p.Payload) != fmt.Sprint(i) || p.Dup {
							t.Fatalf("got %s, DUP %v, want %d", p.Payload, p.Dup, i)
						}
						i++
						got = append(got, packet.Publish{QoS: p.QoS, ID: p.ID})
					})
				}
				got = got[1:]
			}
		})
	}
}

// finishOver acknowledges a message to its end, while others come.
func (c *client) finishOver(t *testing.T, p *packet.Publish, other func(p *packet.Publish)) {
	t.Helper()
	if p.QoS == 1 {
		c.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
	} else {
		c.send(&packet.Ack{Type: packet.TypePubrec, ID: p.ID})
	}
	c.send(&packet.Pingreq{})
	for released := p.QoS == 1; ; {
		got, what, err := c.next()
		switch {
		case err != nil:
			t.Fatal(err)
		case what == packet.TypePublish:
			other(got.(*packet.Publish))
		case what == packet.TypePubrel:
			released = true
			c.send(&packet.Ack{Type: packet.TypePubcomp, ID: p.ID}, &packet.Pingreq{})
		case what == packet.TypePingresp && released:
			return
		}
	}
}

// publishFrom publishes within the process.
func publishFrom(b *Broker, q byte, name, payload string) {
	p := b.NewPublisher("", nil)
	if err := p.Publish(messages(q, name, payload)); err != nil {
		panic(err)
	}
}

func messages(q byte, name, payload string) []message.Message {
	return []message.Message{{Stamp: stampNow(), Publish: *message1(name, payload, q, 0)}}
}

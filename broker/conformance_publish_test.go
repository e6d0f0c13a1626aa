package broker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/broker/packet"
	"weir/broker/topic"
)

// TestAnswersCarryTheID: each PUBLISH is answered as its QoS demands, by its own id, and the id is free afterwards whatever DUP
// says. [MQTT-3.3.4-1], v5 [MQTT-2.2.1-5] [MQTT-4.3.2-4] [MQTT-4.3.2-5] [MQTT-4.3.3-8] [MQTT-4.3.3-11] [MQTT-4.3.3-12],
// 3.1.1 [MQTT-2.3.1-6] [MQTT-4.3.2-2] [MQTT-4.3.3-2]
func TestAnswersCarryTheID(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		sub, _ := h.login(v, "sub")
		sub.subscribe(0, "x")
		c, _ := h.login(v, "c", keepSession)
		c.publish("x", "0", 0, 0)
		sub.expectMessage("x", "0")
		c.nothing()
		for _, id := range []uint16{1, 65535, 256, 255} {
			for round := range 2 {
				m := message1("x", fmt.Sprint(id, round), 1, id)
				m.Dup = round == 1 // a new message all the same
				c.send(m)
				c.expectAck(packet.TypePuback, id)
				sub.expectMessage("x", string(m.Payload))
			}
			for round := range 2 {
				m := message1("x", fmt.Sprint(id, round), 2, id)
				m.Dup = round == 1
				c.send(m)
				c.expectAck(packet.TypePubrec, id)
				sub.expectMessage("x", string(m.Payload))
				for range 2 { // a repeat, whatever DUP says
					m.Dup = !m.Dup
					c.send(m)
					c.expectAck(packet.TypePubrec, id)
				}
				c.send(&packet.Ack{Type: packet.TypePubrel, ID: id})
				c.expectAck(packet.TypePubcomp, id)
				sub.nothing()
			}
		}
	})
}

// TestAckOnlyWhenOwned: PUBACK and PUBREC come when the message is kept, not before. v5 [MQTT-4.3.2-4] [MQTT-4.3.3-8]
func TestAckOnlyWhenOwned(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		h.route("x")
		c, _ := h.login(v, "c")
		c.publish("x", "1", 1, 1)
		c.publish("x", "2", 2, 2)
		h.journal.wait(t, 2)
		c.nothing()
		h.journal.settle(1)
		c.expectAck(packet.TypePuback, 1)
		c.nothing()
		h.journal.settle(2)
		c.expectAck(packet.TypePubrec, 2)
	})
}

// TestPublishesAsNew: ids that are free and not 0, DUP 0 whatever came in, none at QoS 0; a message stays unacknowledged, and
// its id taken, to the end of its handshake, and no later.
// [MQTT-3.3.1-2] [MQTT-3.3.1-3] [MQTT-4.3.1-1], v5 [MQTT-2.2.1-2] [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.2-3]
// [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-4.3.3-3] [MQTT-4.3.3-5], 3.1.1 [MQTT-2.3.1-4] [MQTT-2.3.1-5] [MQTT-4.3.2-1] [MQTT-4.3.3-1]
func TestPublishesAsNew(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{Inflight: 6})
		pub, _ := h.login(v, "pub")
		sub, _ := h.login(v, "sub", keepSession)
		sub.subscribe(2, "x")
		used := map[uint16]byte{} // QoS by id
		for i := range 6 {
			m := message1("x", fmt.Sprint(i), 1+byte(i%2), uint16(i+1))
			m.Dup = i < 4
			pub.send(m)
			p := sub.expectMessage("x", fmt.Sprint(i))
			if p.Dup || p.ID == 0 || used[p.ID] != 0 || p.QoS != m.QoS {
				t.Fatalf("message %d: DUP %t, id %d, QoS %d; ids in use %v", i, p.Dup, p.ID, p.QoS, used)
			}
			used[p.ID] = p.QoS
		}
		pub.publish("x", "zero", 0, 0)
		b := raw(t, "30 0001 78 7A65726F") // no DUP, no id
		if v == packet.V5 {
			b = raw(t, "30 0001 78 00 7A65726F")
		}
		sub.raw(b)
		pub.publish("x", "waits", 1, 9) // for the end of one of them
		for id, q := range used {
			if q == 2 {
				sub.send(&packet.Ack{Type: packet.TypePubrec, ID: id})
				sub.expectAck(packet.TypePubrel, id)
				sub.nothing() // not at its end yet
				sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: id})
			} else {
				sub.send(&packet.Ack{Type: packet.TypePuback, ID: id})
			}
			delete(used, id)
			break
		}
		p := sub.expectMessage("x", "waits")
		if used[p.ID] != 0 || p.ID == 0 {
			t.Errorf("id %d, in use are %v", p.ID, used)
		}
		used[p.ID] = 1
		h.vanish(sub)
		sub, _ = h.login(v, "sub", resume, keepSession)
		var again []packet.Publish
		for range len(used) { // unacknowledged still
			p := sub.expect(packet.TypePublish).(*packet.Publish)
			if !p.Dup || used[p.ID] != p.QoS {
				t.Errorf("%q: DUP %t, id %d; want a repeat of one of %v", p.Payload, p.Dup, p.ID, used)
			}
			again = append(again, packet.Publish{ID: p.ID, QoS: p.QoS})
			delete(used, p.ID)
		}
		for i := range again {
			sub.finish(&again[i])
		}
		h.vanish(sub)
		sub, _ = h.login(v, "sub", resume, keepSession)
		sub.nothing()
	})
}

// raw wants these bytes next.
func (c *client) raw(want []byte) {
	c.t.Helper()
	_, _, err := c.next()
	if got := c.buf[:c.have]; err != nil || string(got) != string(want) {
		c.t.Fatalf("got % x %v, want % x", got, err, want)
	}
}

// TestBytesOfAnswers: the packets without anything in them, byte by byte: no properties, no flags, ids as they were given.
// v5 [MQTT-2.2.2-1] [MQTT-2.2.1-5] [MQTT-2.2.1-6], 3.1.1 [MQTT-2.3.1-6] [MQTT-2.3.1-7]; [MQTT-3.12.4-1]
func TestBytesOfAnswers(t *testing.T) {
	for v, all := range map[packet.Version][][2]string{
		packet.V311: {
			{"82 0A0B 0001 78 01", "90 0A0B 01"},
			{"30 0001 78 68", "30 0001 78 68"},
			{"32 0001 78 0102 68", "32 0001 78 0001 68 40 02 0102"},
			{"40 0001", ""},
			{"A2 0A0C 0001 78 0001 79", "B0 0A0C"},
			{"34 0001 79 0103 68", "50 0103"},
			{"62 0103", "70 0103"},
			{"C0", "D0"},
		},
		packet.V5: {
			{"82 0A0B 00 0001 78 01", "90 0A0B 00 01"},
			{"30 0001 78 00 68", "30 0001 78 00 68"},
			{"40 FFFE 10", ""},
			{"A2 0A0C 00 0001 78 0001 79", "B0 0A0C 00 00 11"},
			{"34 0001 79 0103 00 68", "50 0103 10"},
			{"62 0103", "70 0103"},
			{"62 0103", "70 0103 92"},
			{"C0", "D0"},
		},
	} {
		t.Run(v.String(), func(t *testing.T) {
			h := build(t, Config{})
			c, _ := h.login(v, "c", func(p *packet.Connect) { p.Props.SetRequestProblemInfo(false) })
			for _, exchange := range all {
				c.write(raw(t, exchange[0]))
				if exchange[1] == "" {
					continue
				}
				if first, second, two := strings.Cut(exchange[1], " 40 02 "); two {
					c.raw(raw(t, first))
					c.raw(raw(t, "40"+second))
					continue
				}
				c.raw(raw(t, exchange[1]))
			}
		})
	}
}

// TestReasonsInWordsOnAcks: PUBACK and PUBREC of a PUBLISH that nobody gets say why, unless the client does not want it or takes no packet
// so large; there is nothing else to say, nor any user property. The codes are listed ones.
// v5 [MQTT-3.4.2-1] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-1] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-1] [MQTT-3.6.2-2] [MQTT-3.6.2-3]
// [MQTT-3.7.2-1] [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.1.2-29]
func TestReasonsInWordsOnAcks(t *testing.T) {
	const refuse, deny = "$SYS/x", "secret"
	deep := strings.Repeat("/", 200)
	kept := retainedMessage("kept", "x", 1, 8)
	for _, tt := range []struct {
		name  string
		tweak func(*packet.Connect)
		words bool
	}{
		{"wanted", func(p *packet.Connect) { p.Props.SetRequestProblemInfo(true) }, true},
		{"as by default", func(*packet.Connect) {}, true},
		{"not wanted", func(p *packet.Connect) { p.Props.SetRequestProblemInfo(false) }, false},
		{"too large", func(p *packet.Connect) { p.Props.SetMaximumPacketSize(30) }, false},
	} {
		h := build(t, Config{MaxRetained: 1, Rights: func(Who) Rights { return allBut(deny) }})
		c, _ := h.login(packet.V5, "c", tt.tweak)
		c.send(retainedMessage("other", "x", 0, 0))
		for i, send := range []appender{
			message1(refuse, "", 1, 1), message1(refuse, "", 2, 2), message1("nobody", "", 1, 3),
			&packet.Ack{Type: packet.TypePubrec, ID: 4}, &packet.Ack{Type: packet.TypePubrel, ID: 5},
			message1(deny, "", 1, 6), message1(deep, "", 2, 7), kept,
		} {
			c.send(send)
			want := []struct {
				packet.Ack
				words string
			}{
				{packet.Ack{Type: packet.TypePuback, ID: 1, Reason: packet.TopicNameInvalid}, whyWords[whySystem]},
				{packet.Ack{Type: packet.TypePubrec, ID: 2, Reason: packet.TopicNameInvalid}, whyWords[whySystem]},
				{packet.Ack{Type: packet.TypePuback, ID: 3, Reason: packet.NoMatchingSubscribers}, ""},
				{packet.Ack{Type: packet.TypePubrel, ID: 4, Reason: packet.PacketIdentifierNotFound}, ""},
				{packet.Ack{Type: packet.TypePubcomp, ID: 5, Reason: packet.PacketIdentifierNotFound}, ""},
				{packet.Ack{Type: packet.TypePuback, ID: 6, Reason: packet.NotAuthorized}, whyWords[whyNoRight]},
				{packet.Ack{Type: packet.TypePubrec, ID: 7, Reason: packet.TopicNameInvalid}, whyWords[whyUnfit]},
				{packet.Ack{Type: packet.TypePuback, ID: 8, Reason: packet.QuotaExceeded}, whyWords[whyRetained]},
			}[i]
			if !tt.words {
				want.words = ""
			}
			if a := c.expectAck(want.Type, want.ID); a.Reason != want.Reason || string(a.Props.ReasonString) != want.words || len(a.Props.User) > 0 {
				t.Errorf("%s: %s %d: reason %s, properties %+v, want %s and %q", tt.name, want.Type, want.ID, a.Reason, a.Props, want.Reason, want.words)
			}
		}
	}
}

// allBut are Rights to everything but one topic.
type allBut string

func (a allBut) MayPublish(name []byte) bool      { return string(name) != string(a) }
func (a allBut) MaySubscribe(f topic.Filter) bool { return f.String() != string(a) }
func (a allBut) MayReceive(name []byte) bool      { return string(name) != string(a) }
func (allBut) ReceivesAll(topic.Filter) bool      { return false }

// TestTopicMatchesFilter: a client gets the topic as it was published, and nothing that its filters do not match. [MQTT-3.3.2-3]
func TestTopicMatchesFilter(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		names := []string{"a", "a/", "/a", "a/b", "A/b", "a/b/c", "a/\u00e4", "a/a\u0308", "\uFEFFa"}
		for filter, matched := range map[string][]string{
			"a/+": {"a/", "a/b", "a/\u00e4", "a/a\u0308"}, "a/#": {"a", "a/", "a/b", "a/b/c", "a/\u00e4", "a/a\u0308"}, "+": {"a", "\uFEFFa"},
			"a": {"a"}, "A/#": {"A/b"}, "a/\u00e4": {"a/\u00e4"}, "/+": {"/a"},
		} {
			c, _ := h.login(v, "c")
			c.subscribe(0, filter)
			for _, name := range names {
				c.publish(name, name, 0, 0)
			}
			c.send(&packet.Pingreq{})
			var got []string
			for {
				p, kind, err := c.next()
				if err != nil {
					t.Fatal(err)
				}
				if kind == packet.TypePingresp {
					break
				}
				m := p.(*packet.Publish)
				if got = append(got, string(m.Topic)); string(m.Topic) != string(m.Payload) {
					t.Errorf("topic %q of %q", m.Topic, m.Payload)
				}
			}
			if !slices.Equal(got, matched) {
				t.Errorf("filter %q got %q, want %q", filter, got, matched)
			}
			c.leave()
		}
	})
}

// TestIdentifiersOfCopies: one copy carries the identifiers of all subscriptions that match; of a shared one, which makes a
// copy of its own, each copy carries its own. v5 [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.3.4-5]
func TestIdentifiersOfCopies(t *testing.T) {
	h := build(t, Config{})
	c, _ := h.login(packet.V5, "c")
	for i, f := range []string{"x", "+", "y", "$share/g/x"} {
		p := packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte(f)}}}
		p.Props.SubscriptionIDs = []uint32{uint32(i + 1)}
		c.subscribeWith(&p)
	}
	c.subscribe(0, "#") // has none
	c.publish("x", "m", 0, 0)
	var got []string
	for range 2 {
		p := c.expectMessage("x", "m")
		slices.Sort(p.Props.SubscriptionIDs)
		got = append(got, fmt.Sprint(p.Props.SubscriptionIDs))
	}
	slices.Sort(got)
	if want := []string{"[1 2]", "[4]"}; !slices.Equal(got, want) {
		t.Errorf("identifiers %v, want %v", got, want)
	}
	c.nothing()
}

// TestHandshakeOfExpired: what was sent, or received, is brought to its end although it has expired.
// v5 [MQTT-4.3.3-7] [MQTT-4.3.3-13]
func TestHandshakeOfExpired(t *testing.T) {
	for _, filter := range []string{"x", "$share/g/x"} {
		for _, where := range []string{"memory", "stored"} {
			t.Run(filter[:1]+"/"+where, func(t *testing.T) { handshakeOfExpired(t, filter) })
		}
	}
}

func handshakeOfExpired(t *testing.T, filter string) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		pub, _ := h.login(packet.V5, "pub", keepSession)
		sub, _ := h.login(packet.V5, "sub", keepSession)
		sub.subscribe(2, filter)
		m := message1("x", "short-lived", 2, 1)
		m.Props.SetMessageExpiry(5)
		pub.send(m)
		pub.expectAck(packet.TypePubrec, 1)
		id := sub.expectMessage("x", "short-lived").ID
		after(10e9)
		m.Dup = true
		pub.send(m) // as the publisher must, if PUBREC had been lost
		pub.expectAck(packet.TypePubrec, 1)
		pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 1})
		pub.expectAck(packet.TypePubcomp, 1)
		h.vanish(sub)
		sub, _ = h.login(packet.V5, "sub", resume, keepSession)
		if p := sub.expectMessage("x", "short-lived"); !p.Dup || p.ID != id {
			t.Errorf("DUP %t, id %d, want a repeat of %d", p.Dup, p.ID, id)
		}
		sub.send(&packet.Ack{Type: packet.TypePubrec, ID: id})
		sub.expectAck(packet.TypePubrel, id)
		sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: id})
		sub.nothing()
	})
}

// TestHighestOfOverlapping: one copy, at the highest QoS of the subscriptions that match, whichever has it, and not above that of
// the message. v5 [MQTT-3.3.4-2] [MQTT-3.8.4-8], 3.1.1 [MQTT-3.3.5-1] [MQTT-3.8.4-6]
func TestHighestOfOverlapping(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(v, "pub")
		id := uint16(0)
		for _, granted := range [][3]byte{{2, 0, 0}, {0, 2, 0}, {0, 0, 2}, {0, 1, 0}, {1, 0, 2}, {0, 0, 0}} {
			sub, _ := h.login(v, "sub")
			for i, f := range []string{"a/#", "a/+", "a/b"} {
				sub.subscribe(granted[i], f)
			}
			for q := range byte(3) {
				id++
				pub.publish("a/b", "x", q, id)
				p := sub.expectMessage("a/b", "x")
				if want := min(q, max(granted[0], granted[1], granted[2])); p.QoS != want {
					t.Errorf("granted %v, published at %d: came at %d, want %d", granted, q, p.QoS, want)
				}
				if p.QoS > 0 {
					sub.finish(p)
				}
				sub.nothing()
			}
			sub.leave()
		}
	})
}

// TestIdentifiersOfWhatWaited: retained messages, and messages that waited for the client or are sent again, carry the identifiers
// too. v5 [MQTT-3.3.4-3] [MQTT-3.3.4-4]
func TestIdentifiersOfWhatWaited(t *testing.T) {
	for _, name := range []string{"memory", "memory" + stored} {
		t.Run(name, func(t *testing.T) {
			h := build(t, Config{})
			pub, _ := h.login(packet.V5, "pub")
			pub.send(retainedMessage("a/b", "retained", 1, 1))
			pub.expectAck(packet.TypePuback, 1)
			c, _ := h.login(packet.V5, "c", keepSession)
			for i, f := range []string{"a/#", "+/b"} {
				p := packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte(f), QoS: 1, RetainHandling: byte(i) * 2}}}
				p.Props.SubscriptionIDs = []uint32{uint32(i + 1)}
				c.subscribeWith(&p)
				if i == 0 {
					m := c.expectMessage("a/b", "retained")
					if got := fmt.Sprint(m.Props.SubscriptionIDs); got != "[1]" {
						t.Errorf("retained: identifiers %s, want [1]", got)
					}
					c.finish(m)
				}
			}
			h.vanish(c)
			pub.publish("a/b", "waited", 1, 2)
			pub.expectAck(packet.TypePuback, 2)
			for _, what := range []string{"waited", "sent again"} {
				c, _ = h.login(packet.V5, "c", resume, keepSession)
				m := c.expectMessage("a/b", "waited")
				slices.Sort(m.Props.SubscriptionIDs)
				if got := fmt.Sprint(m.Props.SubscriptionIDs); got != "[1 2]" {
					t.Errorf("%s: identifiers %s, want [1 2]", what, got)
				}
				h.vanish(c)
			}
		})
	}
}

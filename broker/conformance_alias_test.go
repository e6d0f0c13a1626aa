package broker

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/broker/packet"
)

func aliasesUpTo(most uint16) func(*packet.Connect) {
	return func(p *packet.Connect) { p.Props.SetTopicAliasMaximum(most) }
}

// resolver is the receiving side of topic aliases, written from the standard.
type resolver struct {
	most   uint16
	topics map[uint16]string
	short  int // PUBLISHes without a topic
}

func (r *resolver) topic(t *testing.T, p *packet.Publish) string {
	t.Helper()
	if !p.Props.Has(packet.PropTopicAlias) {
		return string(p.Topic)
	}
	alias := p.Props.TopicAlias
	if alias == 0 || alias > r.most {
		t.Fatalf("alias %d, want 1 to %d", alias, r.most)
	}
	if r.topics == nil {
		r.topics = map[uint16]string{}
	}
	if len(p.Topic) > 0 {
		r.topics[alias] = string(p.Topic)
	} else if r.short++; r.topics[alias] == "" {
		t.Fatalf("alias %d was not set on this connection", alias)
	}
	return r.topics[alias]
}

// v5 [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-7] [MQTT-3.3.2-8] [MQTT-3.3.2-11]: what is sent goes by the client's
// maximum, on its first connection and on the next.
func TestAliasesToClient(t *testing.T) {
	for _, most := range []uint16{0, 1, 2, 200} {
		t.Run(fmt.Sprint("at most ", most), func(t *testing.T) {
			h := build(t, Config{})
			pub, _ := h.login(packet.V5, "pub")
			sub, _ := h.login(packet.V5, "sub", keepSession, aliasesUpTo(most))
			sub.subscribe(1, "plant/#")
			first := [3][]string{} // what is seen of each topic, in turn
			for round := range 2 {
				r := resolver{most: most}
				for i := range 12 {
					name := fmt.Sprint("plant/pump", i%3)
					pub.publish(name, name, byte(i/3%2), uint16(i+1))
				}
				for i := range 12 {
					p := sub.expect(packet.TypePublish).(*packet.Publish)
					if got := r.topic(t, p); got != string(p.Payload) {
						t.Fatalf("topic %q, want %q", got, p.Payload)
					}
					if round == 0 {
						first[i%3] = append(first[i%3], fmt.Sprint(len(p.Topic) > 0, p.Props.TopicAlias))
					}
					if p.QoS > 0 {
						sub.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
					}
				}
				if want := 2 * min(int(most), 3); r.short != want {
					t.Errorf("%d PUBLISHes without a topic, want %d", r.short, want)
				}
				h.vanish(sub)
				sub, _ = h.login(packet.V5, "sub", resume, keepSession, aliasesUpTo(most))
			}
			if got := fmt.Sprint(first[0]); most > 0 && got != "[true 0 true 1 false 1 false 1]" {
				t.Errorf("whether a topic was there, and its alias: %s", got)
			}
		})
	}
	t.Run("none by configuration", func(t *testing.T) {
		h := build(t, Config{TopicAliases: -1})
		sub, ack := h.login(packet.V5, "sub", aliasesUpTo(10))
		sub.subscribe(0, "plant/#")
		for range 4 {
			sub.publish("plant/pump", "x", 0, 0)
			if p := sub.expectMessage("plant/pump", "x"); p.Props.Has(packet.PropTopicAlias) {
				t.Error("an alias was sent")
			}
		}
		if ack.Props.Has(packet.PropTopicAliasMaximum) {
			t.Error("aliases were announced")
		}
	})
}

// TestAliasesToClientNeverStale: whatever is staged, queued, refused or sent again, each PUBLISH has the topic of its payload.
// v5 [MQTT-3.3.2-7] [MQTT-3.3.2-11] [MQTT-4.4.0-1]
func TestAliasesToClientNeverStale(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		if v == packet.V311 {
			return
		}
		h := build(t, Config{})
		seed := rand.Uint64()
		t.Log("seed", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		pub, _ := h.login(v, "pub")
		sub, _ := h.login(v, "sub", keepSession, aliasesUpTo(3))
		sub.subscribe(2, "plant/#")
		r := resolver{most: 3}
		short, sent := 0, 0
		// read takes what there is, and leaves some of it without an answer.
		read := func() {
			sub.send(&packet.Pingreq{})
			for {
				p, kind, err := sub.next()
				switch {
				case err != nil:
					t.Fatal(err)
				case kind == packet.TypePingresp:
					return
				case kind == packet.TypePubrel:
					sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: p.(*packet.Ack).ID})
				case kind == packet.TypePublish:
					m := p.(*packet.Publish)
					if got := r.topic(t, m); got != string(m.Payload) {
						t.Fatalf("topic %q, want %q", got, m.Payload)
					}
					if m.QoS > 0 && random.IntN(4) > 0 {
						sub.send(&packet.Ack{Type: []packet.Type{1: packet.TypePuback, 2: packet.TypePubrec}[m.QoS], ID: m.ID})
					}
				}
			}
		}
		for range 400 {
			switch random.IntN(20) {
			case 0:
				h.vanish(sub)
				short += r.short
				r = resolver{most: 3}
				sub, _ = h.login(v, "sub", resume, keepSession, aliasesUpTo(3))
			case 1, 2, 3, 4:
				read()
			default:
				name := fmt.Sprint("plant/pump", random.IntN(2+random.IntN(8)))
				q := byte(random.IntN(3))
				sent++
				pub.publish(name, name, q, uint16(sent))
				if q == 1 {
					pub.expectAck(packet.TypePuback, uint16(sent))
				} else if q == 2 {
					pub.expectAck(packet.TypePubrec, uint16(sent))
					pub.send(&packet.Ack{Type: packet.TypePubrel, ID: uint16(sent)})
					pub.expectAck(packet.TypePubcomp, uint16(sent))
				}
			}
		}
		read()
		if short += r.short; short < 20 {
			t.Errorf("%d of %d without a topic: aliases were hardly used", short, sent)
		}
	})
}

// TestAliasWithinMaximumPacketSize: a PUBLISH that fits only without an alias has none. v5 [MQTT-3.1.2-24]
func TestAliasWithinMaximumPacketSize(t *testing.T) {
	h := build(t, Config{})
	const size = 100
	sub, _ := h.login(packet.V5, "sub", aliasesUpTo(10), func(p *packet.Connect) { p.Props.SetMaximumPacketSize(size) })
	sub.subscribe(0, "plant/#")
	for range 4 {
		payload := strings.Repeat("x", size-2-2-len("plant/pump")-1)
		sub.publish("plant/pump", payload, 0, 0)
		sub.expectMessage("plant/pump", payload)
		if sub.have > size {
			t.Fatalf("a packet of %d bytes, want at most %d", sub.have, size)
		}
	}
}

// TestShortener: topics sent all the time keep their aliases, others take turns, and what is remembered is bounded.
func TestShortener(t *testing.T) {
	s := newShortener(4, 3)
	for i := range 3000 {
		for k := range 20 { // equally often, more than there are
			name := fmt.Append(nil, "plant/often/", k, "/", i/1000)
			alias, known := s.alias(name)
			if early := i%1000 < 20; !early && known != (alias > 0) {
				t.Fatalf("round %d: %s gets alias %d anew", i, name, alias)
			}
			if last := s.aliases["plant/often/19/"+fmt.Sprint(i/1000-1)]; i%1000 == 20 && last > 0 {
				t.Fatalf("round %d: a topic that is not sent any more keeps alias %d", i, last)
			}
		}
		if len(s.aliases) > 3 || len(s.names) > 3 || len(s.seen) > 12 {
			t.Fatalf("round %d: %d aliases, %d names, %d seen", i, len(s.aliases), len(s.names), len(s.seen))
		}
	}
	want := 0
	for _, all := range []int{len(s.names), len(s.seen)} {
		want += all * costAlias
	}
	for _, name := range s.names {
		want += len(name)
	}
	for name := range s.seen {
		want += len(name)
	}
	if s.bytes != want {
		t.Errorf("%d bytes counted, want %d", s.bytes, want)
	}
	if len(s.aliases) != 3 {
		t.Errorf("%d aliases, want 3", len(s.aliases))
	}
	if newShortener(0, 3) != nil || newShortener(3, 0) != nil {
		t.Error("a shortener without aliases")
	}
}

// v5 [MQTT-3.2.2-17] [MQTT-3.2.2-18] [MQTT-3.3.2-8] [MQTT-3.3.2-12]
func TestAliasesOfClient(t *testing.T) {
	for _, tt := range []struct {
		most, alias int // announced, used
		want        packet.Reason
	}{
		{-1, 1, packet.TopicAliasInvalid}, {3, 0, packet.TopicAliasInvalid}, {3, 4, packet.TopicAliasInvalid},
		{3, 1, 0}, {3, 2, 0}, {3, 3, 0},
	} {
		t.Run(fmt.Sprint(tt.alias, " of ", tt.most), func(t *testing.T) {
			h := build(t, Config{TopicAliases: tt.most})
			c, ack := h.login(packet.V5, "c")
			if got := int(ack.Props.TopicAliasMaximum); got != max(tt.most, 0) {
				t.Fatalf("announced %d, want %d", got, tt.most)
			}
			c.subscribe(0, "x")
			c.write([]byte{0x30, 8, 0, 1, 'x', 3, 0x23, 0, byte(tt.alias), '1'})
			if tt.want != 0 {
				c.expectEnd(tt.want)
				return
			}
			c.expectMessage("x", "1")
			c.write([]byte{0x30, 7, 0, 0, 3, 0x23, 0, byte(tt.alias), '2'})
			c.expectMessage("x", "2")
		})
	}
}

package broker

import (
	"context"
	"testing"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// grants are rights by user; a user that is not there has none.
type grants map[string]*grant

type grant struct{ publish, subscribe []topic.Filter }

func (g grants) of(who Who) Rights {
	if g[who.User] == nil {
		return &grant{}
	}
	return g[who.User]
}

func (g *grant) MayPublish(name []byte) bool {
	for _, f := range g.publish {
		if f.Match(name) {
			return true
		}
	}
	return false
}

func (g *grant) MaySubscribe(wanted topic.Filter) bool {
	for _, f := range g.subscribe {
		if f.Covers(wanted) {
			return true
		}
	}
	return false
}

func (g *grant) MayReceive(name []byte) bool {
	for _, f := range g.subscribe {
		if f.Match(name) {
			return true
		}
	}
	return false
}

func (g *grant) ReceivesAll(f topic.Filter) bool { return g.MaySubscribe(f) }

// anyPassword lets every user in.
type anyPassword struct{}

func (anyPassword) Verify(context.Context, string, string, []byte) (bool, error) { return true, nil }
func (anyPassword) Credential(_, user string) uint64                             { return 1 }

func as(user string) func(*packet.Connect) {
	return func(p *packet.Connect) { p.HasUsername, p.Username = true, []byte(user) }
}

// guarded is a broker where "pump" may publish below plant/pump and subscribe below plant/pump/cmd, "boss" may do
// everything, and others nothing.
func guarded(t *testing.T) *house {
	return build(t, Config{Users: anyPassword{}, Rights: grants{
		"pump": {mustFilters(t, "plant/pump/#"), mustFilters(t, "plant/pump/cmd/#")},
		"boss": {mustFilters(t, "#"), mustFilters(t, "#")},
	}.of})
}

// v5 sections 3.4.2.1 and 3.5.2.1, 3.1.1 [MQTT-3.3.5-2]
func TestPublishWithoutRight(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := guarded(t)
		h.route("#")
		h.journal.auto = true
		want := packet.Success
		if v == packet.V5 {
			want = packet.NotAuthorized
		}
		watch, _ := h.login(v, "watch", as("boss"))
		watch.subscribe(0, "#")
		c, _ := h.login(v, "pump", as("pump"))
		c.publish("plant/other", "denied", 0, 0)
		c.send(retainedMessage("plant/other", "denied", 1, 1))
		if a := c.expectAck(packet.TypePuback, 1); a.Reason != want {
			t.Errorf("PUBACK %s, want %s", a.Reason, want)
		}
		for range 2 { // a refused id is free at once on 5.0, after PUBCOMP on 3.1.1
			c.publish("plant/other", "denied", 2, 2)
			if a := c.expectAck(packet.TypePubrec, 2); a.Reason != want {
				t.Errorf("PUBREC %s, want %s", a.Reason, want)
			}
			if v != packet.V5 {
				c.send(&packet.Ack{Type: packet.TypePubrel, ID: 2})
				c.expectAck(packet.TypePubcomp, 2)
			}
		}
		c.publish("plant/pump/speed", "allowed", 1, 3)
		if a := c.expectAck(packet.TypePuback, 3); a.Reason != packet.Success {
			t.Errorf("PUBACK %s for what is allowed", a.Reason)
		}
		watch.expectMessage("plant/pump/speed", "allowed")
		watch.nothing()
		if n := len(h.journal.wait(t, 1)); n != 1 {
			t.Errorf("%d records for upstreams, want 1", n)
		}
		if s := h.b.Stats(); s.Denied != 4 || s.Retained != 0 || s.Rejected != 0 {
			t.Errorf("denied %d, rejected %d, retained %d, want 4, 0, 0", s.Denied, s.Rejected, s.Retained)
		}
		nobody, _ := h.login(v, "nobody")
		nobody.publish("plant/pump/speed", "denied", 1, 1)
		if a := nobody.expectAck(packet.TypePuback, 1); a.Reason != want {
			t.Errorf("PUBACK %s for an anonymous client, want %s", a.Reason, want)
		}
		if err := h.b.NewPublisher("", nil).Publish([]message.Message{{Publish: *message1("plant/own", "own", 0, 0)}}); err != nil {
			t.Fatal(err)
		}
		watch.expectMessage("plant/own", "own") // in-process publishers are not asked
	})
}

// TestRefusedAgain: a QoS 2 PUBLISH that is refused and comes again on the next connection is refused again, not
// reported as taken.
func TestRefusedAgain(t *testing.T) {
	for name, reason := range map[string]packet.Reason{"plant/other": packet.NotAuthorized, "$x": packet.TopicNameInvalid} {
		h := guarded(t)
		c, _ := h.login(packet.V5, "pump", as("pump"), keepSession)
		c.publish(name, "denied", 2, 7)
		h.until(func() bool { s := h.b.Stats(); return s.Denied+s.Rejected == 1 })
		h.vanish(c)
		c, _ = h.login(packet.V5, "pump", as("pump"), keepSession)
		p := message1(name, "denied", 2, 7)
		p.Dup = true
		c.send(p)
		if a := c.expectAck(packet.TypePubrec, 7); a.Reason != reason {
			t.Errorf("%s: PUBREC %s, want %s", name, a.Reason, reason)
		}
	}
}

// v5 section 3.9.3, 3.1.1 section 3.9.3: each filter by itself.
func TestSubscribeWithoutRight(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := guarded(t)
		boss, _ := h.login(v, "boss", as("boss"))
		boss.send(retainedMessage("plant/secret", "kept", 1, 1))
		boss.expectAck(packet.TypePuback, 1)
		refused := packet.UnspecifiedError // 0x80
		if v == packet.V5 {
			refused = packet.NotAuthorized
		}
		c, _ := h.login(v, "pump", as("pump"))
		filters := []string{"plant/#", "plant/pump/cmd/+", "#", "$share/g/#", "$share/g/plant/pump/cmd/x", "plant/pump/+", "+/+"}
		wants := []packet.Reason{refused, packet.GrantedQoS1, refused, refused, packet.GrantedQoS1, refused, refused}
		for i, got := range c.subscribe(1, filters...) {
			if got != wants[i] {
				t.Errorf("%s: %s, want %s", filters[i], got, wants[i])
			}
		}
		boss.publish("plant/secret", "not for the pump", 0, 0)
		boss.publish("plant/pump/cmd/go", "for the pump", 0, 0)
		c.expectMessage("plant/pump/cmd/go", "for the pump")
		c.nothing()
		if s := h.b.Stats(); s.Denied != 5 || s.Subscriptions != 2 {
			t.Errorf("denied %d, subscriptions %d, want 5, 2", s.Denied, s.Subscriptions)
		}
	})
}

// v5 [MQTT-3.1.4-2], 3.1.1 section 3.1.4: refused when it is made.
func TestWillWithoutRight(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := guarded(t)
		c := h.dial(v)
		if ack := c.connect("pump", as("pump"), lastWill("plant/other", "lost", 0)); ack.Reason != packet.NotAuthorized {
			t.Errorf("CONNACK %s, want %s", ack.Reason, packet.NotAuthorized)
		}
		c.expectEnd(packet.Success)
		watch, _ := h.login(v, "watch", as("boss"))
		watch.subscribe(0, "#")
		c, _ = h.login(v, "pump", as("pump"), lastWill("plant/pump/state", "lost", 0))
		c.nc.Close()
		watch.expectMessage("plant/pump/state", "lost")
		if s := h.b.Stats(); s.Denied != 1 || s.Refused != 1 {
			t.Errorf("denied %d, refused %d, want 1, 1", s.Denied, s.Refused)
		}
	})
}

// TestSessionBelongsToUser: whoever connects with the client id of another user gets neither its subscriptions nor what
// waits for it.
func TestSessionBelongsToUser(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := guarded(t)
		boss, _ := h.login(v, "boss", as("boss"), keepSession)
		boss.subscribe(1, "#")
		boss.leave()
		pub, _ := h.login(v, "pump", as("pump"))
		pub.publish("plant/pump/a", "waits", 1, 1)
		pub.expectAck(packet.TypePuback, 1)
		for _, thief := range []func(*packet.Connect){as("pump"), func(*packet.Connect) {}} {
			c, ack := h.login(v, "boss", thief, keepSession)
			if ack.SessionPresent {
				t.Error("the session of another user is present")
			}
			pub.publish("plant/pump/a", "live", 1, 2)
			pub.expectAck(packet.TypePuback, 2)
			c.nothing()
			c.leave()
		}
		c, _ := h.login(v, "keeps", as("pump"), keepSession)
		c.subscribe(1, "plant/pump/cmd/#")
		c.leave()
		if _, ack := h.login(v, "keeps", as("pump"), keepSession); !ack.SessionPresent {
			t.Error("the session of the same user is not present")
		}
	})
}

// TestUnverifiedUserHasNoRights: a user name that nobody has checked is not a user.
func TestUnverifiedUserHasNoRights(t *testing.T) {
	h := build(t, Config{Rights: grants{"boss": {mustFilters(t, "#"), mustFilters(t, "#")}}.of})
	c, _ := h.login(packet.V5, "c", as("boss"))
	c.publish("a", "denied", 1, 1)
	if a := c.expectAck(packet.TypePuback, 1); a.Reason != packet.NotAuthorized {
		t.Errorf("PUBACK %s, want %s", a.Reason, packet.NotAuthorized)
	}
}

// TestRightsAllocateNothing: asking for rights on the way of a PUBLISH.
func TestRightsAllocateNothing(t *testing.T) {
	b := New(Config{}, newJournal(), stampNow, quietLog())
	c := &connection{b: b, told: b.cfg(), version: packet.V5, session: b.newSession("pump", "pump")}
	c.session.out.granted.Store(&granted{rights: &grant{publish: mustFilters(t, "a/b", "home/+/temperature")}})
	one, err := message1("home/room/temperature", "21.5", 0, 0).Append(nil, packet.V5)
	if err != nil {
		t.Fatal(err)
	}
	route := func() {
		r := b.newReading()
		if n, err := c.packets(r, one); n != len(one) || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		r.finish()
	}
	if n := testing.AllocsPerRun(1000, route); countAllocations && n > 0.5 {
		t.Errorf("%.2f allocations for a message, want none", n)
	}
	if s := b.Stats(); s.Denied != 0 || s.Received[0] != 1001 {
		t.Errorf("%d denied, %d received, want 0, 1001", s.Denied, s.Received[0])
	}
}

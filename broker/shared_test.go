package broker

import (
	"fmt"
	"slices"
	"testing"

	"weir/broker/packet"
)

// one is a client that takes one message at a time.
func one(p *packet.Connect) { p.Props.SetReceiveMaximum(1) }

// stayWith connects a session that lasts, with a tweak more.
func (l *lasting) stayWith(id string, tweak func(*packet.Connect)) *client {
	l.t.Helper()
	c, _ := l.stay(packet.V5, id, tweak)
	return c
}

// groupOf is the only shared group there is.
func (l *lasting) group() *group {
	l.b.groups.mu.Lock()
	defer l.b.groups.mu.Unlock()
	for _, g := range l.b.groups.queues {
		return g
	}
	return nil
}

// queueNames are those of stored groups.
func (l *lasting) queueNames() (names []string) {
	l.v.Queues(func(name string) bool {
		if _, ok := groupOf(name); ok {
			names = append(names, name)
		}
		return true
	})
	return names
}

// collect takes messages to their ends until n of them are there, and other packets, and gives their payloads in order.
func (c *client) collect(n int, others ...packet.Type) (got []string) {
	c.t.Helper()
	for open := 0; len(got) < n || open > 0 || len(others) > 0; {
		p, kind, err := c.next()
		if err != nil {
			c.t.Fatalf("%d of %d messages came, then %v", len(got), n, err)
		}
		switch kind {
		case packet.TypePublish:
			m := p.(*packet.Publish)
			got = append(got, string(m.Payload))
			answer := packet.TypePuback
			if m.QoS == 2 {
				answer = packet.TypePubrec
				open++
			}
			c.send(&packet.Ack{Type: answer, ID: m.ID})
		case packet.TypePubrel:
			c.send(&packet.Ack{Type: packet.TypePubcomp, ID: p.(*packet.Ack).ID})
			open--
		default: // a message may come before SUBACK: v5 section 3.8.4
			at := slices.Index(others, kind)
			if at < 0 {
				c.t.Fatalf("got %s %+v, want messages", kind, p)
			}
			others = slices.Delete(others, at, at+1)
		}
	}
	return got
}

// numbers are payloads from one number to before another.
func numbers(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// TestUnsentGoesToOthers: a member that leaves keeps what was sent to it, and only that; the others get the rest at once.
// v5 section 4.8.2
func TestUnsentGoesToOthers(t *testing.T) {
	for _, q := range []byte{1, 2} {
		for _, kind := range []string{"stored", "memory"} {
			t.Run(fmt.Sprint(kind, " QoS ", q), func(t *testing.T) {
				l := buildLasting(t, Config{})
				if kind == "memory" {
					l.v.noQueue = true
				}
				slow := l.stayWith("slow", one)
				slow.subscribe(q, "$share/g/x")
				for i := range 5 {
					l.deliver("x", fmt.Sprint(i), q)
				}
				first := slow.expectMessage("x", "0")
				slow.nothing()
				l.vanish(slow)
				quick, _ := l.stay(packet.V5, "quick")
				quick.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("$share/g/x"), QoS: q}}})
				if got := quick.collect(4, packet.TypeSuback); !slices.Equal(got, numbers(1, 5)) {
					t.Errorf("the other member got %v", got)
				}
				slow = l.stayWith("slow", one)
				if again := slow.expectMessage("x", "0"); !again.Dup || again.ID != first.ID {
					t.Errorf("sent again with DUP %v and id %d, want true and %d", again.Dup, again.ID, first.ID)
				}
				quick.nothing()
			})
		}
	}
}

// TestQoS2StaysWithItsMember: a message of QoS 2 that was sent to a member is completed with it, across a kill, and is given to
// nobody else when its session ends, but dropped and counted. v5 [MQTT-4.8.2-4] [MQTT-4.8.2-5]
func TestQoS2StaysWithItsMember(t *testing.T) {
	l := buildLasting(t, Config{})
	one, _ := l.stay(packet.V5, "one")
	other, _ := l.stay(packet.V5, "other")
	one.subscribe(2, "$share/g/x")
	l.deliver("x", "0", 2)
	l.deliver("x", "1", 2)
	one.expectMessage("x", "0")
	one.finish(one.expectMessage("x", "1"))
	one.nothing()
	other.subscribe(2, "$share/g/x")
	l.again(Config{})
	other, _ = l.stay(packet.V5, "other")
	other.nothing()
	one, _ = l.stay(packet.V5, "one")
	if p := one.expectMessage("x", "0"); !p.Dup {
		t.Error("DUP 0 for a message that was sent before the kill")
	}
	one.nothing()
	one.send(&packet.Disconnect{Props: expiring(0)})
	one.expectEnd(packet.Success)
	l.until(func() bool { return l.b.Stats().Sessions == 1 })
	other.nothing()
	if n := l.b.Stats().DroppedShared; n != 1 {
		t.Errorf("%d messages counted as dropped, want 1", n)
	}
	l.again(Config{})
	other, _ = l.stay(packet.V5, "other")
	other.nothing()
	if n, _ := l.group().queue.Waiting(); n != 0 {
		t.Errorf("%d messages wait, want none", n)
	}
}

func expiring(seconds uint32) (p packet.Properties) {
	p.SetSessionExpiry(seconds)
	return p
}

// TestReleasedStaysReleased: after PUBREC there is only PUBREL, also after a kill, and nothing of it for others.
func TestReleasedStaysReleased(t *testing.T) {
	l := buildLasting(t, Config{})
	one, _ := l.stay(packet.V5, "one")
	one.subscribe(2, "$share/g/x", "x") // the same record for both, so that they could be taken for each other
	l.deliver("x", "0", 2)
	p, q := one.expectMessage("x", "0").ID, one.expectMessage("x", "0").ID
	for range 2 {
		one.send(&packet.Ack{Type: packet.TypePubrec, ID: p})
		one.expectAck(packet.TypePubrel, p)
	}
	l.again(Config{})
	one, _ = l.stay(packet.V5, "one")
	seen := map[string]bool{}
	for range 2 {
		p, kind, err := one.next()
		if err != nil {
			t.Fatal(err)
		}
		switch kind {
		case packet.TypePubrel:
			seen[fmt.Sprint("PUBREL ", p.(*packet.Ack).ID)] = true
		case packet.TypePublish:
			seen[fmt.Sprint("PUBLISH ", p.(*packet.Publish).ID)] = true
		}
	}
	if want := []string{fmt.Sprint("PUBREL ", p), fmt.Sprint("PUBLISH ", q)}; !seen[want[0]] || !seen[want[1]] {
		t.Errorf("after the kill %v, want %v", seen, want)
	}
	one.nothing()
}

// TestUnacknowledgedGoesToOthersWithTheSession: what a member at QoS 1 did not acknowledge goes to another one when its session ends:
// v5 section 4.8.2; what was refused goes to nobody: v5 [MQTT-4.8.2-6].
func TestUnacknowledgedGoesToOthersWithTheSession(t *testing.T) {
	for _, clean := range []bool{false, true} {
		t.Run(fmt.Sprint("clean ", clean), func(t *testing.T) {
			l := buildLasting(t, Config{})
			other, _ := l.stay(packet.V5, "other")
			tweak := keepSession
			if clean {
				tweak = func(*packet.Connect) {}
			}
			other.subscribe(2, "$share/g/x")
			other.leave()
			one, _ := l.login(packet.V5, "one", tweak)
			one.subscribe(2, "$share/g/x")
			for i := range 4 {
				l.deliver("x", fmt.Sprint(i), byte(1+i/2))
			}
			one.expectMessage("x", "0")
			one.send(&packet.Ack{Type: packet.TypePuback, ID: one.expectMessage("x", "1").ID, Reason: packet.QuotaExceeded})
			one.expectMessage("x", "2")
			one.send(&packet.Ack{Type: packet.TypePubrec, ID: one.expectMessage("x", "3").ID, Reason: packet.QuotaExceeded})
			one.nothing()
			one.send(&packet.Disconnect{Props: expiring(0)})
			one.expectEnd(packet.Success)
			l.until(func() bool { return l.b.Stats().Sessions == 1 })
			other, _ = l.stay(packet.V5, "other")
			other.finish(other.expectMessage("x", "0"))
			other.nothing()
			if n := l.b.Stats().DroppedShared; n != 1 {
				t.Errorf("%d messages counted as dropped, want the one of QoS 2", n)
			}
			l.again(Config{})
			other, _ = l.stay(packet.V5, "other")
			other.nothing()
			if p := l.group().queue.Pairs(); len(p) > 0 {
				t.Errorf("pairs %v are left", p)
			}
		})
	}
}

// TestQoS2OfACleanMemberDiesWithTheProcess: its session has ended then, and others must not get what it was sent. v5 [MQTT-4.8.2-5]
func TestQoS2OfACleanMemberDiesWithTheProcess(t *testing.T) {
	l := buildLasting(t, Config{})
	other, _ := l.stay(packet.V5, "other")
	other.subscribe(2, "$share/g/x")
	other.leave()
	one, _ := l.login(packet.V5, "one")
	one.subscribe(2, "$share/g/x")
	l.deliver("x", "sent", 2)
	l.deliver("x", "finished", 2)
	one.expectMessage("x", "sent")
	one.finish(one.expectMessage("x", "finished"))
	one.nothing()
	l.again(Config{})
	if n := l.b.Stats().DroppedShared; n != 1 {
		t.Errorf("%d messages counted as dropped, want 1", n)
	}
	other, _ = l.stay(packet.V5, "other")
	other.nothing()
	l.deliver("x", "next", 2)
	other.finish(other.expectMessage("x", "next"))
	other.nothing()
}

// TestSharedPublishWaitsForItsPair: a member gets a message of QoS 2 when it is kept whose it is, not before; and if the connection is
// lost by then, it was not sent and another member gets it.
func TestSharedPublishWaitsForItsPair(t *testing.T) {
	for _, clean := range []bool{false, true} {
		t.Run(fmt.Sprint("clean ", clean), func(t *testing.T) {
			l := buildLasting(t, Config{})
			other, _ := l.stay(packet.V5, "other")
			other.subscribe(2, "$share/g/x")
			l.vanish(other)
			tweak := keepSession
			if clean {
				tweak = func(*packet.Connect) {}
			}
			one, _ := l.login(packet.V5, "one", tweak)
			one.subscribe(2, "$share/g/x")
			l.manual()
			publishFrom(l.b, 2, "x", "0")
			one.nothing()
			l.v.Commit()
			one.finish2(l, one.expectMessage("x", "0"))
			publishFrom(l.b, 2, "x", "1")
			publishFrom(l.b, 1, "x", "2")
			one.nothing() // nor what follows
			l.vanish(one)
			l.v.Commit()
			l.quick()
			other, _ = l.stay(packet.V5, "other")
			got := other.collect(2)
			slices.Sort(got) // what comes back to a group has lost its turn: no order is promised, v5 section 4.6
			if !slices.Equal(got, numbers(1, 3)) {
				t.Errorf("the other member got %v", got)
			}
			other.nothing()
			if !clean {
				one, _ = l.stay(packet.V5, "one")
				one.nothing()
			}
		})
	}
}

// finish2 finishes a message at QoS 2 while only the test commits.
func (c *client) finish2(l *lasting, p *packet.Publish) {
	c.t.Helper()
	id := p.ID
	c.send(&packet.Ack{Type: packet.TypePubrec, ID: id})
	if l.session("one").out.durable != nil {
		c.nothing()
		l.v.Commit()
	}
	c.expectAck(packet.TypePubrel, id)
	c.send(&packet.Ack{Type: packet.TypePubcomp, ID: id})
}

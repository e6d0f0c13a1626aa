package broker

import (
	"fmt"
	"slices"
	"strings"
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
			if got := other.collect(2); !slices.Equal(got, numbers(1, 3)) {
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
	if l.session("one").durable != nil {
		c.nothing()
		l.v.Commit()
	}
	c.expectAck(packet.TypePubrel, id)
	c.send(&packet.Ack{Type: packet.TypePubcomp, ID: id})
}

// TestBusyMemberDoesNotBlock: members that have room get what one without room does not take, each in turn.
func TestBusyMemberDoesNotBlock(t *testing.T) {
	l := buildLasting(t, Config{})
	busy := l.stayWith("busy", one)
	busy.subscribe(1, "$share/g/x")
	l.deliver("x", "first", 1)
	busy.expectMessage("x", "first")
	a, _ := l.stay(packet.V5, "a")
	b, _ := l.stay(packet.V5, "b")
	a.subscribe(1, "$share/g/x")
	b.subscribe(1, "$share/g/x")
	for i := range 20 {
		l.deliver("x", fmt.Sprint(i), 1)
	}
	n := map[*client]int{}
	for _, c := range []*client{a, b} {
		for range 10 {
			c.finish(c.expect(packet.TypePublish).(*packet.Publish))
			n[c]++
		}
		c.nothing()
	}
	busy.nothing()
}

// TestSharedOptions: each member gets messages at the QoS it was granted, with its identifier, and retained as published if it asked
// for that. v5 [MQTT-4.8.2-3] [MQTT-3.3.4-3] [MQTT-3.3.1-12] [MQTT-3.3.1-13]
func TestSharedOptions(t *testing.T) {
	l := buildLasting(t, Config{})
	var members []*client
	for i := range 3 {
		m, _ := l.stay(packet.V5, fmt.Sprint("m", i))
		p := packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("$share/g/x"), QoS: byte(i), RetainAsPublished: i == 1}}}
		p.Props.SubscriptionIDs = []uint32{uint32(10 + i)}
		m.subscribeWith(&p)
		members = append(members, m)
	}
	pub, _ := l.login(packet.V5, "pub")
	for i := range 3 {
		pub.send(retainedMessage("x", fmt.Sprint(i), 2, uint16(i+1)))
		pub.expectAck(packet.TypePubrec, uint16(i+1))
	}
	for i, m := range members {
		p := m.expectMessage("x", fmt.Sprint(i))
		if p.QoS != byte(i) || p.Retain != (i == 1) || !slices.Equal(p.Props.SubscriptionIDs, []uint32{uint32(10 + i)}) {
			t.Errorf("member %d got it at QoS %d, retain %v, identifiers %v", i, p.QoS, p.Retain, p.Props.SubscriptionIDs)
		}
		if i > 0 {
			m.finish(p)
		}
		m.nothing()
	}
	l.until(func() bool { n, _ := l.group().queue.Waiting(); return n == 0 })
}

// TestGroupEndsWithItsLastMember: what was not sent is dropped and counted, what was is completed, and a new group of the same name
// begins with nothing. v5 section 4.8.2, [MQTT-3.10.4-3]
func TestGroupEndsWithItsLastMember(t *testing.T) {
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprint("kill ", kill), func(t *testing.T) {
			l := buildLasting(t, Config{})
			m := l.stayWith("m", one)
			m.subscribe(2, "$share/g/x")
			for i := range 4 {
				l.deliver("x", fmt.Sprint(i), 2)
			}
			first := m.expectMessage("x", "0").ID
			m.send(&packet.Unsubscribe{ID: 1, Filters: [][]byte{[]byte("$share/g/x")}})
			m.expect(packet.TypeUnsuback)
			m.subscribe(2, "$share/g/x")
			if n := l.queueNames(); len(n) != 2 {
				t.Errorf("queues %q, want the old one and the new one", n)
			}
			l.deliver("x", "new", 1)
			m.nothing()
			if kill {
				l.again(Config{})
				m = l.stayWith("m", one)
				if p := m.expectMessage("x", "0"); !p.Dup {
					t.Error("what was sent before the kill has DUP 0")
				}
			}
			m.send(&packet.Ack{Type: packet.TypePubrec, ID: first})
			m.expectAck(packet.TypePubrel, first)
			m.send(&packet.Ack{Type: packet.TypePubcomp, ID: first})
			m.finish(m.expectMessage("x", "new"))
			m.nothing()
			if n := l.queueNames(); len(n) != 1 || n[0] != "2:$share/g/x" {
				t.Errorf("queues %q, want only the new one", n)
			}
			if n := l.b.Stats().DroppedShared; n != 3 {
				t.Errorf("%d messages counted as dropped, want 3", n)
			}
			l.again(Config{})
			m = l.stayWith("m", one)
			l.deliver("x", "last", 1)
			m.finish(m.expectMessage("x", "last"))
			m.nothing()
		})
	}
}

// TestGroupEndsWithTheSession: a queue goes with the session of its only member.
func TestGroupEndsWithTheSession(t *testing.T) {
	l := buildLasting(t, Config{})
	m := l.stayWith("m", one)
	m.subscribe(2, "$share/g/x")
	for i := range 4 {
		l.deliver("x", fmt.Sprint(i), byte(1+i%2))
	}
	m.expectMessage("x", "0")
	m.send(&packet.Disconnect{Props: expiring(0)})
	m.expectEnd(packet.Success)
	l.until(func() bool { return l.b.Stats().Sessions == 0 && len(l.queueNames()) == 0 })
	if n := l.b.Stats().DroppedShared; n != 4 {
		t.Errorf("%d messages counted as dropped, want 4", n)
	}
	l.again(Config{})
	if len(l.v.now.queues) > 0 {
		t.Errorf("queues %v after the next start", l.v.now.queues)
	}
}

// TestOrderOfOneMember: a group with one member is in order, across lost connections and kills, with messages of QoS 1 between those
// of QoS 2.
func TestOrderOfOneMember(t *testing.T) {
	l := buildLasting(t, Config{})
	m, _ := l.stay(packet.V5, "m")
	m.subscribe(2, "$share/g/x")
	for i := range 6 {
		l.deliver("x", fmt.Sprint(i), byte(1+i%2))
	}
	for i := range 6 {
		m.expectMessage("x", fmt.Sprint(i))
	}
	l.again(Config{})
	l.deliver("x", "6", 1)
	for range 2 {
		m, _ = l.stay(packet.V5, "m")
		for i := range 7 {
			if p := m.expectMessage("x", fmt.Sprint(i)); p.QoS != byte(1+i%2) {
				t.Errorf("message %d at QoS %d", i, p.QoS)
			}
		}
		m.nothing()
		l.vanish(m)
	}
}

// TestSharedLimits: a group's queue is bounded as that of a session is, in memory and in the store.
func TestSharedLimits(t *testing.T) {
	for _, kind := range []string{"stored", "memory"} {
		t.Run(kind, func(t *testing.T) {
			l := buildLasting(t, Config{QueueMessages: 3})
			l.v.noQueue = kind == "memory"
			m := l.stayWith("m", one)
			m.subscribe(1, "$share/g/x")
			for i := range 6 {
				publishFrom(l.b, 1, "x", fmt.Sprint(i))
			}
			if n := l.b.Stats().DroppedQueue; n != 2 {
				t.Errorf("%d dropped, want all but one in flight and 3", n)
			}
			for i := range 4 {
				m.finish(m.expectMessage("x", fmt.Sprint(i)))
			}
			m.nothing()
		})
	}
}

// TestTooLargeForOneMember: another one gets it; if there is none it is discarded. v5 [MQTT-3.1.2-24] [MQTT-3.1.2-25]
func TestTooLargeForOneMember(t *testing.T) {
	l := buildLasting(t, Config{})
	small := l.stayWith("small", func(p *packet.Connect) { p.Props.SetMaximumPacketSize(100) })
	small.subscribe(1, "$share/g/x")
	large, _ := l.stay(packet.V5, "large")
	large.subscribe(1, "$share/g/x")
	big := strings.Repeat("b", 200)
	for range 2 {
		l.deliver("x", big, 1)
		large.finish(large.expectMessage("x", big))
	}
	l.vanish(large)
	l.deliver("x", big, 1)
	l.deliver("x", "fits", 1)
	small.finish(small.expectMessage("x", "fits"))
	small.nothing()
	l.until(func() bool { n, _ := l.group().queue.Waiting(); return n == 0 })
	if n := l.b.Stats().TooLarge; n != 1 {
		t.Errorf("%d counted as too large, want 1", n)
	}
}

// TestBacklogOfAGroupIsReadFromDisk: what a stored group has is read by a goroutine of its own.
func TestBacklogOfAGroupIsReadFromDisk(t *testing.T) {
	l := buildLasting(t, Config{})
	l.v.change(func() { l.v.slow = true })
	m, _ := l.stay(packet.V5, "m")
	m.subscribe(2, "$share/g/x")
	l.vanish(m)
	const n = 300
	for i := range n {
		publishFrom(l.b, byte(1+i%2), "x", fmt.Sprint(i))
	}
	l.again(Config{})
	m, _ = l.stay(packet.V5, "m")
	if got := m.collect(n); !slices.Equal(got, numbers(0, n)) {
		t.Errorf("got %v", got)
	}
	m.nothing()
}

// TestGroupAndOwnMessagesShareTheWindow: with room for one message at a time both get their turns.
func TestGroupAndOwnMessagesShareTheWindow(t *testing.T) {
	for _, clean := range []bool{false, true} {
		t.Run(fmt.Sprint("clean ", clean), func(t *testing.T) {
			l := buildLasting(t, Config{})
			tweak := keepSession
			if clean {
				tweak = func(*packet.Connect) {}
			}
			m, _ := l.login(packet.V5, "m", tweak, one)
			m.subscribe(1, "own", "$share/g/shared")
			const n = 20
			for i := range n {
				publishFrom(l.b, 1, "own", fmt.Sprint(i))
				publishFrom(l.b, 1, "shared", fmt.Sprint(i))
			}
			at := map[string]int{}
			for range 2 * n {
				p := m.expect(packet.TypePublish).(*packet.Publish)
				name := string(p.Topic)
				if string(p.Payload) != fmt.Sprint(at[name]) {
					t.Fatalf("%s: %s, want %d", name, p.Payload, at[name])
				}
				at[name]++
				if d := at["own"] - at["shared"]; d > 3 || d < -3 {
					t.Fatalf("%d own messages and %d of the group: one waits for the other", at["own"], at["shared"])
				}
				m.finish(p)
			}
		})
	}
}

// TestGroupNames: names of queues are those of filters, whatever they hold.
func TestGroupNames(t *testing.T) {
	for queue, want := range map[string]string{
		"$share/g/x": "$share/g/x", "2:$share/g/x": "$share/g/x", "session/0000": "", ":$share/g/x": "", "x2:$share/g": "",
		queueName("$share/" + strings.Repeat("g", 2000) + "/x"): queueName("$share/" + strings.Repeat("g", 2000) + "/x"),
	} {
		got, ok := groupOf(queue)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q is of group %q, %v, want %q", queue, got, ok, want)
		}
	}
}

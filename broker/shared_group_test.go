package broker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/broker/packet"
)

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

// TestSharedExpiry: what has expired while it waited for a member is not sent, in memory and in the store. v5 [MQTT-3.3.2-5]
func TestSharedExpiry(t *testing.T) {
	for _, kind := range []string{"stored", "memory"} {
		t.Run(kind, func(t *testing.T) {
			l := buildLasting(t, Config{QueueMessages: 2})
			l.v.noQueue = kind == "memory"
			m, _ := l.stay(packet.V5, "m")
			m.subscribe(1, "$share/g/x")
			l.vanish(m)
			old := messages(1, "x", "old")
			old[0].Props.SetMessageExpiry(1)
			old[0].Stamp.Since -= 10e9
			l.b.NewPublisher("", nil).Publish(old)
			publishFrom(l.b, 1, "x", "1")
			m, _ = l.stay(packet.V5, "m")
			if got := m.collect(1); got[0] != "1" {
				t.Errorf("got %v", got)
			}
			m.nothing()
			if n := l.b.Stats().Expired; n != 1 {
				t.Errorf("%d counted as expired, want 1", n)
			}
		})
	}
}

// TestUnreadableQueueOfAGroup: it is tried again, and then all of it comes.
func TestUnreadableQueueOfAGroup(t *testing.T) {
	l := buildLasting(t, Config{})
	l.v.change(func() { l.v.slow, l.v.broken = true, true })
	m, _ := l.stay(packet.V5, "m")
	m.subscribe(1, "$share/g/x")
	const n = 20
	for i := range n {
		publishFrom(l.b, 1, "x", fmt.Sprint(i))
	}
	l.until(l.group().resting.Load)
	l.v.change(func() { l.v.broken = false })
	if got := m.collect(n); !slices.Equal(got, numbers(0, n)) {
		t.Errorf("got %v", got)
	}
}

// TestMemberOfManyGroups: room for one message at a time is enough for all of them, at each QoS.
func TestMemberOfManyGroups(t *testing.T) {
	for _, clean := range []bool{false, true} {
		t.Run(fmt.Sprint("clean ", clean), func(t *testing.T) {
			l := buildLasting(t, Config{})
			keeper, _ := l.stay(packet.V5, "keeper")
			const groups, each = 5, 8
			for i := range groups {
				keeper.subscribe(2, fmt.Sprintf("$share/g/%d/+", i))
			}
			l.vanish(keeper)
			tweak := keepSession
			if clean {
				tweak = func(*packet.Connect) {}
			}
			m, _ := l.login(packet.V5, "m", tweak, one)
			for i := range groups {
				m.subscribe(2, fmt.Sprintf("$share/g/%d/+", i))
			}
			for k := range each {
				for i := range groups {
					publishFrom(l.b, byte(1+(i+k)%2), fmt.Sprintf("%d/x", i), fmt.Sprintf("%d %d", i, k))
				}
			}
			next := map[byte]int{}
			for _, payload := range m.collect(groups * each) {
				if want := fmt.Sprintf("%c %d", payload[0], next[payload[0]]); payload != want {
					t.Errorf("got %q, want %q", payload, want)
				}
				next[payload[0]]++
			}
			m.nothing()
		})
	}
}

package broker

import (
	"fmt"
	"testing"
	"time"

	"weir/broker/packet"
)

// TestSessionSurvivesKill: what was acknowledged for a session without a connection is there after a kill, in order, and so
// are its subscriptions. v5 [MQTT-3.1.2-5] [MQTT-4.1.0-1] [MQTT-4.5.0-1], 3.1.1 [MQTT-3.1.2-4] [MQTT-4.1.0-1] [MQTT-4.5.0-1]
func TestSessionSurvivesKill(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		l := buildLasting(t, Config{})
		sub, _ := l.stay(v, "sub")
		sub.subscribe(2, "a/#", "$share/g/shared")
		sub.leave()
		for i := range 5 {
			l.deliver("a/x", fmt.Sprint(i), byte(1+i%2))
		}
		l.deliver("shared", "5", 1)
		l.again(Config{})
		sub, ack := l.stay(v, "sub")
		if !ack.SessionPresent {
			t.Fatal("no session present after a kill")
		}
		var got []packet.Publish
		order := map[string]string{} // the group's message may come between the others
		for range 6 {
			p := sub.expect(packet.TypePublish).(*packet.Publish)
			order[string(p.Topic)] += string(p.Payload)
			if q := 1 + (p.Payload[0]-'0')%2; string(p.Topic) == "a/x" && p.QoS != q || string(p.Topic) == "shared" && p.QoS != 1 || p.Dup {
				t.Errorf("message %s at QoS %d, DUP %v, want %d, false", p.Payload, p.QoS, p.Dup, q)
			}
			got = append(got, packet.Publish{QoS: p.QoS, ID: p.ID})
		}
		if order["a/x"] != "01234" || order["shared"] != "5" {
			t.Errorf("came in the order %v, want 01234 and 5", order)
		}
		for i := range got {
			sub.finish(&got[i])
		}
		l.deliver("a/later", "6", 1)
		sub.finish(sub.expectMessage("a/later", "6"))
		sub.nothing()
	})
}

// both runs a test for both versions.
func both(t *testing.T, test func(t *testing.T, v packet.Version)) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) { test(t, v) })
	}
}

// finish acknowledges a message to its end.
func (c *client) finish(p *packet.Publish) {
	c.t.Helper()
	id := p.ID
	if p.QoS == 1 {
		c.send(&packet.Ack{Type: packet.TypePuback, ID: id})
		return
	}
	c.send(&packet.Ack{Type: packet.TypePubrec, ID: id})
	c.expectAck(packet.TypePubrel, id)
	c.send(&packet.Ack{Type: packet.TypePubcomp, ID: id})
}

// TestQueueIsADurableDestination: a PUBACK waits until the message is kept for a session that is away, or until a session
// that is there has acknowledged it, which costs no commit.
func TestQueueIsADurableDestination(t *testing.T) {
	l := buildLasting(t, Config{})
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(1, "x")
	pub, _ := l.login(packet.V5, "pub")
	l.manual()
	before := l.v.commits
	pub.publish("x", "0", 1, 1)
	p := sub.expectMessage("x", "0")
	pub.nothing() // not acknowledged
	sub.finish(p)
	pub.expectAck(packet.TypePuback, 1)
	if l.v.commits != before {
		t.Errorf("%d commits for a message that was acknowledged at once", l.v.commits-before)
	}
	l.vanish(sub)
	pub.publish("x", "1", 1, 2)
	pub.nothing()
	l.v.Commit()
	pub.expectAck(packet.TypePuback, 2)
	l.again(Config{})
	l.quick()
	sub, _ = l.stay(packet.V5, "sub")
	sub.finish(sub.expectMessage("x", "1"))
	sub.nothing()
}

// TestAnswersWaitForCommit: CONNACK of a new session, SUBACK and UNSUBACK. What was not answered is not there.
func TestAnswersWaitForCommit(t *testing.T) {
	l := buildLasting(t, Config{})
	l.manual()
	sub := l.dial(packet.V5)
	c := packet.Connect{ClientID: []byte("sub")}
	keepSession(&c)
	sub.send(&c)
	l.v.until("a barrier", func() bool { return l.session("sub") != nil && len(l.v.b.sessionKeys()) == 1 })
	sub.silent()
	l.v.Commit()
	sub.expect(packet.TypeConnack)
	sub.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("x"), QoS: 1}}})
	sub.nothing()
	l.v.Commit()
	sub.expect(packet.TypeSuback)
	sub.send(&packet.Unsubscribe{ID: 2, Filters: [][]byte{[]byte("x")}})
	sub.nothing()
	l.again(Config{})
	l.quick()
	if n := l.b.Stats().Subscriptions; n != 1 {
		t.Errorf("%d subscriptions, want the one whose UNSUBACK was not sent", n)
	}
	sub, ack := l.stay(packet.V5, "sub")
	if !ack.SessionPresent {
		t.Error("no session present")
	}
	sub.send(&packet.Unsubscribe{ID: 2, Filters: [][]byte{[]byte("x")}})
	sub.expect(packet.TypeUnsuback)
	l.manual()
	clean := l.dial(packet.V5) // discards the session: the answer waits until it is gone for good
	clean.send(&packet.Connect{ClientID: []byte("sub"), CleanStart: true})
	sub.expectEnd(packet.SessionTakenOver)
	l.v.until("the session is dropped", func() bool { return len(l.v.b.sessionKeys()) == 0 })
	clean.silent()
	l.v.Commit()
	clean.expect(packet.TypeConnack)
	l.again(Config{})
	if s := l.b.Stats(); s.Sessions != 0 || s.Subscriptions != 0 {
		t.Errorf("%d sessions and %d subscriptions after all were discarded", s.Sessions, s.Subscriptions)
	}
}

// sessionKeys are the keys of sessions in the store of the tests.
func (b *Broker) sessionKeys() (keys []string) {
	b.cfg().Store.Range(keySession, func(key string, _ []byte) bool { keys = append(keys, key); return true })
	return keys
}

// silent wants nothing to come for a moment. It can only pass wrongly, never fail wrongly.
func (c *client) silent() {
	c.t.Helper()
	c.nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	part := make([]byte, 1)
	if n, _ := c.nc.Read(part); n > 0 {
		c.t.Fatalf("got byte %#x, want nothing yet", part[0])
	}
}

// TestFailingStoreIsNotWaitedFor: while the store fails persistent sessions are answered after SpillAfter and counted;
// messages that need it are not acknowledged.
func TestFailingStoreIsNotWaitedFor(t *testing.T) {
	l := buildLasting(t, Config{SpillAfter: time.Millisecond})
	l.v.fail(true)
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(1, "x")
	if n := l.b.Stats().NotKept; n < 2 {
		t.Errorf("%d answers counted as not kept, want CONNACK and SUBACK", n)
	}
	l.vanish(sub)
	pub, _ := l.login(packet.V5, "pub")
	pub.publish("x", "1", 1, 1)
	pub.nothing()
	sub, _ = l.stay(packet.V5, "sub")
	sub.finish(sub.expectMessage("x", "1"))
	pub.expectAck(packet.TypePuback, 1)
	pub.publish("x", "2", 1, 2)
	sub.expectMessage("x", "2")
	l.v.fail(false)
	pub.expectAck(packet.TypePuback, 2)
}

// TestCleanSessionsStayOffTheStore: what concerns only clean sessions puts nothing.
func TestCleanSessionsStayOffTheStore(t *testing.T) {
	l := buildLasting(t, Config{})
	before := l.v.number
	sub, _ := l.login(packet.V5, "sub")
	sub.subscribe(2, "x")
	l.deliver("x", "1", 2)
	sub.finish(sub.expectMessage("x", "1"))
	sub.leave()
	if len(l.v.now.keys) != 0 || l.v.number != before || len(l.v.now.queues) != 0 {
		t.Errorf("keys %v, %d numbers, queues %v, want none", l.v.now.keys, l.v.number-before, l.v.now.queues)
	}
}

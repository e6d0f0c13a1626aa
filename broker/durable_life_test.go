package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
)

// TestRetainedSurvivesKill: that a topic has a retained message, or none, is kept before it is acknowledged; values are
// stored once in a while, and at the stop.
func TestRetainedSurvivesKill(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		l := buildLasting(t, Config{RetainFlush: time.Hour, MaxTopicLevels: 1000})
		pub, _ := l.login(v, "pub")
		l.manual()
		for i, name := range []string{"new", "gone", strings.Repeat("long/", 500)} {
			pub.send(retainedMessage(name, "1", 1, uint16(i+1)))
			pub.nothing()
			l.v.Commit()
			pub.expectAck(packet.TypePuback, uint16(i+1))
		}
		before := l.v.commits
		pub.send(retainedMessage("new", "2", 1, 4)) // a value
		pub.expectAck(packet.TypePuback, 4)
		pub.send(retainedMessage("gone", "", 1, 5))
		pub.nothing()
		l.v.Commit()
		pub.expectAck(packet.TypePuback, 5)
		if got := l.v.commits - before; got != 1 {
			t.Errorf("%d commits, want one for the delete", got)
		}
		l.again(Config{RetainFlush: time.Hour, MaxTopicLevels: 1000})
		l.quick()
		l.wantRetained(v, "new", "1", strings.Repeat("long/", 500), "1")
		pub, _ = l.login(v, "pub")
		pub.send(retainedMessage("new", "3", 1, 1))
		pub.expectAck(packet.TypePuback, 1)
		pub.nc.Close()
		l.stop() // in order
		l.v = l.v.crash()
		l.open(t, Config{MaxTopicLevels: 1000})
		l.wantRetained(v, "new", "3", strings.Repeat("long/", 500), "1")
	})
}

// wantRetained checks the retained messages: names and values in turn, sorted by name descending.
func (l *lasting) wantRetained(v packet.Version, want ...string) {
	l.t.Helper()
	c, _ := l.login(v, "")
	got := map[string]string{}
	c.subscribe(1, "#")
	for range len(want) / 2 {
		p := c.expect(packet.TypePublish).(*packet.Publish)
		if !p.Retain {
			l.t.Error("not marked as retained")
		}
		got[string(p.Topic)] = string(p.Payload)
	}
	c.nothing()
	for i := 0; i < len(want); i += 2 {
		if got[want[i]] != want[i+1] {
			l.t.Errorf("retained at %.20q: %q, want %q", want[i], got[want[i]], want[i+1])
		}
	}
	c.nc.Close()
}

// TestRetainedValuesAreCoalesced: a stream of values costs one put in a while, and a value never comes back over a delete.
func TestRetainedValuesAreCoalesced(t *testing.T) {
	b := New(Config{Store: newVault(t)}, newVault(t), stampNow, quietLog())
	v := b.cfg().Store.(*vault)
	retain := func(payload string) bool {
		m := message.Message{Stamp: stampNow(), Publish: *retainedMessage("x", payload, 0, 0)}
		changed, _ := b.retain(&m, source{})
		return changed
	}
	value := func() (payload string) {
		v.Range(keyRetain, func(_ string, value []byte) bool {
			m, err := parseMessage(value)
			if err != nil {
				t.Fatal(err)
			}
			payload = string(m.Payload)
			return true
		})
		return payload
	}
	if !retain("0") || value() != "0" {
		t.Errorf("a new topic is not stored: %q", value())
	}
	for i := range 100 {
		if retain(fmt.Sprint(i)) || value() != "0" {
			t.Fatal("a value is stored at once")
		}
	}
	b.flushRetained()
	if value() != "99" {
		t.Errorf("stored %q, want the last value", value())
	}
	retain("100")
	if !retain("") {
		t.Error("a delete is not stored")
	}
	b.flushRetained()
	if value() != "" || len(v.now.keys) != 0 {
		t.Errorf("%q came back over a delete", value())
	}
	if retain("") {
		t.Error("deleting what is not there waits for a commit")
	}
}

// TestRetainedForStoredSession: retained messages for a new subscription go through the queue, more than a batch of them,
// and one that is replaced meanwhile never follows its successor.
func TestRetainedForStoredSession(t *testing.T) {
	l := buildLasting(t, Config{QueueMessages: 10})
	const n = 200
	for i := range n {
		p := l.b.NewPublisher("", nil)
		if err := p.Publish([]message.Message{{Stamp: stampNow(), Publish: *retainedMessage(fmt.Sprintf("r/%03d", i), fmt.Sprint(i), byte(i%3), 0)}}); err != nil {
			t.Fatal(err)
		}
	}
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribeLoosely(2, "r/#")
	got := map[string]int{}
	for len(got) < n {
		p, what, err := sub.next()
		switch {
		case err != nil:
			t.Fatal(err)
		case what == packet.TypePubrel:
			sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: p.(*packet.Ack).ID})
		case what == packet.TypePublish:
			m := p.(*packet.Publish)
			got[string(m.Topic)]++
			if !m.Retain {
				t.Fatal("not marked as retained")
			}
			if m.QoS == 1 {
				sub.send(&packet.Ack{Type: packet.TypePuback, ID: m.ID})
			}
			if m.QoS == 2 {
				sub.send(&packet.Ack{Type: packet.TypePubrec, ID: m.ID})
			}
		}
	}
	for name, times := range got {
		if times != 1 {
			t.Errorf("%s came %d times", name, times)
		}
	}
}

// subscribeLoosely subscribes without waiting for SUBACK, which may come behind messages.
func (c *client) subscribeLoosely(q byte, filter string) {
	c.t.Helper()
	c.send(&packet.Subscribe{ID: 9000, Filters: []packet.Subscription{{Filter: []byte(filter), QoS: q}}})
}

// TestQueueIsBounded: beyond QueueMessages the newest is dropped and counted, and does not hold up its publisher.
func TestQueueIsBounded(t *testing.T) {
	for _, cfg := range []Config{{QueueMessages: 5}, {QueueBytes: 5 * 1000}} {
		l := buildLasting(t, cfg)
		sub, _ := l.stay(packet.V5, "sub")
		sub.subscribe(1, "x")
		l.vanish(sub)
		pad := strings.Repeat("x", 700) // a footprint of about 1,000
		for i := range 8 {
			l.deliver("x", fmt.Sprint(i)+pad, 1)
		}
		dropped := 8
		l.v.change(func() {
			for _, q := range l.v.now.queues {
				dropped -= len(q.records)
			}
		})
		if dropped < 2 || dropped > 4 {
			t.Errorf("%d dropped of 8 with %+v", dropped, cfg)
		}
		l.until(func() bool { return int(l.b.Stats().DroppedQueue) == dropped }) // counted a moment after the acknowledgement
		l.again(cfg)
		l.deliver("x", "8"+pad, 1) // no room still
		sub, _ = l.stay(packet.V5, "sub")
		for i := range 8 - dropped {
			sub.finish(sub.expectMessage("x", fmt.Sprint(i)+pad))
		}
		sub.nothing() // the acknowledgements have made room
		l.deliver("x", "9", 1)
		sub.finish(sub.expectMessage("x", "9"))
		sub.nothing()
		for name, s := range l.v.now.queues {
			if d := l.session("sub").out.durable; d.coming.Load() != 0 || d.bytes.Load() != 0 {
				t.Errorf("queue %s: %d messages and %d bytes are still to come; it has %d", name, d.coming.Load(), d.bytes.Load(), len(s.records))
			}
		}
	}
}

// TestFullQueueIsTold: a 5.0 publisher whose message nobody takes, because the only queue it is for has no room, gets 0x97;
// one on 3.1.1 is acknowledged, and so is a message that somebody took. v5 sections 3.4.2.1 and 3.5.2.1
func TestFullQueueIsTold(t *testing.T) {
	l := buildLasting(t, Config{QueueMessages: 1})
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(2, "x/#")
	l.vanish(sub)
	pub, _ := l.stay(packet.V5, "pub")
	old, _ := l.stay(packet.V311, "old")
	for _, q := range []byte{1, 2} {
		answer := [...]packet.Type{1: packet.TypePuback, 2: packet.TypePubrec}[q]
		send := func(c *client, name string, id uint16) packet.Reason {
			c.send(&packet.Publish{Topic: []byte(name), Payload: []byte("m"), QoS: q, ID: id})
			return c.expectAck(answer, id).Reason
		}
		if q == 1 {
			if got := send(pub, "x/y", 1); got != packet.Success {
				t.Fatalf("with room: %s", got)
			}
		}
		for range 2 { // an id that was refused is free
			if got := send(pub, "x/y", 2); got != packet.QuotaExceeded {
				t.Errorf("QoS %d without room: %s, want %s", q, got, packet.QuotaExceeded)
			}
		}
		if got := send(old, "x/y", 3); got != packet.Success {
			t.Errorf("QoS %d on 3.1.1: %s, want %s", q, got, packet.Success)
		}
		if q == 2 {
			old.send(&packet.Ack{Type: packet.TypePubrel, ID: 3})
			old.expectAck(packet.TypePubcomp, 3)
		}
	}
	other, _ := l.stay(packet.V5, "other", func(p *packet.Connect) { p.CleanStart = true; p.Props.Unset(packet.PropSessionExpiry) })
	other.subscribe(0, "x/z")
	pub.send(&packet.Publish{Topic: []byte("x/z"), Payload: []byte("m"), QoS: 1, ID: 9})
	if got := pub.expectAck(packet.TypePuback, 9).Reason; got != packet.Success {
		t.Errorf("a message that somebody was given: %s, want %s", got, packet.Success)
	}
}

// TestWillSurvivesKill: the will of a stored session is published when the next process finds that its connection is
// gone, with its delay; one that was published or dropped does not come again. v5 [MQTT-3.1.2-8] [MQTT-3.1.3-9]
func TestWillSurvivesKill(t *testing.T) {
	l := buildLasting(t, Config{})
	watch, _ := l.stay(packet.V5, "watch")
	watch.subscribe(1, "will/#")
	_, _ = l.stay(packet.V5, "now", lastWill("will/now", "a", 1))
	delayed := func(p *packet.Connect) { p.Will.Props.SetWillDelay(1) }
	_, _ = l.stay(packet.V5, "later", lastWill("will/later", "b", 1), delayed)
	dropped, _ := l.stay(packet.V5, "dropped", lastWill("will/dropped", "c", 1))
	dropped.leave()
	l.again(Config{})
	watch, _ = l.stay(packet.V5, "watch")
	watch.finish(watch.expectMessage("will/now", "a"))
	watch.finish(watch.expectMessage("will/later", "b"))
	watch.nothing()
	watch.leave()
	l.until(func() (none bool) { // a will is published before the store forgets it, and may come twice in between
		none = true
		l.v.Range(keySession, func(_ string, value []byte) bool { none = none && value[1]&1 == 0; return none })
		return none
	})
	l.v.Commit()
	l.again(Config{})
	watch, _ = l.stay(packet.V5, "watch")
	if p, got, _ := watch.pinged(); got != packet.TypePingresp {
		t.Errorf("got %s %+v after the wills were published", got, p)
	}
}

func (c *client) pinged() (decoder, packet.Type, error) {
	c.send(&packet.Pingreq{})
	return c.next()
}

// TestSessionsExpireAfterRestart: an expiry runs on through a restart as far as time is known, and never ends early.
func TestSessionsExpireAfterRestart(t *testing.T) {
	l := buildLasting(t, Config{})
	short, _ := l.login(packet.V5, "short", resume, expiry(1))
	short.subscribe(1, "x")
	long, _ := l.stay(packet.V5, "long")
	long.leave()
	short.leave()
	l.again(Config{})
	l.until(func() bool { return l.b.Stats().Sessions == 1 })
	if l.session("long") == nil {
		t.Error("the wrong session has ended")
	}
	l.v.until("everything of it is gone", func() bool {
		l.v.mu.Lock()
		defer l.v.mu.Unlock()
		return len(l.v.now.queues) == 1 && len(l.v.now.keys) == 1
	})
}

func TestElapsed(t *testing.T) {
	s := func(boot uint64, since time.Duration, wall int64) message.Stamp {
		return message.Stamp{Boot: boot, Since: since, Wall: wall}
	}
	for _, c := range []struct {
		name     string
		from, to message.Stamp
		want     time.Duration
	}{
		{"never away", message.Stamp{}, s(1, 5, 5), 0},
		{"same boot", s(1, 5, 0), s(1, 9, 100), 4},
		{"other boot, both trusted", s(1, 5, 100), s(2, 1, 170), 70},
		{"other boot, then not trusted", s(1, 5, 0), s(2, 1, 170), 0},
		{"other boot, now not trusted", s(1, 5, 100), s(2, 1, 0), 0},
		{"backwards", s(1, 5, 100), s(2, 1, 50), 0},
	} {
		if got := elapsed(c.from, c.to); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestStraysAreSweptAway: keys and queues of sessions that are no more go at the start, and what cannot be read goes too.
func TestStraysAreSweptAway(t *testing.T) {
	v := newVault(t)
	stray := serial(4711)
	for _, key := range []string{stray.key(keySession), stray.sub("x"), stray.held(3), keyHeld, keySub + "short", retainKey("x")} {
		v.Put(key, []byte{9, 9})
	}
	v.Queue(stray.queue())
	New(Config{Store: v}, v, stampNow, quietLog())
	if len(v.now.keys) != 0 || len(v.now.queues) != 0 {
		t.Errorf("left: keys %q, queues %v", v.now.keys, v.now.queues)
	}
}

// TestKept: what is stored of a session is read as it was.
func TestKept(t *testing.T) {
	want := kept{protocol: packet.V5, lasts: 90 * time.Second, away: message.Stamp{Boot: 1, Since: 2, Wall: -3}, user: []byte("u"), id: []byte("id"),
		will: &will{delay: 7 * time.Second, message: message.Message{Stamp: message.Stamp{Boot: 4, Since: 5}, Origin: []byte("id"), Publish: *retainedMessage("w", "x", 2, 0)}}}
	b := want.append(nil)
	got, err := parseKept(b)
	if err != nil || fmt.Sprintf("%+v %+v", got, got.will.message) == "" || got.lasts != want.lasts || got.away != want.away || string(got.user) != "u" ||
		string(got.id) != "id" || got.protocol != packet.V5 || got.will.delay != 7*time.Second || string(got.will.message.Payload) != "x" ||
		got.will.message.QoS != 2 || !got.will.message.Retain || got.will.message.Stamp != want.will.message.Stamp {
		t.Errorf("read %+v, %v", got, err)
	}
	for n := range b {
		if k, err := parseKept(b[:n]); err == nil && k.will != nil && string(k.will.message.Payload) == "x" {
			t.Errorf("%d of %d bytes are read as a whole", n, len(b))
		}
	}
	qos, retain, ids := parseHit(appendHit(nil, 2, true, []uint32{1, 1 << 27}), nil)
	if qos != 2 || !retain || len(ids) != 2 || ids[1] != 1<<27 {
		t.Errorf("destination data: %d, %v, %v", qos, retain, ids)
	}
}

// TestNoRoomInTheStore: what cannot be kept works in memory and is counted.
func TestNoRoomInTheStore(t *testing.T) {
	l := buildLasting(t, Config{})
	l.v.change(func() { l.v.noKeys = true })
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(1, "x")
	l.deliver("x", "1", 1)
	sub.finish(sub.expectMessage("x", "1"))
	if l.b.Stats().NotKept == 0 || len(l.v.now.queues) != 0 {
		t.Errorf("%d counted as not kept, queues %v", l.b.Stats().NotKept, l.v.now.queues)
	}
	l.v.change(func() { l.v.noKeys = false })
	stored, _ := l.stay(packet.V5, "stored")
	l.v.change(func() { l.v.noKeys = true })
	if got := stored.subscribe(1, "y"); got[0] != packet.QuotaExceeded {
		t.Errorf("a subscription without room is answered %s", got[0])
	}
	l.deliver("y", "1", 1)
	stored.nothing()
}

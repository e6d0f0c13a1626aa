package broker

import (
	"testing"
	"time"

	"weir/broker/packet"
)

// TestTakeOverBeforeThePromise: a connection that comes while a message of QoS 2 is about to be promised to the one before
// does not get it before its pair is kept either.
func TestTakeOverBeforeThePromise(t *testing.T) {
	l := buildLasting(t, Config{})
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(2, "x")
	l.manual()
	var next *client
	l.v.change(func() {
		l.v.onKeep = func() {
			l.vanish(sub)
			next, _ = l.stay(packet.V5, "sub")
		}
	})
	publishFrom(l.b, 2, "x", "1")
	next.nothing()
	l.v.Commit()
	if p := next.expectMessage("x", "1"); !p.Dup {
		t.Error("DUP 0, but the connection before may have had it")
	}
	next.nothing()
}

// TestPubrecWhileSendingAgain: PUBREL waits for its commit though the message is just about to be sent again.
func TestPubrecWhileSendingAgain(t *testing.T) {
	l := buildLasting(t, Config{})
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(2, "x")
	publishFrom(l.b, 2, "x", "1")
	publishFrom(l.b, 2, "x", "2")
	first, second := sub.expectMessage("x", "1").ID, sub.expectMessage("x", "2").ID
	l.vanish(sub)
	window := func(p *packet.Connect) { p.Props.SetReceiveMaximum(1) }
	sub, _ = l.stay(packet.V5, "sub", window)
	sub.expectMessage("x", "1") // the window is full
	l.manual()
	sub.send(&packet.Ack{Type: packet.TypePubrec, ID: second})
	sub.nothing()
	sub.send(&packet.Ack{Type: packet.TypePubrec, ID: first})
	sub.nothing()
	l.v.Commit()
	l.quick()
	for done := 0; done < 2; { // one of them is told twice
		ack := sub.expect(packet.TypePubrel).(*packet.Ack)
		if ack.ID == first || ack.ID == second {
			done++
		}
	}
}

// TestIdIsUsedAgainAtOnce: the pair of a message whose id has just become free is kept.
func TestIdIsUsedAgainAtOnce(t *testing.T) {
	l := buildLasting(t, Config{})
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(2, "x")
	d := l.session("sub").out.durable
	sub.nothing()
	l.v.change(func() {
		l.v.onNext = func() { // PUBCOMP comes between looking for such ids and sending
			d.s.out.mu.Lock()
			defer d.s.out.mu.Unlock()
			d.freed = append(d.freed, 1)
		}
	})
	publishFrom(l.b, 2, "x", "1")
	if id := sub.expectMessage("x", "1").ID; id != 1 {
		t.Fatalf("id %d, want the one that has become free", id)
	}
	sub.nothing()
	if p := d.queue.Pairs(); len(p) != 1 || p[0].ID != 1 {
		t.Errorf("pairs %v, want the one that was kept", p)
	}
}

// TestAttachTakesNoSecondLock: what a new connection does under the lock of its out waits for no other lock.
func TestAttachTakesNoSecondLock(t *testing.T) {
	l := buildLasting(t, Config{})
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(2, "x")
	l.manual()
	publishFrom(l.b, 2, "x", "1")
	d := l.session("sub").out.durable
	l.vanish(sub)
	l.b.pledges.mu.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.s.out.mu.Lock()
		defer d.s.out.mu.Unlock()
		d.attached()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("it waits for the lock of the pledges, whose holder may wait for that of the out")
	}
	l.b.pledges.mu.Unlock()
	<-done
}

// TestRepeatedPubrecIsBounded: a client that says PUBREC again and again while nothing can be kept takes no memory.
func TestRepeatedPubrecIsBounded(t *testing.T) {
	l := buildLasting(t, Config{})
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(2, "x")
	publishFrom(l.b, 2, "x", "1")
	id := sub.expectMessage("x", "1").ID
	l.manual()
	d := l.session("sub").out.durable
	const many = answerBytes / 4
	for range 2 {
		d.s.out.mu.Lock()
		for range many * 3 / 4 {
			d.s.out.received(packet.TypePubrec, id, packet.Success)
		}
		d.s.out.mu.Unlock()
		d.pumpOut()
		l.until(func() bool {
			d.s.out.mu.Lock()
			defer d.s.out.mu.Unlock()
			return len(d.released) == 0 && d.turn.state.Load() == 0
		})
	}
	d.s.out.mu.Lock()
	size := 0
	for _, p := range d.promises {
		size += len(p.bytes)
	}
	d.s.out.mu.Unlock()
	if size > answerBytes {
		t.Errorf("%d bytes of PUBRELs are kept, limit %d", size, answerBytes)
	}
}

// TestUnreadableQueueIsLeftAlone: a disk that cannot be read is not asked again for each message, and once it can be read all
// of them come.
func TestUnreadableQueueIsLeftAlone(t *testing.T) {
	l := buildLasting(t, Config{})
	l.v.change(func() { l.v.slow, l.v.broken = true, true })
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(1, "x")
	d := l.session("sub").out.durable
	start := time.Now()
	const n = 200
	for range n {
		publishFrom(l.b, 1, "x", "1")
	}
	l.until(d.resting.Load)
	for range n {
		d.pumpOut()
	}
	l.v.mu.Lock()
	reads, most := l.v.reads, 2+int(time.Since(start)/restAfter)
	l.v.broken = false
	l.v.mu.Unlock()
	if reads > most {
		t.Errorf("%d attempts to read, want at most %d", reads, most)
	}
	for range n {
		sub.finish(sub.expectMessage("x", "1"))
	}
}

// TestConnackIsNotSentUnkept: a session whose commit does not come before the broker stops, or before the client has waited
// long enough, is not confirmed, and in nobody's way afterwards. While a store fails it is, after SpillAfter, and counted.
func TestConnackIsNotSentUnkept(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		l := buildLasting(t, Config{ConnectWait: 300 * time.Millisecond, SpillAfter: 10 * time.Millisecond})
		l.manual()
		p := packet.Connect{ClientID: []byte("sub")}
		keepSession(&p)
		c := l.dial(v)
		c.send(&p)
		c.unconfirmed("not kept in time")
		l.quick()
		sub, _ := l.stay(v, "sub") // nothing holds the session
		l.leave(sub)
		if n := l.b.Stats().NotKept; n != 0 {
			t.Errorf("%d counted as not kept", n)
		}
		l.v.fail(true)
		c = l.dial(v)
		p.ClientID = []byte("other")
		c.send(&p)
		if a := c.expect(packet.TypeConnack).(*packet.Connack); a.Reason != packet.Success {
			t.Fatalf("while the store fails: CONNACK %s", a.Reason)
		}
		if n := l.b.Stats().NotKept; n == 0 {
			t.Error("nothing counted as not kept")
		}
		l.v.fail(false)
		c.nc.Close()

		l.manual()
		c = l.dial(v)
		p.ClientID = []byte("last")
		c.send(&p)
		l.v.until("the session", func() bool {
			l.v.mu.Lock()
			defer l.v.mu.Unlock()
			return len(l.v.now.queues) == 3
		})
		l.house.stop()
		c.unconfirmed("at the stop")
	})
}

// unconfirmed wants the connection to end without a CONNACK, or with one that refuses.
func (c *client) unconfirmed(when string) {
	c.t.Helper()
	for {
		got, _, err := c.next()
		if err != nil {
			c.nc.Close()
			return
		}
		if a, ok := got.(*packet.Connack); ok && a.Reason == packet.Success {
			c.t.Fatalf("%s: CONNACK %s", when, a.Reason)
		}
	}
}

package broker

import (
	"fmt"
	"testing"

	"weir/broker/packet"
)

// TestRoomOfUserProperties: a packet of 1 MiB has place for 200,000 user properties, which take 10 MB when they are decoded. Nothing that
// is used again keeps that room: not the output of each subscriber that takes aliases, nor what the reader decodes into, nor a
// queue, nor who sends a retained message.
func TestRoomOfUserProperties(t *testing.T) {
	const most = 64
	h := build(t, Config{})
	with := func(n int) *packet.Publish {
		m := retainedMessage("a/long/topic/name", "x", 1, 1)
		for range n {
			m.Props.AddUser(nil, nil)
		}
		return m
	}
	many := with(100_000)
	var subs []*client
	for i := range 3 {
		sub, _ := h.login(packet.V5, fmt.Sprint("sub", i), func(p *packet.Connect) { p.Props.SetTopicAliasMaximum(10) })
		sub.subscribe(1, "a/#")
		subs = append(subs, sub)
	}
	pub, _ := h.login(packet.V5, "pub")
	for _, m := range []*packet.Publish{many, with(1), with(500), many} { // from the second on the topic has an alias
		pub.send(m)
		pub.expectAck(packet.TypePuback, 1)
		for i, sub := range subs {
			p := sub.expectMessage("a/long/topic/name", "x")
			if len(p.Props.User) != len(m.Props.User) {
				t.Errorf("%d user properties came, want %d", len(p.Props.User), len(m.Props.User))
			}
			sub.finish(p)
			sub.nothing()
			o := &h.session(fmt.Sprint("sub", i)).out
			o.mu.Lock()
			room := cap(o.conn.short.publish.Props.User)
			o.mu.Unlock()
			if room > most {
				t.Errorf("the output of a subscriber keeps room for %d user properties, want at most %d", room, most)
			}
		}
	}

	r := h.b.newReading()
	for range 2 {
		m := r.message()
		m.Publish = *many
		r.used++
	}
	all := r.messages[:2:2]
	r.finish()
	for _, m := range all {
		if n := cap(m.Props.User); n > most || len(m.Props.User) > 0 {
			t.Errorf("a reader keeps room for %d user properties, want at most %d", n, most)
		}
	}

	kept := h.b.retained.names.Get("a/long/topic/name")
	f := filler{b: h.b}
	m := f.message(&held{kept: kept})
	if len(m.Props.User) != 100_000 {
		t.Fatalf("%d user properties are retained", len(m.Props.User))
	}
	f.done()
	if n := cap(m.Props.User); n > most {
		t.Errorf("who sends retained messages keeps room for %d user properties, want at most %d", n, most)
	}
}

// TestRoomOfUserPropertiesInTheStore is that of the queue of a session.
func TestRoomOfUserPropertiesInTheStore(t *testing.T) {
	l := buildLasting(t, Config{QueueBytes: 8 << 20})
	sub, _ := l.stay(packet.V5, "sub")
	sub.subscribe(1, "x")
	many := message1("x", "x", 1, 1)
	for range 100_000 {
		many.Props.AddUser(nil, nil)
	}
	pub, _ := l.login(packet.V5, "pub")
	d := l.session("sub").out.durable
	b := make([]Queued, batchSize)
	d.turn.begin()
	d.batch = b
	d.turn.end()
	pub.send(many)
	sub.finish(sub.expectMessage("x", "x"))
	pub.expectAck(packet.TypePuback, 1)
	sub.nothing()
	l.until(func() bool { // by whoever has the turn last
		if !d.turn.begin() {
			return false
		}
		defer d.turn.end()
		return d.batch == nil
	})
	for i := range b {
		if n := cap(b[i].Message.Props.User); n > 64 {
			t.Errorf("place %d of a batch keeps room for %d user properties", i, n)
		}
	}
}

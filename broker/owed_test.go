package broker

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"weir/broker/message"
	"weir/broker/packet"
)

// TestAcknowledgementsNeverEarlyNorOutOfOrder settles records in random order and checks at each step that exactly the
// settled heads were acknowledged.
func TestAcknowledgementsNeverEarlyNorOutOfOrder(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		const n = 200
		h := build(t, Config{})
		h.route("up/#")
		pub, _ := h.login(v, "pub")
		var all []appender
		durable := 0
		for i := range n {
			name := "up/x"
			if i%5 == 4 {
				name = "local" // owed at once, but not past those before it
			} else {
				durable++
			}
			all = append(all, message1(name, fmt.Sprint(i), 1+byte(i%2), uint16(i+1)))
		}
		pub.send(all...)
		h.journal.wait(t, durable)
		var numbers []int // record of message i, 0: none
		record := 0
		for i := range n {
			if i%5 == 4 {
				numbers = append(numbers, 0)
				continue
			}
			record++
			numbers = append(numbers, record)
		}
		settled := map[int]bool{0: true}
		acked := 0
		for _, i := range rand.Perm(durable) {
			settled[i+1] = true
			h.journal.settle(uint64(i + 1))
			want := acked
			for want < n && settled[numbers[want]] {
				want++
			}
			for ; acked < want; acked++ {
				pub.expectAck([]packet.Type{packet.TypePuback, packet.TypePubrec}[acked%2], uint16(acked+1))
			}
			pub.nothing()
		}
		if acked != n {
			t.Fatalf("%d acknowledged, want %d", acked, n)
		}
		if s := h.b.Stats(); s.Owed != 0 {
			h.until(func() bool { return h.b.Stats().Owed == 0 })
		}
	})
}

func TestOneAppendForManyPublishes(t *testing.T) {
	h := build(t, Config{})
	h.route("up/#")
	pub, _ := h.login(packet.V311, "pub")
	var all []appender
	for i := range 40 {
		all = append(all, message1("up/x", fmt.Sprint(i), 1, uint16(i+1)))
	}
	pub.send(all...) // less than one read buffer, sent with one write
	records := h.journal.wait(t, 40)
	for i, r := range records {
		if string(r.message.Payload) != fmt.Sprint(i) || r.kind != KindQoS1 || string(r.message.Origin) != "pub" || r.message.Stamp.Boot != 7 {
			t.Fatalf("record %d: %q kind %d origin %q stamp %+v", i, r.message.Payload, r.kind, r.message.Origin, r.message.Stamp)
		}
	}
	if h.journal.calls != 1 {
		t.Errorf("%d calls of Append, want 1", h.journal.calls)
	}
}

// TestJournalFull: what does not fit waits in order; QoS 0 is dropped while nothing waits and keeps its place after that.
func TestJournalFull(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		h.route("up/#")
		h.journal.room, h.journal.auto = 1, true
		pub, _ := h.login(v, "pub")
		sub, _ := h.login(v, "sub")
		sub.subscribe(0, "up/#")
		pub.publish("up/x", "1", 1, 1)
		pub.expectAck(packet.TypePuback, 1)
		pub.publish("up/x", "dropped", 0, 0)
		h.until(func() bool { return h.b.Stats().DroppedTail == 1 })
		pub.publish("up/x", "2", 1, 2)
		pub.publish("up/x", "3", 0, 0)
		pub.publish("up/x", "4", 2, 4)
		pub.publish("local", "", 1, 5)
		pub.nothing() // still read: PINGREQ is answered
		for _, payload := range []string{"1", "dropped", "2", "3", "4"} {
			sub.expectMessage("up/x", payload) // here at once
		}
		h.journal.makeRoom(1)
		pub.expectAck(packet.TypePuback, 2)
		pub.nothing()
		h.journal.makeRoom(10)
		pub.expectAck(packet.TypePubrec, 4)
		pub.expectAck(packet.TypePuback, 5)
		var got []string
		for _, r := range h.journal.wait(t, 4) {
			got = append(got, string(r.message.Payload))
		}
		if want := []string{"1", "2", "3", "4"}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("journal has %q, want %q", got, want)
		}
		h.until(func() bool { s := h.b.Stats(); return s.Owed == 0 && s.WaitingBytes == 0 })
	})
}

// TestGoneWhileMessagesWait: what a client had waiting for the journal ends with its session, not without being counted.
func TestGoneWhileMessagesWait(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		h.route("up/#")
		h.journal.room = 0
		pub, _ := h.login(v, "pub")
		pub.publish("up/x", "1", 1, 1)
		pub.publish("up/x", "2", 0, 0) // waits behind the first
		pub.publish("up/x", "3", 0, 0)
		pub.nothing()
		if s := h.b.Stats(); s.DroppedTail != 0 || s.WaitingBytes == 0 {
			t.Errorf("%d dropped and %d bytes waiting, want none and some", s.DroppedTail, s.WaitingBytes)
		}
		h.vanish(pub)
		h.until(func() bool { s := h.b.Stats(); return s.Sessions == 0 && s.WaitingBytes == 0 && s.Owed == 0 })
		if s := h.b.Stats(); s.DroppedTail != 2 {
			t.Errorf("%d messages of QoS 0 counted as dropped, want 2", s.DroppedTail)
		}
	})
}

func TestAllowanceUsedUp(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{AllowanceBytes: 10 << 10})
		h.route("up/#")
		h.journal.room = 0
		pub, _ := h.login(v, "pub", keepSession)
		big := string(bytes.Repeat([]byte("x"), 6<<10))
		pub.publish("up/x", "first"+big, 2, 1)
		pub.nothing()
		pub.publish("up/x", "second"+big, 2, 2)
		pub.expectEnd(packet.QuotaExceeded)
		if s := h.b.Stats(); s.AllowanceClosed != 1 {
			t.Errorf("%d closed, want 1", s.AllowanceClosed)
		}
		// The session has the first, which waits on; the second was not taken, so it is new when it comes again.
		h.journal.auto = true
		pub, ack := h.login(v, "pub", resume, keepSession)
		if !ack.SessionPresent {
			t.Fatal("no session")
		}
		again := message1("up/x", "first"+big, 2, 1)
		again.Dup = true
		pub.send(again)
		pub.nothing()
		h.journal.makeRoom(10)
		pub.expectAck(packet.TypePubrec, 1)
		pub.publish("up/x", "second"+big, 2, 2)
		pub.expectAck(packet.TypePubrec, 2)
		if records := h.journal.wait(t, 2); len(records) != 2 {
			t.Errorf("%d records, want 2", len(records))
		}
	})
}

func TestAllowanceOfAll(t *testing.T) {
	h := build(t, Config{AllowanceBytes: 10 << 10, AllowanceTotalBytes: 15 << 10})
	h.route("up/#")
	h.journal.room = 0
	big := string(bytes.Repeat([]byte("x"), 8<<10))
	one, _ := h.login(packet.V5, "one")
	one.publish("up/x", big, 1, 1)
	one.nothing()
	two, _ := h.login(packet.V5, "two")
	two.publish("up/x", big, 1, 1)
	two.expectEnd(packet.QuotaExceeded)
	h.vanish(one)
	h.until(func() bool { s := h.b.Stats(); return s.WaitingBytes == 0 && s.Owed == 0 })
}

// TestLostConnectionOwedNothing: what a lost connection was owed is never sent to the next one, and nothing leaks.
func TestLostConnectionOwedNothing(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		h.route("up/#")
		pub, _ := h.login(v, "pub", keepSession)
		pub.publish("up/x", "1", 1, 1)
		pub.publish("up/x", "2", 2, 2)
		h.journal.wait(t, 2)
		h.vanish(pub)
		pub, _ = h.login(v, "pub", resume, keepSession)
		h.journal.settle(1)
		pub.nothing()
		pub.nothing() // QoS 1: the client has to send it again
		again := message1("up/x", "2", 2, 2)
		again.Dup = true
		pub.send(again)
		pub.nothing()
		pub.nothing() // QoS 2: a repeat waits for the record of the first
		h.journal.settle(2)
		pub.expectAck(packet.TypePubrec, 2)
		pub.send(again) // PUBREC lost: again, now at once
		pub.expectAck(packet.TypePubrec, 2)
		pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 2})
		pub.expectAck(packet.TypePubcomp, 2)
		if n := len(h.journal.wait(t, 2)); n != 2 {
			t.Errorf("%d records, want 2", n)
		}
		clean, _ := h.login(v, "clean")
		clean.publish("up/x", "3", 1, 3)
		h.journal.wait(t, 3)
		h.vanish(clean)
		h.until(func() bool { return h.b.Stats().Owed == 0 })
		h.journal.settle(3)
	})
}

func TestDuplicateInTheSameRead(t *testing.T) {
	h := build(t, Config{})
	h.route("up/#")
	pub, _ := h.login(packet.V5, "pub")
	first, again := message1("up/x", "1", 2, 1), message1("up/x", "1", 2, 1)
	again.Dup = true
	pub.send(first, again)
	h.journal.wait(t, 1)
	pub.nothing()
	h.journal.settle(1)
	pub.expectAck(packet.TypePubrec, 1)
	pub.nothing()
	pub.send(message1("up/x", "2", 2, 2), &packet.Ack{Type: packet.TypePubrel, ID: 2})
	pub.expectEnd(packet.ProtocolError) // PUBREL before PUBREC
}

func TestPublisherOwed(t *testing.T) {
	h := build(t, Config{AllowanceBytes: 2000})
	h.b.SetRoutes([]Route{
		{Upstream: 1, Rule: 1, Filter: mustFilter(t, "up/#"), NotFrom: "cloud"},
		{Upstream: 2, Rule: 9, Filter: mustFilter(t, "up/#"), Exclude: mustFilters(t, "up/secret/#"), Order: 2},
		{Upstream: 2, Rule: 8, Filter: mustFilter(t, "up/a/#"), Order: 1},
	})
	var mu sync.Mutex
	acked := 0
	p := h.b.NewPublisher("cloud", func(n int) { mu.Lock(); acked += n; mu.Unlock() })
	have := func(want int) {
		t.Helper()
		h.until(func() bool { mu.Lock(); defer mu.Unlock(); return acked >= want })
		mu.Lock()
		defer mu.Unlock()
		if acked != want {
			t.Fatalf("%d acknowledged, want %d", acked, want)
		}
	}
	msg := func(name, payload string, q byte) message.Message {
		return message.Message{Stamp: stampNow(), Publish: packet.Publish{Topic: []byte(name), Payload: []byte(payload), QoS: q}}
	}
	if err := p.Publish([]message.Message{msg("local", "x", 0), msg("up/a/b", "1", 0), msg("up/secret/b", "2", 1)}); err != nil {
		t.Fatal(err)
	}
	have(1)
	records := h.journal.wait(t, 1)
	if len(records) != 1 || fmt.Sprint(records[0].routes) != "[{2 8}]" || records[0].kind != KindQoS0 {
		t.Fatalf("records %+v, want one for rule 8 of upstream 2", records)
	}
	h.journal.settle(1)
	have(3)
	other := h.b.NewPublisher("own", nil)
	hops := msg("up/b", "3", 1)
	hops.Hops = 8
	if err := other.Publish([]message.Message{msg("up/b", "3", 1), hops}); err != nil {
		t.Fatal(err)
	}
	if r := h.journal.wait(t, 2); len(r) != 2 || len(r[1].routes) != 2 || r[1].kind != KindLocal {
		t.Fatalf("%d records, the second for %v, want 2 and both upstreams", len(r), r[1].routes)
	}
	h.journal.makeRoom(0)
	if err := p.Publish([]message.Message{msg("up/c", "4", 0), msg("up/c", "5", 1)}); err != nil {
		t.Fatal(err)
	}
	have(4) // the QoS 0 one was dropped, counted
	if err := p.Publish([]message.Message{msg("up/c", string(make([]byte, 1500)), 1)}); !errors.Is(err, ErrFull) {
		t.Fatalf("Publish: %v, want ErrFull", err)
	}
	h.journal.makeRoom(5)
	h.journal.wait(t, 3)
	h.journal.settle(3)
	have(5)
	if err := p.Publish([]message.Message{msg("a/#", "", 1)}); err == nil {
		t.Error("a topic with a wildcard was published")
	}
}

// TestDuplicateBehindUsedUpAllowance: what the closed connection repeated stays known.
func TestDuplicateBehindUsedUpAllowance(t *testing.T) {
	h := build(t, Config{AllowanceBytes: 1 << 10})
	h.route("up/#")
	h.journal.auto = true
	pub, _ := h.login(packet.V5, "pub", keepSession)
	first := message1("up/x", "first", 2, 1)
	pub.send(first)
	pub.expectAck(packet.TypePubrec, 1)
	h.journal.makeRoom(0)
	first.Dup = true
	pub.send(message1("up/x", string(make([]byte, 4<<10)), 2, 2), first)
	pub.expectEnd(packet.QuotaExceeded)
	h.journal.makeRoom(100)
	pub, _ = h.login(packet.V5, "pub", resume, keepSession)
	pub.send(first)
	pub.expectAck(packet.TypePubrec, 1)
	if n := len(h.journal.wait(t, 1)); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}

// TestReconnectingDoesNotGrowTheFIFO: a head that is not settled, and a client that comes back again and again.
func TestReconnectingDoesNotGrowTheFIFO(t *testing.T) {
	h := build(t, Config{})
	h.route("up/#")
	for range 20 {
		pub, _ := h.login(packet.V311, "pub", keepSession)
		pub.send(message1("up/x", "", 1, 1), message1("local", "", 1, 2), message1("local", "", 1, 3))
		pub.nothing()
		h.vanish(pub)
	}
	if n := h.session("pub").owed.size(); n > 3 {
		t.Errorf("%d acknowledgements are owed, want those of the last connection", n)
	}
}

// TestEntriesNameTheirPublisher: one number for each connection, none for what waited for room and for what nobody is
// owed an acknowledgement of.
func TestEntriesNameTheirPublisher(t *testing.T) {
	h := build(t, Config{})
	h.route("up/#")
	h.journal.auto = true
	one, _ := h.login(packet.V5, "one", keepSession)
	two, _ := h.login(packet.V5, "two")
	say := func(c *client, id uint16) {
		t.Helper()
		c.publish("up/x", "", 1, id)
		c.expectAck(packet.TypePuback, id)
	}
	say(one, 1)
	say(one, 2)
	say(two, 1)
	h.vanish(one)
	one, _ = h.login(packet.V5, "one", resume, keepSession)
	say(one, 3)
	h.journal.makeRoom(0)
	one.publish("up/x", "", 1, 4)
	one.nothing()
	h.journal.makeRoom(100)
	one.expectAck(packet.TypePuback, 4)
	batch := []message.Message{{Stamp: stampNow(), Publish: packet.Publish{Topic: []byte("up/x"), QoS: 1}}}
	for _, p := range []*Publisher{h.b.NewPublisher("cloud", func(int) {}), h.b.NewPublisher("", nil)} {
		if err := p.Publish(batch); err != nil {
			t.Fatal(err)
		}
	}
	r := h.journal.wait(t, 7)
	p := func(i int) uint64 { return r[i].publisher }
	if p(0) == 0 || p(1) != p(0) || p(2) == 0 || p(2) == p(0) || p(3) == 0 || p(3) == p(0) || p(4) != 0 || p(5) == 0 || p(5) == p(3) || p(6) != 0 {
		t.Errorf("publishers %d %d %d %d %d %d %d, want a a b c 0 d 0", p(0), p(1), p(2), p(3), p(4), p(5), p(6))
	}
	if r[5].kind != KindQoS1 || r[6].kind != KindLocal {
		t.Errorf("kinds %d and %d, want that of QoS 1 for what an upstream sent, and that of the gateway's own", r[5].kind, r[6].kind)
	}
}

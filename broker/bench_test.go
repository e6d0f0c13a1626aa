package broker

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"weir/broker/packet"
)

// TestLiveRoutingAllocatesNothing: decoding, matching and appending of QoS 0, for subscribers of both versions, plain and
// with overlapping subscriptions and identifiers.
func TestLiveRoutingAllocatesNothing(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		b := New(Config{}, newJournal(), stampNow, quietLog())
		sub := func(id string, v packet.Version, filters ...string) *session {
			s := b.newSession(id, "")
			for i, f := range filters {
				s.subscribe(mustFilter(t, f), packOptions(&packet.Subscription{QoS: 1}, uint32(i+len(filters)-1)), false)
			}
			s.out.conn, s.out.version = &connection{}, v
			return s
		}
		subs := []*session{
			sub("a", packet.V311, "home/#"), sub("b", packet.V5, "home/+/temperature"),
			sub("c", packet.V5, "home/#", "home/room/+"), sub("d", packet.V5, "elsewhere"),
		}
		c := &connection{b: b, told: b.cfg(), version: v, session: b.newSession("pub", ""), aliases: &aliases{3: nil}}
		m := message1("home/room/temperature", "21.5", 0, 0)
		m.Props.SetContentType([]byte("text/plain"))
		one, err := m.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		var batch []byte
		for range 100 {
			batch = append(batch, one...)
		}
		route := func() {
			r := b.newReading()
			n, err := c.packets(r, batch)
			if n != len(batch) || err != nil {
				t.Fatalf("%d bytes, %v", n, err)
			}
			r.touched = r.touched[:0] // there is no socket
			r.finish()
			for _, s := range subs {
				s.out.pending = s.out.pending[:0]
			}
		}
		route()
		if got := b.Stats().Sent[0]; got != 300 {
			t.Fatalf("%d deliveries, want 300", got)
		}
		if n := testing.AllocsPerRun(100, route); countAllocations && n > 0.5 {
			t.Errorf("%.2f allocations for 100 messages, want none", n)
		}
	})
}

// benchFanIn has publishers that send as fast as they can to one subscriber.
func benchFanIn(b *testing.B, q byte, durable bool) {
	h := build(b, Config{QueueBytes: 64 << 20, QueueMessages: 1 << 20, Inflight: 1000})
	h.journal.auto, h.journal.forget = true, true
	if durable {
		h.route("x")
	}
	sub, _ := h.login(packet.V311, "sub")
	sub.subscribe(q, "x")
	pub, _ := h.login(packet.V311, "pub")
	pub.nc.SetDeadline(time.Time{})
	sub.nc.SetDeadline(time.Time{})
	const batch = 200
	var all, acks []byte
	for i := range batch {
		all, _ = message1("x", string(make([]byte, 64)), q, uint16(i+1)).Append(all, packet.V311)
		if q > 0 {
			acks = append(acks, make([]byte, 4)...)
		}
	}
	b.SetBytes(64)
	b.ReportAllocs()
	b.ResetTimer()
	received := make(chan struct{})
	go func() {
		defer close(received)
		readMessages(sub.nc, b.N, q)
	}()
	for sent := 0; sent < b.N; sent += batch {
		if _, err := pub.nc.Write(all); err != nil {
			b.Fatal(err)
		}
		if q > 0 {
			if _, err := io.ReadFull(pub.nc, acks); err != nil {
				b.Fatal(err)
			}
		}
	}
	<-received
}

// readMessages reads n PUBLISHes and acknowledges those of QoS 1.
func readMessages(nc net.Conn, n int, q byte) {
	buf, have := make([]byte, 256<<10), 0
	var acks []byte
	for n > 0 {
		k, err := nc.Read(buf[have:])
		if err != nil {
			return
		}
		have += k
		used := 0
		for {
			f, size, err := packet.Next(buf[used:have], 0)
			if err != nil || size == 0 {
				break
			}
			used += size
			n--
			if q > 0 {
				at := 2 + int(f.Body[1])
				acks = append(acks, 0x40, 2, f.Body[at], f.Body[at+1])
			}
		}
		have = copy(buf, buf[used:have])
		if len(acks) > 0 {
			nc.Write(acks)
			acks = acks[:0]
		}
	}
}

func BenchmarkFanInQoS0(b *testing.B)        { benchFanIn(b, 0, false) }
func BenchmarkFanInQoS1(b *testing.B)        { benchFanIn(b, 1, false) }
func BenchmarkFanInQoS1Durable(b *testing.B) { benchFanIn(b, 1, true) }

// BenchmarkFanOut100 sends each message to 100 subscribers; an operation is one delivery.
func BenchmarkFanOut100(b *testing.B) {
	h := build(b, Config{QueueBytes: 64 << 20})
	const subscribers, batch = 100, 50
	per := b.N/subscribers + 1
	var left atomic.Int64
	done := make(chan struct{})
	left.Store(subscribers)
	for i := range subscribers {
		sub, _ := h.login(packet.V311, fmt.Sprint("sub", i))
		sub.subscribe(0, "x")
		sub.nc.SetDeadline(time.Time{})
		go func() {
			readMessages(sub.nc, per, 0)
			if left.Add(-1) == 0 {
				close(done)
			}
		}()
	}
	pub, _ := h.login(packet.V311, "pub")
	one, _ := message1("x", string(make([]byte, 64)), 0, 0).Append(nil, packet.V311)
	var all []byte
	for range batch {
		all = append(all, one...)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < per; sent += batch {
		if _, err := pub.nc.Write(all[:min(batch, per-sent)*len(one)]); err != nil {
			b.Fatal(err)
		}
	}
	<-done
}

// BenchmarkRoute is the way of a PUBLISH without sockets: decode, match, append to one subscriber.
func BenchmarkRoute(b *testing.B) {
	br := New(Config{}, newJournal(), stampNow, quietLog())
	s := br.newSession("sub", "")
	s.subscribe(mustFilter(b, "home/#"), packOptions(&packet.Subscription{}, 0), false)
	s.out.conn, s.out.version = &connection{}, packet.V311
	c := &connection{b: br, told: br.cfg(), version: packet.V311, session: br.newSession("pub", "")}
	var batch []byte
	for range 100 {
		batch, _ = message1("home/room/temperature", string(make([]byte, 64)), 0, 0).Append(batch, packet.V311)
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i += 100 {
		r := br.newReading()
		c.packets(r, batch)
		r.touched = r.touched[:0]
		r.finish()
		s.out.pending = s.out.pending[:0]
	}
}

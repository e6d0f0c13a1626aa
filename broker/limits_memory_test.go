package broker

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/packet"
)

// crowd is a bubble with a budget of memory that is watched.
func crowd(t *testing.T, cfg Config, test func(t *testing.T, h *house, check func())) {
	bubble(t, cfg, func(t *testing.T, h *house) {
		h.login(packet.V5, "first")
		synctest.Wait()
		test(t, h, func() {
			t.Helper()
			synctest.Wait()
			if l := h.limit("memory"); l.Now > l.Most+l.Most/16+fillBytes || l.Now < 0 { // see roomToRefuse
				t.Fatalf("%d bytes are counted, the limit is %d", l.Now, l.Most)
			}
			var held int
			h.b.mu.Lock()
			for _, s := range h.b.sessions {
				s.out.mu.Lock()
				held += s.out.holds()
				s.out.mu.Unlock()
			}
			most := h.b.cfg().Memory + len(h.b.sessions)*freeOut
			h.b.mu.Unlock()
			if held > most {
				t.Fatalf("outputs hold %d bytes, the limit of everything is %d", held, most)
			}
		})
	})
}

// TestMemoryOfSlowSubscribers: a hundred that do not read are bounded together, at each QoS, and do not harm who reads.
func TestMemoryOfSlowSubscribers(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		crowd(t, Config{Memory: 8 << 20, QueueBytes: 1 << 20}, func(t *testing.T, h *house, check func()) {
			var slow []*client
			for i := range 100 {
				c, _ := h.login(v, fmt.Sprint(i), func(p *packet.Connect) { p.CleanStart = i%2 == 0; p.Props.SetSessionExpiry(uint32(i % 2)) })
				c.subscribe(byte(i%3), "x/#")
				slow = append(slow, c)
			}
			pub, _ := h.login(v, "pub")
			reader, _ := h.login(v, "reader")
			reader.subscribe(0, "x/#")
			payload := string(make([]byte, 10_000))
			for i := range uint16(300) {
				pub.publish("x/y", payload, byte(i%2), i+1)
				if i%2 == 1 {
					pub.expectAck(packet.TypePuback, i+1)
				}
				if i%50 == 0 {
					check()
				}
			}
			check()
			if l := h.limit("memory"); l.Refused == 0 || l.Now < l.Most/2 {
				t.Errorf("memory was not used up: %+v", l)
			}
			if s := h.b.Stats(); s.DroppedQoS0 == 0 || s.DroppedQueue == 0 {
				t.Errorf("%d and %d dropped, want some of each", s.DroppedQoS0, s.DroppedQueue)
			}
			h.refused(v, "late", refusal(v)) // no room even for another client
			for i := 0; !pub.subscribe(0, fmt.Sprint(i, strings.Repeat("long", 800)))[0].Failed(); i++ {
				if i == 100 {
					t.Fatal("subscriptions go on")
				}
			}
			check()
			for _, c := range slow {
				c.nc.Close()
			}
			after(5 * time.Second)
			check()
			h.login(v, "late")
			if n := reader.count(); n == 0 {
				t.Error("the reader got nothing")
			}
		})
	})
}

// count reads messages until the answer to a PINGREQ.
func (c *client) count() (n int) {
	c.t.Helper()
	c.send(&packet.Pingreq{})
	for {
		_, kind, err := c.next()
		if err != nil {
			c.t.Fatal(err)
		}
		if kind == packet.TypePingresp {
			return n
		}
		n++
	}
}

// TestMemoryOfInput: large packets that never end, aliases and wills are bounded together.
func TestMemoryOfInput(t *testing.T) {
	crowd(t, Config{Memory: 4 << 20, MaxPacket: 1 << 20, TopicAliases: 100, MaxTopicLength: 60_000}, func(t *testing.T, h *house, check func()) {
		begun := []byte{0x30, 0x80, 0x80, 0x3c} // of 983,040 bytes
		ended := 0
		for i := range 20 {
			c, _ := h.login(packet.V5, fmt.Sprint(i))
			c.write(begun)
			for range 14 {
				c.nc.SetWriteDeadline(time.Now().Add(patience))
				if _, err := c.nc.Write(make([]byte, 64<<10)); err != nil {
					ended++
					break
				}
				check()
			}
		}
		if ended == 0 {
			t.Error("nobody was refused a large packet")
		}
		after(time.Minute)
		check()
	})
	crowd(t, Config{Memory: 4 << 20, TopicAliases: 100, MaxTopicLength: 60_000}, func(t *testing.T, h *house, check func()) {
		c, _ := h.login(packet.V5, "aliases")
		for i := range uint16(100) {
			m := message1(strings.Repeat("x", 50_000), "", 0, 0)
			m.Props.SetTopicAlias(i + 1)
			b, err := m.Append(nil, packet.V5)
			if err != nil {
				t.Fatal(err)
			}
			c.nc.SetWriteDeadline(time.Now().Add(patience))
			if _, err := c.nc.Write(b); err != nil {
				break
			}
			check()
		}
		c.expectEnd(packet.QuotaExceeded)
		check()
		for i := range 500 { // and wills
			d := h.dial(packet.V5)
			ack := d.connect(fmt.Sprint(i), lastWill("w", strings.Repeat("x", 3000), 0))
			check()
			if ack.Reason != packet.Success {
				d.expectEnd(packet.Success)
				if ack.Reason != packet.QuotaExceeded || i < 20 {
					t.Errorf("client %d: %s", i, ack.Reason)
				}
				return
			}
		}
		t.Error("wills are not bounded")
	})
}

// TestMemoryOfAnswers: clients that ask and do not read the answers go when memory is used up.
func TestMemoryOfAnswers(t *testing.T) {
	crowd(t, Config{Memory: 1 << 20}, func(t *testing.T, h *house, check func()) {
		pings := bytes.Repeat([]byte{0xc0, 0}, 20_000)
		for i := range 30 {
			c := h.dial(packet.V311)
			if c.connect(fmt.Sprint(i)).Reason != packet.Success {
				continue
			}
			c.nc.SetWriteDeadline(time.Now().Add(time.Second))
			for range 5 {
				if _, err := c.nc.Write(pings); err != nil {
					break
				}
			}
			check()
		}
		if s := h.b.Stats(); s.AllowanceClosed == 0 {
			t.Error("nobody was disconnected")
		}
	})
}

// TestSwarm: a swarm that connects, subscribes, publishes and vanishes by the thousand never exceeds a limit, and leaves
// nothing behind; who is there already does not notice.
func TestSwarm(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		cfg := Config{MaxConnections: 30, MaxSessions: 50, MaxSubscriptions: 100, MaxClientSubscriptions: 5, MaxRetained: 20,
			MaxRetainedBytes: 20_000, QueueTotal: 100, Memory: 1 << 20, MaxSessionExpiry: time.Second, QueueBytes: 50_000}
		h := build(t, cfg)
		c, _ := h.login(v, "steady")
		base := h.limit("memory").Now
		stop, watching := make(chan struct{}), sync.WaitGroup{}
		watching.Go(func() {
			for {
				for _, l := range h.b.Stats().Limits {
					over := int64(0)
					if l.Name == "memory" { // what is begun is finished: read buffers, one message for each socket
						over = int64(cfg.MaxConnections) * fillBytes
					}
					if l.Now > l.Most+over || l.Now < 0 {
						t.Errorf("%s: %d of %d", l.Name, l.Now, l.Most)
					}
				}
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
		var swarm sync.WaitGroup
		for worker := range 40 {
			swarm.Go(func() { vanish(h.address, v, worker, 15) })
		}
		for range 100 {
			c.nothing()
		}
		swarm.Wait()
		h.until(func() bool { s := h.b.Stats(); return s.Connections == 1 && s.Sessions == 1 })
		c.nothing()
		close(stop)
		watching.Wait()
		for _, name := range []string{"max_connections", "max_sessions"} {
			h.wantLimit(name, 1, h.limit(name).Refused)
		}
		for _, name := range []string{"max_subscriptions", "queue_total"} {
			h.wantLimit(name, 0, h.limit(name).Refused)
		}
		h.until(func() bool { return h.limit("memory").Now-h.limit("max_retained_bytes").Now == base })
		if h.b.Stats().Refused == 0 {
			t.Error("nobody was refused")
		}
	})
}

// vanish connects again and again, does some of what clients do, and is gone without a word. What goes wrong with its
// connections is what the test is about.
func vanish(address string, v packet.Version, worker, times int) {
	random := rand.New(rand.NewPCG(uint64(worker), 1))
	for i := range times {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			continue
		}
		connect := packet.Connect{CleanStart: random.IntN(2) == 0, ClientID: fmt.Appendf(nil, "%d-%d", worker, random.IntN(3))}
		connect.Props.SetSessionExpiry(uint32(random.IntN(2)))
		if random.IntN(3) == 0 {
			connect.HasWill, connect.Will = true, packet.Will{QoS: 1, Topic: []byte("all/will"), Payload: make([]byte, 1000)}
		}
		subscribe := packet.Subscribe{ID: 1}
		for k := range 1 + random.IntN(8) {
			subscribe.Filters = append(subscribe.Filters, packet.Subscription{Filter: fmt.Appendf(nil, "all/%d/#", k), QoS: byte(k % 3)})
		}
		subscribe.Filters = append(subscribe.Filters, packet.Subscription{Filter: []byte("$share/g/all/#"), QoS: 1}, packet.Subscription{Filter: []byte("all/#"), QoS: 2})
		var b []byte
		for _, p := range []appender{&connect, &subscribe, retainedMessage(fmt.Sprintf("all/%d", random.IntN(40)), string(make([]byte, 1+random.IntN(2000))), byte(i%3), uint16(i+1))} {
			b, _ = p.Append(b, v)
		}
		nc.SetDeadline(time.Now().Add(patience))
		part := len(b) - random.IntN(2)*random.IntN(len(b))
		nc.Write(b[:part])
		if part == len(b) && random.IntN(2) == 0 {
			io.CopyN(io.Discard, nc, int64(random.IntN(5)))
		}
		nc.Close()
	}
}

package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
)

// bystanders are a publisher and a subscriber that nothing of what others do may concern. On the fake clock of a bubble
// no time passes while anything is left to do, so a message that is late at all has waited for somebody's timer.
type bystanders struct {
	t        *testing.T
	pub, sub *client
	n        uint16
	fake     bool // the clock
}

func (h *house) bystanders(t *testing.T, fake bool) *bystanders {
	pub, _ := h.login(packet.V5, "bystander-pub")
	sub, _ := h.login(packet.V311, "bystander-sub")
	return stand(t, pub, sub, fake)
}

func stand(t *testing.T, pub, sub *client, fake bool) *bystanders {
	sub.subscribe(1, "bystander/+")
	return &bystanders{t: t, pub: pub, sub: sub, fake: fake}
}

// exchange sends a message and wants it, the next one, and its acknowledgement.
func (b *bystanders) exchange() {
	b.t.Helper()
	b.n++
	from := time.Now()
	payload := fmt.Sprint(b.n)
	b.pub.publish("bystander/x", payload, 1, b.n)
	p := b.sub.expectMessage("bystander/x", payload)
	b.sub.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
	b.pub.expectAck(packet.TypePuback, b.n)
	if took := time.Since(from); b.fake && took > 0 {
		b.t.Fatalf("message %d took %s", b.n, took)
	}
}

// sound wants the limits kept. In a bubble, while everybody is idle.
func (h *house) sound() {
	h.t.Helper()
	synctest.Wait()
	if what := h.b.unsound(); what != "" {
		h.t.Fatal(what)
	}
}

// TestHostileSilence: subscribers that read and never acknowledge, with sessions that last and without, and publishers that never
// release. The window is the bound of what is sent, the queue of what waits.
func TestHostileSilence(t *testing.T) {
	bubble(t, Config{QueueMessages: 20, Inflight: 5, ReceiveMaximum: 7}, func(t *testing.T, h *house) {
		b := h.bystanders(t, true)
		var mute []*client
		for i, v := range []packet.Version{packet.V5, packet.V311, packet.V5, packet.V311} {
			c, _ := h.login(v, fmt.Sprint("mute", i), func(p *packet.Connect) {
				if i >= 2 {
					keepSession(p)
				}
			})
			c.subscribe(byte(1+i%2), "news")
			mute = append(mute, c)
		}
		for n := range 100 {
			b.pub.publish("news", fmt.Sprint(n), 2, 500)
			b.pub.answered(2, 500)
			b.exchange()
		}
		h.sound()
		if n := h.b.Stats().DroppedQueue; n != 4*(100-5-20) {
			t.Errorf("%d dropped, want all but 5 in flight and 20 that wait, of 100, four times", n)
		}
		for _, c := range mute {
			for n := range 5 {
				c.expectMessage("news", fmt.Sprint(n))
			}
			c.nothing()
		}
		never, _ := h.login(packet.V5, "never")
		for id := range uint16(8) {
			never.publish("x", "", 2, id+1)
		}
		for id := range uint16(7) {
			never.expectAck(packet.TypePubrec, id+1)
		}
		never.expectEnd(packet.ReceiveMaximumExceeded)
		b.exchange()
	})
}

// TestHostileHalves: thousands of connections that say nothing, or half a packet, and stay; and clients that stop in the middle
// of a message. They are gone when their time is over.
func TestHostileHalves(t *testing.T) {
	bubble(t, Config{MaxConnecting: 2000}, func(t *testing.T, h *house) {
		b := h.bystanders(t, true)
		for i := range 2000 {
			switch c := h.dial(versions[i%2]); i % 4 {
			case 0:
			case 1:
				c.write([]byte{0x10, 0x80})
			case 2:
				c.write([]byte("\x10\xff\x7f\x00\x04MQTT"))
			default:
				c.connect(fmt.Sprint("half", i), func(p *packet.Connect) { p.KeepAlive = 20 })
				c.write([]byte("\x30\x80\x40\x00\x01xabc"))
			}
			if i%100 == 0 {
				b.exchange()
			}
		}
		h.sound()
		after(11 * time.Second)
		b.exchange()
		if s := h.b.Stats(); s.ConnectTimeouts != 1500 || s.Connections != 502 {
			t.Errorf("%d were ended without CONNECT, %d are left, want 1500 and 502", s.ConnectTimeouts, s.Connections)
		}
		after(20 * time.Second)
		b.exchange()
		if s := h.b.Stats(); s.KeepAliveLost != 500 || s.Connections != 2 || s.Sessions != 2 {
			t.Errorf("%d were ended by their keep alive, %d and %d sessions are left", s.KeepAliveLost, s.Connections, s.Sessions)
		}
		h.b.mu.Lock()
		defer h.b.mu.Unlock()
		if n := h.b.sockets; n != 2 {
			t.Errorf("%d connections are held", n)
		}
	})
}

// TestHostilePacketIDs: packet ids that are used again before their time. At QoS 2 the same id is the same message; at
// QoS 1 each is a message; an id of both ends the connection.
func TestHostilePacketIDs(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		bubble(t, Config{}, func(t *testing.T, h *house) {
			b := h.bystanders(t, true)
			sub, _ := h.login(packet.V311, "sub")
			sub.subscribe(0, "x")
			c, _ := h.login(v, "again")
			for range 500 { // v5 [MQTT-4.3.3-10], 3.1.1 [MQTT-4.3.3-2]
				c.publish("x", "2", 2, 7)
				c.expectAck(packet.TypePubrec, 7)
			}
			sub.expectMessage("x", "2")
			sub.nothing()
			for range 500 { // v5 [MQTT-4.3.2-5]
				c.publish("x", "1", 1, 8)
				c.expectAck(packet.TypePuback, 8)
				sub.expectMessage("x", "1")
			}
			for range 500 {
				c.send(&packet.Ack{Type: packet.TypePubrel, ID: 7}, &packet.Ack{Type: packet.TypePubrel, ID: 999})
				c.expectAck(packet.TypePubcomp, 7)
				c.expectAck(packet.TypePubcomp, 999)
			}
			b.exchange()
			h.sound()
			c.publish("x", "3", 2, 7)
			c.expectAck(packet.TypePubrec, 7)
			c.publish("x", "4", 1, 7)
			c.expectEnd(packet.ProtocolError)
			b.exchange()
		})
	})
}

// TestHostileVisitors: thousands of clients that connect, leave a session, a subscription, a will or half a packet, and
// vanish. When their sessions have expired nothing is left of them.
func TestHostileVisitors(t *testing.T) {
	bubble(t, Config{MaxSessionExpiry: time.Minute}, func(t *testing.T, h *house) {
		b := h.bystanders(t, true)
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range 3000 {
			v := versions[i%2]
			nc := h.memory.dial(8 << 10)
			p := &packet.Connect{ClientID: fmt.Append(nil, "visitor", i), CleanStart: i%3 == 0}
			p.Props.SetSessionExpiry(uint32(i % 5 * 20))
			lastWill("bystander/will", "x", 0)(p)
			if i%7 != 0 {
				p.HasWill = false
			}
			all, _ := p.Append(nil, v)
			s := packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: fmt.Append(nil, "visitor/", i, "/#"), QoS: 1}, {Filter: []byte("$share/g/visitors"), QoS: 1}}}
			all, _ = s.Append(all, v)
			all, _ = message1("visitors", "x", byte(i%3), 5).Append(all, v)
			nc.Write(all[:min(len(all), rnd.IntN(len(all)+20))])
			nc.Close()
			if i%100 == 0 {
				synctest.Wait()
				for b.sub.idle(func(*packet.Publish) {}) { // wills
				}
				b.exchange()
			}
		}
		synctest.Wait()
		h.sound()
		if s := h.b.Stats(); s.Connections != 2 || s.Sessions < 100 {
			t.Errorf("%d connections, %d sessions", s.Connections, s.Sessions)
		}
		after(2 * time.Minute)
		for b.sub.idle(func(*packet.Publish) {}) {
		}
		b.exchange()
		h.sound()
		if s := h.b.Stats(); s.Sessions != 2 || s.Subscriptions != 1 || s.Owed != 0 {
			t.Errorf("left behind: %d sessions, %d subscriptions, %d owed", s.Sessions, s.Subscriptions, s.Owed)
		}
		h.b.groups.mu.Lock()
		defer h.b.groups.mu.Unlock()
		if n := len(h.b.groups.all); n != 0 {
			t.Errorf("%d groups without members", n)
		}
	})
}

// TestHostileClock: the wall clock steps by years, both ways, between any two stamps. Keep alive, session expiry, will delay and
// message expiry run on as if nothing were.
func TestHostileClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wall atomic.Int64
		wall.Store(time.Now().UnixNano())
		stamp := func() message.Stamp {
			s := stampNow()
			s.Wall = wall.Load()
			return s
		}
		m := newMemory()
		h := &house{t: t, memory: m, journal: newJournal()}
		h.b = New(Config{}, h.journal, stamp, quietLog())
		h.journal.b = h.b
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- h.b.Run(ctx, m) }()
		step := func(years int) {
			wall.Store(time.Unix(0, wall.Load()).AddDate(years, 0, 0).UnixNano())
			synctest.Wait()
		}
		b := h.bystanders(t, true)
		alive, _ := h.login(packet.V5, "alive", func(p *packet.Connect) { p.KeepAlive = 60 })
		away, _ := h.login(packet.V5, "away", expiry(100), lastWill("bystander/will", "gone", 1), func(p *packet.Connect) { p.Will.Props.SetWillDelay(50) })
		away.subscribe(1, "kept")
		h.vanish(away)
		short := message1("kept", "short", 1, 900)
		short.Props.SetMessageExpiry(30)
		long := message1("kept", "long", 1, 901)
		long.Props.SetMessageExpiry(60)
		for i, years := range []int{30, -60, 90, -200} {
			step(years)
			b.exchange()
			if i == 0 {
				b.pub.send(short, long)
				b.pub.expectAck(packet.TypePuback, 900)
				b.pub.expectAck(packet.TypePuback, 901)
			}
			after(10 * time.Second)
			alive.nothing()
		}
		again, ack := h.login(packet.V5, "away", resume, expiry(100))
		if !ack.SessionPresent {
			t.Error("the session has not lasted 40 of its 100 seconds")
		}
		p := again.expectMessage("kept", "long")
		if p.Props.MessageExpiry != 20 {
			t.Errorf("expires in %d s, want 20", p.Props.MessageExpiry)
		}
		again.nothing()
		if n := h.b.Stats(); n.KeepAliveLost+n.WillsSent != 0 || n.Expired != 1 {
			t.Errorf("%+v", n)
		}
		b.exchange()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

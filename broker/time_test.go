package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/packet"
)

// bubble runs a broker over connections in memory, on a fake clock.
func bubble(t *testing.T, cfg Config, test func(t *testing.T, h *house)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		h := &house{t: t, journal: newJournal(), memory: m}
		h.run(cfg, m)
		test(t, h)
		h.stop()
	})
}

func after(d time.Duration) {
	time.Sleep(d) // fake time: the bubble is idle until then
	synctest.Wait()
}

// v5 [MQTT-3.1.2-22] [MQTT-3.2.2-22], 3.1.1 [MQTT-3.1.2-24]
func TestKeepAlive(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		bubble(t, Config{}, func(t *testing.T, h *house) {
			watch, _ := h.login(v, "watch") // without keep alive: for ever
			watch.subscribe(0, "will")
			c, ack := h.login(v, "c", lastWill("will", "late", 0), func(p *packet.Connect) { p.KeepAlive = 10 })
			if ack.Props.Has(packet.PropServerKeepAlive) {
				t.Error("another keep alive was asked for")
			}
			for range 5 {
				after(14 * time.Second)
				c.nothing() // PINGREQ
			}
			after(10 * time.Second)
			c.write([]byte{0x30}) // half a packet is none
			after(4900 * time.Millisecond)
			if s := h.b.Stats(); s.KeepAliveLost != 0 {
				t.Fatal("closed too early")
			}
			after(200 * time.Millisecond)
			if s := h.b.Stats(); s.KeepAliveLost != 1 {
				t.Fatal("not closed after 1.5 times the keep alive")
			}
			c.expectEnd(packet.KeepAliveTimeout)
			watch.expectMessage("will", "late")
			after(1000 * time.Hour)
			watch.nothing()
		})
	})
}

func TestKeepAliveLong(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		c, _ := h.login(packet.V5, "c", func(p *packet.Connect) { p.KeepAlive = 65535 })
		after(65535 * 3 / 2 * time.Second)
		c.nothing()
	})
}

func TestSlowConnect(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		c := h.dial(packet.V5)
		for range 9 {
			c.write([]byte{0x10}[:1:1])
			after(time.Second)
			break
		}
		after(8 * time.Second)
		if s := h.b.Stats(); s.ConnectTimeouts != 0 {
			t.Fatal("closed too early")
		}
		after(1100 * time.Millisecond)
		if s := h.b.Stats(); s.ConnectTimeouts != 1 {
			t.Fatal("not closed")
		}
		c.expectEnd(packet.Success)
	})
}

// v5 [MQTT-3.1.2-23] [MQTT-4.1.0-2]
func TestSessionExpiry(t *testing.T) {
	bubble(t, Config{MaxSessionExpiry: 1000 * time.Hour}, func(t *testing.T, h *house) {
		c, _ := h.login(packet.V5, "c", expiry(60))
		c.subscribe(1, "x")
		c.leave()
		old, _ := h.login(packet.V311, "old", keepSession)
		old.leave()
		after(59 * time.Second)
		c, ack := h.login(packet.V5, "c", resume, expiry(60))
		if !ack.SessionPresent {
			t.Fatal("the session ended too early")
		}
		c.leave()
		after(61 * time.Second)
		if s := h.b.Stats(); s.Sessions != 1 || s.Subscriptions != 0 {
			t.Errorf("%d sessions, %d subscriptions, want only the other one", s.Sessions, s.Subscriptions)
		}
		c, ack = h.login(packet.V5, "c", resume, expiry(0))
		if ack.SessionPresent {
			t.Error("the session did not end")
		}
		after(1001 * time.Hour)
		if s := h.b.Stats(); s.Sessions != 1 {
			t.Errorf("%d sessions, want the connected one", s.Sessions)
		}
		c.nothing()
	})
}

// v5 [MQTT-3.1.2-8] [MQTT-3.1.3-9]
func TestWillDelay(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		delay := func(seconds uint32) func(*packet.Connect) {
			return func(p *packet.Connect) { p.Will.Props.SetWillDelay(seconds) }
		}
		watch, _ := h.login(packet.V5, "watch")
		watch.subscribe(0, "will/#")
		c, _ := h.login(packet.V5, "c", expiry(100), lastWill("will/c", "1", 0), delay(30))
		c.nc.Close()
		after(29 * time.Second)
		watch.nothing()
		c, _ = h.login(packet.V5, "c", resume, expiry(100), lastWill("will/c", "2", 0), delay(30)) // in time
		after(10 * time.Second)
		watch.nothing()
		c.nc.Close()
		after(31 * time.Second)
		watch.expectMessage("will/c", "2")
		after(100 * time.Second) // the end of the session does not send it again
		watch.nothing()
		c, _ = h.login(packet.V5, "c", expiry(10), lastWill("will/c", "3", 0), delay(30))
		c.nc.Close()
		after(11 * time.Second) // the session ends first
		watch.expectMessage("will/c", "3")
		c, _ = h.login(packet.V5, "c", expiry(100), lastWill("will/c", "4", 0), delay(30))
		c.nc.Close()
		after(time.Second)
		h.login(packet.V5, "c") // a clean start ends the session too
		watch.expectMessage("will/c", "4")
		if s := h.b.Stats(); s.WillsSent != 3 {
			t.Errorf("%d wills, want 3", s.WillsSent)
		}
	})
}

// TestExpiredMessagesMakeRoom: in a queue that was full, there is room for what is fresh when others have expired. v5 [MQTT-3.3.2-5]
func TestExpiredMessagesMakeRoom(t *testing.T) {
	bubble(t, Config{QueueMessages: 10}, func(t *testing.T, h *house) {
		sub, _ := h.login(packet.V5, "sub", keepSession)
		sub.subscribe(1, "x")
		sub.leave()
		pub, _ := h.login(packet.V5, "pub")
		publish := func(payload string, seconds uint32) {
			m := message1("x", payload, 1, 1)
			if seconds > 0 {
				m.Props.SetMessageExpiry(seconds)
			}
			pub.send(m)
			pub.expectAck(packet.TypePuback, 1)
		}
		publish("lasting", 0)
		for i := range 12 { // three too many
			publish("old", uint32(10+i%3*20))
		}
		synctest.Wait() // counts are added after the answer
		if s := h.b.Stats(); s.DroppedQueue != 3 || s.Expired != 0 {
			t.Fatalf("%d dropped and %d expired, want 3 and 0", s.DroppedQueue, s.Expired)
		}
		after(35 * time.Second)
		for range 6 { // those of 10 and 30 seconds make room
			publish("fresh", 3600)
		}
		publish("one more", 0)
		synctest.Wait() // counts are added after the answer
		if s := h.b.Stats(); s.DroppedQueue != 4 || s.Expired != 6 {
			t.Errorf("%d dropped and %d expired, want 4 and 6", s.DroppedQueue, s.Expired)
		}
		after(20 * time.Second)
		publish("last", 0)
		sub, _ = h.login(packet.V5, "sub", keepSession, resume)
		for _, payload := range []string{"lasting", "fresh", "fresh", "fresh", "fresh", "fresh", "fresh", "last"} {
			sub.expectMessage("x", payload)
		}
		sub.nothing()
		synctest.Wait() // counts are added after the answer
		if s := h.b.Stats(); s.DroppedQueue != 4 || s.Expired != 9 {
			t.Errorf("%d dropped and %d expired, want 4 and 9", s.DroppedQueue, s.Expired)
		}
	})
}

// v5 [MQTT-3.3.2-5] [MQTT-3.3.2-6] [MQTT-4.3.3-7]
func TestMessageExpiry(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		pub, _ := h.login(packet.V5, "pub")
		sub, _ := h.login(packet.V5, "sub", keepSession)
		sub.subscribe(1, "#")
		expiring := func(name string, seconds uint32, q byte, retain bool) *packet.Publish {
			m := message1(name, "x", q, 1)
			m.Retain = retain
			m.Props.SetMessageExpiry(seconds)
			return m
		}
		sub.leave()
		pub.send(expiring("short", 5, 1, false), expiring("long", 100, 1, false), expiring("kept", 100, 0, true), expiring("gone", 5, 0, true))
		pub.nothingBut(packet.TypePuback, 2)
		after(10 * time.Second)
		sub, _ = h.login(packet.V5, "sub", resume, keepSession)
		if p := sub.expectMessage("long", "x"); p.Props.MessageExpiry != 90 {
			t.Errorf("expiry %d, want 90", p.Props.MessageExpiry)
		}
		sub.nothing()
		h.vanish(sub)
		after(200 * time.Second)
		sub, _ = h.login(packet.V5, "sub", resume, keepSession)
		if p := sub.expectMessage("long", "x"); !p.Dup { // begun, so it is completed
			t.Error("no repeat")
		}
		pub.send(expiring("kept", 100, 0, true), expiring("gone", 5, 0, true))
		pub.nothing()
		sub.nothingBut(packet.TypePublish, 2)
		after(10 * time.Second)
		late, _ := h.login(packet.V5, "late")
		late.subscribe(0, "#")
		if p := late.expectMessage("kept", "x"); p.Props.MessageExpiry != 90 {
			t.Errorf("expiry of the retained message %d, want 90", p.Props.MessageExpiry)
		}
		late.nothing()
	})
}

// TestStalledSubscriber: one that does not read at all delays neither the others nor the publisher, and is bounded.
func TestStalledSubscriber(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		bubble(t, Config{QueueBytes: 50 << 10, QueueMessages: 100}, func(t *testing.T, h *house) {
			pub, _ := h.login(v, "pub")
			slow, _ := h.login(v, "slow", keepSession)
			fast, _ := h.login(v, "fast")
			slow.subscribe(1, "x")
			fast.subscribe(1, "x")
			payload := string(make([]byte, 1000))
			for i := range 1000 {
				pub.publish("x", payload, byte(i%2), uint16(i+1))
				if i%2 == 1 {
					pub.expectAck(packet.TypePuback, uint16(i+1))
				}
				p := fast.expectMessage("x", payload)
				if p.QoS == 1 {
					fast.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
				}
			}
			synctest.Wait()
			s := h.b.Stats()
			if s.DroppedQoS0 < 300 || s.DroppedQueue < 300 {
				t.Errorf("dropped %d at QoS 0 and %d at QoS 1, want most of 500 each", s.DroppedQoS0, s.DroppedQueue)
			}
			session := h.session("slow")
			session.out.mu.Lock()
			if n := len(session.out.pending) + session.out.bytes; n > 110<<10 {
				t.Errorf("%d bytes wait for the slow one", n)
			}
			session.out.mu.Unlock()
			got := 0
			for { // it wakes up and gets the rest in order
				slow.send(&packet.Pingreq{})
				_, kind, err := slow.next()
				if err != nil {
					t.Fatal(err)
				}
				if kind == packet.TypePingresp {
					break
				}
				got++
			}
			if got == 0 {
				t.Error("nothing arrived")
			}
		})
	})
}

package broker

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
)

// mortal1 is a message that expires after some seconds; 0: never.
func mortal1(name, payload string, q byte, id uint16, seconds uint32) *packet.Publish {
	m := message1(name, payload, q, id)
	if seconds > 0 {
		m.Props.SetMessageExpiry(seconds)
	}
	return m
}

// keepers is how many are waited for as something of theirs expires.
func (h *house) keepers() int {
	h.b.expiring.mu.Lock()
	defer h.b.expiring.mu.Unlock()
	return len(h.b.expiring.list)
}

// lifetimes are published in this order by the tests below, and go as steps say.
var lifetimes = []uint32{30, 10, 20, 0, 10}

var lifetimeSteps = []struct {
	wait    time.Duration
	left    int64
	expired uint64
}{{9 * time.Second, 5, 0}, {2 * time.Second, 3, 2}, {8 * time.Second, 3, 2}, {2 * time.Second, 2, 3}, {10 * time.Second, 1, 4}, {900 * time.Second, 1, 4}}

// TestExpiryFreesQueues: messages that wait for a session, in memory or in the store, or for a shared group, go within a second
// after they have expired, and what they hold is free.
func TestExpiryFreesQueues(t *testing.T) {
	for _, filter := range []string{"x", "$share/g/x"} {
		run := func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, h *house) { expiryFrees(t, h, filter) })
		}
		t.Run(filter, run)
		t.Run(filter+stored, run)
	}
}

func expiryFrees(t *testing.T, h *house, filter string) {
	before := h.limit("memory").Now
	pub, _ := h.login(packet.V5, "pub")
	sub, _ := h.login(packet.V5, "sub", expiry(100_000))
	sub.subscribe(1, filter)
	sub.leave()
	after(100 * time.Hour / 1000)
	for i, seconds := range lifetimes {
		pub.send(mortal1("x", strings.Repeat("x", 30_000), 1, uint16(i+1), seconds))
		pub.expectAck(packet.TypePuback, uint16(i+1))
	}
	for _, want := range lifetimeSteps {
		after(want.wait)
		if s, n := h.b.Stats(), h.b.holdings(); n.waiting != uint64(want.left) || s.Expired != want.expired {
			t.Errorf("%d wait and %d expired, want %d and %d", n.waiting, s.Expired, want.left, want.expired)
		}
	}
	if strings.HasSuffix(t.Name(), stored) {
		if now := h.limit("queue_total").Now; now != 0 {
			t.Errorf("%d messages are counted in memory", now)
		}
	} else if now := h.limit("queue_total").Now; now != 1 {
		t.Errorf("%d messages are counted in memory, want 1", now)
	}
	sub, _ = h.login(packet.V5, "sub", resume, expiry(0))
	p := sub.expect(packet.TypePublish).(*packet.Publish)
	sub.finish(p)
	sub.nothing()
	if p.Props.Has(packet.PropMessageExpiry) {
		t.Error("the message that is left is not the one that does not expire")
	}
	sub.leave()
	pub.leave()
	after(time.Second)
	if now := h.limit("memory").Now; now != before {
		t.Errorf("%d bytes of memory are counted, %d before", now, before)
	}
	if n := h.keepers(); n != 0 {
		t.Errorf("%d are waited for though nothing can expire", n)
	}
}

// TestNobodyWaitsForDeadQueues: a queue whose session has ended is not waited for.
func TestNobodyWaitsForDeadQueues(t *testing.T) {
	for _, filter := range []string{"x", "$share/g/x"} {
		run := func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, h *house) {
				pub, _ := h.login(packet.V5, "pub")
				sub, _ := h.login(packet.V5, "sub", expiry(10))
				sub.subscribe(1, filter)
				sub.leave()
				pub.send(mortal1("x", "x", 1, 1, 1000))
				pub.expectAck(packet.TypePuback, 1)
				synctest.Wait()
				if n := h.keepers(); n != 1 {
					t.Errorf("%d are waited for, want 1", n)
				}
				after(11 * time.Second)
				if n := h.keepers(); n != 0 {
					t.Errorf("%d are waited for after the end of the session", n)
				}
			})
		}
		t.Run(filter, run)
		t.Run(filter+stored, run)
	}
}

// TestExpiryOfWhatCameBack: what a member of a shared group was sent and did not take expires like the rest, while nobody is there.
func TestExpiryOfWhatCameBack(t *testing.T) {
	run := func(t *testing.T) {
		bubble(t, Config{}, func(t *testing.T, h *house) {
			pub, _ := h.login(packet.V5, "pub")
			sub, _ := h.login(packet.V5, "sub", keepSession)
			sub.subscribe(1, "$share/g/x")
			sub.leave()
			brief, _ := h.login(packet.V5, "brief")
			brief.subscribe(1, "$share/g/x")
			for i, seconds := range []uint32{5, 30, 0} {
				pub.send(mortal1("x", "x", 1, uint16(i+1), seconds))
				pub.expectAck(packet.TypePuback, uint16(i+1))
				brief.expectMessage("x", "x") // and no acknowledgement
			}
			after(10 * time.Second)
			if s := h.b.Stats(); s.Expired != 0 {
				t.Errorf("%d expired on their way", s.Expired)
			}
			h.vanish(brief)
			after(time.Second)
			if s := h.b.Stats(); s.Expired != 1 {
				t.Errorf("%d expired when it came back, want 1", s.Expired)
			}
			after(21 * time.Second)
			if s := h.b.Stats(); s.Expired != 2 {
				t.Errorf("%d expired, want 2", s.Expired)
			}
			sub, _ = h.login(packet.V5, "sub", keepSession)
			sub.finish(sub.expectMessage("x", "x"))
			sub.nothing()
		})
	}
	t.Run("memory", run)
	t.Run("queue"+stored, run)
}

// TestExpiryAfterRestart: what expired while nobody ran goes soon after the start, from the retained messages too.
func TestExpiryAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := func(v *vault) *house {
			m := newMemory()
			h := &house{t: t, memory: m, over: v}
			h.run(Config{Store: v}, m)
			v.change(func() { v.b = h.b })
			return h
		}
		v := newVault(t)
		v.auto = true
		h := open(v)
		pub, _ := h.login(packet.V5, "pub")
		for _, filter := range []string{"x", "$share/g/x"} {
			sub, _ := h.login(packet.V5, filter, keepSession)
			sub.subscribe(1, filter)
			sub.leave()
		}
		for i, seconds := range []uint32{10, 100, 0} {
			m := mortal1("x", fmt.Sprint(seconds), 1, uint16(i+1), seconds)
			pub.send(m)
			pub.expectAck(packet.TypePuback, m.ID)
			m.Topic, m.Retain, m.ID = fmt.Appendf(nil, "kept/%d", i), true, 9
			pub.send(m)
			pub.expectAck(packet.TypePuback, 9)
		}
		h.stop()
		after(30 * time.Second)
		v = v.crash()
		v.slow = true // it is on the disk now
		h = open(v)
		want := func(waiting, expired, retained, expiredRetained uint64) {
			t.Helper()
			if s, n := h.b.Stats(), h.b.holdings(); n.waiting != waiting || s.Expired != expired || uint64(s.Retained) != retained || s.ExpiredRetained != expiredRetained {
				t.Errorf("%d wait, %d expired; %d are retained, %d expired; want %d, %d; %d, %d", n.waiting, s.Expired, s.Retained, s.ExpiredRetained,
					waiting, expired, retained, expiredRetained)
			}
		}
		after(3 * time.Second)
		want(4, 2, 2, 1)
		reads := v.looks()
		after(50 * time.Second)
		if n := v.looks(); n != reads {
			t.Errorf("the disk was read %d times while nothing expired", n-reads)
		}
		after(20 * time.Second)
		want(2, 4, 1, 2)
		for _, filter := range []string{"x", "$share/g/x"} {
			sub, _ := h.login(packet.V5, filter, keepSession)
			sub.finish(sub.expectMessage("x", "0"))
			sub.nothing()
		}
		h.stop()
	})
}

// TestRetainedExpire: retained messages that have expired are gone within a second, also from the store.
func TestRetainedExpire(t *testing.T) {
	run := func(t *testing.T) {
		bubble(t, Config{}, func(t *testing.T, h *house) {
			pub, _ := h.login(packet.V5, "pub")
			after(100 * time.Hour) // whatever sleeps is deep asleep
			publish := func(name string, seconds uint32) {
				m := mortal1(name, "x", 0, 0, seconds)
				m.Retain = true
				pub.send(m)
				pub.nothing()
			}
			publish("for ever", 0)
			publish("a day", 24*3600)
			publish("a minute", 60)
			publish("then for ever", 60)
			publish("then for ever", 0)
			publish("then a minute", 24*3600)
			publish("then a minute", 60)
			for _, tt := range []struct {
				wait time.Duration
				want int
			}{{59 * time.Second, 5}, {2 * time.Second, 3}, {23 * time.Hour, 3}, {time.Hour, 2}, {1000 * time.Hour, 2}} {
				after(tt.wait)
				if s := h.b.Stats(); s.Retained != tt.want || s.ExpiredRetained != uint64(5-tt.want) {
					t.Errorf("%d retained messages and %d expired, want %d of 5", s.Retained, s.ExpiredRetained, tt.want)
				}
				if h.b.cfg().Store != nil {
					kept := 0
					h.b.cfg().Store.Range(keyRetain, func(string, []byte) bool { kept++; return true })
					if kept != tt.want {
						t.Errorf("%d retained messages in the store, want %d", kept, tt.want)
					}
				}
			}
			publish("for ever", 60) // again, from nothing that can expire
			after(61 * time.Second)
			if s := h.b.Stats(); s.Retained != 1 || s.RetainedBytes <= 0 {
				t.Errorf("%d retained messages of %d bytes, want 1 of some", s.Retained, s.RetainedBytes)
			}
			pub.send(retainedMessage("then for ever", "", 0, 0))
			pub.nothing()
			if s := h.b.Stats(); s.Retained != 0 || s.RetainedBytes != 0 {
				t.Errorf("%d retained messages of %d bytes, want none", s.Retained, s.RetainedBytes)
			}
			if n := h.keepers(); n != 0 {
				t.Errorf("%d are waited for though nothing can expire", n)
			}
		})
	}
	t.Run("memory", run)
	t.Run("store"+stored, run)
}

// TestManyRetainedExpire: thousands that come, are replaced, deleted and expire in any order are all gone in time, and counted.
func TestManyRetainedExpire(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		random := rand.New(rand.NewPCG(1, 2))
		ends := map[string]time.Time{}
		p := h.b.NewPublisher("", nil)
		for range 200 {
			for range 50 {
				name, seconds := fmt.Sprint(random.IntN(1000)), uint32(random.IntN(100))
				m := message.Message{Stamp: stampNow(), Publish: *mortal1(name, "x", 0, 0, seconds)}
				m.Retain = true
				if ends[name] = time.Now().Add(time.Duration(seconds) * time.Second); seconds == 0 {
					m.Payload = nil
					delete(ends, name)
				}
				if err := p.Publish([]message.Message{m}); err != nil {
					t.Fatal(err)
				}
			}
			after(time.Duration(random.IntN(1000)) * time.Millisecond)
			least, most := 0, 0
			for _, end := range ends {
				if left := time.Until(end); left > 0 {
					least++
					most++
				} else if left > -time.Second {
					most++
				}
			}
			if n := h.b.Stats().Retained; n < least || n > most {
				t.Fatalf("%d retained, want %d to %d", n, least, most)
			}
			if what := h.b.unsound(); what != "" {
				t.Fatal(what)
			}
		}
	})
}

// TestLapsesAreBounded: a queue that holds messages of very many expiries remembers few times, and none of them expires late.
func TestLapsesAreBounded(t *testing.T) {
	t.Run(stored[1:]+stored, func(t *testing.T) {
		bubble(t, Config{}, func(t *testing.T, h *house) {
			sub, _ := h.login(packet.V5, "sub", expiry(100_000))
			sub.subscribe(1, "x")
			sub.leave()
			pub, _ := h.login(packet.V5, "pub")
			const n = 1000
			for i := range n { // in no order
				pub.send(mortal1("x", "x", 1, uint16(i+1), uint32(1+i*7919%n)))
				pub.expectAck(packet.TypePuback, uint16(i+1))
			}
			l := &h.session("sub").out.durable.line
			for i := range n + 1 {
				h.b.expiring.mu.Lock()
				times := len(l.lapses)
				h.b.expiring.mu.Unlock()
				if times > mostLapses {
					t.Fatalf("%d times are remembered", times)
				}
				if waits, _ := l.queue.Waiting(); waits < n-i-1 || waits > n-i+1 {
					t.Fatalf("%d wait after %d seconds, want about %d", waits, i, n-i)
				}
				after(time.Second)
			}
			if s := h.b.Stats(); s.Expired != n {
				t.Errorf("%d expired, want %d", s.Expired, n)
			}
		})
	})
}

// TestWaited: how long a message has waited is known within a boot, and across boots if the clock was right; else what has
// passed since the process began counts.
func TestWaited(t *testing.T) {
	const made = 100 * time.Second
	b := &Broker{made: made}
	s := func(boot uint64, since time.Duration, wall int64) message.Stamp {
		return message.Stamp{Boot: boot, Since: since * time.Second, Wall: wall * int64(time.Second)}
	}
	for _, c := range []struct {
		name     string
		was, now message.Stamp
		want     time.Duration
		expires  time.Duration // of a message of 1000 s
	}{
		{"same boot", s(1, 50, 1), s(1, 90, 100), 40, 1050},
		{"other boot, both trusted", s(2, 5000, 100), s(1, 120, 170), 70, 1050},
		{"other boot, then not trusted", s(2, 5000, 0), s(1, 120, 170), 20, 1100},
		{"other boot, now not trusted", s(2, 5000, 100), s(1, 120, 0), 20, 720}, // looked at again
		{"backwards", s(2, 5000, 100), s(1, 120, 50), 0, 1120},
		{"backwards in a boot", s(1, 50, 0), s(1, 40, 0), 0, 1050},
		{"long ago", s(2, 50, 100), s(1, 120, 5000), 4900, 120},
	} {
		m := &message.Message{Stamp: c.was, Publish: *mortal1("x", "x", 0, 0, 1000)}
		if got := b.waited(m, c.now); got != c.want*time.Second {
			t.Errorf("%s: waited %v, want %v", c.name, got, c.want*time.Second)
		}
		if got := b.expires(m, c.now); got != c.expires*time.Second {
			t.Errorf("%s: expires at %v, want %v", c.name, got, c.expires*time.Second)
		}
	}
}

package broker

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/packet"
)

// limit finds a limit of the broker by its name.
func (h *house) limit(name string) Limit {
	h.t.Helper()
	for _, l := range h.b.Stats().Limits {
		if l.Name == name {
			return l
		}
	}
	h.t.Fatalf("no limit %q", name)
	return Limit{}
}

// wantLimit waits until so many are counted, and wants so many to have been refused.
func (h *house) wantLimit(name string, now int64, refused uint64) {
	h.t.Helper()
	h.until(func() bool { return h.limit(name).Now == now })
	if l := h.limit(name); l.Refused != refused {
		h.t.Errorf("%s: %d refused, want %d", name, l.Refused, refused)
	}
}

// refusal is how a CONNECT is refused for want of room: 3.1.1 knows no better than "server unavailable".
func refusal(v packet.Version) packet.Reason {
	if v == packet.V5 {
		return packet.QuotaExceeded
	}
	return packet.ServerUnavailable
}

// refused wants a CONNECT to be refused and the connection to end.
func (h *house) refused(v packet.Version, id string, reason packet.Reason, tweak ...func(*packet.Connect)) {
	h.t.Helper()
	c := h.dial(v)
	if ack := c.connect(id, tweak...); ack.Reason != reason || ack.SessionPresent {
		h.t.Fatalf("CONNACK of %s: %s, want %s", id, ack.Reason, reason)
	}
	c.expectEnd(packet.Success)
}

// v5 [MQTT-3.1.4-6] section 3.2.2.2, 3.1.1 [MQTT-3.2.2-5]
func TestMaxConnections(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{MaxConnections: 2})
		a, _ := h.login(v, "a", keepSession)
		h.login(v, "b", keepSession)
		h.refused(v, "c", refusal(v), keepSession)
		h.wantLimit("max_connections", 2, 1)
		h.until(func() bool { return h.b.Stats().Sessions == 2 }) // the one refused left none
		again, ack := h.login(v, "a", keepSession)                // in its own place
		if !ack.SessionPresent {
			t.Error("no session present after a take-over at the limit")
		}
		if v == packet.V5 {
			a.expectEnd(packet.SessionTakenOver)
		}
		again.leave()
		h.wantLimit("max_connections", 1, 1)
		h.login(v, "c")
	})
}

func TestMaxConnectionsOfListener(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		most := 1
		h := build(t, Config{ListenerConnections: func(name string) int {
			if name != "test" {
				t.Errorf("asked about %q", name)
			}
			return most
		}})
		a, _ := h.login(v, "a")
		h.refused(v, "b", refusal(v))
		a.leave()
		h.wantLimit("max_connections", 0, 0)
		h.login(v, "b")
	})
}

func TestMaxSessions(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{MaxSessions: 2})
		for _, id := range []string{"a", "b"} {
			c, _ := h.login(v, id, keepSession)
			c.leave()
		}
		h.until(func() bool { return h.b.Stats().Connections == 0 })
		h.refused(v, "c", refusal(v))
		h.wantLimit("max_sessions", 2, 1)
		c, ack := h.login(v, "a", keepSession) // the one it has
		if !ack.SessionPresent {
			t.Error("no session present at the limit")
		}
		c.leave()
		c, _ = h.login(v, "a") // in the place of the one it had
		h.wantLimit("max_sessions", 2, 1)
		c.leave() // and that ends
		h.wantLimit("max_sessions", 1, 1)
		h.login(v, "c")
	})
}

// v5 section 3.9.3, 3.1.1 [MQTT-3.9.3-2]
func TestMaxSubscriptions(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{MaxSubscriptions: 5, MaxClientSubscriptions: 3})
		full := packet.QuotaExceeded
		if v == packet.V311 {
			full = packet.UnspecifiedError
		}
		want := func(got []packet.Reason, want ...packet.Reason) {
			t.Helper()
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("SUBACK %v, want %v", got, want)
			}
		}
		before := h.limit("memory").Now
		a, _ := h.login(v, "a", keepSession)
		want(a.subscribe(1, "1", "2", "$share/g/3", "4"), 1, 1, 1, full)
		if s := h.b.Stats(); s.TooManySubscriptions != 1 || s.Subscriptions != 3 {
			t.Errorf("%d too many and %d subscriptions, want 1 and 3", s.TooManySubscriptions, s.Subscriptions)
		}
		want(a.subscribe(2, "1", "4"), 2, full) // the first exists
		b, _ := h.login(v, "b")
		want(b.subscribe(0, "1", "2", "3"), 0, 0, full)
		h.wantLimit("max_subscriptions", 5, 1)
		a.send(&packet.Unsubscribe{ID: 1, Filters: [][]byte{[]byte("$share/g/3")}})
		a.expect(packet.TypeUnsuback)
		want(b.subscribe(0, "3"), 0)
		b.leave()
		h.wantLimit("max_subscriptions", 2, 1)
		a.leave()
		a, _ = h.login(v, "a") // a clean start
		h.wantLimit("max_subscriptions", 0, 1)
		a.leave()
		h.until(func() bool { return h.limit("memory").Now == before })
	})
}

// TestMaxRetained: a retained message beyond the limit is refused if its publisher can be told, and otherwise delivered and not kept,
// nor is the one before it. v5 section 3.4.2.1, 3.1.1 [MQTT-3.3.1-7]
func TestMaxRetained(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{MaxRetained: 2, MaxRetainedBytes: 4000})
		watch, _ := h.login(v, "watch")
		watch.subscribe(0, "#")
		pub, _ := h.login(v, "pub", keepSession)
		id := uint16(0)
		publish := func(name string, size int, q byte) (kept bool) {
			t.Helper()
			id++
			payload := strings.Repeat("x", size)
			pub.send(retainedMessage(name, payload, q, id))
			var a packet.Ack
			switch q {
			case 1:
				a = *pub.expectAck(packet.TypePuback, id)
			case 2:
				a = *pub.expectAck(packet.TypePubrec, id)
				if !a.Reason.Failed() {
					pub.send(&packet.Ack{Type: packet.TypePubrel, ID: id})
					pub.expectAck(packet.TypePubcomp, id)
				}
			default:
				pub.nothing()
			}
			if a.Reason == packet.QuotaExceeded {
				watch.nothing() // refused as a whole
				return false
			}
			if a.Reason.Failed() {
				t.Fatalf("refused: %s", a.Reason)
			}
			watch.expectMessage(name, payload)
			return true
		}
		told := func(q byte) bool { return v == packet.V5 && q > 0 }
		publish("a", 1, 1)
		publish("b", 1, 2)
		h.wantLimit("max_retained", 2, 0)
		for q := range byte(3) {
			if got := publish("c", 1, q); got == told(q) {
				t.Errorf("QoS %d: delivered %v", q, got)
			}
		}
		h.wantLimit("max_retained", 2, 3)
		publish("a", 0, 1) // makes room
		publish("c", 1, 2)
		h.wantLimit("max_retained", 2, 3)
		if !publish("b", 2000, 1) {
			t.Error("a larger value refused though there is room")
		}
		if got := publish("b", 5000, 2); got == told(2) {
			t.Errorf("delivered %v", got)
		}
		want := int64(1)
		if told(2) {
			want = 2 // the one before is still there
		}
		h.wantLimit("max_retained", want, 3)
		h.wantLimit("max_retained_bytes", h.limit("max_retained_bytes").Now, 1)
		publish("b", 5000, 0) // cannot be told
		h.wantLimit("max_retained", 1, 3)
		if s := h.b.Stats(); s.NotRetained != 5 || s.Retained != 1 {
			t.Errorf("%d not retained, %d retained, want 5 and 1", s.NotRetained, s.Retained)
		}
		publish("c", 0, 0)
		h.wantLimit("max_retained_bytes", 0, 2)
	})
}

// v5 [MQTT-3.2.2-9] to [MQTT-3.2.2-12], 3.1.1 [MQTT-3.8.4-5] [MQTT-4.8.0-1]
func TestMaxQoS(t *testing.T) {
	for most := range byte(3) {
		each(t, func(t *testing.T, v packet.Version) {
			h := build(t, Config{MaxQoS: &most})
			c, ack := h.login(v, "c")
			if has := ack.Props.Has(packet.PropMaximumQoS); has != (v == packet.V5 && most < 2) || has && ack.Props.MaximumQoS != most {
				t.Errorf("Maximum QoS %d, %v", ack.Props.MaximumQoS, has)
			}
			if got := c.subscribe(2, "x"); got[0] != packet.Reason(most) {
				t.Errorf("granted %d, want %d", got[0], most)
			}
			if got := c.subscribe(0, "x"); got[0] != 0 {
				t.Errorf("granted %d, want 0", got[0])
			}
			if most == 2 {
				return
			}
			c.publish("x", "1", most+1, 7)
			c.expectEnd(packet.QoSNotSupported)
			d := h.dial(v)
			d.send(&packet.Connect{CleanStart: true, ClientID: []byte("d"), HasWill: true, Will: packet.Will{QoS: most + 1, Topic: []byte("w")}})
			if v == packet.V5 {
				if ack := d.expect(packet.TypeConnack).(*packet.Connack); ack.Reason != packet.QoSNotSupported {
					t.Errorf("CONNACK %s", ack.Reason)
				}
			}
			d.expectEnd(packet.Success) // 3.1.1 [MQTT-3.2.2-6]: no return code fits
		})
	}
}

// v5 [MQTT-3.2.2-13] [MQTT-3.2.2-14] section 3.2.2.3.5
func TestNoRetain(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{NoRetain: true})
		c, ack := h.login(v, "c")
		if v == packet.V5 && (!ack.Props.Has(packet.PropRetainAvailable) || ack.Props.RetainAvailable) {
			t.Error("not announced")
		}
		c.subscribe(1, "x")
		c.send(retainedMessage("x", "1", 1, 7))
		if v == packet.V5 {
			c.expectEnd(packet.RetainNotSupported)
			h.refused(v, "d", packet.RetainNotSupported, lastWill("w", "1", 0), func(p *packet.Connect) { p.Will.Retain = true })
			return
		}
		c.expectMessage("x", "1")
		c.expectAck(packet.TypePuback, 7)
		if s := h.b.Stats(); s.Retained != 0 {
			t.Error("retained all the same")
		}
		d := h.dial(v)
		d.send(&packet.Connect{CleanStart: true, ClientID: []byte("d"), HasWill: true, Will: packet.Will{Retain: true, Topic: []byte("w")}})
		d.expectEnd(packet.Success)
	})
}

// v5 [MQTT-3.2.2-22] section 3.2.2.3.14
func TestMaxKeepAlive(t *testing.T) {
	alive := func(seconds uint16) func(*packet.Connect) { return func(p *packet.Connect) { p.KeepAlive = seconds } }
	each(t, func(t *testing.T, v packet.Version) {
		bubble(t, Config{MaxKeepAlive: 10 * time.Second}, func(t *testing.T, h *house) {
			for _, asked := range []uint16{0, 11} {
				if v == packet.V311 {
					h.refused(v, "long", packet.ClientIdentifierNotValid, alive(asked))
					continue
				}
				_, ack := h.login(v, "long", alive(asked))
				if ack.Props.ServerKeepAlive != 10 {
					t.Errorf("asked for %d s, told %d", asked, ack.Props.ServerKeepAlive)
				}
			}
			_, ack := h.login(v, "short", alive(4))
			if ack.Props.Has(packet.PropServerKeepAlive) {
				t.Error("a keep alive below the limit was changed")
			}
			after(7 * time.Second)
			want := uint64(1)
			if s := h.b.Stats(); s.KeepAliveLost != want {
				t.Errorf("%d lost after 7 s, want %d", s.KeepAliveLost, want)
			}
			after(9 * time.Second)
			if v == packet.V5 {
				want = 2
			}
			if s := h.b.Stats(); s.KeepAliveLost != want {
				t.Errorf("%d lost after 16 s, want %d", s.KeepAliveLost, want)
			}
		})
	})
}

func TestTopicLimits(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{MaxTopicLevels: 4, MaxTopicLength: 20})
		deep, long := "a/b/c/d/e", strings.Repeat("x", 21)
		c, _ := h.login(v, "c")
		invalid := packet.TopicFilterInvalid
		if v == packet.V311 {
			invalid = packet.UnspecifiedError
		}
		if got := c.subscribe(0, "a/b/c/d", "a/b/+/d/#", deep, long, "$share/"+long+"/a/b/c/d", "#"); fmt.Sprint(got) !=
			fmt.Sprint([]packet.Reason{0, invalid, invalid, invalid, 0, 0}) {
			t.Errorf("SUBACK %v", got)
		}
		for i, name := range []string{deep, long} {
			c.publish(name, "1", 1, uint16(i+1))
			a := c.expectAck(packet.TypePuback, uint16(i+1))
			if v == packet.V5 && a.Reason != packet.TopicNameInvalid {
				t.Errorf("PUBACK %s", a.Reason)
			}
			c.nothing() // not delivered
			d := h.dial(v)
			d.send(&packet.Connect{CleanStart: true, ClientID: []byte("d"), HasWill: true, Will: packet.Will{Topic: []byte(name)}})
			if v == packet.V5 {
				if ack := d.expect(packet.TypeConnack).(*packet.Connack); ack.Reason != packet.TopicNameInvalid {
					t.Errorf("CONNACK %s", ack.Reason)
				}
			}
			d.expectEnd(packet.Success)
		}
		if s := h.b.Stats(); s.Rejected != 2 {
			t.Errorf("%d rejected, want 2", s.Rejected)
		}
	})
}

// TestQueueTotal: messages that wait for sessions are bounded all together, the newest is dropped, and places come back.
func TestQueueTotal(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{QueueTotal: 10})
		for _, id := range []string{"a", "b", "c"} {
			c, _ := h.login(v, id, keepSession)
			c.subscribe(1, "x", "$share/g/"+id)
			h.vanish(c)
		}
		pub, _ := h.login(v, "pub")
		for i := range uint16(4) {
			pub.publish("x", fmt.Sprint(i), 1, i+1)
			pub.expectAck(packet.TypePuback, i+1)
		}
		h.wantLimit("queue_total", 10, 2)
		h.until(func() bool { return h.b.Stats().DroppedQueue == 2 }) // counts are added after the answer
		c, _ := h.login(v, "a", keepSession)
		for i := range 3 {
			c.finish(c.expectMessage("x", fmt.Sprint(i)))
		}
		h.login(v, "b") // a clean start
		h.until(func() bool { return h.limit("queue_total").Now <= 4 })
	})
}

// TestLimitIsLoggedOnce: that a limit is reached is logged once, and that there is room again.
func TestLimitIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := newMemory()
		h := &house{t: t, journal: newJournal(), memory: m, log: slog.New(slog.NewTextHandler(&out, nil))}
		h.run(Config{MaxConnections: 1}, m)
		c, _ := h.login(packet.V5, "c")
		for range 10 {
			h.refused(packet.V5, "d", packet.QuotaExceeded)
			after(2 * time.Minute) // or other lines are kept back
		}
		c.leave()
		after(time.Second)
		h.stop()
		reached, below := strings.Count(out.String(), "limit reached"), strings.Count(out.String(), `below the limit again" limit=max_connections most=1 refused=10`)
		if reached != 1 || below != 1 {
			t.Errorf("%d and %d lines, want 1 and 1:\n%s", reached, below, out.String())
		}
	})
}

package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/broker/packet"
)

// keepMany keeps retained messages r/0 ... at a QoS.
func (l *lasting) keepMany(n int, q func(i int) byte) {
	l.t.Helper()
	pub := l.b.NewPublisher("", nil)
	for i := range n {
		m := messages(q(i), fmt.Sprint("r/", i), "old")
		m[0].Retain = true
		if err := pub.Publish(m); err != nil {
			l.t.Fatal(err)
		}
	}
}

// gather takes messages to their ends until all r/0 ... r/n-1 came, and then nothing more. It counts by topic; held are ids of QoS 2 that were
// not released.
func (c *client) gather(got map[string]int, held map[uint16]bool, n int) {
	c.t.Helper()
	asked := false
	for {
		if len(got) >= n && len(held) == 0 && !asked {
			asked = true
			c.send(&packet.Pingreq{})
		}
		p, kind, err := c.next()
		if err != nil {
			c.t.Fatalf("%d of %d topics came, then %v", len(got), n, err)
		}
		switch kind {
		case packet.TypePublish:
			m := p.(*packet.Publish)
			answer := packet.TypePuback
			if m.QoS == 2 {
				answer = packet.TypePubrec
			}
			if m.QoS < 2 || !held[m.ID] {
				got[string(m.Topic)]++
			}
			if m.QoS == 2 {
				held[m.ID] = true
			}
			c.send(&packet.Ack{Type: answer, ID: m.ID})
			asked = false
		case packet.TypePubrel:
			id := p.(*packet.Ack).ID
			delete(held, id)
			c.send(&packet.Ack{Type: packet.TypePubcomp, ID: id})
		case packet.TypePingresp:
			if asked {
				return
			}
		}
	}
}

// given are the keys of retained messages that are due.
func (v *vault) given() (n int) {
	v.Range(keyGiven, func(string, []byte) bool { n++; return true })
	return n
}

// marks are the subscriptions for which retained messages are due.
func (v *vault) marks() (n int) {
	v.Range(keySub, func(_ string, value []byte) bool {
		if parseOptions(value)&optionDue != 0 {
			n++
		}
		return true
	})
	return n
}

// TestRetainedIsDueAfterKill: a subscription that was answered gets all retained messages, however the process and the connections end
// meanwhile; those of QoS 2 once. v5 [MQTT-3.8.4-4] [MQTT-4.3.3-2], 3.1.1 [MQTT-3.3.1-6]
func TestRetainedIsDueAfterKill(t *testing.T) {
	const n = 300
	for _, kills := range []int{1, 3} {
		t.Run(fmt.Sprint("kills ", kills), func(t *testing.T) {
			l := buildLasting(t, Config{})
			l.keepMany(n, func(i int) byte { return byte(1 + i%2) })
			sub := l.stayWith("sub", func(p *packet.Connect) { p.Props.SetReceiveMaximum(20) })
			got, held := map[string]int{}, map[uint16]bool{}
			sub.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("r/#"), QoS: 2}}})
			for answered := false; !answered; {
				_, kind, err := sub.next()
				if err != nil {
					t.Fatal(err)
				}
				answered = kind == packet.TypeSuback
			}
			if l.v.marks() != 1 {
				t.Fatal("nothing is due after SUBACK: the test tests nothing")
			}
			for k := range kills {
				l.again(Config{})
				sub = l.stayWith("sub", func(p *packet.Connect) { p.Props.SetReceiveMaximum(20) })
				if k < kills-1 {
					sub.gather(got, held, n/3*(k+1)) // some of them to their ends
				}
			}
			publishFrom(l.b, 2, "r/x", "live")
			sub.gather(got, held, n+1)
			for name, k := range got {
				i := 0
				fmt.Sscan(strings.TrimPrefix(name, "r/"), &i)
				if i%2 == 1 && k != 1 {
					t.Errorf("%s of QoS 2 came %d times", name, k)
				}
			}
			l.v.until("the mark is gone", func() bool { return l.v.marks() == 0 && l.v.given() == 0 })
			l.again(Config{})
			sub, _ = l.stay(packet.V5, "sub")
			sub.nothing()
		})
	}
}

// TestReplacedWhileDue: a retained message of QoS 2 that was replaced, and whose successor came by itself, is not due any more: neither
// the old value, which the store may still have, nor the new one comes again.
func TestReplacedWhileDue(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		t.Run(fmt.Sprint("flushed ", flushed), func(t *testing.T) { replacedWhileDue(t, flushed) })
	}
}

func replacedWhileDue(t *testing.T, flushed bool) {
	const n = 400
	l := buildLasting(t, Config{})
	l.keepMany(n, func(int) byte { return 2 })
	sub := l.stayWith("sub", one)
	sub.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("r/#"), QoS: 2}}})
	for answered := false; !answered; {
		_, kind, err := sub.next()
		if err != nil {
			t.Fatal(err)
		}
		answered = kind == packet.TypeSuback
	}
	l.vanish(sub)
	pub := l.b.NewPublisher("", nil)
	for i := 0; i < n; i += 2 {
		m := messages(2, fmt.Sprint("r/", i), "new")
		m[0].Retain = true
		if err := pub.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	if flushed {
		l.b.flushRetained()
	}
	if l.v.marks() != 1 {
		t.Fatal("nothing is due any more: the test tests nothing")
	}
	l.again(Config{})
	sub, _ = l.stay(packet.V5, "sub")
	last, times, held := map[string]string{}, map[string]int{}, map[uint16]bool{}
	quiet, limit := 0, time.Now().Add(patience)
	for quiet < 3 || len(last) < n && time.Now().Before(limit) { // all are there, and three rounds without anything new
		sub.send(&packet.Pingreq{})
		for quiet++; ; {
			p, kind, err := sub.next()
			if err != nil {
				t.Fatal(err)
			}
			if kind == packet.TypePingresp {
				break
			}
			quiet = 0
			if kind == packet.TypePubrel {
				id := p.(*packet.Ack).ID
				delete(held, id)
				sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: id})
				continue
			}
			m := p.(*packet.Publish)
			if !held[m.ID] {
				last[string(m.Topic)] = string(m.Payload)
				times[string(m.Topic)+" = "+string(m.Payload)]++
			}
			held[m.ID] = true
			sub.send(&packet.Ack{Type: packet.TypePubrec, ID: m.ID})
		}
	}
	for i := range n {
		want := "old"
		if i%2 == 0 {
			want = "new"
		}
		if name := fmt.Sprint("r/", i); last[name] != want {
			t.Errorf("the last value of %s is %q, want %q", name, last[name], want)
		}
	}
	for what, k := range times {
		if k > 1 {
			t.Errorf("%s came %d times", what, k)
		}
	}
}

// TestNothingIsDueAfterUnsubscribe: nor are there keys of it.
func TestNothingIsDueAfterUnsubscribe(t *testing.T) {
	l := buildLasting(t, Config{})
	l.keepMany(200, func(int) byte { return 2 })
	sub := l.stayWith("sub", one)
	sub.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("r/#"), QoS: 2}}},
		&packet.Unsubscribe{ID: 2, Filters: [][]byte{[]byte("r/#")}})
	for answered := false; !answered; {
		_, kind, err := sub.next()
		if err != nil {
			t.Fatal(err)
		}
		answered = kind == packet.TypeUnsuback
	}
	l.v.until("no keys are left", func() bool { return l.v.given() == 0 && l.v.marks() == 0 })
	l.again(Config{})
	if l.b.Stats().Subscriptions != 0 {
		t.Error("the subscription is back")
	}
}

// TestDueInMemoryOfADisconnect: a session that disconnects midway gets the rest on its next connection.
func TestDueInMemoryOfADisconnect(t *testing.T) {
	const n = 200
	l := buildLasting(t, Config{})
	l.keepMany(n, func(i int) byte { return byte(1 + i%2) })
	sub := l.stayWith("sub", one)
	sub.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("r/#"), QoS: 2}}})
	sub.next() // SUBACK, or a message before it
	l.vanish(sub)
	sub, _ = l.stay(packet.V5, "sub")
	got := map[string]int{}
	sub.gather(got, map[uint16]bool{}, n)
	for name, k := range got {
		if k != 1 {
			t.Errorf("%s came %d times", name, k)
		}
	}
}

// TestResubscribedWhileDue: a subscription that is made anew gets all of them again, and afterwards nothing is due.
func TestResubscribedWhileDue(t *testing.T) {
	const n = 200
	l := buildLasting(t, Config{})
	l.keepMany(n, func(i int) byte { return byte(1 + i%2) })
	sub := l.stayWith("sub", one)
	again := &packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("r/#"), QoS: 2}}}
	sub.send(again)
	for answered := false; !answered; {
		_, kind, err := sub.next()
		if err != nil {
			t.Fatal(err)
		}
		answered = kind == packet.TypeSuback
	}
	l.vanish(sub)
	sub = l.stayWith("sub", one)
	other := *again
	other.Filters = []packet.Subscription{{Filter: []byte("r/#"), QoS: 2, RetainHandling: 2}} // changes nothing of what is due
	sub.send(again, &other)
	sub.next() // SUBACK, or a message before it
	l.again(Config{})
	sub, _ = l.stay(packet.V5, "sub")
	got := map[string]int{}
	sub.gather(got, map[uint16]bool{}, n)
	l.v.until("the mark is gone", func() bool { return l.v.marks() == 0 && l.v.given() == 0 })
}

package bridge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/message"
	"weir/broker/packet"
)

// A server that allows three messages at a time is never sent a fourth, also right after a connection broke: the server of
// the test tells it as a violation, and others disconnect in a circle.
func TestField_ReceiveMaximumIsNotOverrun(t *testing.T) {
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{ReceiveMaximum: 3, ResetAfter: 11, AckDelay: time.Millisecond}})
	for _, p := range numbers(100) {
		r.publish("t", p)
	}
	r.start()
	r.source.waitDrained(t)
	if st := r.bridge.Status(); st.Reconnects == 0 || st.Reconnects > 100/(11-3)+1 {
		t.Errorf("%d reconnects, want one for each reset", st.Reconnects)
	}
}

// Connections that break between PUBREC and PUBREL leave no message without its end, and repeat none.
func TestField_PubrelIsSentAfterAReconnect(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{CutAtRelease: true}})
			r.cfg.Connect.Version = v
			k := lasting(r)
			r.start()
			for _, p := range numbers(20) {
				r.publish("t", p)
			}
			r.waitStatus("connections that broke at PUBREL", func(st Status) bool { return st.Reconnects >= 2 })
			r.server.Behave(func(b *upstream.Behaviour) { b.CutAtRelease = false })
			r.source.waitDrained(t)
			r.wantOnce(20)
			r.waitStatus("rid of all pairs", func(Status) bool { return len(k.Session().Pairs) == 0 })
		})
	}
}

// A rule that sends a topic and one that receives it do not make a circle, though everything that comes in is sent again.
func TestField_TheSameTopicBothWaysMakesNoCircle(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, upstream.Options{})
			r.cfg.Connect.Version = v
			r.cfg.Receive = []ReceiveRule{{Filter: filter(t, "t/#"), QoS: 1}}
			r.start()
			if err := r.server.WaitSubscribed(r.ctx(), "t/#"); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				r.publish("t/x", fmt.Sprint(i))
			}
			r.server.Publish("t/x", []byte("theirs"), 1, false)
			came := r.sink.waitFor(t, 1)
			r.source.add(1, message.Message{Stamp: r.clock.Now(), Origin: came[0].Origin, Hops: came[0].Hops, Publish: packet.Publish{
				QoS: 1, Topic: []byte("t/x"), Payload: came[0].Payload}}) // as a rule without no-local would
			r.source.waitDrained(t)
			r.server.Publish("t/end", []byte("end"), 1, false)
			got := r.sink.waitFor(t, 2)
			if len(got) != 2 || string(got[0].Payload) != "theirs" || string(got[1].Payload) != "end" {
				t.Errorf("%d messages came in, want theirs once and the end: first %s", len(got), got[0].Payload)
			}
			if n := len(r.arrivals()); n != 21 {
				t.Errorf("%d messages arrived upstream, want 21", n)
			}
		})
	}
}

// A backlog is not drained by one message a tick, nor by one a round trip: a thousand messages would take 50 seconds so.
func TestField_DrainHasManyOnTheWay(t *testing.T) {
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{AckDelay: 50 * time.Millisecond}})
	for _, p := range numbers(1000) {
		r.publish("t", p)
	}
	r.start()
	r.source.waitDrained(t) // gives up after 20 s
	if got := payloads(r.arrivals()); !slices.Equal(got, numbers(1000)) {
		t.Errorf("%d arrived, want 1000 in order", len(got))
	}
}

// The state topic says connected only while messages get through: not before, not while nothing is acknowledged, and not
// after the connection is gone, whoever looks, here or upstream.
func TestField_StateTopicIsTrue(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.cfg.StallAfter = 50 * time.Millisecond
	r.server.Down()
	r.start()
	r.waitWord(Offline)
	if err := r.server.Up(); err != nil {
		t.Fatal(err)
	}
	r.waitRetained(Connected)
	r.waitWord(Connected)
	var silent atomic.Bool
	silent.Store(true)
	r.server.Behave(func(b *upstream.Behaviour) {
		b.Unanswered = func(a *upstream.Arrival) bool { return a.Topic == "t" && silent.Load() }
	})
	r.publish("t", "0")
	r.waitWord(Stalled)
	silent.Store(false)
	r.source.waitDrained(t)
	r.waitRetained(Connected)
	r.server.Behave(func(b *upstream.Behaviour) { b.Refuse = packet.ServerUnavailable })
	r.server.Cut()
	r.waitRetained(Offline)
	r.waitStatus("offline", func(st Status) bool { return st.State == Offline })
}

// A server that keeps no retained messages is sent none, instead of closing the connection over the flag again and again.
func TestField_RetainFlagDoesNotEndTheConnection(t *testing.T) {
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{NoRetain: true}})
	for _, p := range numbers(10) {
		r.source.add(1, message.Message{Stamp: r.clock.Now(), Origin: []byte("px"),
			Publish: packet.Publish{QoS: 1, Retain: true, Topic: []byte("t"), Payload: []byte(p)}})
	}
	r.start()
	r.source.waitDrained(t)
	for _, a := range r.arrivals() {
		if a.Retain {
			t.Errorf("%s arrived with the flag", a.Payload)
		}
	}
	if got := payloads(r.arrivals()); !slices.Equal(got, numbers(10)) || r.server.Connects() > 2 { // the first may ask for a retained will
		t.Errorf("arrived %v over %d connections", got, r.server.Connects())
	}
}

// Somebody else with our client id, such as a card that was copied, does not get into a race of take-overs with us: each time
// the pause is that of a server that refuses us, at least thirty times the usual one.
func TestField_CopiedClientIDMakesNoRace(t *testing.T) {
	takenOver := &client.Error{Kind: client.Disconnected, Reason: packet.SessionTakenOver}
	rng := rand.New(rand.NewPCG(1, 8))
	now := time.Unix(0, 0)
	for range 1000 {
		l := link{timing: timing{minWait: time.Second, maxWait: time.Minute, stableAfter: time.Minute}, random: rng.Float64, state: up, since: now}
		lasted := time.Duration(rng.Int64N(int64(time.Hour))) // however long we had it
		if l.step(lost, causeOf(takenOver), true, now.Add(lasted)) != wait {
			t.Fatal("no wait after a take-over")
		}
		if pause := l.until.Sub(now.Add(lasted)); pause < 30*time.Second || pause > 5*time.Minute {
			t.Fatalf("taken over after %v: the next attempt comes in %v", lasted, pause)
		}
	}
}

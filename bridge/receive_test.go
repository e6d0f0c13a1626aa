package bridge

import (
	"fmt"
	"testing"

	"weir/bridge/upstream"
	"weir/broker/packet"
)

var versions = []packet.Version{packet.V311, packet.V5}

// Messages of the upstream come in by the first matching rule, remapped, and are acknowledged when they are settled here,
// in their order; the rest is dropped and counted.
func TestReceive(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, upstream.Options{})
			r.cfg.Connect.Version = v
			r.cfg.Receive = []ReceiveRule{
				{Filter: filter(t, "sites/7/command/#"), Strip: "sites/7", QoS: 2},
				{Filter: filter(t, "all/+"), Prefix: "cloud", QoS: 1},
			}
			r.start()
			if err := r.server.WaitSubscribed(r.ctx(), "all/+"); err != nil {
				t.Fatal(err)
			}
			r.server.Publish("sites/7/command/a", []byte("0"), 1, false)
			r.server.Publish("all/x", []byte("1"), 2, false)
			r.server.Publish("sites/7/command/b", []byte("2"), 2, false)
			r.server.Publish("sites/7/command/c", []byte("3"), 0, false)
			got := r.sink.waitFor(t, 4)
			for i, want := range []struct {
				topic string
				qos   byte
			}{{"command/a", 1}, {"cloud/all/x", 1}, {"command/b", 2}, {"command/c", 0}} {
				if m := got[i]; string(m.Topic) != want.topic || m.QoS != want.qos || string(m.Payload) != fmt.Sprint(i) || string(m.Origin) != "bridge/cloud" {
					t.Errorf("message %d: %s %s QoS %d from %s, want %+v", i, m.Topic, m.Payload, m.QoS, m.Origin, want)
				}
			}
			if n := r.server.Unacknowledged(); n != 3 {
				t.Fatalf("%d messages unacknowledged, want all 3 until they are settled", n)
			}
			r.bridge.Settled(1)
			if err := r.server.WaitUnacknowledged(r.ctx(), 2); err != nil {
				t.Fatal(err)
			}
			r.bridge.Settled(3)
			if err := r.server.WaitUnacknowledged(r.ctx(), 0); err != nil {
				t.Fatal(err)
			}
			r.waitStatus("4 received, 2 subscribed", func(st Status) bool { return st.Received == 4 && len(st.Subscribed) == 2 })
		})
	}
}

// A message that waits for the sink holds back the acknowledgements of those after it.
func TestReceiveOrderOfAcknowledgements(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.cfg.Receive = []ReceiveRule{{Filter: filter(t, "in/#"), Strip: "in", QoS: 1}}
	r.start()
	if err := r.server.WaitSubscribed(r.ctx(), "in/#"); err != nil {
		t.Fatal(err)
	}
	r.server.Publish("in/a", nil, 1, false)
	r.server.Publish("in", nil, 1, false) // nothing is left of the topic: dropped
	r.server.Publish("in/b", nil, 1, false)
	r.sink.waitFor(t, 2)
	if n := r.server.Unacknowledged(); n != 3 {
		t.Fatalf("%d unacknowledged, want 3", n)
	}
	r.bridge.Settled(1)
	if err := r.server.WaitUnacknowledged(r.ctx(), 1); err != nil {
		t.Fatal(err)
	}
	if st := r.bridge.Status(); st.Unmatched != 1 {
		t.Errorf("unmatched %d, want 1", st.Unmatched)
	}
}

// When the local side has no room, messages wait here and go in as soon as there is some; meanwhile records go on to
// the upstream.
func TestReceiveNoRoom(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.cfg.Receive = []ReceiveRule{{Filter: filter(t, "in/#"), QoS: 1}}
	r.sink.room = 2
	r.start()
	if err := r.server.WaitSubscribed(r.ctx(), "in/#"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		r.server.Publish("in/x", []byte(fmt.Sprint(i)), 1, false)
	}
	r.sink.waitFor(t, 2)
	r.publish("t", "up")
	r.source.waitDrained(t)
	for n := 2; n <= 4; n += 2 {
		r.sink.mu.Lock()
		r.sink.room = 2
		r.sink.mu.Unlock()
		r.bridge.Settled(2)
		r.sink.waitFor(t, min(n+2, 5))
	}
	r.bridge.Settled(1)
	if err := r.server.WaitUnacknowledged(r.ctx(), 0); err != nil {
		t.Fatal(err)
	}
	for i, m := range r.sink.waitFor(t, 5) {
		if string(m.Payload) != fmt.Sprint(i) {
			t.Errorf("message %d is %s", i, m.Payload)
		}
	}
}

// What came over a connection that is gone is still settled here, and its acknowledgements do not reach the next one.
func TestReceiveAcrossConnections(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.cfg.Receive = []ReceiveRule{{Filter: filter(t, "in/#"), QoS: 1}}
	r.start()
	if err := r.server.WaitSubscribed(r.ctx(), "in/#"); err != nil {
		t.Fatal(err)
	}
	r.server.Publish("in/x", []byte("old"), 1, false)
	r.sink.waitFor(t, 1)
	r.server.Cut()
	r.source.wait(t, "reconnected", func() bool { return len(r.source.live) >= 3 && r.source.live[2] })
	if err := r.server.WaitClients(r.ctx(), 1); err != nil { // the old one has gone
		t.Fatal(err)
	}
	if err := r.server.WaitSubscribed(r.ctx(), "in/#"); err != nil {
		t.Fatal(err)
	}
	r.server.Publish("in/x", []byte("new"), 1, false)
	r.sink.waitFor(t, 2)
	r.bridge.Settled(1) // the old one
	r.server.Publish("in/x", []byte("newer"), 1, false)
	r.sink.waitFor(t, 3)
	if n := r.server.Unacknowledged(); n != 2 {
		t.Fatalf("%d unacknowledged, want 2: the old one's settling is not theirs", n)
	}
	r.bridge.Settled(2)
	if err := r.server.WaitUnacknowledged(r.ctx(), 0); err != nil {
		t.Fatal(err)
	}
}

// Forward and receive rules over the same topics: nothing of ours comes back, with no-local on 5.0 and by memory on 3.1.1.
func TestNoLoop(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, upstream.Options{})
			r.cfg.Connect.Version = v
			r.cfg.Receive = []ReceiveRule{{Filter: filter(t, "#"), QoS: 1}}
			r.start()
			if err := r.server.WaitSubscribed(r.ctx(), "#"); err != nil {
				t.Fatal(err)
			}
			for i := range 50 {
				r.publish("t", fmt.Sprint(i))
			}
			r.source.waitDrained(t)
			r.server.Publish("t", []byte("theirs"), 1, false)
			r.server.Publish("t", []byte("7"), 1, false) // the same as one of ours, but theirs
			got := r.sink.waitFor(t, 2)
			if len(got) != 2 || string(got[0].Payload) != "theirs" || string(got[1].Payload) != "7" {
				t.Errorf("%d came in, first %s", len(got), got[0].Payload)
			}
		})
	}
}

func TestHops(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.cfg.Receive = []ReceiveRule{{Filter: filter(t, "in/#"), QoS: 1}}
	r.start()
	if err := r.server.WaitSubscribed(r.ctx(), "in/#"); err != nil {
		t.Fatal(err)
	}
	for _, hops := range []string{"1", "3", "4", "many"} {
		r.server.Send(upstream.Arrival{Topic: "in/" + hops, QoS: 1, User: [][2]string{{"weir-hops", hops}}})
	}
	r.server.Publish("in/end", nil, 1, false)
	got := r.sink.waitFor(t, 3)
	if len(got) != 3 || got[0].Hops != 1 || got[1].Hops != 3 || got[2].Hops != 0 {
		t.Errorf("came in: %+v, want those with 1, 3 and no hops", got)
	}
	if st := r.bridge.Status(); st.Looped != 2 {
		t.Errorf("looped %d, want 2", st.Looped)
	}
}

func TestSubscriptionRefused(t *testing.T) {
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{SubscribeReason: func(filter string) packet.Reason {
		if filter == "no/#" {
			return packet.NotAuthorized
		}
		return packet.Success
	}}})
	for i := range 12 {
		r.cfg.Receive = append(r.cfg.Receive, ReceiveRule{Filter: filter(t, fmt.Sprintf("yes/%d", i)), QoS: 1})
	}
	r.cfg.Receive = append(r.cfg.Receive, ReceiveRule{Filter: filter(t, "no/#"), QoS: 1})
	r.start()
	st := r.waitStatus("all answered", func(st Status) bool { return len(st.Subscribed) == 13 })
	if last := st.Subscribed[12]; last.Filter != "no/#" || last.Reason != packet.NotAuthorized || st.Subscribed[0].Reason != packet.GrantedQoS1 {
		t.Errorf("%+v", st.Subscribed)
	}
}

// The pure part of the intake: whatever the order of room, settling and loss of the connection, each message is
// acknowledged at most once, in order, and only when everything before it has ended.
func TestIntakeAcknowledgesInOrder(t *testing.T) {
	sink := newFakeSink()
	in := &intake{rules: []ReceiveRule{{Filter: filter(t, "+/keep"), QoS: 1}}, sink: sink, clock: newFakeClock(), maxHops: 3}
	conn := &ackCount{}
	in.begin(conn, false, false, true)
	give := func(topics ...string) {
		var batch []packet.Publish
		for _, name := range topics {
			batch = append(batch, packet.Publish{Topic: []byte(name), QoS: 1})
		}
		in.take(conn, batch, epoch)
	}
	settle := func(n int) { in.newly.Add(int64(n)); in.wake() }
	expect := func(want ...string) {
		t.Helper()
		if fmt.Sprint(conn.got) != fmt.Sprint(want) {
			t.Fatalf("acknowledged %v, want %v", conn.got, want)
		}
	}
	give("a/drop", "a/keep", "b/drop", "b/keep")
	expect("1 no matching subscribers")
	settle(1)
	expect("1 no matching subscribers", "1 success", "1 no matching subscribers")
	sink.room = 1
	give("c/keep", "d/keep", "e/drop")
	settle(1) // d waits for room, which c may make
	expect("1 no matching subscribers", "1 success", "1 no matching subscribers", "1 success")
	settle(1) // the sink holds nothing of ours and does not take d: it never will
	expect("1 no matching subscribers", "1 success", "1 no matching subscribers", "1 success", "1 success", "1 quota exceeded", "1 no matching subscribers")
	if in.overrun.Load() != 1 || len(in.held) != 0 || in.heldIn != 0 || in.inSink != 0 {
		t.Errorf("overrun %d, %d held with %d bytes, %d in the sink", in.overrun.Load(), len(in.held), in.heldIn, in.inSink)
	}
}

// What is held is bounded: a connection that brings more than fits is closed.
func TestIntakeFlood(t *testing.T) {
	sink := newFakeSink()
	sink.room = 1
	in := &intake{rules: []ReceiveRule{{Filter: filter(t, "#"), QoS: 1}}, sink: sink, clock: newFakeClock(), maxHops: 3}
	conn := &ackCount{}
	in.begin(conn, false, false, true)
	big := packet.Publish{Topic: []byte("x"), QoS: 1, Payload: make([]byte, maxHeld/4)}
	for range 10 {
		in.take(conn, []packet.Publish{big}, epoch)
	}
	if conn.aborts != 1 || in.heldIn > maxHeld+maxHeld/4+1000 {
		t.Errorf("%d aborts, %d bytes held, want one abort at about %d", conn.aborts, in.heldIn, maxHeld)
	}
	held := len(in.held)
	in.stop()
	sink.room = 100
	in.newly.Add(1)
	in.wake()
	if len(sink.messages) != 1+held {
		t.Errorf("%d messages in the sink, want what was held to follow the connection's end", len(sink.messages))
	}
}

type ackCount struct {
	got    []string
	aborts int
}

func (a *ackCount) Ack(n int, r packet.Reason) { a.got = append(a.got, fmt.Sprintf("%d %s", n, r)) }
func (a *ackCount) Abort()                     { a.aborts++ }
func (a *ackCount) Complete(id uint16, known bool) {
	a.got = append(a.got, fmt.Sprintf("PUBCOMP %d %t", id, known))
}

func TestEchoes(t *testing.T) {
	e := newEchoes()
	topic, payload := []byte("t"), []byte("p")
	e.sent(topic, payload, epoch)
	e.sent(topic, payload, epoch)
	for i, want := range []bool{true, true, false} {
		if got := e.back(topic, payload, epoch); got != want {
			t.Errorf("time %d: %v, want %v", i, got, want)
		}
	}
	e.sent(topic, payload, epoch)
	if e.back(topic, payload, epoch.Add(echoFor)) {
		t.Error("remembered for too long")
	}
	for i := range 3 * echoMax {
		e.sent(topic, []byte(fmt.Sprint(i)), epoch)
	}
	if n := len(e.count); n > echoMax || len(e.order) > 3*echoMax {
		t.Errorf("%d remembered, want at most %d", n, echoMax)
	}
	if !e.back(topic, []byte(fmt.Sprint(3*echoMax-1)), epoch) || e.back(topic, []byte("0"), epoch) {
		t.Error("want the newest remembered and the oldest forgotten")
	}
}

// A server that sends more at a time than it was told is put up with, or it would send the same after each reconnect.
func TestServerThatMiscounts(t *testing.T) {
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{Overrun: true}})
	r.cfg.Connect.ReceiveMaximum = 3
	r.cfg.Receive = []ReceiveRule{{Filter: filter(t, "in/#"), QoS: 1}}
	r.start()
	if err := r.server.WaitSubscribed(r.ctx(), "in/#"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		r.server.Publish("in/a", []byte("x"), 1, false)
	}
	r.sink.waitFor(t, 10)
	r.bridge.Settled(10)
	if err := r.server.WaitUnacknowledged(r.ctx(), 0); err != nil {
		t.Fatal(err)
	}
	if st := r.bridge.Status(); st.Reconnects > 0 {
		t.Errorf("%d reconnects", st.Reconnects)
	}
}

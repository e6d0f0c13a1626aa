package bridge

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"weir/bridge/upstream"
	"weir/broker/message"
	"weir/broker/packet"
)

// The tests of this file are named after ways in which other bridges are known to lose or hold back data.

// numbers are the payloads "0" to "n-1".
func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func payloads(all []upstream.Arrival) (got []string) {
	for _, a := range all {
		got = append(got, string(a.Payload))
	}
	return got
}

// A backlog leaves by itself when the upstream is back, not when the next message comes.
func TestField_BacklogLeavesWithoutANewMessage(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.server.Down()
	r.start()
	for _, p := range numbers(50) {
		r.publish("t", p)
	}
	r.waitWord(Offline)
	if err := r.server.Up(); err != nil {
		t.Fatal(err)
	}
	r.source.waitDrained(t)
	if got := payloads(r.arrivals()); !slices.Equal(got, numbers(50)) {
		t.Errorf("arrived %v", got)
	}
}

// A record is done with when the upstream has acknowledged it, not when it was sent: one that was sent into a silent link
// is sent again.
func TestField_RemovedBeforeTheResendIsAcknowledged(t *testing.T) {
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{Unanswered: func(a *upstream.Arrival) bool { return a.Topic == "t" }}})
	for _, p := range numbers(20) {
		r.publish("t", p)
	}
	r.start()
	r.waitArrivals(20)
	if b := r.source.Backlog(); b.Records != 20 {
		t.Errorf("%d of 20 records wait after they were sent and not acknowledged", b.Records)
	}
	r.server.Behave(func(b *upstream.Behaviour) { b.Unanswered = nil })
	r.server.Cut()
	r.source.waitDrained(t)
	if got := payloads(r.arrivals()); !slices.Equal(got[len(got)-20:], numbers(20)) {
		t.Errorf("arrived %v, want all again at the end", got)
	}
}

// A name that does not resolve at boot, or a server that refuses, is tried for as long as it takes; no number of attempts
// drops anything.
func TestField_HundredFailedAttemptsDropNothing(t *testing.T) {
	for name, failure := range map[string]error{
		"name does not resolve": &net.DNSError{Err: "no such host", Name: "broker.example.com", IsNotFound: true},
		"nobody listens":        &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("connection refused")},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, upstream.Options{})
			r.cfg.MinWait, r.cfg.MaxWait = time.Millisecond, 4*time.Millisecond
			var attempts atomic.Int32
			r.cfg.Connect.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if attempts.Add(1) <= 120 {
					return nil, failure
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}
			for _, p := range numbers(10) {
				r.publish("t", p)
			}
			r.start()
			r.source.waitDrained(t)
			if got := payloads(r.arrivals()); !slices.Equal(got, numbers(10)) || attempts.Load() != 121 {
				t.Errorf("arrived %v after %d attempts, want 0 to 9 after 121", got, attempts.Load())
			}
		})
	}
}

// One acknowledgement that never comes, while those of later messages do and go on coming, must not hold its message for
// ever.
func TestField_OneLostPubackFreezesNothing(t *testing.T) {
	var lost atomic.Bool
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{
		Unanswered: func(a *upstream.Arrival) bool { return string(a.Payload) == "3" && lost.CompareAndSwap(false, true) }}})
	r.cfg.StallAfter = 100 * time.Millisecond
	r.start()
	var third uint64
	acked := func() bool {
		r.source.mu.Lock()
		defer r.source.mu.Unlock()
		return third > 0 && r.source.acked[third] > 0
	}
	n, deadline, tick := 0, time.After(20*time.Second), time.NewTicker(2*time.Millisecond) // a steady stream
	defer tick.Stop()
	for ; !acked(); n++ {
		if number := r.publish("t", fmt.Sprint(n)); n == 3 {
			third = number
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("message 3 is still on its way after %d others", n)
		}
	}
	r.source.waitDrained(t)
	var first []string // what arrived for the first time
	seen := map[string]bool{}
	for _, p := range payloads(r.arrivals()) {
		if !seen[p] {
			seen[p] = true
			first = append(first, p)
		}
	}
	if !slices.Equal(first, numbers(n)) {
		t.Errorf("arrived for the first time in the order %v", first)
	}
}

// What waited for a month, and has no expiry of its own, is not thrown away for its age.
func TestField_LongOutageExpiresNothing(t *testing.T) {
	r := newRig(t, upstream.Options{})
	for _, p := range numbers(10) {
		r.source.add(1, message.Message{Stamp: message.Stamp{Boot: 1, Since: -30 * 24 * time.Hour}, Origin: []byte("px"),
			Publish: packet.Publish{QoS: 1, Topic: []byte("t"), Payload: []byte(p)}})
	}
	r.start()
	r.source.waitDrained(t)
	if got := payloads(r.arrivals()); !slices.Equal(got, numbers(10)) {
		t.Errorf("arrived %v", got)
	}
}

// A retained message that is deleted while the upstream is away is deleted there when it is back.
func TestField_RetainedDeleteMadeOffline(t *testing.T) {
	r := newRig(t, upstream.Options{})
	retained := func(payload string) {
		r.source.add(1, message.Message{Stamp: r.clock.Now(), Origin: []byte("px"),
			Publish: packet.Publish{QoS: 1, Retain: true, Topic: []byte("valve"), Payload: []byte(payload)}})
	}
	r.start()
	retained("open")
	r.source.waitDrained(t)
	if a, ok := r.server.Retained("valve"); !ok || string(a.Payload) != "open" {
		t.Fatalf("retained upstream: %q, %v", a.Payload, ok)
	}
	r.server.Down()
	retained("")
	r.waitWord(Offline)
	if err := r.server.Up(); err != nil {
		t.Fatal(err)
	}
	r.source.waitDrained(t)
	if a, ok := r.server.Retained("valve"); ok {
		t.Errorf("still retained upstream: %q", a.Payload)
	}
}

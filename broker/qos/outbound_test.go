package qos

import (
	"fmt"
	"slices"
	"testing"

	"weir/broker/packet"
)

// send takes an id or fails the test.
func send(t *testing.T, o *Outbound, q byte, ref uint64) uint16 {
	t.Helper()
	id, ok := o.Send(q, ref)
	if !ok {
		t.Fatalf("Send(%d, %d): window full with %d in flight", q, ref, o.InFlight())
	}
	return id
}

func TestOutboundSteps(t *testing.T) {
	const refused, notFound = packet.QuotaExceeded, packet.PacketIdentifierNotFound
	type event struct {
		t    packet.Type
		r    packet.Reason
		want Step
	}
	for name, c := range map[string]struct {
		q      byte
		events []event
		left   int // in flight afterwards
	}{
		"v5 [MQTT-4.3.2-3] qos 1 ends with PUBACK":        {1, []event{{packet.TypePuback, packet.Success, Done}}, 0},
		"qos 1 nobody there is a success":                 {1, []event{{packet.TypePuback, packet.NoMatchingSubscribers, Done}}, 0},
		"v5 [MQTT-4.4.0-2] qos 1 refused":                 {1, []event{{packet.TypePuback, refused, Refused}}, 0},
		"qos 1 answered with PUBREC":                      {1, []event{{packet.TypePubrec, packet.Success, Wrong}}, 1},
		"qos 1 answered with PUBCOMP":                     {1, []event{{packet.TypePubcomp, packet.Success, Wrong}}, 1},
		"qos 1 second PUBACK":                             {1, []event{{packet.TypePuback, packet.Success, Done}, {packet.TypePuback, packet.Success, Ignored}}, 0},
		"v5 [MQTT-4.3.3-4] qos 2 PUBREC then PUBREL":      {2, []event{{packet.TypePubrec, packet.Success, SendPubrel}}, 1},
		"v5 [MQTT-4.3.3-5] qos 2 ends with PUBCOMP":       {2, []event{{packet.TypePubrec, packet.Success, SendPubrel}, {packet.TypePubcomp, packet.Success, Done}}, 0},
		"qos 2 PUBREC repeated":                           {2, []event{{packet.TypePubrec, packet.Success, SendPubrel}, {packet.TypePubrec, packet.Success, SendPubrel}, {packet.TypePubcomp, packet.Success, Done}}, 0},
		"qos 2 peer forgot after PUBREL":                  {2, []event{{packet.TypePubrec, packet.Success, SendPubrel}, {packet.TypePubcomp, notFound, Done}}, 0},
		"v5 [MQTT-4.4.0-2] qos 2 refused":                 {2, []event{{packet.TypePubrec, refused, Refused}}, 0},
		"qos 2 refused after PUBREL":                      {2, []event{{packet.TypePubrec, packet.Success, SendPubrel}, {packet.TypePubrec, refused, Wrong}}, 1},
		"qos 2 answered with PUBACK":                      {2, []event{{packet.TypePuback, packet.Success, Wrong}}, 1},
		"qos 2 PUBCOMP before PUBREC":                     {2, []event{{packet.TypePubcomp, packet.Success, Wrong}}, 1},
		"qos 2 PUBREC for an id that is over":             {2, []event{{packet.TypePubrec, refused, Refused}, {packet.TypePubrec, packet.Success, Ignored}}, 0},
		"a PUBREL is not for the sender, nor is a SUBACK": {2, []event{{packet.TypePubrel, packet.Success, Wrong}, {packet.TypeSuback, packet.Success, Wrong}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			o := NewOutbound(10)
			id := send(t, o, c.q, 77)
			for i, e := range c.events {
				step, ref := o.Receive(e.t, id, e.r)
				wantRef := uint64(77)
				if e.want == Ignored {
					wantRef = 0
				}
				if step != e.want || ref != wantRef {
					t.Errorf("event %d: %s %s gave %s for %d, want %s for %d", i, e.t, e.r, step, ref, e.want, wantRef)
				}
			}
			if o.InFlight() != c.left || o.Free() != 10-c.left {
				t.Errorf("in flight %d, free %d, want %d and %d", o.InFlight(), o.Free(), c.left, 10-c.left)
			}
		})
	}
}

func TestSendRefusesOtherQoS(t *testing.T) {
	o := NewOutbound(10)
	for _, q := range []byte{0, 3} {
		if id, ok := o.Send(q, 1); ok {
			t.Errorf("Send with qos %d gave id %d", q, id)
		}
	}
}

// v5 [MQTT-4.9.0-2]
func TestWindow(t *testing.T) {
	o := NewOutbound(2)
	a := send(t, o, 1, 1)
	b := send(t, o, 2, 2)
	if _, ok := o.Send(1, 3); ok || o.Free() != 0 {
		t.Fatal("a third message went into a window of two")
	}
	o.Receive(packet.TypePubrec, b, packet.Success)
	if _, ok := o.Send(1, 3); ok {
		t.Fatal("PUBREC made room; only PUBCOMP does")
	}
	o.Receive(packet.TypePuback, a, packet.Success)
	send(t, o, 1, 3)
	o.SetWindow(1)
	if o.Free() != 0 {
		t.Errorf("free %d with two in flight in a window of one", o.Free())
	}
	o.Receive(packet.TypePubcomp, b, packet.Success)
	if _, ok := o.Send(1, 4); ok {
		t.Error("sent beyond the smaller window")
	}
	o.SetWindow(3)
	if o.Free() != 2 {
		t.Errorf("free %d, want 2", o.Free())
	}
}

func TestWindowLimits(t *testing.T) {
	for _, c := range []struct{ window, want int }{{-1, 0}, {0, 0}, {1, 1}, {65535, 65535}, {1 << 20, 65535}} {
		if got := NewOutbound(c.window).Free(); got != c.want {
			t.Errorf("window %d: free %d, want %d", c.window, got, c.want)
		}
	}
}

// v5 [MQTT-2.2.1-4], 3.1.1 [MQTT-2.3.1-4]
func TestIDsCountAndWrap(t *testing.T) {
	o := NewOutbound(3)
	stays := send(t, o, 2, 0)
	if stays != 1 {
		t.Fatalf("first id %d, want 1", stays)
	}
	for lap := range 2 {
		for want := 2; want <= maxIDs; want++ {
			id := send(t, o, 1, 0)
			if int(id) != want {
				t.Fatalf("lap %d: id %d, want %d", lap, id, want)
			}
			o.Receive(packet.TypePuback, id, packet.Success)
		}
	}
}

func TestAllIDs(t *testing.T) {
	o := NewOutbound(maxIDs)
	seen := make([]bool, maxIDs+1)
	for range maxIDs {
		id := send(t, o, 1, 0)
		if id == 0 || seen[id] {
			t.Fatalf("id %d given twice, or zero", id)
		}
		seen[id] = true
	}
	if _, ok := o.Send(1, 0); ok {
		t.Fatal("a 65536th id")
	}
	if _, ok := o.Reserve(); ok {
		t.Fatal("a 65536th id for SUBSCRIBE")
	}
	for _, free := range []uint16{1, 65535, 32000, 64, 63} { // the only free one is found wherever it is
		o.Receive(packet.TypePuback, free, packet.Success)
		if id := send(t, o, 1, 0); id != free {
			t.Fatalf("id %d, want %d, the only free one", id, free)
		}
	}
}

func TestReserve(t *testing.T) {
	o := NewOutbound(1)
	a := send(t, o, 1, 9)
	sub, ok := o.Reserve()
	if !ok || sub == a || o.InFlight() != 1 {
		t.Fatalf("Reserve gave %d, %t with %d in flight", sub, ok, o.InFlight())
	}
	if step, _ := o.Receive(packet.TypePuback, sub, packet.Success); step != Wrong {
		t.Errorf("PUBACK for a SUBSCRIBE: %s", step)
	}
	if o.Return(a) {
		t.Error("Return took the id of a message")
	}
	o.Unfinished(func(id uint16, _ uint64, _ byte, _ bool) bool {
		if id == sub {
			t.Error("a reserved id among the messages")
		}
		return true
	})
	if !o.Return(sub) || o.Return(sub) {
		t.Error("Return is not true exactly once")
	}
}

// resent collects what Resend hands out.
func resent(o *Outbound) (got []string) {
	o.Resend(func(id uint16, ref uint64, q byte, released bool) bool {
		got = append(got, fmt.Sprintf("%d:%d:q%d:%t", id, ref, q, released))
		return true
	})
	return got
}

// v5 [MQTT-4.4.0-1] [MQTT-4.6.0-1], 3.1.1 [MQTT-4.4.0-1] [MQTT-4.6.0-1]
func TestResendInOrderWithinTheWindow(t *testing.T) {
	o := NewOutbound(10)
	for ref := range uint64(6) {
		send(t, o, byte(1+ref%2), ref) // ids 1..6; even ids are qos 2
	}
	o.Reserve()                                     // id 7
	o.Receive(packet.TypePubrec, 2, packet.Success) // released
	o.Receive(packet.TypePuback, 3, packet.Success) // over
	o.Reconnect(2)
	if o.Free() != 0 || !o.Resending() {
		t.Fatalf("free %d, resending %t before anything was resent", o.Free(), o.Resending())
	}
	if got, want := resent(o), []string{"1:0:q1:false", "2:1:q2:true", "4:3:q2:false"}; !slices.Equal(got, want) {
		t.Errorf("resent %v, want %v", got, want)
	}
	if got := resent(o); got != nil {
		t.Errorf("resent %v beyond the window", got)
	}
	sub, _ := o.Reserve() // stands behind what is not sent yet, and is passed over
	o.Receive(packet.TypePuback, 1, packet.Success)
	o.Receive(packet.TypePubcomp, 2, packet.Success) // did not count, gives no room
	if got, want := resent(o), []string{"5:4:q1:false"}; !slices.Equal(got, want) {
		t.Errorf("then %v, want %v", got, want)
	}
	o.Receive(packet.TypePubrec, 6, packet.Success) // not sent on this connection, but the peer has it
	if got, want := resent(o), []string{"6:5:q2:true"}; !slices.Equal(got, want) {
		t.Errorf("last %v, want %v", got, want)
	}
	if o.Resending() || o.Free() != 0 || o.InFlight() != 3 {
		t.Errorf("resending %t, free %d, in flight %d; want false, 0, 3", o.Resending(), o.Free(), o.InFlight())
	}
	o.Receive(packet.TypePuback, 5, packet.Success)
	if id := send(t, o, 1, 100); id == sub || id < 8 {
		t.Errorf("new id %d", id)
	}
}

func TestResendStopped(t *testing.T) {
	o := NewOutbound(10)
	for ref := range uint64(3) {
		send(t, o, 1, ref)
	}
	o.Reconnect(10)
	calls := 0
	o.Resend(func(uint16, uint64, byte, bool) bool { calls++; return false })
	if rest := resent(o); calls != 1 || len(rest) != 2 {
		t.Errorf("%d calls, then %v; want one, then two messages", calls, rest)
	}
}

func TestRestore(t *testing.T) {
	o := NewOutbound(5)
	if !o.Restore(500, 1, 2, true) || !o.Restore(65535, 2, 2, false) || !o.Restore(9, 3, 1, false) {
		t.Fatal("Restore refused")
	}
	if o.Restore(500, 4, 1, false) || o.Restore(0, 4, 1, false) || o.Restore(10, 4, 0, false) {
		t.Error("Restore took an id in use, id 0 or qos 0")
	}
	o.Reconnect(5)
	want := []string{"500:1:q2:true", "65535:2:q2:false", "9:3:q1:false"}
	if got := resent(o); !slices.Equal(got, want) {
		t.Errorf("resent %v, want %v", got, want)
	}
	if id := send(t, o, 1, 0); id != 10 {
		t.Errorf("next id %d, want 10", id)
	}
}

func TestOutboundReset(t *testing.T) {
	o := NewOutbound(2)
	send(t, o, 2, 1)
	o.Reset()
	if o.InFlight() != 0 || o.Free() != 2 || send(t, o, 1, 1) != 1 {
		t.Error("Reset left something")
	}
}

func TestOutboundAllocatesNothing(t *testing.T) {
	for _, window := range []int{1, 20, 2000} {
		o := NewOutbound(window)
		cycle := outboundCycle(o, window)
		cycle()
		if n := testing.AllocsPerRun(100, cycle); n != 0 {
			t.Errorf("window %d: %v allocations for %d messages", window, n, window)
		}
	}
}

// outboundCycle fills the window, alternating the QoS, and empties it.
func outboundCycle(o *Outbound, window int) func() {
	ids := make([]uint16, window)
	return func() {
		for i := range ids {
			id, ok := o.Send(byte(1+i%2), uint64(i))
			if !ok {
				panic("window full")
			}
			ids[i] = id
		}
		for i, id := range ids {
			if i%2 == 0 {
				o.Receive(packet.TypePuback, id, packet.Success)
			} else {
				o.Receive(packet.TypePubrec, id, packet.Success)
				o.Receive(packet.TypePubcomp, id, packet.Success)
			}
		}
	}
}

func BenchmarkOutbound(b *testing.B) {
	for _, window := range []int{20, 2000} {
		b.Run(fmt.Sprintf("window-%d", window), func(b *testing.B) {
			b.ReportAllocs()
			o := NewOutbound(window)
			cycle := outboundCycle(o, window)
			messages := 0
			for b.Loop() {
				cycle()
				messages += window
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(messages), "ns/message")
		})
	}
	b.Run("one-id-free", func(b *testing.B) { // the dearest search there is
		b.ReportAllocs()
		o := NewOutbound(maxIDs)
		for range maxIDs {
			o.Send(1, 0)
		}
		for b.Loop() {
			o.Receive(packet.TypePuback, 30000, packet.Success)
			o.Send(1, 0)
		}
	})
}

// TestPeek: what Resend hands out next can be seen before, in order, released or not.
func TestPeek(t *testing.T) {
	o := NewOutbound(10)
	if _, _, _, ok := o.Peek(); ok {
		t.Error("something to send again in a new session")
	}
	for i, released := range []bool{true, false} {
		o.Restore(uint16(i+1), uint64(100+i), 2, released)
	}
	o.Reconnect(10)
	for i, want := range []bool{true, false} {
		id, ref, released, ok := o.Peek()
		if id != uint16(i+1) || ref != uint64(100+i) || released != want || !ok {
			t.Errorf("peek %d: id %d, %d, %v, %v, want %d, %v, true", i, id, ref, released, ok, 100+i, want)
		}
		o.Resend(func(_ uint16, got uint64, _ byte, _ bool) bool {
			if got != ref {
				t.Errorf("Resend gives %d, Peek gave %d", got, ref)
			}
			return false
		})
	}
	if _, _, _, ok := o.Peek(); ok {
		t.Error("something is left")
	}
}

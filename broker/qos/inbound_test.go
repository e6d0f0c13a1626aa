package qos

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestInboundQoS0LeavesNoTrace(t *testing.T) {
	in := NewInbound(1)
	for range 3 {
		if step := in.Publish(0, 0, false); step != New || in.Open() != 0 {
			t.Fatalf("qos 0: %s, %d open", step, in.Open())
		}
	}
}

// v5 [MQTT-4.3.2-5], 3.1.1 [MQTT-4.3.2-2]
func TestInboundQoS1(t *testing.T) {
	in := NewInbound(2)
	want := func(step InStep, got InStep, open int) {
		t.Helper()
		if got != step || in.Open() != open {
			t.Fatalf("got %s with %d open, want %s with %d", got, in.Open(), step, open)
		}
	}
	want(New, in.Publish(1, 5, false), 1)
	want(New, in.Publish(1, 5, true), 2)      // again before its PUBACK
	want(Exceeded, in.Publish(1, 5, true), 2) // v5 [MQTT-3.3.4-7]
	want(Exceeded, in.Publish(1, 6, false), 2)
	in.Acked(5)
	want(Conflict, in.Publish(2, 5, false), 1) // one PUBACK is still owed
	in.Acked(5)
	in.Acked(5) // one too many
	want(New, in.Publish(2, 5, false), 1)
	if in.Release(6) {
		t.Error("Release knew an id never seen")
	}
}

// v5 [MQTT-4.3.3-10] [MQTT-4.3.3-12], 3.1.1 [MQTT-4.3.3-2]
func TestInboundQoS2(t *testing.T) {
	in := NewInbound(1)
	steps := func(name string, got, want InStep) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	steps("first", in.Publish(2, 7, false), New)
	steps("repeated", in.Publish(2, 7, true), Duplicate)
	steps("repeated without dup", in.Publish(2, 7, false), Duplicate)
	steps("as qos 1", in.Publish(1, 7, false), Conflict)
	in.Completed(7) // before PUBREL: nothing happens
	steps("still held", in.Publish(2, 7, true), Duplicate)
	if !in.Release(7) || !in.Release(7) {
		t.Error("PUBREL, or PUBREL again before PUBCOMP: unknown")
	}
	steps("before PUBCOMP", in.Publish(2, 7, false), Conflict)
	in.Acked(7) // nothing to acknowledge any more
	steps("others before PUBCOMP", in.Publish(2, 8, false), Exceeded)
	in.Completed(7)
	if in.Release(7) {
		t.Error("PUBREL after PUBCOMP: known")
	}
	steps("after PUBCOMP", in.Publish(2, 7, false), New)
	in.Acked(7) // v5 [MQTT-4.3.3-9]: PUBREC with a failure
	steps("after a refusal", in.Publish(2, 7, false), New)
}

func TestInboundReconnect(t *testing.T) {
	in := NewInbound(4)
	in.Publish(2, 1, false)
	in.Publish(2, 2, false)
	in.Release(2)
	in.Publish(1, 3, false)
	in.Publish(2, 4, false)
	in.Reconnect(1)
	if in.Open() != 0 {
		t.Errorf("%d open on a new connection", in.Open())
	}
	var held []uint16
	in.Held(func(id uint16) bool { held = append(held, id); return true })
	if !slices.Equal(held, []uint16{1, 4}) {
		t.Errorf("held %v, want 1 and 4", held)
	}
	if in.Release(2) {
		t.Error("a released id was kept")
	}
	if step := in.Publish(2, 1, true); step != Duplicate || in.Open() != 1 {
		t.Errorf("resent: %s with %d open, want duplicate with 1", step, in.Open())
	}
	if step := in.Publish(2, 4, true); step != Exceeded {
		t.Errorf("resent beyond the maximum: %s", step)
	}
	if !in.Release(4) { // PUBREL alone does not count
		t.Error("PUBREL for a held id: unknown")
	}
	in.Completed(4)
	if in.Open() != 0 { // v5 section 4.9: a PUBCOMP raises the sender's quota, whatever it is for
		t.Errorf("%d open, want none: the sender may send one more now", in.Open())
	}
	if step := in.Publish(2, 5, false); step != New {
		t.Errorf("the one more: %s", step)
	}
	for _, id := range []uint16{1, 5, 77, 78} { // the last two are long over: their PUBCOMP was lost
		in.Release(id)
		in.Completed(id)
		if in.Open() != 0 {
			t.Errorf("%d open after PUBCOMP for %d", in.Open(), id)
		}
	}
	if in.Publish(1, 6, false) != New || in.Publish(1, 7, false) != Exceeded { // never above what it began with
		t.Errorf("%d open, the maximum is 1", in.Open())
	}
}

// The receiver takes whatever a sender may send that goes by the letter of 5.0 section 4.9, which lets every PUBACK and
// PUBCOMP raise its quota, those for PUBRELs of an earlier connection too.
func TestInboundFollowsTheSendersQuota(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 9))
	for range 200 {
		initial := 1 + r.IntN(4)
		in, quota := NewInbound(initial), initial
		var open []uint16    // messages not done with
		var pubrels []uint16 // ids whose PUBREL is repeated on this connection
		next := uint16(1)
		for range 300 {
			switch n := r.IntN(20); {
			case n == 0:
				in.Reconnect(initial)
				quota, pubrels, open = initial, open, nil
			case n < 9 && quota > 0:
				if step := in.Publish(2, next, false); step != New {
					t.Fatalf("id %d with a quota of %d of %d: %s", next, quota, initial, step)
				}
				quota--
				open, next = append(open, next), next+1
			case n < 13 && len(pubrels) > 0:
				in.Release(pubrels[0])
				in.Completed(pubrels[0])
				quota, pubrels = min(initial, quota+1), pubrels[1:]
			case n < 17 && len(open) > 0:
				in.Release(open[0])
				in.Completed(open[0])
				quota, open = min(initial, quota+1), open[1:]
			}
			if got := initial - in.Open(); got != quota {
				t.Fatalf("room for %d, the sender's quota is %d", got, quota)
			}
		}
	}
}

func TestInboundRestore(t *testing.T) {
	in := NewInbound(3)
	if !in.Restore(40) || in.Restore(40) || in.Restore(0) {
		t.Error("Restore is to take an id once, and never 0")
	}
	in.Reconnect(3)
	if step := in.Publish(2, 40, true); step != Duplicate {
		t.Errorf("a restored id: %s", step)
	}
	in.Reset()
	if step := in.Publish(2, 40, true); step != New {
		t.Errorf("after Reset: %s", step)
	}
}

func TestInboundAllocatesNothing(t *testing.T) {
	in := NewInbound(100)
	next := uint16(0)
	cycle := func() {
		first := next
		for i := range uint16(100) {
			if in.Publish(byte(1+i%2), first+i*7+1, false) != New {
				panic("not new")
			}
		}
		for i := range uint16(100) {
			id := first + i*7 + 1
			if i%2 == 0 {
				in.Acked(id)
			} else {
				in.Release(id)
				in.Completed(id)
			}
		}
		next += 311
	}
	cycle()
	if n := testing.AllocsPerRun(200, cycle); n != 0 {
		t.Errorf("%v allocations for 100 messages", n)
	}
	if in.Open() != 0 {
		t.Errorf("%d left open", in.Open())
	}
}

func BenchmarkInbound(b *testing.B) {
	b.ReportAllocs()
	in := NewInbound(100)
	for i := 0; b.Loop(); i++ {
		id := uint16(i) | 1
		in.Publish(2, id, false)
		in.Release(id)
		in.Completed(id)
	}
}

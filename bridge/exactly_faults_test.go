package bridge

import (
	"strings"
	"testing"

	"weir/bridge/upstream"
	"weir/broker/packet"
)

// PUBCOMP comes for a record that the source has given and that waits behind one that cannot leave yet: it has arrived, and
// is not sent as new when its turn comes.
func TestReleasedBeforeItsTurn(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	r.start()
	r.waitRetained(Connected)
	r.stop()
	r.publish("t", "0")
	behind := r.publish("t", "arrived before")
	last := r.publish("t", "1")
	k.change(func() {
		k.full = true
		k.now.pairs[77] = Pair{ID: 77, Number: behind, Released: true}
	})
	r.start()
	r.waitStatus("rid of the pair", func(Status) bool { return len(k.Session().Pairs) == 0 })
	k.change(func() { k.full = false })
	r.source.waitDrained(t)
	r.wantOnce(2)
	r.source.change(func() {
		if n := r.source.acked[last]; n != 1 {
			t.Errorf("the last one was acknowledged %d times", n)
		}
	})
}

// A message that cannot be sent again as it was leaves its id in the hands of the upstream, until PUBCOMP: no other message
// goes under it before, however often the connection breaks.
func TestIDIsNotUsedBeforeItIsFree(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	r.start()
	r.waitRetained(Connected)
	r.mute(true)
	large := r.publish("t", strings.Repeat("0", 1000))
	r.waitArrivals(1)
	connects := r.server.Connects()
	r.server.Behave(func(b *upstream.Behaviour) { b.Mute, b.MaxPacket, b.CutAtRelease = false, 500, true })
	r.server.Cut()
	r.waitStatus("cut again", func(Status) bool { return r.server.Connects() > connects+1 })
	r.publish("t", "1")
	r.server.Behave(func(b *upstream.Behaviour) { b.CutAtRelease = false })
	r.source.waitDrained(t)
	if got := r.waitArrivals(2); string(got[1].Payload) != "1" {
		t.Errorf("%s arrived", got[1].Payload)
	}
	r.waitStatus("rid of the pairs", func(st Status) bool { return len(k.Session().Pairs) == 0 && st.Refused == 1 && st.Repeats == 0 })
	r.source.change(func() {
		if why := r.source.refused[large]; why != packet.PacketTooLarge {
			t.Errorf("the large one was refused with %s", why)
		}
	})
}

// The upstream has lost the session, and the store cannot write that another has begun: the one that the upstream has made
// is not taken for ours at the next attempt.
func TestSessionLostWhileTheStoreFails(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	r.start()
	r.onItsWay(3)
	r.loseSession(func() { k.change(func() { k.broken = 1 }) })
	r.source.waitDrained(t)
	if st := r.bridge.Status(); st.Repeats != 3 {
		t.Errorf("%d repeats counted, want 3", st.Repeats)
	}
}

// A record that was set aside while it was on its way ends its handshake after a restart, and stays set aside.
func TestSetAsideOnItsWay(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	r.start()
	n := r.onItsWay(1)
	r.server.Cut()
	r.stop()
	r.source.Refuse(n, packet.UnspecifiedError, r.clock.Now())
	r.mute(false)
	r.start()
	r.waitStatus("rid of the pair", func(Status) bool { return len(k.Session().Pairs) == 0 })
	r.publish("t", "1")
	r.source.waitDrained(t)
	r.wantOnce(2)
}

// While nothing can be committed a bridge with a rule of QoS 2 does not connect, says why, and does so by itself afterwards.
func TestNoSessionWhileNothingIsCommitted(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	k.change(func() { k.broken = 1 << 30 })
	r.publish("t", "0")
	r.start()
	st := r.waitStatus("the cause", func(st Status) bool { return st.Err != "" })
	if !strings.Contains(st.Err, "begin a session") || !strings.Contains(st.Err, "no writes") || st.State == Connected {
		t.Errorf("state %s, err %q", st.State, st.Err)
	}
	if got := r.arrivals(); len(got) > 0 {
		t.Errorf("%d messages left", len(got))
	}
	k.change(func() { k.broken = 0 })
	r.source.waitDrained(t)
	r.wantOnce(1)
	if st := r.waitStatus("no cause", func(st Status) bool { return st.Err == "" }); st.Repeats != 0 {
		t.Errorf("%d repeats", st.Repeats)
	}
}

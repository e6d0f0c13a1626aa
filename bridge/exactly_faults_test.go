package bridge

import (
	"fmt"
	"testing"

	"weir/bridge/upstream"
)

// The upstream has lost the session, and the store cannot write that another has begun: the one that the upstream has made
// is not taken for ours at the next attempt.
func TestSessionLostWhileTheStoreFails(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	r.start()
	r.waitRetained(Connected)
	r.server.Behave(func(b *upstream.Behaviour) { b.Mute = true })
	for i := range 3 {
		r.publish("t", fmt.Sprint(i))
	}
	r.waitArrivals(3)
	r.server.Down()
	r.waitWord(Offline)
	if err := r.server.WaitClients(r.ctx(), 0); err != nil {
		t.Fatal(err)
	}
	r.server.ForgetSessions()
	k.change(func() { k.broken = 1 })
	r.server.Behave(func(b *upstream.Behaviour) { b.Mute = false })
	if err := r.server.Up(); err != nil {
		t.Fatal(err)
	}
	r.source.waitDrained(t)
	if st := r.bridge.Status(); st.Repeats != 3 {
		t.Errorf("%d repeats counted, want 3", st.Repeats)
	}
}

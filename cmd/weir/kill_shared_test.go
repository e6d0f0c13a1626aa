package main

import (
	"context"
	"testing"
	"time"
)

// TestKillWithSharedGroup kills weir with -9 in the middle of what publishers send at QoS 1 and 2 to a shared group of two members with
// sessions that last, who come and go. Whatever was acknowledged came to a member, at QoS 2 to one of them, once.
func TestKillWithSharedGroup(t *testing.T) {
	if testing.Short() {
		t.Skip("needs seconds of real time")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := newRoomyWeir(t)
	w.start()
	members := []*strictSubscriber{newStrictSubscriber(t, w.address, "a", "$share/g/plant/#"), newStrictSubscriber(t, w.address, "b", "$share/g/plant/#")}
	for _, m := range members {
		m.connect()
		m.wait(ctx, "SUBACK", func() bool { return m.granted })
	}
	const rounds, each = 4, 300
	acked := map[string]bool{}
	for round := range rounds {
		for i, m := range members { // one, both, the other, both
			m.disconnect()
			if round%2 == 1 || round/2 == i {
				m.connect()
			}
		}
		feedAndKill(ctx, t, w, round, each, acked)
		for _, m := range members {
			m.disconnect()
		}
		w.start()
	}
	for _, m := range members {
		m.connect()
	}
	total := func(key string) (n int) {
		for _, m := range members {
			m.mu.Lock()
			n += m.seen[key]
			m.mu.Unlock()
		}
		return n
	}
	for key := range acked {
		for total(key) == 0 {
			select {
			case <-members[0].news:
			case <-members[1].news:
			case <-ctx.Done():
				t.Fatalf("%s was acknowledged and came to nobody", key)
			}
		}
	}
	for _, m := range members {
		m.disconnect()
		if len(m.seen) == 0 {
			t.Errorf("member %s got nothing", m.id)
		}
		for key := range m.seen {
			if n := total(key); key[0] == '2' && n > 1 {
				t.Errorf("%s came %d times", key, n)
			}
		}
	}
	if len(acked) < rounds*each/2 {
		t.Errorf("only %d acknowledged: the test tests little", len(acked))
	}
	w.stop()
	if t.Failed() {
		t.Log(w.said())
	}
}

package journal

import (
	"fmt"
	"testing"
	"testing/synctest"

	"weir/bridge"
	"weir/broker"
	"weir/buffer"
)

// A session upstream survives a restart: token, pairs in the order of the records, held ids. A new one drops all of it.
func TestSessionIsKept(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud, other := r.source("cloud"), r.source("other")
		if got := cloud.Session(); got.Token != "" || got.Pairs != nil || got.Held != nil {
			t.Fatalf("a new store holds %+v", got)
		}
		if err := cloud.Begin("server one"); err != nil {
			t.Fatal(err)
		}
		cloud.Keep(bridge.Pair{ID: 1, Number: 20})
		cloud.Keep(bridge.Pair{ID: 2, Number: 10, Released: true})
		cloud.Keep(bridge.Pair{ID: 3, Number: 15})
		cloud.Forget(3)
		if kept, err := cloud.Hold(9); kept || err != nil {
			t.Errorf("Hold of an id that came with no record: %t, %v", kept, err)
		}
		cloud.Hold(8)
		cloud.Drop(8)
		n, err := cloud.Barrier()
		if err != nil {
			t.Fatal(err)
		}
		<-cloud.Durable()
		if !cloud.Settled(n) {
			t.Error("Durable is signalled, and the barrier is not settled")
		}
		r.close()

		again := open(t, r.dir, nil)
		cloud = again.source("cloud")
		want := bridge.Kept{Token: "server one", Pairs: []bridge.Pair{{ID: 2, Number: 10, Released: true}, {ID: 1, Number: 20}}, Held: []uint16{9}}
		if got := cloud.Session(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("kept %+v, want %+v", got, want)
		}
		if got := again.source("other").Session(); got.Token != "" {
			t.Errorf("another upstream has %+v", got)
		}
		if err := cloud.Withdraw(); err != nil || cloud.Session().Token != "" {
			t.Errorf("withdrawn: %v, %+v", err, cloud.Session())
		}
		if err := cloud.Begin("server two"); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(cloud.Session()); got != fmt.Sprint(bridge.Kept{Token: "server two"}) {
			t.Errorf("a new session has %s", got)
		}
		again.close()
		_ = other
	})
}

// A message received at QoS 2 and its packet id are durable together, before the message is settled; of a session that was
// lost meanwhile the id means nothing.
func TestHeldWithItsMessage(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud, to := r.source("cloud"), r.source("to")
		if err := cloud.Begin("one"); err != nil {
			t.Fatal(err)
		}
		to.Live(true)
		arrive := func(id uint16) uint64 {
			e := entry(broker.KindQoS2Persistent, "x", to)
			e.Key = cloud.HeldKey(id)
			first, _ := r.Append([]broker.Entry{e})
			return first
		}
		n := arrive(5)
		r.ackAll(to)
		synctest.Wait()
		r.wantSettled(false, n) // delivered, and not durable
		r.settle()
		synctest.Wait()
		r.wantSettled(true, n)
		if kept, err := cloud.Hold(5); !kept || err != nil {
			t.Errorf("Hold: kept %t, %v, want it kept with its message", kept, err)
		}
		arrive(6)
		if err := cloud.Begin("two"); err != nil {
			t.Fatal(err)
		}
		if got := cloud.Session().Held; got != nil {
			t.Errorf("held %v in a new session", got)
		}
		r.close()
	})
}

// A store that lost something, or was repaired, trusts no session upstream; a sound one does.
func TestDistrust(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		if err := cloud.Begin("one"); err != nil {
			t.Fatal(err)
		}
		r.distrust(buffer.Recovery{Torn: true})
		if cloud.Session().Token != "one" {
			t.Error("a torn tail, which every power cut leaves, withdraws the token")
		}
		for _, found := range []buffer.Recovery{{Orphans: 1}, {Lost: []buffer.Loss{{Records: 1}}}, {KeysLost: true}, {Repaired: true}} {
			if err := cloud.Begin("one"); err != nil {
				t.Fatal(err)
			}
			r.distrust(found)
			if got := cloud.Session().Token; got != "" {
				t.Errorf("%+v: the token is %q, want none", found, got)
			}
		}
		r.close()
	})
}

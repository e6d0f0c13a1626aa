package bridge

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"weir/bridge/upstream"
	"weir/broker/message"
	"weir/broker/packet"
)

// fakeKeeper keeps in memory, and on a "disk" what was there at the last commit.
type fakeKeeper struct {
	durable chan struct{}

	mu      sync.Mutex // guards the fields below
	now     kept
	disk    kept
	barrier uint64
	settled uint64
	held    bool // barriers wait for release
	full    bool // there is no room for pairs
	broken  int  // calls of Begin that fail
}

type kept struct {
	token string
	pairs map[uint16]Pair
	ids   map[uint16]bool
}

func (k kept) clone() kept { return kept{k.token, maps.Clone(k.pairs), maps.Clone(k.ids)} }

func newFakeKeeper() *fakeKeeper {
	k := &fakeKeeper{durable: make(chan struct{}, 1), now: kept{pairs: map[uint16]Pair{}, ids: map[uint16]bool{}}}
	k.disk = k.now.clone()
	return k
}

func (k *fakeKeeper) change(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

func (k *fakeKeeper) Session() (s Kept) {
	k.change(func() {
		s = Kept{Token: k.now.token, Pairs: slices.SortedFunc(maps.Values(k.now.pairs), func(a, b Pair) int { return int(a.Number) - int(b.Number) })}
		s.Held = slices.Sorted(maps.Keys(k.now.ids))
	})
	return s
}

func (k *fakeKeeper) Withdraw() error {
	k.change(func() { k.now.token = ""; k.disk = k.now.clone() })
	return nil
}

func (k *fakeKeeper) Begin(token string) (err error) {
	k.change(func() {
		if k.broken > 0 {
			k.broken--
			err = errors.New("no writes")
			return
		}
		k.now = kept{token, map[uint16]Pair{}, map[uint16]bool{}}
		k.disk = k.now.clone()
	})
	return err
}

func (k *fakeKeeper) Keep(p Pair) (err error) {
	k.change(func() {
		if k.full {
			err = errors.New("no room")
			return
		}
		k.now.pairs[p.ID] = p
	})
	return err
}

func (k *fakeKeeper) Forget(id uint16) { k.change(func() { delete(k.now.pairs, id) }) }

func (k *fakeKeeper) Hold(id uint16) (bool, error) {
	k.change(func() { k.now.ids[id] = true })
	return false, nil
}

func (k *fakeKeeper) Drop(id uint16) { k.change(func() { delete(k.now.ids, id) }) }

func (k *fakeKeeper) Barrier() (n uint64, err error) {
	k.change(func() {
		k.barrier++
		n = k.barrier
		if !k.held {
			k.commit()
		}
	})
	return n, nil
}

// commit makes everything durable. The caller holds mu.
func (k *fakeKeeper) commit() {
	k.disk, k.settled = k.now.clone(), k.barrier
	signal(k.durable)
}

func (k *fakeKeeper) Settled(n uint64) (yes bool) {
	k.change(func() { yes = n <= k.settled })
	return yes
}

func (k *fakeKeeper) Durable() <-chan struct{} { return k.durable }

// crash forgets what was not committed.
func (k *fakeKeeper) crash() { k.change(func() { k.now = k.disk.clone() }) }

// lasting gives the rig a keeper and a QoS 2 rule.
func lasting(r *rig) *fakeKeeper {
	k := newFakeKeeper()
	r.cfg.Keeper, r.cfg.Persist, r.source.keeper = k, true, k
	r.cfg.Forward[1] = Rule{QoS: 2}
	return k
}

// mute makes the upstream answer nothing.
func (r *rig) mute(on bool) { r.server.Behave(func(b *upstream.Behaviour) { b.Mute = on }) }

// onItsWay sends messages "0", "1" and so on to an upstream that does not answer, and gives the number of the last.
func (r *rig) onItsWay(messages int) (last uint64) {
	r.t.Helper()
	r.waitRetained(Connected)
	r.mute(true)
	for i := range messages {
		last = r.publish("t", fmt.Sprint(i))
	}
	r.waitArrivals(messages)
	return last
}

// loseSession takes the upstream down and up again, answering, and its sessions are gone. meanwhile is done while it is down.
func (r *rig) loseSession(meanwhile func()) {
	r.t.Helper()
	r.server.Down()
	r.waitWord(Offline)
	if err := r.server.WaitClients(r.ctx(), 0); err != nil {
		r.t.Fatal(err)
	}
	r.server.ForgetSessions()
	meanwhile()
	r.mute(false)
	if err := r.server.Up(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) wantOnce(n int) {
	r.t.Helper()
	got := r.waitArrivals(n)
	if len(got) != n {
		r.t.Errorf("%d arrivals, want %d", len(got), n)
	}
	for i, a := range got {
		if string(a.Payload) != fmt.Sprint(i) || a.QoS != 2 {
			r.t.Fatalf("arrival %d is %s at QoS %d", i, a.Payload, a.QoS)
		}
	}
}

// Connections that break all the time: each message arrives once, in order, and nothing is left behind.
func TestOnceAcrossConnections(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{ResetAfter: 23}})
			r.cfg.Connect.Version = v
			k := lasting(r)
			for i := range 200 {
				r.publish("t", fmt.Sprint(i))
			}
			r.start()
			r.source.waitDrained(t)
			r.wantOnce(200)
			if st := r.bridge.Status(); st.Repeats != 0 || st.Reconnects == 0 {
				t.Errorf("%d repeats counted, %d reconnects", st.Repeats, st.Reconnects)
			}
			r.stop()
			if s := k.Session(); len(s.Pairs) > 0 {
				t.Errorf("left behind: %v", s.Pairs)
			}
		})
	}
}

// Nothing leaves before it is durable, and a slow disk is not taken for a stalled upstream.
func TestNothingLeavesBeforeTheCommit(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	r.cfg.StallAfter = 30 * time.Millisecond
	k.held = true
	r.cfg.Forward[2] = Rule{QoS: 1}
	r.publish("t", "0")
	r.source.add(2, message.Message{Stamp: r.clock.Now(), Publish: packet.Publish{Topic: []byte("behind"), Payload: []byte("1")}})
	r.start()
	r.waitRetained(Connected)
	r.waitStatus("waiting", func(Status) bool { return k.Session().Pairs != nil })
	if got := r.arrivals(); len(got) > 0 {
		t.Fatalf("%+v left before the commit", got)
	}
	k.change(k.commit)
	r.waitArrivals(2) // the one behind it waited for its turn
	r.waitStatus("received", func(Status) bool { return len(k.Session().Pairs) == 1 && k.Session().Pairs[0].Released })
	time.Sleep(4 * r.cfg.StallAfter) // longer than an upstream may take
	if st := r.bridge.Status(); st.Reconnects > 0 || st.State == Stalled {
		t.Errorf("a slow disk counts against the upstream: %+v", st)
	}
	if n := r.source.acked[10]; n != 0 {
		t.Error("acknowledged before PUBCOMP")
	}
	k.change(func() { k.held = false; k.commit() })
	r.source.waitDrained(t)
}

// A process that died goes on with the session: what the upstream holds is not sent as new.
func TestOnceAcrossACrash(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	r.start()
	r.onItsWay(5)
	r.server.Cut()
	r.stop()
	k.crash()
	r.mute(false)
	r.publish("t", "5")
	r.start()
	r.source.waitDrained(t)
	r.wantOnce(6)
	if r.arrivals()[5].Dup {
		t.Error("a new message has DUP set, as those sent again before it")
	}
	if st := r.bridge.Status(); st.Repeats != 0 {
		t.Errorf("%d repeats counted", st.Repeats)
	}
}

// A session the upstream has lost: what was on its way is sent again as new, counted and told.
func TestSessionLostUpstream(t *testing.T) {
	r := newRig(t, upstream.Options{})
	lasting(r)
	r.start()
	r.onItsWay(3)
	r.loseSession(func() {})
	r.source.waitDrained(t)
	if got := len(r.waitArrivals(6)); got != 6 {
		t.Errorf("%d arrivals, want each of the three twice", got)
	}
	if st := r.bridge.Status(); st.Repeats != 3 {
		t.Errorf("%d repeats counted, want 3", st.Repeats)
	}
}

// A record that the store has given up while it was on its way ends its handshake, and frees its id.
func TestGivenUpOnItsWay(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	r.start()
	n := r.onItsWay(1)
	r.source.change(func() { r.source.acked[n] = 1 }) // gone, as if dropped
	r.mute(false)
	r.server.Cut()
	r.waitStatus("rid of the pair", func(Status) bool { return len(k.Session().Pairs) == 0 })
	r.publish("t", "1")
	r.source.waitDrained(t)
	r.wantOnce(2)
}

func (f *fakeSource) change(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
}

// A message received at QoS 2 is taken in once, however often it comes; PUBREC waits until it is settled.
func TestReceivedOnce(t *testing.T) {
	for _, v := range versions {
		r := newRig(t, upstream.Options{})
		k := lasting(r)
		r.cfg.Connect.Version = v
		r.cfg.Receive = []ReceiveRule{{Filter: filter(t, "in/#"), QoS: 2}}
		r.start()
		if err := r.server.WaitSubscribed(r.ctx(), "in/#"); err != nil {
			t.Fatal(err)
		}
		r.server.Publish("in/a", []byte("x"), 2, false)
		if got := r.sink.waitFor(t, 1); got[0].ID == 0 {
			t.Error("the sink is not told the packet id")
		}
		r.server.Cut() // before PUBREC
		if err := r.server.WaitClients(r.ctx(), 1); err != nil {
			t.Fatal(err)
		}
		r.server.Publish("in/b", nil, 2, false)
		r.sink.waitFor(t, 2)
		if n := r.server.Unacknowledged(); n != 2 {
			t.Errorf("%d unacknowledged before anything is settled", n)
		}
		r.bridge.Settled(2)
		if err := r.server.WaitUnacknowledged(r.ctx(), 0); err != nil {
			t.Fatal(err)
		}
		r.waitStatus("rid of the ids", func(Status) bool { return len(k.Session().Held) == 0 })
		if got := r.sink.waitFor(t, 2); len(got) != 2 {
			t.Errorf("%d messages came in", len(got))
		}
		r.stop()
	}
}

// A held id is known after a crash: the message is answered and not taken in again.
func TestReceivedOnceAcrossACrash(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	r.cfg.Receive = []ReceiveRule{{Filter: filter(t, "in/#"), QoS: 2}}
	r.start()
	if err := r.server.WaitSubscribed(r.ctx(), "in/#"); err != nil {
		t.Fatal(err)
	}
	r.server.Publish("in/a", []byte("x"), 2, false)
	id := r.sink.waitFor(t, 1)[0].ID
	r.server.Cut()
	r.stop()
	k.change(func() { k.disk.ids[id] = true }) // as the log does, with the message
	k.crash()
	r.start()
	if err := r.server.WaitUnacknowledged(r.ctx(), 0); err != nil {
		t.Fatal(err)
	}
	if got := r.sink.waitFor(t, 1); len(got) != 1 {
		t.Errorf("%d messages came in, want one", len(got))
	}
}

// An upstream that refuses everything: nine go to the dead letters, the others wait until it takes one.
func TestRefusedLane(t *testing.T) {
	var mu sync.Mutex
	refusing := true
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{Verdict: func(a *upstream.Arrival) packet.Reason {
		mu.Lock()
		defer mu.Unlock()
		if refusing && a.Topic == "t" {
			return packet.NotAuthorized
		}
		return packet.Success
	}}})
	for i := range 20 {
		r.publish("t", fmt.Sprint(i))
	}
	r.start()
	r.waitWord(Refused)
	r.waitStatus("tried again", func(st Status) bool { return st.Refused > 25 })
	r.source.change(func() {
		if n := len(r.source.refused); n != rowMax-1 {
			t.Errorf("%d moved, want %d", n, rowMax-1)
		}
	})
	mu.Lock()
	refusing = false
	mu.Unlock()
	r.source.waitDrained(t)
	r.waitWord(Connected)
	for i, a := range r.waitArrivals(11) {
		if string(a.Payload) != fmt.Sprint(i+9) {
			t.Fatalf("arrival %d is %s", i, a.Payload)
		}
	}
}

// One message makes the upstream disconnect: it becomes a dead letter, the others arrive, at QoS 1 as at QoS 2.
func TestPoison(t *testing.T) {
	for _, q := range []byte{1, 2} {
		r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{Allergic: func(a *upstream.Arrival) bool { return string(a.Payload) == "5" }}})
		lasting(r)
		r.cfg.Forward[1] = Rule{QoS: q}
		var poison uint64
		for i := range 12 {
			if n := r.publish("t", fmt.Sprint(i)); i == 5 {
				poison = n
			}
		}
		r.start()
		r.source.waitDrained(t)
		r.source.change(func() {
			if _, is := r.source.refused[poison]; !is || len(r.source.refused) != 1 {
				t.Errorf("QoS %d: refused %v, want %d alone", q, r.source.refused, poison)
			}
		})
		r.stop()
	}
}

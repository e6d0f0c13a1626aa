package broker

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/auth"
	"weir/broker/message"
)

// FuzzServer takes the input for operations on a whole server: several connections in memory, of 3.1.1 and 5.0, that send
// packets whole, mutated, cut anywhere, and break off anywhere, beside publishers within the process, a journal and a store
// that have their moods, and a clock that jumps. What it looks at stands in referee (each connection) and soundness (the
// broker); at the end nothing is left but the sessions that persist.
//
//	input    house u8 | operation u8, its arguments ... | operation ...
//	house    bit 0 a store, bit 1 the journal settles by itself, bit 2 users (who have keys for SCRAM too), bit 3 rights, bit 4 limits that a few clients reach
//	operation low 4 bits: see perform; bit 7: what follows does not wait until everybody is idle
func FuzzServer(f *testing.F) {
	for _, seed := range stormSeeds(f) {
		f.Add(seed)
	}
	scramFile() // outside of any bubble
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4<<10 { // longer ones find nothing that shorter ones do not
			return
		}
		synctest.Test(t, func(t *testing.T) { newStorm(t, data).run() })
	})
}

// storm is one run of FuzzServer.
type storm struct {
	script
	t       *testing.T
	b       *Broker
	memory  *memory
	journal *journal
	store   *stocked // nil: there is none
	peers   [4]*peer
	all     []*peer
	inside  *Publisher
	lasting map[string]bool // client ids whose session may outlive its connection
	keys    bool            // there are users, who have keys for SCRAM-SHA-256 too
	tight   bool            // limits are soon reached: a connection may be closed unheard
	cancel  func()
	done    chan error
}

// stormConfig has limits that are soon reached.
var stormConfig = Config{
	MaxPacket: 2 << 10, AllowanceBytes: 2 << 10, AllowanceTotalBytes: 4 << 10, QueueMessages: 6, QueueBytes: 4 << 10, Inflight: 3,
	ReceiveMaximum: 5, TopicAliases: 2, MaxSessionExpiry: time.Hour, RetainFlush: 10 * time.Second,
}

// tighten sets limits for the whole broker that a few clients reach.
func (c *Config) tighten() {
	c.MaxConnections, c.MaxSessions, c.MaxConnecting = 3, 5, 4
	c.MaxSubscriptions, c.MaxClientSubscriptions = 6, 3
	c.MaxRetained, c.MaxRetainedBytes = 3, 1500
	c.QueueTotal, c.Memory = 8, 100<<10
}

func newStorm(t *testing.T, data []byte) *storm {
	s := &storm{script: script{data}, t: t, memory: newMemory(), journal: newJournal(), lasting: map[string]bool{}, done: make(chan error, 1)}
	kind := s.byte()
	cfg := stormConfig
	if s.tight = kind&16 != 0; s.tight {
		cfg.tighten()
	}
	var j Journal = s.journal
	if kind&1 != 0 {
		s.store = &stocked{journal: s.journal, vault: newVault(t), routed: map[uint64]uint64{}}
		s.store.vault.auto = true
		cfg.Store, j = s.store, s.store
	}
	s.journal.auto = kind&2 != 0
	if kind&4 != 0 {
		cfg.Users = users{"pump": "secret", "valve": "tight"}
		cfg.Keys = func(_, user string) (auth.Keys, bool) { return scramFile().Keys(user) }
		s.keys = true
	}
	if kind&8 != 0 {
		cfg.Rights = func(who Who) Rights { return narrow(who.User) }
	}
	s.b = New(cfg, j, stampNow, quietLog())
	s.journal.b = s.b
	if s.store != nil {
		s.store.vault.b = s.b
	}
	s.b.SetRoutes([]Route{{Upstream: 1, Rule: 1, Filter: mustFilter(t, "up/#")}})
	s.inside = s.b.NewPublisher("inside", func(int) {})
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.done <- s.b.Run(ctx, s.memory) }()
	return s
}

// narrow are rights that leave something out.
type narrow string

func (n narrow) MayPublish(name []byte) bool     { return name[0] != 'n' }
func (n narrow) MaySubscribe(f topicFilter) bool { return f.String()[0] != 'n' }
func (n narrow) MayReceive(name []byte) bool     { return name[len(name)-1] != 'y' }
func (n narrow) ReceivesAll(f topicFilter) bool  { return f.String() == "a" }

func (s *storm) run() {
	for len(s.data) > 0 && !s.t.Failed() {
		op := s.byte()
		s.perform(op & 15)
		if op&0x80 == 0 {
			s.settle()
		}
	}
	s.finish()
}

// settle waits until everybody is idle and looks at everything.
func (s *storm) settle() {
	synctest.Wait()
	for _, p := range s.all {
		p.look()
	}
	if what := s.b.unsound(); what != "" {
		s.t.Error(what)
	}
}

// perform does one operation.
func (s *storm) perform(op byte) {
	slot := &s.peers[s.byte()%4]
	switch p := *slot; op {
	case 0: // a connection that says nothing yet
		*slot = s.dial()
	case 1: // one that says CONNECT
		*slot = s.dial()
		(*slot).send(s.connect())
	case 2:
		p.send(s.packet())
	case 3: // some bytes are changed
		b := p.encode(s.packet())
		for n := s.byte()%4 + 1; n > 0 && len(b) > 0; n-- {
			b[int(s.byte())%len(b)] ^= s.byte()
		}
		p.write(b)
	case 4: // in two parts
		b := p.encode(s.packet())
		cut := min(int(s.byte()), len(b))
		p.write(b[:cut])
		synctest.Wait()
		p.write(b[cut:])
	case 5: // as they are
		p.write(s.take(int(s.byte())))
	case 6: // a part, and no more
		b := p.encode(s.packet())
		p.write(b[:min(int(s.byte()), len(b))])
		p.close()
	case 7:
		p.close()
	case 8: // within the process, while the others go on
		m := message.Message{Stamp: stampNow()}
		m.Topic, m.Payload, m.QoS, m.Retain = s.topic(), s.payload(), s.byte()%3, s.byte()%4 == 0
		go s.inside.Publish([]message.Message{m})
	case 9:
		pause := []time.Duration{time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 90 * time.Second, 20 * time.Minute, 65 * time.Minute}
		s.sleep(pause[s.byte()%7])
	case 10: // acknowledges what came, and answers a challenge
		n := s.byte()
		p.prove(n >= 0xF0)
		p.answer(int(n%16) + 1)
	case 11: // reads no more, or again
		p.pause(s.byte()%2 == 0)
	case 12:
		s.journalMood(s.byte())
	case 13:
		s.b.SetRoutes([]Route{{Upstream: 1, Rule: 1, Filter: mustFilter(s.t, string(filterNames[s.byte()%4]))}})
	case 14: // many at once, with one write
		var b []byte
		kind, n := s.byte(), int(s.byte()%32)
		for range n {
			b = append(b, p.encode(s.packetOf(kind))...)
		}
		p.write(b)
	case 15:
		s.storeMood(s.byte())
	}
}

func (s *storm) sleep(d time.Duration) {
	for _, p := range s.all {
		if d > 500*time.Millisecond {
			p.dozed = p.dozed || p.paused.Load()
		}
	}
	time.Sleep(d)
}

// journalMood changes what the journal has room for, and settles some records.
func (s *storm) journalMood(n byte) {
	s.journal.makeRoom(int(n % 8))
	s.journal.mu.Lock()
	last := len(s.journal.records)
	s.journal.mu.Unlock()
	for i := max(1, last-int(n>>3)); i <= last; i++ {
		s.journal.settle(uint64(i))
	}
}

func (s *storm) storeMood(n byte) {
	if s.store == nil {
		return
	}
	s.store.vault.change(func() {
		v := s.store.vault
		v.failing, v.noKeys, v.slow, v.broken, v.noQueue, v.auto = n&1 != 0, n&2 != 0, n&4 != 0, n&8 != 0, n&16 != 0, n&32 == 0
	})
}

// finish lets everything be settled, closes what is open, stops the broker and looks at what is left.
func (s *storm) finish() {
	s.storeMood(0)
	s.journal.makeRoom(math.MaxInt)
	s.journal.mu.Lock()
	s.journal.auto = true
	last := len(s.journal.records)
	s.journal.mu.Unlock()
	for i := range last {
		s.journal.settle(uint64(i + 1))
	}
	for _, p := range s.all {
		p.pause(false)
	}
	time.Sleep(stormConfig.ConnectWait + 30*time.Second) // whatever must be closed is by then
	s.settle()
	for _, p := range s.all {
		p.overdue()
		p.close()
	}
	time.Sleep(30 * time.Second)
	synctest.Wait()
	if n := s.b.Stats(); n.Owed != 0 || n.WaitingBytes != 0 || n.Connections != 0 {
		s.t.Errorf("everybody is gone and the journal has settled everything, but there are %+v", n)
	}
	s.b.mu.Lock()
	stored := 0
	for id, left := range s.b.sessions {
		if left.out.durable != nil {
			stored++
		}
		if left.lasts == 0 || !s.lasting[id] && id[:min(5, len(id))] != "auto-" {
			s.t.Errorf("session %q is left, which does not outlive its connection", id)
		}
	}
	s.b.mu.Unlock()
	s.cancel()
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Error(err)
		}
	case <-time.After(time.Hour):
		stacks := make([]byte, 1<<20)
		s.t.Fatalf("the broker does not stop:\n%s", stacks[:runtime.Stack(stacks, true)])
	}
	s.leftovers(stored)
}

// leftovers looks at the broker after its end: nothing is there, and what is stored comes back.
func (s *storm) leftovers(stored int) {
	if n := s.b.Stats(); s.b.sockets != 0 || s.b.exchanges.of != nil || n.Sessions != 0 || n.Owed != 0 || n.WaitingBytes != 0 {
		s.t.Errorf("after the end: %d connections, %+v", s.b.sockets, n)
	}
	for r, _ := s.b.readings.Get().(*reading); r != nil; r, _ = s.b.readings.Get().(*reading) {
		if what := r.remains(); what != "" {
			s.t.Errorf("a reading in the pool still holds %s", what)
		}
	}
	if s.store == nil {
		if n := s.b.Stats(); n.Subscriptions != 0 {
			s.t.Errorf("after the end: %+v", n)
		}
		return
	}
	s.store.vault.b, s.journal.b = nil, nil
	cfg := stormConfig
	cfg.Store = s.store
	next := New(cfg, s.store, stampNow, quietLog())
	if n := len(next.sessions); n != stored && s.b.Stats().NotKept == 0 {
		s.t.Errorf("%d sessions come back of %d", n, stored)
	}
	if what := next.unsound(); what != "" {
		s.t.Error("after the restart: " + what)
	}
}

// stormSeeds are recorded flows of real clients, and scripts that reach far.
func stormSeeds(t testing.TB) (seeds [][]byte) {
	t.Helper()
	files, err := filepath.Glob("testdata/flows/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded flows: %v", err)
	}
	for i, name := range files {
		flow, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		seed := []byte{byte(i), 0, 0, byte(i)} // a connection
		for part := range parts(flow, 200) {
			seed = append(append(seed, 5, 0, byte(len(part))), part...)
		}
		seeds = append(seeds, append(seed, 9, 0, 3))
	}
	enter := []byte{6, 1, 0, 1, 0, 0x81, 0, 7} // a house with users, and a client that begins an exchange
	right, wrong, begin, publish := []byte{10, 0, 0}, []byte{10, 0, 0xF0}, []byte{2, 0, 14, 0, 4}, []byte{2, 0, 0, 0, 1, 3, 1}
	for _, steps := range [][][]byte{{right, begin, publish, right, publish}, {wrong}, {right, begin, wrong}, {publish}, {begin}, {right, begin, begin}, {{9, 0, 3}}} {
		seeds = append(seeds, slices.Concat(append([][]byte{enter}, steps...)...))
	}
	for kind := range byte(32) {
		script := []byte{kind}
		for n := range byte(60) {
			script = append(script, n*7+kind, n, n*31+kind*5, n*3, 255-n, kind+n*11)
		}
		seeds = append(seeds, script)
	}
	return seeds
}

func parts(b []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			k := min(n, len(b))
			if !yield(b[:k]) {
				return
			}
			b = b[k:]
		}
	}
}

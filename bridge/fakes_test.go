package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// fakeSource is a Source over a slice, as strict as the real one may be: records are overwritten at the next Next.
type fakeSource struct {
	ready chan struct{}

	mu      sync.Mutex // guards the fields below
	records []Record
	acked   map[uint64]int // times
	refused map[uint64]packet.Reason
	next    int
	valid   []message.Message // until the next Next
	given   map[uint64]bool   // since the last Rewind
	dropped uint64
	live    []bool
	offence string
	keeper  *fakeKeeper   // whose pairs may name records that were not given; nil: none
	changed chan struct{} // closed and made new at each change
}

func newFakeSource() *fakeSource {
	return &fakeSource{ready: make(chan struct{}, 1), acked: map[uint64]int{}, refused: map[uint64]packet.Reason{}, given: map[uint64]bool{}, changed: make(chan struct{})}
}

// add appends a record; numbers have holes here and there, as real ones do.
func (f *fakeSource) add(rule uint32, m message.Message) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := uint64(10 + len(f.records) + 2*(len(f.records)/7))
	f.records = append(f.records, Record{Number: n, Rule: rule, Message: m.Clone()})
	signal(f.ready)
	return n
}

func (f *fakeSource) Ready() <-chan struct{} { return f.ready }

func (f *fakeSource) Next(dst []Record) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.valid { // what was given before is no longer valid
		scribble(f.valid[i].Topic)
		scribble(f.valid[i].Payload)
	}
	f.valid = f.valid[:0]
	n := 0
	for n < len(dst) && f.next < len(f.records) {
		r := f.records[f.next]
		f.next++
		if _, gone := f.refused[r.Number]; gone || f.acked[r.Number] > 0 {
			continue
		}
		r.Message = r.Message.Clone()
		f.valid = append(f.valid, r.Message)
		f.given[r.Number] = true
		dst[n] = r
		n++
	}
	return n, nil
}

func scribble(b []byte) {
	for i := range b {
		b[i] = '!'
	}
}

func (f *fakeSource) Ack(ranges []Range) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range ranges {
		for n := g.First; n <= g.Last; n++ {
			if why, bad := f.refused[n]; bad {
				f.offence = fmt.Sprintf("range %v takes in record %d, refused with %s", g, n, why)
			}
			if !f.given[n] && f.acked[n] == 0 && !f.named(n) {
				f.offence = fmt.Sprintf("range %v takes in record %d, which was not given out", g, n)
			}
			f.acked[n]++
		}
	}
	f.poke()
}

// named tells whether a kept pair names a record.
func (f *fakeSource) named(n uint64) bool {
	return f.keeper != nil && slices.ContainsFunc(f.keeper.Session().Pairs, func(p Pair) bool { return p.Number == n })
}

func (f *fakeSource) Refuse(n uint64, why packet.Reason, _ message.Stamp) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused[n] = why
	f.poke()
}

func (f *fakeSource) Rewind() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = 0
	clear(f.given)
}

func (f *fakeSource) Live(up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live = append(f.live, up)
	f.poke()
}

func (f *fakeSource) Backlog() Backlog {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := Backlog{Aside: uint64(len(f.refused)), Dropped: f.dropped}
	for _, r := range f.records {
		if f.open(r.Number) {
			if b.Records == 0 {
				b.OldestBoot, b.OldestSince = r.Message.Stamp.Boot, r.Message.Stamp.Since
			}
			b.Records++
			b.Bytes += int64(len(r.Message.Payload))
		}
	}
	return b
}

// open reports whether a record waits. The caller holds mu.
func (f *fakeSource) open(n uint64) bool {
	_, bad := f.refused[n]
	return !bad && f.acked[n] == 0
}

func (f *fakeSource) poke() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// waitDrained waits until every record has an end.
func (f *fakeSource) waitDrained(t *testing.T) {
	t.Helper()
	f.wait(t, "drained", func() bool {
		for _, r := range f.records {
			if f.open(r.Number) {
				return false
			}
		}
		return true
	})
}

func (f *fakeSource) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		f.mu.Lock()
		done, changed := ok(), f.changed
		f.mu.Unlock()
		if done {
			break
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("not %s in time", what)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.offence != "" {
		t.Fatal(f.offence)
	}
}

// fakeClock is a clock whose trust is set by the test.
type fakeClock struct {
	mu      sync.Mutex // guards the fields below
	trusted bool
	start   time.Time
	base    time.Time // wall time of the start of boot 1
}

func newFakeClock() *fakeClock {
	return &fakeClock{trusted: true, start: time.Now(), base: time.Date(2026, 11, 22, 14, 2, 0, 0, time.UTC)}
}

func (c *fakeClock) Now() message.Stamp {
	return message.Stamp{Boot: 1, Since: time.Since(c.start)}
}

func (c *fakeClock) Wall(s message.Stamp) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.Wall != 0:
		return time.Unix(0, s.Wall), true
	case s.Boot != 1:
		return time.Time{}, false
	}
	return c.base.Add(s.Since), c.trusted
}

func (c *fakeClock) Trusted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trusted
}

func (c *fakeClock) trust(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trusted = yes
}

// fakeSink keeps what it is given and settles when the test says so.
type fakeSink struct {
	mu       sync.Mutex // guards the fields below
	messages []message.Message
	room     int // messages it still takes
	changed  chan struct{}
	settled  func(n int) // called at once for each batch, if set
}

func newFakeSink() *fakeSink { return &fakeSink{room: 1 << 30, changed: make(chan struct{})} }

func (s *fakeSink) Publish(batch []message.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(batch) > s.room {
		return fmt.Errorf("full")
	}
	s.room -= len(batch)
	for i := range batch {
		s.messages = append(s.messages, batch[i].Clone())
	}
	close(s.changed)
	s.changed = make(chan struct{})
	if s.settled != nil {
		s.settled(len(batch))
	}
	return nil
}

func (s *fakeSink) waitFor(t *testing.T, n int) []message.Message {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		got, changed := slices.Clone(s.messages), s.changed
		s.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%d messages came in, want %d", len(got), n)
		}
	}
}

func filter(t testing.TB, s string) topic.Filter {
	t.Helper()
	f, err := topic.ParseFilter(s, topic.InnerWildcard())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// rig is a bridge between fakes and a real upstream on a loopback socket.
type rig struct {
	t      *testing.T
	cfg    Config
	source *fakeSource
	sink   *fakeSink
	clock  *fakeClock
	server *upstream.Server
	bridge *Bridge
	cancel context.CancelFunc
	ended  chan error

	mu        sync.Mutex // guards announced
	announced []string
	told      chan struct{}
}

// newRig prepares a rig; start starts the bridge.
func newRig(t *testing.T, o upstream.Options) *rig {
	t.Helper()
	s, err := upstream.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, source: newFakeSource(), sink: newFakeSink(), clock: newFakeClock(), server: s, told: make(chan struct{})}
	r.cfg = Config{
		Name: "cloud", Gateway: "gw1", Program: "test", Connect: client.Options{URL: s.URL(), ClientID: "gw1", Version: packet.V5},
		Forward: map[uint32]Rule{1: {QoS: 1}}, MinWait: 2 * time.Millisecond, MaxWait: 10 * time.Millisecond,
	}
	r.cfg.Announce = func(topic string, payload []byte, retain bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.announced = append(r.announced, string(payload))
		close(r.told)
		r.told = make(chan struct{})
	}
	t.Cleanup(func() {
		r.stop()
		s.Close()
		for _, v := range s.Violations() {
			t.Errorf("protocol violation: %s", v)
		}
	})
	return r
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.bridge = New(r.cfg, r.source, r.sink, r.clock, slog.New(slog.NewTextHandler(testWriter{r.t}, &slog.HandlerOptions{Level: slog.LevelDebug})))
	r.cancel, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- r.bridge.Run(ctx) }()
}

func (r *rig) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Errorf("Run: %v", err)
		}
	case <-time.After(20 * time.Second):
		r.t.Fatal("Run does not end")
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(b[:len(b)-1]))
	return len(b), nil
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	r.t.Cleanup(cancel)
	return ctx
}

// publish adds a record for rule 1.
func (r *rig) publish(name, payload string) uint64 {
	return r.source.add(1, message.Message{Stamp: r.clock.Now(), Origin: []byte("px"), Publish: packet.Publish{QoS: 1, Topic: []byte(name), Payload: []byte(payload)}})
}

// arrivals are those that are no state messages.
func (r *rig) arrivals() []upstream.Arrival {
	var got []upstream.Arrival
	for _, a := range r.server.Arrivals() {
		if a.Topic != "weir/gw1/bridge/cloud" {
			got = append(got, a)
		}
	}
	return got
}

func (r *rig) waitArrivals(n int) []upstream.Arrival {
	r.t.Helper()
	err := r.server.Wait(r.ctx(), func(all []upstream.Arrival) bool {
		k := 0
		for _, a := range all {
			if a.Topic != "weir/gw1/bridge/cloud" {
				k++
			}
		}
		return k >= n
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.arrivals()
}

// waitWord waits until the state has been announced with the word.
func (r *rig) waitWord(word string) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		got, told := slices.Clone(r.announced), r.told
		r.mu.Unlock()
		for _, a := range got {
			if stateOf(a) == word {
				return
			}
		}
		select {
		case <-told:
		case <-deadline:
			r.t.Fatalf("state %q was not announced, only %q", word, got)
		}
	}
}

var quiet = slog.New(slog.DiscardHandler)

// waitStatus waits until the status is as wanted, and returns it.
func (r *rig) waitStatus(what string, ok func(Status) bool) Status {
	r.t.Helper()
	for ctx := r.ctx(); ; runtime.Gosched() {
		st := r.bridge.Status()
		if ok(st) {
			return st
		}
		if ctx.Err() != nil {
			r.t.Fatalf("status is not %s: %+v", what, st)
		}
	}
}

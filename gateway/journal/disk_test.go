package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/bridge"
	"weir/broker"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/buffer"
)

// disk is a directory of the operating system whose syncs are counted, and can be made to fail or to wait.
type disk struct {
	buffer.FS
	mu    sync.Mutex // guards everything below
	syncs int
	fail  int           // so many syncs fail
	gate  chan struct{} // when set, a sync waits until it is closed
	takes time.Duration // each sync
}

func newDisk(dir string) *disk { return &disk{FS: buffer.DirFS(dir)} }

var errSync = errors.New("input/output error")

func (d *disk) sync() error {
	d.mu.Lock()
	d.syncs++
	gate, takes := d.gate, d.takes
	failing := d.fail > 0
	if failing {
		d.fail--
	}
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	time.Sleep(takes)
	if failing {
		return errSync
	}
	return nil
}

func (d *disk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

func (d *disk) failNext(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = n
}

// hold lets syncs wait until the returned function is called.
func (d *disk) hold() (release func()) {
	gate := make(chan struct{})
	d.mu.Lock()
	d.gate = gate
	d.mu.Unlock()
	return func() {
		d.mu.Lock()
		d.gate = nil
		d.mu.Unlock()
		close(gate)
	}
}

func (d *disk) Create(name string) (buffer.File, error) {
	f, err := d.FS.Create(name)
	return d.wrap(f, err)
}

func (d *disk) Open(name string, write bool) (buffer.File, error) {
	f, err := d.FS.Open(name, write)
	return d.wrap(f, err)
}

func (d *disk) wrap(f buffer.File, err error) (buffer.File, error) {
	if err != nil {
		return nil, err
	}
	return &diskFile{f, d}, nil
}

type diskFile struct {
	buffer.File
	disk *disk
}

func (f *diskFile) Sync() error { return errors.Join(f.disk.sync(), f.File.Sync()) }

// rig is a journal over a real log in a directory.
type rig struct {
	t testing.TB
	*Journal
	disk   *disk
	dir    string
	logged *bytes.Buffer
	told   chan struct{} // one place: notify was called
	stop   func()        // ends Run
	next   int           // of the messages
}

// open opens a journal and runs it. Segments are small, so that a test writes little.
func open(t testing.TB, dir string, change func(c *Config)) *rig {
	t.Helper()
	r := &rig{t: t, disk: newDisk(dir), dir: dir, logged: &bytes.Buffer{}, told: make(chan struct{}, 1)}
	cfg := Config{
		Pace:   DefaultPace,
		Buffer: buffer.Options{Dir: dir, FS: r.disk, SegmentSize: 256 << 10, MaxSize: 64 << 20},
		Log:    slog.New(slog.NewTextHandler(&locked{to: r.logged}, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	j, err := Open(cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	r.Journal = j
	r.run()
	return r
}

func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, func() { poke(r.told) }) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("run: %v", err)
		}
	})
}

// close ends the journal in the orderly way.
func (r *rig) close() {
	r.t.Helper()
	r.stop()
	if err := r.Close(); err != nil {
		r.t.Errorf("close: %v", err)
	}
}

// locked is a writer that several goroutines share.
type locked struct {
	mu sync.Mutex
	to *bytes.Buffer
}

func (w *locked) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

func (r *rig) source(name string) *Source {
	r.t.Helper()
	s, err := r.Source(name)
	if err != nil {
		r.t.Fatalf("source %s: %v", name, err)
	}
	return s
}

// record appends one message for the sources, by rule 1 of each.
func (r *rig) record(kind broker.Kind, to ...*Source) uint64 {
	r.t.Helper()
	first, n := r.Append([]broker.Entry{entry(kind, fmt.Sprint(r.next), to...)})
	if n != 1 {
		r.t.Fatalf("append took %d records, want 1", n)
	}
	r.next++
	return first
}

func entry(kind broker.Kind, payload string, to ...*Source) broker.Entry {
	qos := byte(1)
	switch kind {
	case broker.KindQoS0:
		qos = 0
	case broker.KindQoS2Clean, broker.KindQoS2Persistent:
		qos = 2
	}
	e := broker.Entry{Kind: kind, Message: &message.Message{
		Stamp:   message.Stamp{Boot: 7, Since: 1e9},
		Origin:  []byte("pump"),
		Publish: packet.Publish{QoS: qos, Topic: []byte("/Home/Floor1/Room1/Temperature"), Payload: []byte(payload)},
	}}
	for _, s := range to {
		e.Routes = append(e.Routes, broker.RouteHit{Upstream: s.ID(), Rule: 1})
	}
	return e
}

// settle commits what making sources has left to write, and gives the number of syncs so far.
func (r *rig) settle() int {
	r.t.Helper()
	if err := r.Commit(); err != nil {
		r.t.Fatalf("commit: %v", err)
	}
	return r.disk.count()
}

// take reads everything there is for a source.
func (r *rig) take(s *Source) (payloads []string, numbers []uint64) {
	r.t.Helper()
	records := make([]bridge.Record, 16)
	for {
		n, err := s.Next(records)
		if err != nil {
			r.t.Fatalf("next: %v", err)
		}
		if n == 0 {
			return payloads, numbers
		}
		for i := range records[:n] {
			payloads = append(payloads, string(records[i].Message.Payload))
			numbers = append(numbers, records[i].Number)
		}
	}
}

// ackAll lets the upstream acknowledge everything there is for it.
func (r *rig) ackAll(s *Source) {
	r.t.Helper()
	_, numbers := r.take(s)
	for _, n := range numbers {
		s.Ack([]bridge.Range{{First: n, Last: n}})
	}
}

// ranges gives each number a range of its own.
func ranges(numbers ...uint64) (all []bridge.Range) {
	for _, n := range numbers {
		all = append(all, bridge.Range{First: n, Last: n})
	}
	return all
}

// heard tells whether notify was called since it was last asked.
func (r *rig) heard() bool {
	select {
	case <-r.told:
		return true
	default:
		return false
	}
}

func (r *rig) wantSettled(want bool, numbers ...uint64) {
	r.t.Helper()
	for _, n := range numbers {
		if got := r.Settled(n); got != want {
			r.t.Errorf("settled(%#x) = %v, want %v", n, got, want)
		}
	}
}

// wantSyncs checks how many syncs there were since a count.
func (r *rig) wantSyncs(since, want int) {
	r.t.Helper()
	if got := r.disk.count() - since; got != want {
		r.t.Errorf("%d syncs, want %d", got, want)
	}
}

// inBubble runs a test in a bubble of its own time, over real files.
func inBubble(t *testing.T, change func(c *Config), f func(r *rig)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, dir, change)
		defer r.stop()
		synctest.Wait() // the first spare segment is there
		f(r)
		if t.Failed() && r.logged.Len() > 0 {
			t.Log(r.logged.String())
		}
	})
	_ = os.RemoveAll(dir)
}

package buffer_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// sameAsStart compares what Inspect finds on a disk with what Open and reading
// it all find on a copy of it.
func sameAsStart(t *testing.T, d *crashfs.Disk, o buffer.Options) {
	t.Helper()
	u := &untouched{Disk: d.Clone()}
	v, err := buffer.Inspect(u)
	if err != nil || len(u.tried) > 0 {
		t.Fatalf("inspect: %v, tried to %v", err, u.tried)
	}
	o.FS, o.OnSettled = d.Clone(), nil
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stats := l.Stats().Consumers
	if len(stats) != len(v.Consumers) {
		t.Fatalf("%d consumers seen, %d opened", len(v.Consumers), len(stats))
	}
	for i, got := range v.Consumers {
		want := stats[i]
		if got.ID != want.ID || got.Name != want.Name || got.Backlog != want.Backlog || got.Drops != want.Drops {
			t.Fatalf("consumer %s: seen %+v, opened %+v", want.Name, got, want)
		}
		waits := waiting(t, v, got.ID)
		c, err := l.Consumer(want.Name)
		if err != nil {
			t.Fatal(err)
		}
		read := map[uint64]string{}
		dst := make([]buffer.Entry, 16)
		for {
			n, err := c.Next(dst)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			for _, e := range dst[:n] {
				read[e.Number] = string(e.Data) + string(e.Body)
			}
		}
		if len(waits) != len(read) {
			t.Fatalf("consumer %s: %d records wait as seen, %d were read", want.Name, len(waits), len(read))
		}
		for n, body := range read {
			if waits[n] != body {
				t.Fatalf("consumer %s, record %#x: seen %.40q, read %.40q", want.Name, n, waits[n], body)
			}
		}
	}
	keys := 0
	l.Range("", func(k string, value []byte) bool {
		keys++
		if got, ok := v.Get(k); !ok || string(got) != string(value) {
			t.Fatalf("key %s: seen %.40q, opened %.40q", k, got, value)
		}
		return true
	})
	if keys != v.Keys {
		t.Fatalf("%d keys seen, %d opened", v.Keys, keys)
	}
}

// waiting is what waits for a consumer, by number; the first of it must be the
// oldest.
func waiting(t *testing.T, v *buffer.View, id uint32) map[uint64]string {
	t.Helper()
	all := map[uint64]string{}
	var boot uint64
	var since int64
	some := v.Oldest(id, func(s *buffer.Stored) { boot, since = s.Boot, s.Since })
	skipped, err := v.Records(0, id, func(s *buffer.Stored) bool {
		d := s.For(id)
		if d == nil || d.State != buffer.DestWaits {
			return true
		}
		if len(all) == 0 && (s.Boot != boot || s.Since != since || !some) {
			t.Errorf("the oldest is of %d.%d, the first that waits of %d.%d", boot, since, s.Boot, s.Since)
		}
		all[s.Number] = string(d.Data) + string(s.Body)
		return true
	})
	if err != nil || skipped > 0 {
		t.Fatalf("reading the records: %v, %d skipped", err, skipped)
	}
	if some != (len(all) > 0) {
		t.Errorf("there is an oldest: %v, %d records wait", some, len(all))
	}
	return all
}

// At any moment of a workload, what is seen is what a start would find.
func TestInspectSeesWhatAStartWould(t *testing.T) {
	for seed := range uint64(size(t, 6)) {
		w := newWorld(crashfs.New(diskSize), small, seed)
		w.keyHeavy = seed%3 == 2
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		for i := range 240 {
			if err := w.step(i); err != nil {
				t.Fatal(err)
			}
			if i%20 == 19 {
				sameAsStart(t, w.disk, small)
			}
		}
		if err := w.log.Close(); err != nil {
			t.Fatal(err)
		}
		sameAsStart(t, w.disk, small)
	}
}

// Segments are filled, freed and made into others all the time while a
// directory is looked at: nothing of that is taken for damage.
func TestInspectWhileTheLogRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	o := buffer.Options{Dir: dir, SegmentSize: 64 << 10, MaxSize: 2 << 20, TailSize: 256 << 10}
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	stopped := make(chan error, 1)
	go func() { stopped <- run(l, &stop) }()
	var last uint64
	looked, moved := 0, 0
	deadline := time.Now().Add(time.Minute)
	for rounds := size(t, 60); (looked < rounds || last < 60) && time.Now().Before(deadline); looked++ {
		v, err := buffer.Inspect(buffer.DirFS(dir))
		if errors.Is(err, buffer.ErrMoving) {
			moved++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if v.Recovery.LostRecords() > 0 || len(v.Unsound) > 0 || v.Recovery.Orphans > 0 || v.Recovery.BadSnapshots > 0 {
			t.Fatalf("damage where there is none: %+v %v", v.Recovery, v.Unsound)
		}
		for _, c := range v.Consumers {
			skipped, err := v.Records(0, c.ID, func(s *buffer.Stored) bool {
				if want := fmt.Sprintf("record %d", s.Since); string(s.Body[:len(want)]) != want {
					t.Errorf("record %#x is %.20q, want %q", s.Number, s.Body, want)
				}
				return true
			})
			if err != nil || skipped > 0 {
				t.Fatalf("%d records skipped, %v", skipped, err)
			}
		}
		if k := len(v.Segments); k > 0 {
			if v.Segments[k-1].Sequence < last {
				t.Fatalf("segment %d after %d", v.Segments[k-1].Sequence, last)
			}
			last = v.Segments[k-1].Sequence
		}
		if looked%4 == 0 {
			c, err := buffer.Verify(buffer.DirFS(dir))
			if errors.Is(err, buffer.ErrMoving) {
				continue
			}
			if err != nil || len(c.Problems) > 0 || c.Lost > 0 {
				t.Fatalf("verify: %v %+v", err, c)
			}
		}
	}
	stop.Store(true)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if last < 60 {
		t.Fatalf("only %d segments came: nothing was freed meanwhile", last)
	}
	if l.Stats().Rewritten == 0 {
		t.Fatal("no segment was rewritten meanwhile")
	}
	if moved > looked/2 {
		t.Fatalf("%d of %d looks found no quiet moment", moved, looked)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// run appends, commits and acknowledges until it is to stop, changing keys now
// and then so that snapshots are taken too.
func run(l *buffer.Log, stop *atomic.Bool) error {
	c, err := l.Consumer("a")
	if err != nil {
		return err
	}
	slow, err := l.Consumer("never reads")
	if err != nil {
		return err
	}
	dst := make([]buffer.Entry, 64)
	for i := int64(0); !stop.Load(); i++ {
		body := fmt.Appendf(nil, "record %d%3000d", i, 0)
		dests := []buffer.Dest{{Consumer: c.ID()}}
		if i%16 == 0 {
			dests = append(dests, buffer.Dest{Consumer: slow.ID()})
		}
		if _, _, err := l.Append([]buffer.Record{{Boot: 1, Since: i, Dests: dests, Payload: body}}); err != nil {
			return err
		}
		if i%5 == 0 {
			if err := l.Put(fmt.Sprintf("key%d", i%50), body[:100]); err != nil {
				return err
			}
		}
		if err := l.Commit(); err != nil {
			return err
		}
		if i%40 != 39 {
			continue
		}
		n, err := c.Next(dst)
		if err != nil {
			return err
		}
		var done []buffer.Range
		for _, e := range dst[:n] {
			done = append(done, buffer.Range{First: e.Number, Last: e.Number})
		}
		c.Ack(done)
	}
	return nil
}

// Whatever is damaged, Inspect comes back with what a start would find.
func TestInspectDamagedStore(t *testing.T) {
	d, _ := store(t, small, 30)
	step := 509
	if raceEnabled {
		step = 4093
	}
	for _, name := range append(segments(t, d), "lock") {
		for at := 0; at < int(small.SegmentSize); at += step {
			for _, damage := range []func(p []byte) []byte{
				func(p []byte) []byte { p[at%len(p)] ^= 1 << (at % 8); return p },
				func(p []byte) []byte { return p[:at%len(p)] },
			} {
				e := d.Clone()
				if name == "lock" {
					e.Remove("lock")
					f, err := e.Create("lock")
					if err != nil {
						t.Fatal(err)
					}
					f.WriteAt([]byte("4711\n"), 0)
				}
				e.Corrupt(name, damage)
				v, err := buffer.Inspect(&untouched{Disk: e})
				if err != nil {
					t.Fatalf("%s at %d: %v", name, at, err)
				}
				o := small
				o.FS = e
				l, err := buffer.Open(o)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(v.Recovery.Lost, l.Recovery().Lost) || len(v.Consumers) != len(l.Stats().Consumers) {
					t.Fatalf("%s at %d: seen %+v, opened %+v", name, at, v.Recovery, l.Recovery())
				}
				l.Close()
			}
		}
	}
}

func TestInspectWhereNothingIs(t *testing.T) {
	dir := t.TempDir()
	if _, err := buffer.Inspect(buffer.DirFS(filepath.Join(dir, "log"))); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no directory: %v", err)
	}
	v, err := buffer.Inspect(buffer.DirFS(dir))
	if err != nil || len(v.Segments) > 0 || v.Bytes > 0 {
		t.Fatalf("empty directory: %v %+v", err, v)
	}
	c, err := buffer.Verify(buffer.DirFS(dir))
	if err != nil || len(c.Problems) > 0 {
		t.Fatalf("empty directory: %v %+v", err, c)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 {
		t.Fatalf("it left %v", files)
	}
}

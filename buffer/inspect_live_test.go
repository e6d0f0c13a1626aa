package buffer_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// busy is a disk on which something happens just before its nth opening or
// listing.
type busy struct {
	*crashfs.Disk
	n    int
	then func()
}

func (b *busy) next() {
	if b.n--; b.n == 0 {
		b.then()
	}
}

func (b *busy) ReadDir() ([]buffer.FileInfo, error) { b.next(); return b.Disk.ReadDir() }

func (b *busy) Open(name string, write bool) (buffer.File, error) {
	b.next()
	return b.Disk.Open(name, write)
}

// watched is a disk that says when what is on it changed for good.
type watched struct {
	*crashfs.Disk
	then func()
}

func (w *watched) SyncDir() error { return w.after(w.Disk.SyncDir()) }

func (w *watched) Open(name string, write bool) (buffer.File, error) {
	f, err := w.Disk.Open(name, write)
	return &watchedFile{f, w}, err
}

func (w *watched) Create(name string) (buffer.File, error) {
	f, err := w.Disk.Create(name)
	return &watchedFile{f, w}, err
}

func (w *watched) after(err error) error {
	if w.then != nil {
		w.then()
	}
	return err
}

type watchedFile struct {
	buffer.File
	w *watched
}

func (f *watchedFile) Sync() error { return f.w.after(f.File.Sync()) }

// told is all that a view says of consumers, records and keys.
func told(t *testing.T, v *buffer.View) string {
	t.Helper()
	h := sha256.New()
	for _, c := range v.Consumers {
		fmt.Fprintln(h, c.ID, c.Name, c.Backlog.Records, c.Backlog.Bytes, c.Backlog.Aside, c.Drops)
	}
	v.Range("", func(k string, value []byte) bool { fmt.Fprintf(h, "%s=%s\n", k, value); return true })
	if n := v.Recovery.LostRecords(); n > 0 || len(v.Unsound) > 0 || v.Recovery.Orphans > 0 || v.Recovery.BadSnapshots > 0 {
		t.Errorf("damage where there is none: %+v %v", v.Recovery, v.Unsound)
	}
	return string(h.Sum(nil))
}

// Whatever a log does between any two files that are read, what is seen is a
// moment that was: everything is as of one commit.
func TestInspectSeesOneMoment(t *testing.T) {
	for seed := range uint64(size(t, 3)) {
		w := newWorld(crashfs.New(diskSize), small, seed+50)
		w.keyHeavy = seed%3 == 2
		disk := &watched{Disk: w.disk}
		w.o.FS = disk
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		steps := 0
		run := func(n int) {
			for range n {
				if err := w.step(steps); err != nil {
					t.Fatal(err)
				}
				steps++
			}
		}
		run(200)
		reached := true
		for n := 1; reached; n += 1 + n/8 {
			reached = false
			moments := map[string]bool{}
			note := func() {
				v, err := buffer.Inspect(w.disk.Clone())
				if err != nil {
					t.Fatal(err)
				}
				moments[told(t, v)] = true
			}
			note()
			v, err := buffer.Inspect(&busy{w.disk, n, func() {
				reached = true
				disk.then = note
				run(20)
				disk.then = nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			if !moments[told(t, v)] {
				t.Errorf("seed %d, busy before file %d: what was seen never was", seed, n)
			}
		}
		if err := w.log.Close(); err != nil {
			t.Fatal(err)
		}
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

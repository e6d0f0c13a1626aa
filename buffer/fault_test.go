package buffer_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// TestFaultEverywhere makes the disk fail at every operation of a workload:
// a sync that fails once (and whose data never reaches the disk), a write that
// fails half way, a disk that is full for a while or for good. Commits may
// fail; then nothing of them is settled, later ones succeed, and after a power
// cut everything that was settled is there.
func TestFaultEverywhere(t *testing.T) {
	capped := small
	capped.MaxSize = 4 * capped.SegmentSize
	for _, o := range []buffer.Options{small, capped} {
		trial := newWorld(crashfs.New(diskSize), o, 9)
		steps := size(t, 80)
		if whole, err := workload(trial, steps); !whole || err != nil {
			t.Fatal(err)
		}
		for at := 1; at <= trial.disk.Ops(); at++ {
			for name, set := range map[string]func(d *crashfs.Disk){
				"sync fails":      func(d *crashfs.Disk) { d.FailSyncAt(at) },
				"write fails":     func(d *crashfs.Disk) { d.FailWriteAt(at) },
				"full for a time": func(d *crashfs.Disk) { d.FullAt(at, 12) },
				"full for good":   func(d *crashfs.Disk) { d.FullAt(at, 0) },
				"two syncs fail":  func(d *crashfs.Disk) { d.FailSyncAt(at); d.FailWriteAt(at + 3) },
			} {
				if err := faulty(o, steps, set, name == "full for good"); err != nil {
					t.Fatalf("%s at operation %d, cap %d: %v", name, at, o.MaxSize, err)
				}
			}
		}
	}
}

func faulty(o buffer.Options, steps int, set func(*crashfs.Disk), forGood bool) error {
	w := newWorld(crashfs.New(diskSize), o, 9)
	set(w.disk)
	err := w.open()
	for try := 0; err != nil; try++ {
		var open *buffer.OpenError
		if !errors.As(err, &open) {
			return fmt.Errorf("got %v, want an *OpenError", err)
		}
		if try == 3 {
			if errors.Is(err, syscall.ENOSPC) {
				return nil // a full disk from the start, said in so many words
			}
			return err
		}
		err = w.open()
	}
	var failed error
	for i := range steps {
		if err := w.step(i); err != nil {
			if !strings.Contains(err.Error(), "commit") {
				return err
			}
			failed = err
		}
	}
	if !forGood {
		w.disk.FullAt(1<<30, 0)
	}
	if err := w.commit(); err != nil && !forGood {
		if failed == nil {
			failed = err
		}
		if err := w.commit(); err != nil {
			if err := w.commit(); err != nil {
				return fmt.Errorf("no commit after the fault is over: %v (first %v)", err, failed)
			}
		}
	}
	if err := w.check(); err != nil {
		return fmt.Errorf("while it runs: %w", err)
	}
	w.disk.CrashAt(1)
	w.log.Commit()
	w.log.Close()
	w.disk.CrashAt(1)
	w.disk.SyncDir()
	var bad error
	w.disk.After(nil, func(c crashfs.Outcome) {
		if bad == nil {
			if err := reopened(w.fork(c.Disk, 1)); err != nil {
				bad = fmt.Errorf("after the power cut, %s: %w", c.Mode, err)
			}
		}
	})
	return bad
}

// A full disk keeps what it has, drops the oldest as new records need room,
// counts that, and grows again when there is room.
func TestFullDiskRecyclesAndRecovers(t *testing.T) {
	w := newWorld(crashfs.New(diskSize), small, 4)
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	fill := func(n int) {
		t.Helper()
		for range n {
			if err := w.append(4, 9000); err != nil {
				t.Fatal(err)
			}
			if err := w.commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(20)
	segments := w.log.Stats().Segments
	w.disk.FullAt(1, 0)
	fill(60)
	s := w.log.Stats()
	if s.Segments > segments+2 || s.Dropped == 0 || !s.Full {
		t.Fatalf("%d segments before the disk was full, then %+v", segments, s)
	}
	if s.Consumers[0].Drops[buffer.DropSpace] == 0 {
		t.Fatalf("drops not counted under their reason: %+v", s.Consumers[0])
	}
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
	w.disk.FullAt(1<<30, 0)
	fill(45)
	if got := w.log.Stats(); got.Dropped != s.Dropped || got.Full {
		t.Fatalf("dropped %d with room, %d without: %+v", got.Dropped, s.Dropped, got)
	}
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
}

// A commit that fails says why, settles nothing, and the next one, in a new
// segment, has it all.
func TestCommitErrorNamesTheCause(t *testing.T) {
	w := newWorld(crashfs.New(diskSize), small, 4)
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	w.append(3, 100)
	w.disk.FailSyncAt(1)
	err := w.log.Commit()
	if !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v, want EIO", err)
	}
	var path *fs.PathError
	if !errors.As(err, &path) || path.Path != "0000000000000001.log" {
		t.Fatalf("got %v, want the file's name", err)
	}
	for n, r := range w.records {
		if r.settled {
			t.Fatalf("record %#x is settled", n)
		}
	}
	if n, _ := w.log.Unsettled(); n != 3 {
		t.Fatalf("%d unsettled, want 3", n)
	}
	if err := w.commit(); err != nil {
		t.Fatal(err)
	}
	for n, r := range w.records {
		if !r.settled {
			t.Fatalf("record %#x is not settled", n)
		}
	}
	if _, err := w.disk.Open("0000000000000002.log", false); err != nil {
		t.Fatal("no new segment was begun")
	}
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
}

// The cap holds at every moment, whatever its size, and what is dropped under
// it is counted to the record.
func TestCapHolds(t *testing.T) {
	for _, cap := range []int64{3<<16 + 4096, 3<<16 + 70_000, 4<<16 + 1, 5 << 16, 5<<16 + 4097, 7<<16 - 1, 11 << 16, 1 << 20} {
		o := small
		o.MaxSize = max(cap, 4*o.SegmentSize)
		w := newWorld(crashfs.New(diskSize), o, uint64(cap))
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		for range 150 {
			if err := w.append(3, 6000); err != nil {
				t.Fatal(err)
			}
			if err := w.commit(); err != nil {
				t.Fatal(err)
			}
		}
		if peak := w.disk.Peak(); peak > o.MaxSize {
			t.Errorf("cap %d: %d bytes on disk", o.MaxSize, peak)
		}
		if s := w.log.Stats(); s.Bytes+2*o.SegmentSize <= o.MaxSize && o.MaxSize < 1<<20 {
			t.Errorf("cap %d: only %d bytes used", o.MaxSize, s.Bytes)
		}
		for _, c := range w.log.Stats().Consumers {
			named := uint64(0)
			for _, r := range w.records {
				if _, ok := r.dests[c.Name]; ok {
					named++
				}
			}
			if c.Backlog.Records+c.Backlog.Dropped != named || c.Backlog.Dropped == 0 {
				t.Errorf("cap %d: %d wait and %d are dropped, of %d", o.MaxSize, c.Backlog.Records, c.Backlog.Dropped, named)
			}
		}
		if err := w.check(); err != nil {
			t.Errorf("cap %d: %v", o.MaxSize, err)
		}
		// A smaller cap at the next start is reached by dropping, counted.
		if err := w.log.Close(); err != nil {
			t.Fatal(err)
		}
		w.o.MaxSize = 4 * o.SegmentSize
		w = w.fork(w.disk.Clone(), 1)
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			if err := w.append(3, 6000); err != nil {
				t.Fatal(err)
			}
			if err := w.commit(); err != nil {
				t.Fatal(err)
			}
		}
		if s := w.log.Stats(); s.Bytes > w.o.MaxSize {
			t.Errorf("cap %d at the second start: %d bytes", w.o.MaxSize, s.Bytes)
		}
	}
}

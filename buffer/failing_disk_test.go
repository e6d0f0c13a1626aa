package buffer_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"weir/buffer"
)

// failingDisk is a directory whose syncs, or new files, fail while it is told so.
type failingDisk struct {
	buffer.FS
	sync, create atomic.Bool
}

var errDisk = errors.New("input/output error")

func (d *failingDisk) Open(name string, write bool) (buffer.File, error) {
	f, err := d.FS.Open(name, write)
	return &failingFile{f, d}, err
}

func (d *failingDisk) Create(name string) (buffer.File, error) {
	if d.create.Load() {
		return nil, errDisk
	}
	f, err := d.FS.Create(name)
	return &failingFile{f, d}, err
}

type failingFile struct {
	buffer.File
	disk *failingDisk
}

func (f *failingFile) Sync() error {
	if f.disk.sync.Load() {
		return errDisk
	}
	return f.File.Sync()
}

// TestFailingDiskKeepsTheBacklog: a disk that fails, but is not full, is no reason to give up what it holds [P1, P4].
func TestFailingDiskKeepsTheBacklog(t *testing.T) {
	const stored = 2000
	for name, fail := range map[string]func(d *failingDisk, on bool){
		"sync":   func(d *failingDisk, on bool) { d.sync.Store(on) },
		"create": func(d *failingDisk, on bool) { d.create.Store(on) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			disk := &failingDisk{FS: buffer.DirFS(dir)}
			o := buffer.Options{Dir: dir, FS: disk, SegmentSize: 256 << 10, MaxSize: 64 << 20}
			l, err := buffer.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			c, err := l.Consumer("upstream")
			if err != nil {
				t.Fatal(err)
			}
			put := func() {
				if _, n, err := l.Append([]buffer.Record{{Payload: make([]byte, 1000), Dests: []buffer.Dest{{Consumer: c.ID()}}}}); err != nil || n != 1 {
					t.Fatalf("append: %d taken, %v", n, err)
				}
			}
			for i := range stored {
				put()
				if i%50 == 49 {
					if err := l.Commit(); err != nil {
						t.Fatal(err)
					}
				}
			}
			fail(disk, true)
			failed := 0
			for range 40 {
				for range 20 {
					put()
				}
				if l.Commit() != nil {
					failed++
				}
			}
			if failed == 0 {
				t.Fatal("no commit failed: the test shows nothing")
			}
			fail(disk, false)
			if err := l.Commit(); err != nil {
				t.Fatalf("commit on the healed disk: %v", err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if l, err = buffer.Open(o); err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if c, err = l.Consumer("upstream"); err != nil {
				t.Fatal(err)
			}
			if b := c.Backlog(); b.Records != stored+40*20 || b.Dropped != 0 {
				t.Errorf("%d wait and %d are dropped after %d failed commits, want %d and none", b.Records, b.Dropped, failed, stored+40*20)
			}
		})
	}
}

package buffer

import (
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
)

// madeFS calls back when a file is made, and after a name appears by renaming.
type madeFS struct {
	FS
	made    func(name string)
	renamed string // names with this in them cannot be made durable, once
	fail    bool
}

func (m *madeFS) Create(name string) (File, error) {
	f, err := m.FS.Create(name)
	if m.made != nil {
		m.made(name)
	}
	return f, err
}

func (m *madeFS) Rename(from, to string) error {
	m.fail = m.fail || m.renamed != "" && strings.Contains(to, m.renamed)
	return m.FS.Rename(from, to)
}

func (m *madeFS) SyncDir() error {
	if m.fail {
		m.fail, m.renamed = false, ""
		return syscall.EIO
	}
	return m.FS.SyncDir()
}

// onDisk is what the log's files take.
func onDisk(t *testing.T, dir string) (n int64) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}

// A file that is being made counts: Chores, meanwhile, takes none of its room.
func TestChoresWhileASegmentIsRewritten(t *testing.T) {
	for more := int64(0); more < minSegment; more += 2 * page {
		dir := t.TempDir()
		disk := &madeFS{FS: DirFS(dir)}
		o := Options{Dir: dir, FS: disk, SegmentSize: minSegment, MaxSize: 8*minSegment + more, OnChores: func() {}}
		l := open(t, o)
		var beside int64
		disk.made = func(name string) {
			if strings.Contains(name, "dense") {
				l.Chores()
				beside = max(beside, onDisk(t, dir)+minSegment/4) // the new one takes a quarter at least
			}
		}
		c, _ := l.Consumer("c")
		for i := 0; l.Stats().Rewritten < 12; i++ {
			if i > 2000 {
				t.Fatalf("nothing is rewritten: %+v", l.Stats())
			}
			put(t, l, string(make([]byte, 1200)), Dest{Consumer: c.ID()})
			commit(t, l)
			if i%5 == 0 {
				l.Chores()
			}
			if n := onDisk(t, dir); n > o.MaxSize {
				t.Fatalf("%d bytes on the disk, at most %d", n, o.MaxSize)
			}
		}
		if beside > o.MaxSize {
			t.Errorf("%d bytes while a segment is rewritten, at most %d", beside, o.MaxSize)
		}
		l.Close()
	}
}

// A snapshot whose name cannot be made durable is not left where nobody counts it.
func TestSnapshotNotDurableIsNotLeft(t *testing.T) {
	dir := t.TempDir()
	disk := &madeFS{FS: DirFS(dir), renamed: snapshotSuffix}
	l := open(t, Options{Dir: dir, FS: disk, SegmentSize: minSegment, MaxSize: 64 * minSegment})
	for l.Stats().Snapshots == 0 {
		l.Put("key", make([]byte, 5000))
		commit(t, l)
	}
	if disk.renamed != "" {
		t.Fatal("nothing failed")
	}
	if n, counted := onDisk(t, dir), l.Stats().Bytes; n != counted {
		t.Errorf("%d bytes on the disk, %d are counted", n, counted)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// A disk that has no room to grow gives up no more records than the new ones
// need, though what it holds is in small files that cannot be used again as they
// are (P4).
func TestFullDiskGivesUpNoMoreThanItNeeds(t *testing.T) {
	dir := t.TempDir()
	disk := &crowded{unsynced: unsynced{FS: DirFS(dir)}}
	o := Options{Dir: dir, FS: disk, Compress: true, SegmentSize: 256 << 10, MinFree: 1 << 20}
	l := open(t, o)
	defer l.Close()
	c, _ := l.Consumer("cloud")
	rng := rand.New(rand.NewPCG(1, 2))
	const first, more = 60_000, 10_000
	outage(t, l, c, rng, 0, first, measured)
	before, size := l.Stats(), onDisk(t, dir)
	disk.full = true
	outage(t, l, c, rng, first, more, measured)
	s, n := l.Stats(), onDisk(t, dir)
	t.Logf("%d segments of %d bytes, then %d of %d; %d records dropped", before.Segments, size, s.Segments, n, s.Dropped)
	if !s.Full || before.Rewritten < 20 {
		t.Fatalf("%+v", s)
	}
	if s.Dropped > first/2 {
		t.Errorf("%d records of %d were given up for %d new ones", s.Dropped, first, more)
	}
	if n > size+o.SegmentSize {
		t.Errorf("the log has grown from %d to %d bytes on a full disk", size, n)
	}
	if b := c.Backlog(); b.Records+b.Dropped != first+more {
		t.Errorf("%+v", b)
	}
}

// crowded is a disk that others fill: less than MinFree is left.
type crowded struct {
	unsynced
	full bool
}

func (d *crowded) Free() (int64, error) {
	if d.full {
		return 1 << 19, nil
	}
	return 1 << 40, nil
}

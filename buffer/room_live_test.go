package buffer

import (
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

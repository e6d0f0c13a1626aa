package buffer

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestMemoryOutlivesFailedCommit: a record acknowledged by its durable destination while a commit of it fails is for
// memory only from then on, and still comes.
func TestMemoryOutlivesFailedCommit(t *testing.T) {
	s := &settledNumbers{}
	disk := &cutOffFS{FS: DirFS(t.TempDir())}
	l := open(t, Options{Dir: "failing", FS: disk, SegmentSize: minSegment, MaxSize: 4 << 20, OnSettled: s.add})
	defer l.Close()
	a, _ := l.Consumer("a")
	m, _ := l.Consumer("m")
	commit(t, l)
	n := put(t, l, "both", durable(a), inMemory(m))
	disk.during = func() error {
		a.Ack([]Range{{n, n}})
		return os.ErrPermission
	}
	if err := l.Commit(); err == nil {
		t.Fatal("the commit did not fail")
	}
	if !s.has(n) || s.count(n) != 1 || l.Stats().InMemory != 1 {
		t.Errorf("settled %d times, %d in memory, want 1 and 1", s.count(n), l.Stats().InMemory)
	}
	stored := l.Stats().Stored
	commit(t, l)
	if l.Stats().Stored != stored || s.count(n) != 1 {
		t.Error("written, or settled again, by the next commit")
	}
	if got := bodies(drain(t, m)); got != "both" {
		t.Errorf("got %q", got)
	}
}

// TestMemoryBesideDamage: records in memory do not hide that stored ones around them were lost.
func TestMemoryBesideDamage(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20}
	l := open(t, o)
	defer l.Close()
	a, _ := l.Consumer("a")
	for _, body := range []string{"one", "-two", "three", "-four", "five"} {
		d := durable(a)
		d.Memory = body[0] == '-'
		put(t, l, body, d)
		commit(t, l)
	}
	names, _ := filepath.Glob(filepath.Join(o.Dir, "*"+segmentSuffix))
	p, err := os.ReadFile(names[len(names)-1])
	at := bytes.Index(p, []byte("three"))
	if err != nil || at < 0 {
		t.Fatal(at, err)
	}
	p[at] ^= 1
	if err := os.WriteFile(names[len(names)-1], p, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := bodies(drain(t, a)); got != "one -two -four five" {
		t.Errorf("got %q", got)
	}
	if x := l.Stats().Consumers[0]; x.Drops[DropLost] != 1 || x.Backlog.Records != 4 {
		t.Errorf("%+v, want one lost and four waiting", x)
	}
}

// cutOffFS calls during, once, instead of the next sync of a file.
type cutOffFS struct {
	FS
	during func() error
}

func (d *cutOffFS) Open(name string, write bool) (File, error) {
	f, err := d.FS.Open(name, write)
	if err != nil {
		return nil, err
	}
	return &cutOffFile{f, d}, nil
}

type cutOffFile struct {
	File
	disk *cutOffFS
}

func (f *cutOffFile) Sync() error {
	if during := f.disk.during; during != nil {
		f.disk.during = nil
		return during()
	}
	return f.File.Sync()
}

package buffer

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// putUntilWritten changes one key, a commit for each, as often as takes so many bytes.
func putUntilWritten(t *testing.T, l *Log, bytes int64) {
	t.Helper()
	from := l.Stats().Written
	for i := 0; l.Stats().Written-from < bytes; i++ {
		if err := l.Put("key", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		if err := l.Commit(); err != nil {
			t.Fatalf("after %d changes: %v: %+v", i, err, l.Stats())
		}
	}
}

// A log that keeps the oldest and is full of records nobody takes goes on
// storing keys: the segments that hold nothing but their changes are free when
// a snapshot has those.
func TestKeysChangeForeverWhileTheNewestAreRefused(t *testing.T) {
	for _, segments := range []int64{8, 10, 24} {
		o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: segments * minSegment, Newest: true}
		l := open(t, o)
		c, _ := l.Consumer("c")
		for refused := false; !refused; {
			batch := []Record{{Boot: 1, Dests: []Dest{{Consumer: c.ID()}}, Payload: make([]byte, 1000)}}
			if _, _, err := l.Append(batch); err != nil {
				t.Fatal(err)
			}
			refused = batch[0].Refused
			commit(t, l)
		}
		before := c.Backlog().Records
		putUntilWritten(t, l, 30*minSegment)
		if s := l.Stats(); c.Backlog().Records != before || s.Bytes > o.MaxSize {
			t.Errorf("%d segments: %d records wait, want %d: %+v", segments, c.Backlog().Records, before, s)
		}
		l.Close()
	}
}

// A log that drops the oldest drops no record to make room for changes of keys
// as long as there are segments with nothing else.
func TestKeysChangeForeverBesideRecords(t *testing.T) {
	for _, segments := range []int64{8, 10, 24} {
		o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: segments * minSegment}
		l := open(t, o)
		c, _ := l.Consumer("c")
		for l.Stats().Bytes < o.MaxSize-3*minSegment {
			put(t, l, string(make([]byte, 3900)), Dest{Consumer: c.ID()})
			commit(t, l)
		}
		before := c.Backlog()
		putUntilWritten(t, l, 30*minSegment)
		if b := c.Backlog(); b.Records != before.Records || b.Dropped != before.Dropped {
			t.Errorf("%d segments: %+v, want %+v: %+v", segments, b, before, l.Stats())
		}
		l.Close()
	}
}

// noSnapshotFS makes no snapshot of keys.
type noSnapshotFS struct{ FS }

func (n noSnapshotFS) Create(name string) (File, error) {
	if strings.HasPrefix(name, newPrefix+"keys") {
		return nil, syscall.EIO
	}
	return n.FS.Create(name)
}

// A segment that may not go, since its changes of keys are nowhere else, is
// passed over when the oldest gives way; its records still come, rewound or not.
func TestOldestPassedOverStillComes(t *testing.T) {
	for _, rewound := range []bool{false, true} {
		o := Options{Dir: "none", FS: noSnapshotFS{DirFS(t.TempDir())}, SegmentSize: minSegment, MaxSize: 6 * minSegment}
		l := open(t, o)
		c, _ := l.Consumer("c")
		l.Put("key", []byte("only here"))
		numbers := []uint64{put(t, l, "first", Dest{Consumer: c.ID()}), put(t, l, "second", Dest{Consumer: c.ID()})}
		commit(t, l)
		if rewound {
			drain(t, c)
			c.Rewind()
		}
		for c.Backlog().Dropped == 0 {
			numbers = append(numbers, put(t, l, string(make([]byte, 3000)), Dest{Consumer: c.ID()}))
			commit(t, l)
		}
		check := func(when string) {
			t.Helper()
			b := c.Backlog()
			got := drain(t, c)
			if len(got) == 0 || got[0].Number != numbers[0] || uint64(len(got)) != b.Records || b.Records+b.Dropped != uint64(len(numbers)) {
				t.Errorf("rewound %v, %s: %d records come of %d, %+v", rewound, when, len(got), len(numbers), b)
			}
		}
		check("dropped")
		c.Rewind()
		check("again")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(t, o)
		c, _ = l.Consumer("c")
		check("after a start")
		if v, ok := l.Get("key"); !ok || string(v) != "only here" {
			t.Errorf("the key is %q, %v", v, ok)
		}
		l.Close()
	}
}

// A large keyed state is written to snapshots about as often as the log grows
// by twice of it, not twice as often (P7).
func TestLargeStateIsNotWrittenTwice(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20})
	defer l.Close()
	value := make([]byte, 250)
	for i := range 12_000 {
		if err := l.Put(fmt.Sprint("key", i%800), value); err != nil {
			t.Fatal(err)
		}
		if i%20 == 19 {
			commit(t, l)
		}
	}
	s := l.Stats()
	l.mu.Lock()
	snapshots := int64(s.Snapshots) * l.snapshotSize()
	l.mu.Unlock()
	if log := s.Written - s.Prepared - snapshots; s.Snapshots < 3 || snapshots > log*3/2 {
		t.Errorf("%d snapshots of %d bytes in all beside %d of the log", s.Snapshots, snapshots, log)
	}
}

// A start does not wait until a segment of zeros is written: the first one is
// only given its room, and the log goes on in it after the next start.
func TestFirstSegmentIsAllocated(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, OnChores: func() {}}) // spares are left to nobody
	if s := l.Stats(); s.Prepared != 0 || s.Written > 64<<10 {
		t.Errorf("the start wrote %d bytes, %d of them to make files", s.Written, s.Prepared)
	}
	to, _ := l.Consumer("cloud")
	if _, n, err := l.Append([]Record{{Dests: []Dest{{Consumer: to.ID()}}, Payload: []byte("kept")}}); n != 1 {
		t.Fatal(err)
	}
	commit(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, Options{Dir: dir, OnChores: func() {}})
	defer l.Close()
	to, _ = l.Consumer("cloud")
	if got := drain(t, to); len(got) != 1 || string(got[0].Body) != "kept" || l.Stats().Segments != 1 {
		t.Errorf("%d records in %d segments after the next start, want one in one", len(got), l.Stats().Segments)
	}
}

// Where commits are large, a new file is given room on the disk and not written
// for that; where they are small, it is written once.
func TestSparesAreAllocatedForLargeCommits(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int
		wrote bool
	}{{"large", 24 << 10, false}, {"small", 3900, true}} {
		t.Run(c.name, func(t *testing.T) {
			l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 64 << 20})
			defer l.Close()
			to, _ := l.Consumer("cloud")
			before := l.Stats()
			payload := make([]byte, c.size)
			for l.Stats().Segments < before.Segments+10 {
				if _, n, err := l.Append([]Record{{Dests: []Dest{{Consumer: to.ID()}}, Payload: payload}}); n != 1 {
					t.Fatal(err)
				}
				commit(t, l)
			}
			if wrote := l.Stats().Prepared > before.Prepared+3*minSegment; wrote != c.wrote {
				t.Fatalf("%d bytes were written to make files", l.Stats().Prepared-before.Prepared)
			}
			if got := drain(t, to); len(got) == 0 || len(got[0].Body) != c.size {
				t.Fatalf("%d records came back", len(got))
			}
		})
	}
}

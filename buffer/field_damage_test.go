package buffer_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// A file that is all zeros after a power cut, whichever it is, stops no start: what lies in the others comes, what is missing is
// told, and the store takes new records.
func TestField_ZeroedFileStillStarts(t *testing.T) {
	d, want := store(t, small, 40)
	for name := range contents(t, d) {
		e := d.Clone()
		e.Corrupt(name, func(p []byte) []byte { clear(p); return p })
		missing, reported, _, err := damaged(e, want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		last := name == segments(t, d)[len(segments(t, d))-1]
		if missing == uint64(len(want)) || missing != reported && !last {
			t.Errorf("%s: %d of %d records missing, %d told", name, missing, len(want), reported)
		}
		takesNew(t, e, name)
	}
	e := d.Clone()
	for name := range contents(t, d) {
		e.Corrupt(name, func(p []byte) []byte { clear(p); return p })
	}
	takesNew(t, e, "every file")
}

// takesNew wants a store to open, and to take and keep a record.
func takesNew(t *testing.T, d *crashfs.Disk, what string) {
	t.Helper()
	o := small
	o.FS = d
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer l.Close()
	c, err := l.Consumer("new")
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if _, n, err := l.Append([]buffer.Record{{Boot: 1, Dests: []buffer.Dest{{Consumer: c.ID()}}, Payload: []byte("new")}}); n != 1 || err != nil {
		t.Fatalf("%s: %d, %v", what, n, err)
	}
	if err := l.Commit(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	var got [1]buffer.Entry
	if n, err := c.Next(got[:]); n != 1 || err != nil || string(got[0].Body) != "new" {
		t.Fatalf("%s: %d, %v, %q", what, n, err, got[0].Body)
	}
}

// A damaged store is not deleted and begun anew: what can be read of it comes, and the damaged file is kept.
func TestField_DamagedStoreIsNotThrownAway(t *testing.T) {
	d, want := store(t, small, 40)
	name := segments(t, d)[1]
	d.Corrupt(name, func(p []byte) []byte { clear(p[:8192]); return p })
	was := contents(t, d)[name]
	missing, _, _, err := damaged(d, want)
	if err != nil || missing == 0 || missing > uint64(len(want))/2 {
		t.Errorf("%d of %d records missing, %v", missing, len(want), err)
	}
	if got := contents(t, d)[strings.TrimSuffix(name, ".log")+".bad"]; !bytes.Equal(got, was) {
		t.Error("the damaged file was not kept as it was")
	}
}

// What a commit writes does not depend on how much waits: nothing is ever written as a whole again.
func TestField_WritesDoNotGrowWithTheBacklog(t *testing.T) {
	o := buffer.Options{FS: crashfs.New(1 << 30), SegmentSize: 1 << 20, MaxSize: 512 << 20}
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := l.Consumer("a")
	if err != nil {
		t.Fatal(err)
	}
	var first int64
	for stretch := range 16 { // each two segments of records
		before := l.Stats().Written
		for range 64 {
			batch := make([]buffer.Record, 32)
			for i := range batch {
				batch[i] = buffer.Record{Boot: 1, Dests: []buffer.Dest{{Consumer: c.ID()}}, Payload: make([]byte, 950)}
			}
			if _, n, err := l.Append(batch); n != len(batch) || err != nil {
				t.Fatal(n, err)
			}
			if err := l.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		switch wrote := l.Stats().Written - before; {
		case stretch == 0:
			first = wrote
		case wrote > 2*first:
			t.Errorf("stretch %d: %d bytes written, %d for the first one", stretch, wrote, first)
		}
	}
}

// What waits for an upstream lies on the disk, not in memory: ten times as much of it takes no more.
func TestField_OutageFillsNoMemory(t *testing.T) {
	o := buffer.Options{Dir: t.TempDir(), MaxSize: 1 << 30}
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := l.Consumer("a")
	if err != nil {
		t.Fatal(err)
	}
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	payload := make([]byte, 1000)
	var after [2]int64
	for i, n := range []int{5_000, 50_000} {
		for l.Stats().Appended < uint64(n) {
			batch := make([]buffer.Record, 500)
			for k := range batch {
				batch[k] = buffer.Record{Boot: 1, Dests: []buffer.Dest{{Consumer: c.ID()}}, Payload: payload}
			}
			if _, n, err := l.Append(batch); n != len(batch) || err != nil {
				t.Fatal(n, err)
			}
			if err := l.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		after[i] = held()
	}
	if waits := c.Backlog(); waits.Records != 50_000 || after[1]-after[0] > 4<<20 {
		t.Errorf("%d records of 1000 bytes wait; the last 45,000 take %d bytes of memory", waits.Records, after[1]-after[0])
	}
}

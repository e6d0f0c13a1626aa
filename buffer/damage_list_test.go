package buffer_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// extent is where a block lies in its segment, and how many records it has.
type extent struct {
	from, to int // whole pages
	records  uint64
}

// extents are the blocks of a segment, found by their pages as doc.go draws
// them.
func extents(d *crashfs.Disk, name string) (all []extent) {
	d.Corrupt(name, func(p []byte) []byte {
		for at := 2 * 4096; at+4096 <= len(p); at += 4096 {
			if string(p[at:at+4]) == "wblk" {
				body := int(binary.LittleEndian.Uint32(p[at+12:]))
				pages := (64 + body + 4095) / 4096
				all = append(all, extent{at, at + pages*4096, uint64(binary.LittleEndian.Uint32(p[at+36:]))})
			}
		}
		return p
	})
	return all
}

// behind is how many records are in blocks that reach behind an offset; all of
// them if the first header is not whole.
func behind(blocks []extent, at int) (n uint64) {
	for _, b := range blocks {
		if at < 4096 || b.to > at {
			n += b.records
		}
	}
	return n
}

// lengths are the places at which files are cut: round about each step of 512
// bytes, or all (WEIR_LONG).
func lengths(t *testing.T, size int) (all []int) {
	for at := range size {
		near := (at + 1) % 512
		switch {
		case long(t):
		case near > 2, raceEnabled && at%4096 > 600:
			continue
		}
		all = append(all, at)
	}
	return all
}

func long(t *testing.T) bool { return size(t, 3) > 3 }

// Whatever is cut off a segment, or zero from some place on (as cards and file
// systems leave it after a power cut, and a whole file of nothing but zeros),
// costs no more than the blocks that reach behind that place.
func TestCutAndZeroedTails(t *testing.T) {
	d, want := store(t, small, 24)
	names := segments(t, d)
	for i, name := range names {
		blocks := extents(d, name)
		for _, at := range lengths(t, int(small.SegmentSize)) {
			for what, damage := range map[string]func(p []byte) []byte{
				"cut":        func(p []byte) []byte { return p[:at] },
				"zeros from": func(p []byte) []byte { clear(p[at:]); return p },
			} {
				e := d.Clone()
				e.Corrupt(name, damage)
				missing, reported, r, err := damaged(e, want)
				if err != nil {
					t.Fatalf("%s %s %d: %v", name, what, at, err)
				}
				if most := behind(blocks, at); missing > most {
					t.Fatalf("%s %s %d: %d records missing, %d reach behind that: %+v", name, what, at, missing, most, r)
				}
				// Of the last segment nothing says how far it went: its end looks like a commit that never ended.
				if missing != reported && i < len(names)-1 {
					t.Fatalf("%s %s %d: %d missing, %d reported: %+v", name, what, at, missing, reported, r)
				}
			}
		}
	}
}

// A segment is what its header says, not its name: any two may change names,
// and all of them.
func TestSwappedSegments(t *testing.T) {
	d, want := store(t, small, 40)
	names := segments(t, d)
	swap := func(e *crashfs.Disk, a, b string) {
		e.Rename(a, "x")
		e.Rename(b, a)
		e.Rename("x", b)
	}
	for i, a := range names {
		for _, b := range names[:i] {
			e := d.Clone()
			swap(e, a, b)
			if missing, reported, r, err := damaged(e, want); err != nil || missing+reported > 0 {
				t.Errorf("%s and %s swapped: %v, %d missing, %d reported: %+v", a, b, err, missing, reported, r)
			}
		}
	}
	e := d.Clone()
	for _, b := range names[1:] { // each takes the name of the next
		swap(e, names[0], b)
	}
	if missing, reported, r, err := damaged(e, want); err != nil || missing+reported > 0 {
		t.Errorf("names in a ring: %v, %d missing, %d reported: %+v", err, missing, reported, r)
	}
}

// Any two segments may be missing, and any number from either end.
func TestMissingSegments(t *testing.T) {
	d, want := store(t, small, 40)
	names := segments(t, d)
	try := func(last bool, gone ...string) {
		t.Helper()
		e := d.Clone()
		most := uint64(0)
		for _, name := range gone {
			most += behind(extents(d, name), 0)
			e.Remove(name)
		}
		missing, reported, r, err := damaged(e, want)
		if err != nil || missing != most || !last && reported != missing {
			t.Errorf("without %v: %v, %d missing, %d were in them, %d reported: %+v", gone, err, missing, most, reported, r)
		}
	}
	for i, a := range names {
		for _, b := range names[:i] {
			try(i == len(names)-1, a, b)
		}
		if i > 0 {
			try(true, names[i:]...)
			try(false, names[:i]...)
		}
	}
}

// A payload that holds a whole piece of the log, at a place where a block could
// begin, is never taken for one: not while its own block is sound, and not when
// that is damaged and recovery looks for the next page that is.
func TestPayloadThatHoldsASegment(t *testing.T) {
	d := crashfs.New(diskSize)
	o := small
	o.FS = d
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Consumer("a")
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint64]string{}
	put := func(p []byte) {
		first, n, err := l.Append([]buffer.Record{{Boot: 3, Dests: []buffer.Dest{{Consumer: c.ID()}}, Payload: p}})
		if err != nil || n != 1 {
			t.Fatal(n, err)
		}
		want[first] = string(p)
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	put([]byte("first"))
	f, err := d.Open(segments(t, d)[0], false)
	if err != nil {
		t.Fatal(err)
	}
	stolen := make([]byte, 5*4096) // both headers, the first blocks
	if _, err := f.ReadAt(stolen, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for pad := 3996; pad < 4020; pad++ { // what stands before the payload in its block is 64 bytes and the item's head
		put(append(bytes.Repeat([]byte{'-'}, pad), stolen...))
	}
	put([]byte("last"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	aligned := 0
	whole := d.Clone()
	for _, name := range segments(t, d) {
		d.Corrupt(name, func(p []byte) []byte {
			for at := 2 * 4096; at+4096 <= len(p); at += 4096 {
				if string(p[at:at+7]) == "weirlog" { // a header of a segment in the middle of one: that is a payload
					aligned++
					p[at-4096+64] ^= 1 // and the block it is in is damaged
				}
			}
			return p
		})
	}
	if aligned == 0 {
		t.Fatal("no payload lies so that its pages could be taken for those of the log")
	}
	for _, e := range []*crashfs.Disk{whole, d} {
		missing, reported, r, err := damaged(e, want)
		if most := uint64(aligned); err != nil || missing != reported || missing > most || e == d && missing == 0 || e == whole && missing > 0 {
			t.Errorf("%v, %d missing, %d reported, %d payloads aligned: %+v", err, missing, reported, aligned, r)
		}
	}
}

// Whatever is wrong with one snapshot of the keys, the other one and the log
// have everything.
func TestSnapshotDamage(t *testing.T) {
	d, want := keyed(t)
	names := snapshotsOf(t, d)
	if len(names) != 2 {
		t.Fatalf("snapshots %v, want two", names)
	}
	size := 0
	d.Corrupt(names[1], func(p []byte) []byte { size = len(p); return p })
	try := func(what string, bad int, damage func(e *crashfs.Disk)) {
		t.Helper()
		e := d.Clone()
		damage(e)
		got, r := keysOf(t, e)
		if err := same(got, want); err != nil || r.BadSnapshots != bad {
			t.Fatalf("%s: %v; %d bad snapshots, want %d", what, err, r.BadSnapshots, bad)
		}
	}
	for _, at := range lengths(t, size) {
		try(fmt.Sprintf("newest cut at %d", at), 1, func(e *crashfs.Disk) {
			e.Corrupt(names[1], func(p []byte) []byte { return p[:at] })
		})
		if at < size-1 {
			try(fmt.Sprintf("newest zeros from %d", at), 1, func(e *crashfs.Disk) {
				e.Corrupt(names[1], func(p []byte) []byte { clear(p[at:]); return p })
			})
		}
	}
	try("newest missing", 0, func(e *crashfs.Disk) { e.Remove(names[1]) })
	try("older missing", 0, func(e *crashfs.Disk) { e.Remove(names[0]) })
	try("older damaged", 0, func(e *crashfs.Disk) {
		e.Corrupt(names[0], func(p []byte) []byte { p[len(p)/2] ^= 1; return p })
	})
	try("swapped", 2, func(e *crashfs.Disk) {
		e.Rename(names[0], "x")
		e.Rename(names[1], names[0])
		e.Rename("x", names[1])
	})
	try("newest twice", 0, func(e *crashfs.Disk) {
		var p []byte
		e.Corrupt(names[1], func(q []byte) []byte { p = bytes.Clone(q); return q })
		e.Corrupt(names[0], func([]byte) []byte { return p })
	})
}

// With no snapshot left the log starts, and has what stands in the segments.
func TestSnapshotsMissing(t *testing.T) {
	d, _ := keyed(t)
	for _, name := range snapshotsOf(t, d) {
		d.Remove(name)
	}
	if got, _ := keysOf(t, d); got["last"] != "in the log only" {
		t.Errorf("last is %q", got["last"])
	}
}

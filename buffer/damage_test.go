package buffer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// store makes a log of a few segments with one consumer, and says what is in
// it: the bodies by number. Compressed blocks hold what does not shrink to one
// page.
func store(t *testing.T, o buffer.Options, commits int) (d *crashfs.Disk, want map[uint64]string) {
	t.Helper()
	d = crashfs.New(diskSize)
	o.FS = d
	rng := rand.New(rand.NewPCG(5, 5))
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := l.Consumer("a")
	want = map[uint64]string{}
	for i := range commits {
		var batch []buffer.Record
		for j := range perCommit {
			body := fmt.Sprintf("%d.%d:%s", i, j, bytes.Repeat([]byte{byte('a' + i%26)}, 400*(1+i%5)))
			if o.Compress {
				body = fmt.Sprintf("%d.%d:%s", i, j, digits(rng, 3000*(1+i%3)))
			}
			batch = append(batch, buffer.Record{Boot: 3, Since: int64(i), Dests: []buffer.Dest{{Consumer: c.ID()}}, Payload: []byte(body)})
		}
		first, n, err := l.Append(batch)
		if err != nil || n != len(batch) {
			t.Fatal(n, err)
		}
		for j := range batch {
			want[first+uint64(j)] = string(batch[j].Payload)
		}
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if s := l.Stats(); o.Compress != (s.Saved > 0) {
		t.Fatalf("compress is %v, %d bytes were saved", o.Compress, s.Saved)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return d, want
}

const perCommit = 3

// damaged opens a store after something was done to it and says what came.
// It fails if the store does not open, or gives anything but what was stored.
func damaged(d *crashfs.Disk, want map[uint64]string) (missing, reported uint64, r buffer.Recovery, err error) {
	o := small
	o.FS = d
	l, err := buffer.Open(o)
	if err != nil {
		return 0, 0, r, fmt.Errorf("does not open: %w", err)
	}
	r = l.Recovery()
	name := "a"
	if r.Orphans > 0 {
		name = "orphan-1"
	}
	c, err := l.Consumer(name)
	if err != nil {
		return 0, 0, r, err
	}
	seen := uint64(0)
	var last uint64
	dst := make([]buffer.Entry, 8)
	for {
		n, err := c.Next(dst)
		if err != nil {
			return 0, 0, r, err
		}
		if n == 0 {
			break
		}
		for _, e := range dst[:n] {
			if e.Number <= last || want[e.Number] != string(e.Body) {
				return 0, 0, r, fmt.Errorf("record %#x after %#x is not what was stored", e.Number, last)
			}
			last = e.Number
			seen++
		}
	}
	missing = uint64(len(want)) - seen
	reported = r.LostRecords()
	for _, s := range l.Stats().Consumers {
		reported += s.Drops[buffer.DropLost]
	}
	if left := c.Backlog(); left.Records != seen {
		return missing, reported, r, fmt.Errorf("%d records came, backlog says %d", seen, left.Records)
	}
	first, n, err := l.Append([]buffer.Record{{Dests: []buffer.Dest{{Consumer: c.ID()}}, Payload: []byte("new")}})
	if err != nil || n != 1 || want[first] != "" {
		return missing, reported, r, fmt.Errorf("append after damage: number %#x, %d taken, %v", first, n, err)
	}
	return missing, reported, r, l.Close()
}

func segments(t *testing.T, d *crashfs.Disk) (names []string) {
	t.Helper()
	files, err := d.ReadDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if len(f.Name) == 20 {
			names = append(names, f.Name)
		}
	}
	return names
}

// Every byte of a store is flipped in turn (a sample, unless WEIR_LONG is
// set): it always starts, loses at most the block, and says exactly how much;
// but the last block of all cannot be told from a write that was never
// finished.
func TestFlippedByteCostsOneBlock(t *testing.T) {
	packed := small
	packed.Compress = true
	t.Run("raw", func(t *testing.T) { t.Parallel(); flipped(t, small, 30) })
	t.Run("packed", func(t *testing.T) { t.Parallel(); flipped(t, packed, 16) })
}

func flipped(t *testing.T, o buffer.Options, commits int) {
	d, want := store(t, o, commits)
	names := segments(t, d)
	if len(names) < 3 {
		t.Fatalf("only %d segments", len(names))
	}
	step := 211
	if raceEnabled {
		step = 1009
	} else if size(t, 3) > 3 {
		step = 1
	}
	for _, name := range names {
		for at := 0; at < int(small.SegmentSize); at++ {
			if at%step != 0 && !(at%4096 < 64 && at%7 == 0) {
				continue
			}
			e := d.Clone()
			zero := false
			e.Corrupt(name, func(p []byte) []byte { zero = p[at] == 0; p[at] ^= 1 << (at % 8); return p })
			if zero && at%4096 > 128 {
				continue // padding
			}
			missing, reported, r, err := damaged(e, want)
			if err != nil {
				t.Fatalf("%s byte %d: %v", name, at, err)
			}
			if missing > perCommit || missing != reported && name != names[len(names)-1] {
				t.Fatalf("%s byte %d: %d records missing, %d reported, a block has %d: %+v", name, at, missing, reported, perCommit, r)
			}
		}
	}
}

func TestTruncatedSegment(t *testing.T) {
	packed := small
	packed.Compress = true
	t.Run("raw", func(t *testing.T) { t.Parallel(); truncated(t, small, 30) })
	t.Run("packed", func(t *testing.T) { t.Parallel(); truncated(t, packed, 16) })
}

func truncated(t *testing.T, o buffer.Options, commits int) {
	step := 1021
	if raceEnabled {
		step = 4093
	}
	d, want := store(t, o, commits)
	names := segments(t, d)
	for i, name := range names {
		for at := 0; at < int(small.SegmentSize); at += step {
			e := d.Clone()
			e.Corrupt(name, func(p []byte) []byte { return p[:at] })
			missing, reported, r, err := damaged(e, want)
			if err != nil {
				t.Fatalf("%s cut at %d: %v", name, at, err)
			}
			if missing != reported && i < len(names)-1 {
				t.Fatalf("%s cut at %d: %d missing, %d reported: %+v", name, at, missing, reported, r)
			}
		}
	}
}

func TestMissingSwappedAndZeroedSegments(t *testing.T) {
	d, want := store(t, small, 40)
	names := segments(t, d)
	for i, name := range names {
		e := d.Clone()
		e.Remove(name)
		missing, reported, _, err := damaged(e, want)
		if err != nil {
			t.Fatalf("%s missing: %v", name, err)
		}
		if missing == 0 || missing != reported && i < len(names)-1 {
			t.Fatalf("%s missing: %d records missing, %d reported", name, missing, reported)
		}
		e = d.Clone()
		e.Corrupt(name, func(p []byte) []byte { clear(p[len(p)/2:]); return p })
		if missing, reported, r, err := damaged(e, want); err != nil || missing != reported && i < len(names)-1 {
			t.Fatalf("%s half zeros: %v, %d missing, %d reported: %+v", name, err, missing, reported, r)
		}
	}
	e := d.Clone()
	e.Rename(names[0], "x")
	e.Rename(names[1], names[0])
	e.Rename("x", names[1])
	if missing, reported, _, err := damaged(e, want); err != nil || missing+reported > 0 {
		t.Fatalf("swapped names: %v, %d missing, %d reported", err, missing, reported)
	}
}

// A payload that is a piece of the log itself is never taken for a block, not
// even when the block that holds it is damaged.
func TestPayloadThatLooksLikeABlock(t *testing.T) {
	d := crashfs.New(diskSize)
	o := small
	o.FS = d
	l, _ := buffer.Open(o)
	c, _ := l.Consumer("a")
	put := func(p []byte) {
		l.Append([]buffer.Record{{Dests: []buffer.Dest{{Consumer: c.ID()}}, Payload: p}})
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	put([]byte("first"))
	names := segments(t, d)
	f, _ := d.Open(names[0], false)
	stolen := make([]byte, 5*4096)
	f.ReadAt(stolen, 0)
	pad := slices.Concat(make([]byte, 4096-100), stolen) // page boundaries do not match
	for shift := range 128 {
		if shift%16 == 0 {
			put(pad[shift:])
		}
	}
	put([]byte("last"))
	end := 0
	d.Corrupt(names[0], func(p []byte) []byte { // damage every second block's header
		for at := 3 * 4096; at < len(p)-4096; at += 4096 {
			if string(p[at:at+4]) == "wblk" {
				if end++; end%2 == 0 {
					p[at+20] ^= 1
				}
			}
		}
		return p
	})
	l.Close()
	o.FS = d.Clone()
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	c, _ = l.Consumer("a")
	dst := make([]buffer.Entry, 100)
	firsts := 0
	for {
		n, err := c.Next(dst)
		if err != nil || n == 0 {
			break
		}
		for _, e := range dst[:n] {
			if string(e.Body) == "first" {
				firsts++
			}
		}
	}
	if firsts > 1 {
		t.Fatalf("the first record came %d times", firsts)
	}
}

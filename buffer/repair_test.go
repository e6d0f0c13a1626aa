package buffer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// mend repairs a disk and checks what every repair promises: a dry one changes
// nothing and says the same, and afterwards the store is sound, a start finds
// nothing missing, and all that could be read can be.
func mend(t *testing.T, d *crashfs.Disk, want map[uint64]string, what string) *buffer.Repaired {
	t.Helper()
	missing, _, _, err := damaged(d.Clone(), want)
	if err != nil {
		t.Fatal(err)
	}
	o := small
	o.FS = d
	before := contents(t, d)
	dry, err := buffer.Repair(o, true)
	if err != nil {
		t.Fatalf("%s: dry: %v", what, err)
	}
	if err := sameContents(before, contents(t, d)); err != nil {
		t.Fatalf("%s: dry: %v", what, err)
	}
	r, err := buffer.Repair(o, false)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if !slices.Equal(dry.Done, r.Done) {
		t.Fatalf("%s: would do %q, did %q", what, dry.Done, r.Done)
	}
	if len(r.Left) > 0 || len(r.Before.Problems) > 0 && (r.After == nil || len(r.After.Problems) > 0) {
		t.Fatalf("%s: before %v\ndone %q\nleft %q\nafter %+v", what, r.Before.Problems, r.Done, r.Left, r.After)
	}
	v, err := buffer.Inspect(d)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if skipped, err := v.Records(0, 0, func(*buffer.Stored) bool { return true }); err != nil || skipped > 0 {
		t.Fatalf("%s: %d records are skipped after a repair, %v", what, skipped, err)
	}
	still, _, found, err := damaged(d.Clone(), want)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if still > missing || found.LostRecords() > 0 {
		t.Fatalf("%s: %d records missing, %d before; a start finds %+v; done %q", what, still, missing, found, r.Done)
	}
	return r
}

// Whatever byte of whatever file is flipped, a repair makes the store sound,
// and costs no record that was not lost already.
func TestRepairOfFlippedByte(t *testing.T) {
	packed := small
	packed.Compress = true
	t.Run("plain", func(t *testing.T) { t.Parallel(); repairOfFlippedByte(t, small, 30) })
	t.Run("packed", func(t *testing.T) { t.Parallel(); repairOfFlippedByte(t, packed, 16) })
}

func repairOfFlippedByte(t *testing.T, o buffer.Options, commits int) {
	d, want := store(t, o, commits)
	step := 2503
	if raceEnabled {
		step = 9973
	} else if size(t, 3) > 3 {
		step = 97
	}
	for _, name := range segments(t, d) {
		for at := 0; at < int(small.SegmentSize); at++ {
			if at%step != 0 && !(at%4096 < 64 && at%11 == 0 && at < 4*4096) {
				continue
			}
			e := d.Clone()
			e.Corrupt(name, func(p []byte) []byte { p[at] ^= 1 << (at % 8); return p })
			mend(t, e, want, name+" flipped")
		}
	}
}

func TestRepairOfTruncatedAndMissingSegments(t *testing.T) {
	d, want := store(t, small, 40)
	for _, name := range segments(t, d) {
		for at := -1; at < int(small.SegmentSize); at += 7 * 1021 {
			e := d.Clone()
			if at < 0 {
				e.Remove(name)
			} else {
				e.Corrupt(name, func(p []byte) []byte { return p[:at] })
			}
			mend(t, e, want, name+" cut")
		}
		e := d.Clone()
		e.Corrupt(name, func(p []byte) []byte { clear(p[len(p)/2:]); return p })
		mend(t, e, want, name+" half zeros")
	}
}

func TestRepairOfBothHeaders(t *testing.T) {
	d, want := store(t, small, 40)
	for _, name := range segments(t, d) {
		e := d.Clone()
		e.Corrupt(name, func(p []byte) []byte { clear(p[:8192]); return p })
		r := mend(t, e, want, name+" without headers")
		if r.Before.Problems[0].File == name && !strings.Contains(strings.Join(r.Done, "\n"), "set aside as "+name[:16]+".bad") {
			t.Fatalf("done %q", r.Done)
		}
		if _, there := contents(t, e)[name[:16]+".bad"]; !there {
			t.Fatalf("%s was not kept", name)
		}
	}
}

// The damaged segment is kept as it was, beside the repaired one; a repair of
// the repaired one does not overwrite it.
func TestRepairKeepsWhatItReplaces(t *testing.T) {
	d, want := store(t, small, 30)
	name := segments(t, d)[1]
	d.Corrupt(name, func(p []byte) []byte { p[3*4096+100] ^= 1; return p })
	was := contents(t, d)[name]
	r := mend(t, d, want, "first")
	if r.Lost() != perCommit || r.After.Known != perCommit {
		t.Fatalf("lost %d, known afterwards %d, want %d", r.Lost(), r.After.Known, perCommit)
	}
	d.Corrupt(name, func(p []byte) []byte { p[5*4096+100] ^= 1; return p })
	mend(t, d, want, "second")
	all := contents(t, d)
	if string(all[name[:16]+".bad"]) != string(was) || all[name[:16]+"-2.bad"] == nil {
		t.Fatal("the damaged segment is not kept as it was")
	}
}

func TestRepairOfSnapshots(t *testing.T) {
	d, want := keyed(t)
	for _, name := range snapshotsOf(t, d) {
		e := d.Clone()
		e.Corrupt(name, func(p []byte) []byte { p[70] ^= 1; return p })
		o := small
		o.FS = e
		r, err := buffer.Repair(o, false)
		if err != nil || len(r.After.Problems) > 0 {
			t.Fatalf("%v: %+v", err, r)
		}
		got, found := keysOf(t, e)
		if err := same(got, want); err != nil || found.BadSnapshots > 0 {
			t.Fatalf("%s: %v, %d bad snapshots", name, err, found.BadSnapshots)
		}
	}
}

func TestRepairNeedsTheLock(t *testing.T) {
	d, _ := store(t, small, 5)
	o := small
	o.FS = d
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	before := contents(t, d)
	if _, err := buffer.Repair(o, false); !errors.Is(err, buffer.ErrInUse) {
		t.Fatalf("repair of a store in use: %v", err)
	}
	if err := sameContents(before, contents(t, d)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := buffer.Repair(o, false)
	if err != nil || len(r.Done) > 0 || r.After != nil {
		t.Fatalf("repair of a sound store: %v %+v", err, r)
	}
}

// A disk that cannot be written is told, and nothing is lost by it.
func TestRepairOnAFullDisk(t *testing.T) {
	d, want := store(t, small, 30)
	name := segments(t, d)[1]
	d.Corrupt(name, func(p []byte) []byte { p[3*4096+100] ^= 1; return p })
	d.FullAt(1, 1<<30)
	o := small
	o.FS = d
	r, err := buffer.Repair(o, false)
	if err == nil && len(r.Left) == 0 {
		t.Fatalf("repaired on a full disk: %+v", r)
	}
	missing, _, _, err := damaged(d.Clone(), want)
	if err != nil || missing != perCommit {
		t.Fatalf("%d records missing, %v", missing, err)
	}
}

// A repair that is cut short at any of its operations, in whatever way the disk
// then looks, has cost nothing that could be read, and can be done again.
func TestRepairCutShort(t *testing.T) {
	d, want := store(t, small, 30)
	names := segments(t, d)
	d.Corrupt(names[1], func(p []byte) []byte { p[3*4096+100] ^= 1; p[40] ^= 1; return p })
	d.Corrupt(names[0], func(p []byte) []byte { p[4096+33] ^= 1; return p })
	whole := false
	for n := 1; !whole; n++ {
		e := d.Clone()
		e.CrashAt(n)
		o := small
		o.FS = e
		_, err := buffer.Repair(o, false)
		if whole = !e.Crashed(); whole {
			if err != nil {
				t.Fatal(err)
			}
			if n < 20 {
				t.Fatalf("a repair took %d operations", n)
			}
			repairIsAccepted(t, e.Clone())
			continue
		}
		step := 0
		e.After([]uint64{uint64(n)}, func(x crashfs.Outcome) {
			missing, _, _, err := damaged(x.Disk.Clone(), want)
			if err != nil || missing > perCommit {
				t.Fatalf("cut at operation %d, %v: %d records missing, %v", n, x, missing, err)
			}
			v, err := buffer.Verify(x.Disk)
			if err != nil || v.Lost < perCommit && !v.View.Recovery.Repaired {
				t.Fatalf("cut at operation %d, %v: nothing says any more that something was lost: %v %v", n, x, err, v.Problems)
			}
			if step++; step%16 == 1 {
				mend(t, x.Disk, want, "a repair that was cut short")
			}
		})
	}
}

// That a store was repaired is told to every start until somebody has taken note of it.
func repairIsAccepted(t *testing.T, d *crashfs.Disk) {
	t.Helper()
	o := small
	o.FS = d
	for i, want := range []bool{true, true, false} {
		l, err := buffer.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Recovery().Repaired; got != want {
			t.Fatalf("start %d: Repaired is %t, want %t", i, got, want)
		}
		if i == 1 {
			err = l.AcceptRepair()
		}
		if err = errors.Join(err, l.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

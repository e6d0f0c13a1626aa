package buffer_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// untouched is a disk on which every attempt to change something fails and is
// remembered.
type untouched struct {
	*crashfs.Disk
	tried []string
}

var errTouched = errors.New("something was to be changed")

func (u *untouched) try(what string) error { u.tried = append(u.tried, what); return errTouched }

func (u *untouched) MakeDir() error                       { return u.try("make the directory") }
func (u *untouched) Lock() (func() error, error)          { return nil, u.try("lock") }
func (u *untouched) Create(n string) (buffer.File, error) { return nil, u.try("create " + n) }
func (u *untouched) Rename(from, _ string) error          { return u.try("rename " + from) }
func (u *untouched) Exchange(a, _ string) error           { return u.try("exchange " + a) }
func (u *untouched) Remove(n string) error                { return u.try("remove " + n) }
func (u *untouched) SyncDir() error                       { return u.try("sync the directory") }

func (u *untouched) Open(name string, write bool) (buffer.File, error) {
	if write {
		return nil, u.try("open for writing " + name)
	}
	f, err := u.Disk.Open(name, false)
	return &untouchedFile{f, u}, err
}

type untouchedFile struct {
	buffer.File
	u *untouched
}

func (f *untouchedFile) WriteAt([]byte, int64) (int, error) { return 0, f.u.try("write") }
func (f *untouchedFile) Sync() error                        { return f.u.try("sync") }

// verify verifies a disk and fails if anything of it was to be changed.
func verify(t *testing.T, d *crashfs.Disk) *buffer.Verification {
	t.Helper()
	u := &untouched{Disk: d}
	v, err := buffer.Verify(u)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	if len(u.tried) > 0 {
		t.Fatalf("verify tried to %v", u.tried)
	}
	lost := uint64(0)
	for _, p := range v.Problems {
		lost += p.Records
	}
	if lost != v.Lost {
		t.Fatalf("the problems lost %d records, Lost is %d: %v", lost, v.Lost, v.Problems)
	}
	return v
}

func contents(t *testing.T, d *crashfs.Disk) map[string][]byte {
	t.Helper()
	files, err := d.ReadDir()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		d.Corrupt(f.Name, func(p []byte) []byte { all[f.Name] = bytes.Clone(p); return p })
	}
	return all
}

func sameContents(a, b map[string][]byte) error {
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			return fmt.Errorf("%s is not as it was", name)
		}
	}
	if len(a) != len(b) {
		return fmt.Errorf("there were %d files and are %d", len(a), len(b))
	}
	return nil
}

func TestVerifySoundStore(t *testing.T) {
	d, want := store(t, small, 30)
	before := contents(t, d)
	v := verify(t, d)
	if len(v.Problems) > 0 || v.Lost > 0 || v.Records != uint64(len(want)) {
		t.Fatalf("a sound store of %d records: %+v", len(want), v)
	}
	if err := sameContents(before, contents(t, d)); err != nil {
		t.Fatal(err)
	}
	d, _ = keyed(t)
	if v := verify(t, d); len(v.Problems) > 0 {
		t.Fatalf("a sound store with snapshots: %v", v.Problems)
	}
}

// A byte of a store is flipped in turn: verify says it if anything counts on
// the byte, and tells as many lost records as a start and reading it all do.
func TestVerifySaysWhatRecoveryWould(t *testing.T) {
	packed := small
	packed.Compress = true
	t.Run("plain", func(t *testing.T) { t.Parallel(); saysWhatRecoveryWould(t, small, 30) })
	t.Run("packed", func(t *testing.T) { t.Parallel(); saysWhatRecoveryWould(t, packed, 16) })
}

func saysWhatRecoveryWould(t *testing.T, o buffer.Options, commits int) {
	d, want := store(t, o, commits)
	names := segments(t, d)
	step := 1201
	if raceEnabled {
		step = 4001
	} else if size(t, 3) > 3 {
		step = 53
	}
	for k, name := range names {
		last := k == len(names)-1
		for at := 0; at < int(small.SegmentSize); at++ {
			if at%step != 0 && !(at%4096 < 64 && at%7 == 0 && at < 4*4096) {
				continue
			}
			e := d.Clone()
			e.Corrupt(name, func(p []byte) []byte { p[at] ^= 1 << (at % 8); return p })
			v := verify(t, e)
			missing, reported, r, err := damaged(e, want)
			if err != nil {
				t.Fatalf("%s byte %d: %v", name, at, err)
			}
			if v.Lost != reported && !(last && missing > reported) {
				t.Fatalf("%s byte %d: verify says %d records lost, recovery %d: %v", name, at, v.Lost, reported, v.Problems)
			}
			if (reported > 0 || r.Orphans > 0 || missing > 0 && !last) && len(v.Problems) == 0 {
				t.Fatalf("%s byte %d: %d records missing, and verify finds nothing", name, at, missing)
			}
			if at < 128 && len(v.Problems) == 0 {
				t.Fatalf("%s byte %d: a copy of the header is damaged, and verify finds nothing", name, at)
			}
			for _, p := range v.Problems {
				if p.File != name && p.Records == 0 {
					t.Fatalf("%s byte %d: %v", name, at, p)
				}
			}
		}
	}
}

func TestVerifyTruncatedAndMissingSegments(t *testing.T) {
	d, want := store(t, small, 30)
	names := segments(t, d)
	step := 2039
	if raceEnabled {
		step = 8191
	}
	for i, name := range names {
		for at := -1; at < int(small.SegmentSize); at += step {
			e := d.Clone()
			if at < 0 {
				e.Remove(name)
			} else {
				e.Corrupt(name, func(p []byte) []byte { return p[:at] })
			}
			v := verify(t, e)
			_, reported, _, err := damaged(e, want)
			if err != nil {
				t.Fatal(err)
			}
			if v.Lost != reported && i < len(names)-1 || at >= 0 && len(v.Problems) == 0 {
				t.Fatalf("%s cut at %d: verify says %d records lost, recovery %d: %v", name, at, v.Lost, reported, v.Problems)
			}
		}
	}
}

// Any byte of either snapshot is missed, not only of the one a start takes.
func TestVerifyReadsEverySnapshot(t *testing.T) {
	d, _ := keyed(t)
	for _, name := range snapshotsOf(t, d) {
		size := 0
		d.Corrupt(name, func(p []byte) []byte { size = len(p); return p })
		for at := 0; at < size; at += 13 {
			e := d.Clone()
			e.Corrupt(name, func(p []byte) []byte { p[at] ^= 0x41; return p })
			v := verify(t, e)
			if len(v.Problems) != 1 || v.Problems[0].File != name || v.Lost > 0 {
				t.Fatalf("%s byte %d: %v", name, at, v.Problems)
			}
		}
	}
}

func TestVerifyNamesThePlace(t *testing.T) {
	d, _ := store(t, small, 30)
	name := segments(t, d)[1]
	d.Corrupt(name, func(p []byte) []byte { p[3*4096+100] ^= 1; return p })
	v := verify(t, d)
	if len(v.Problems) != 1 || v.Lost != perCommit {
		t.Fatalf("%d lost: %v", v.Lost, v.Problems)
	}
	p := v.Problems[0]
	if p.File != name || p.Offset != 3*4096 || p.Records != perCommit || !strings.Contains(p.Seen, "with 3 records") || !strings.HasPrefix(p.Want, "checksum ") {
		t.Fatalf("%v", p)
	}
}

func TestInspectNewerFormat(t *testing.T) {
	d, _ := keyed(t)
	name := snapshotsOf(t, d)[0]
	d.Corrupt(name, buffer.NewerSnapshot)
	if v, err := buffer.Verify(d); !errors.Is(err, buffer.ErrNewer) {
		names := snapshotsOf(t, d)
		t.Fatalf("verify of a newer snapshot of %v: %v %+v", names, err, v)
	}
}

// Every byte of every segment (a sample, unless WEIR_LONG is set): verify comes
// back, and one byte costs a block at most.
func TestVerifyEveryByteFlipped(t *testing.T) {
	d, _ := store(t, small, 30)
	names := segments(t, d)
	step := 101
	if size(t, 3) > 3 {
		step = 1
	}
	for _, name := range names {
		for at := 0; at < int(small.SegmentSize); at += step {
			flip := func(p []byte) []byte { p[at] ^= 1 << (at % 8); return p }
			d.Corrupt(name, flip)
			v, err := buffer.Verify(d)
			if err != nil || v.Lost > perCommit {
				t.Fatalf("%s byte %d: %v, %+v", name, at, err, v)
			}
			d.Corrupt(name, flip)
		}
	}
	if v := verify(t, d); len(v.Problems) > 0 {
		t.Fatalf("all is as it was, and yet: %v", v.Problems)
	}
}

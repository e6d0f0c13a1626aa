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

// keyed makes a store whose keys are in two snapshots and in the log behind
// them, and says what they are.
func keyed(t *testing.T) (d *crashfs.Disk, want map[string]string) {
	t.Helper()
	d = crashfs.New(diskSize)
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
	want = map[string]string{}
	for i := 0; l.Stats().Snapshots < 3; i++ {
		key := fmt.Sprintf("key%d", i%23)
		if i%7 == 3 {
			l.Delete(key)
			delete(want, key)
		} else {
			want[key] = fmt.Sprintf("%d:%s", i, strings.Repeat("v", i%300))
			if err := l.Put(key, []byte(want[key])); err != nil {
				t.Fatal(err)
			}
		}
		body := bytes.Repeat([]byte("r"), 5000)
		if _, _, err := l.Append([]buffer.Record{{Boot: 1, Dests: []buffer.Dest{{Consumer: c.ID()}}, Payload: body}}); err != nil {
			t.Fatal(err)
		}
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	l.Put("last", []byte("in the log only"))
	want["last"] = "in the log only"
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return d, want
}

// keysOf opens a store and reads its keys.
func keysOf(t *testing.T, d *crashfs.Disk) (got map[string]string, r buffer.Recovery) {
	t.Helper()
	o := small
	o.FS = d
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatalf("does not open: %v", err)
	}
	defer l.Close()
	got = map[string]string{}
	l.Range("", func(k string, v []byte) bool { got[k] = string(v); return true })
	return got, l.Recovery()
}

func snapshotsOf(t *testing.T, d *crashfs.Disk) (names []string) {
	t.Helper()
	files, err := d.ReadDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".keys") {
			names = append(names, f.Name)
		}
	}
	return names
}

func same(got, want map[string]string) error {
	for k, v := range want {
		if got[k] != v {
			return fmt.Errorf("key %s is %.40q, want %.40q", k, got[k], v)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			return fmt.Errorf("key %s was deleted and is back", k)
		}
	}
	return nil
}

func TestKeysComeFromTheSnapshotAndTheLog(t *testing.T) {
	d, want := keyed(t)
	if names := snapshotsOf(t, d); len(names) != 2 {
		t.Fatalf("snapshots %v, want two", names)
	}
	got, r := keysOf(t, d)
	if err := same(got, want); err != nil || r.BadSnapshots > 0 {
		t.Fatalf("%v; %d bad snapshots", err, r.BadSnapshots)
	}
}

// Whatever byte of the newest snapshot is wrong, the one before it and the log
// have everything.
func TestSnapshotByteFlipped(t *testing.T) {
	d, want := keyed(t)
	names := snapshotsOf(t, d)
	newest := names[len(names)-1]
	size := 0
	d.Corrupt(newest, func(p []byte) []byte { size = len(p); return p })
	step := 1
	if raceEnabled || testing.Short() {
		step = 17
	}
	for at := 0; at < size; at += step {
		c := d.Clone()
		c.Corrupt(newest, func(p []byte) []byte { p[at] ^= 0x41; return p })
		got, r := keysOf(t, c)
		if err := same(got, want); err != nil || r.BadSnapshots != 1 {
			t.Fatalf("byte %d: %v; %d bad snapshots, want 1", at, err, r.BadSnapshots)
		}
	}
}

func TestSnapshotTruncated(t *testing.T) {
	d, want := keyed(t)
	names := snapshotsOf(t, d)
	for _, n := range []int{0, 1, 63, 64, 70, 100, 1000} {
		c := d.Clone()
		c.Corrupt(names[len(names)-1], func(p []byte) []byte { return p[:min(n, len(p)-1)] })
		got, r := keysOf(t, c)
		if err := same(got, want); err != nil || r.BadSnapshots != 1 {
			t.Fatalf("cut at %d: %v; %d bad snapshots, want 1", n, err, r.BadSnapshots)
		}
	}
}

// With every snapshot damaged the log opens all the same, and says so; the log
// behind them still counts.
func TestAllSnapshotsDamaged(t *testing.T) {
	d, _ := keyed(t)
	for _, name := range snapshotsOf(t, d) {
		d.Corrupt(name, func(p []byte) []byte { p[20] ^= 1; return p })
	}
	got, r := keysOf(t, d)
	if r.BadSnapshots != 2 || got["last"] != "in the log only" {
		t.Fatalf("%d bad snapshots, want 2; last is %q", r.BadSnapshots, got["last"])
	}
	files, _ := d.ReadDir()
	bad := 0
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".bad") {
			bad++
		}
	}
	if bad != 2 {
		t.Errorf("%d files set aside, want 2: %v", bad, files)
	}
}

func TestNewerSnapshotIsRefusedUntouched(t *testing.T) {
	d, _ := keyed(t)
	names := snapshotsOf(t, d)
	d.Corrupt(names[0], func(p []byte) []byte { return p })
	d.Corrupt(names[1], func(p []byte) []byte { return buffer.NewerSnapshot(p) })
	before, _ := d.ReadDir()
	o := small
	o.FS = d
	if _, err := buffer.Open(o); !errors.Is(err, buffer.ErrNewer) {
		t.Fatalf("got %v, want ErrNewer", err)
	}
	after, _ := d.ReadDir()
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("files before %v, after %v", before, after)
	}
}

// Keys of many times the size of a commit, and of a segment's head, are stored
// and found again.
func TestManyKeys(t *testing.T) {
	d := crashfs.New(diskSize)
	o := small
	o.FS, o.MaxSize, o.MaxKeys = d, 16<<20, 1<<20
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for i := range 6000 {
		key := fmt.Sprintf("topic/%d", i)
		want[key] = strings.Repeat("x", i%180)
		if err := l.Put(key, []byte(want[key])); err != nil {
			t.Fatal(err)
		}
	}
	n, err := l.Barrier()
	if err != nil || n == 0 {
		t.Fatal(err)
	}
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		key := fmt.Sprintf("topic/%d", 2*i)
		l.Delete(key)
		delete(want, key)
	}
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Bytes > o.MaxSize || s.Snapshots == 0 {
		t.Errorf("%d bytes, %d snapshots", s.Bytes, s.Snapshots)
	}
	d.CrashAt(1)
	l.Close()
	d.CrashAt(1)
	d.SyncDir()
	d.After(nil, func(c crashfs.Outcome) {
		oc := o
		oc.FS = c.Disk
		l, err := buffer.Open(oc)
		if err != nil {
			t.Fatalf("%s: %v", c.Mode, err)
		}
		defer l.Close()
		got := map[string]string{}
		l.Range("", func(k string, v []byte) bool { got[k] = string(v); return true })
		if err := same(got, want); err != nil {
			t.Errorf("%s: %v", c.Mode, err)
		}
	})
}

// A snapshot is no older and no newer than the log: a key that is changed while
// a commit runs is in no snapshot before it is in a commit. Else it could
// survive a crash without the position that was acknowledged before it.
func TestSnapshotHoldsNothingUncommitted(t *testing.T) {
	d := crashfs.New(diskSize)
	o := small
	o.FS = d
	var l *buffer.Log
	late := ""
	o.OnSettled = func([]buffer.Range) { // behind the sync of a commit, before what it does next
		if l != nil {
			l.Put("late", []byte(late))
			l.Delete("gone")
		}
	}
	var err error
	if l, err = buffer.Open(o); err != nil {
		t.Fatal(err)
	}
	c, err := l.Consumer("a")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		late = fmt.Sprint(i)
		l.Put("gone", []byte(late))
		l.Put("key", []byte(late))
		body := bytes.Repeat([]byte("r"), 5000)
		if _, _, err := l.Append([]buffer.Record{{Boot: 1, Dests: []buffer.Dest{{Consumer: c.ID()}}, Payload: body}}); err != nil {
			t.Fatal(err)
		}
		before := l.Stats().Snapshots
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		if before > 1 && l.Stats().Snapshots > before {
			break
		}
	}
	n := late
	d.CrashAt(1)
	l.Put("x", nil)
	l.Close()
	d.After(nil, func(x crashfs.Outcome) {
		if x.Mode != crashfs.LoseAll { // the last commit, which was cut, may be there
			return
		}
		o.FS, o.OnSettled = x.Disk, nil
		again, err := buffer.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		was, _ := again.Get("late")
		gone, ok := again.Get("gone")
		if key, _ := again.Get("key"); string(key) != n || string(was) == n || !ok || string(gone) != n {
			t.Errorf("%s: key %s, late %s, gone %s %v: want those of commit %s, in which gone was there and late an older one", x.Mode, key, was, gone, ok, n)
		}
	})
}

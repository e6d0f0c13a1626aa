package buffer_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// sameAsStart compares what Inspect finds on a disk with what Open and reading
// it all find on a copy of it.
func sameAsStart(t *testing.T, d *crashfs.Disk, o buffer.Options) {
	t.Helper()
	u := &untouched{Disk: d.Clone()}
	v, err := buffer.Inspect(u)
	if err != nil || len(u.tried) > 0 {
		t.Fatalf("inspect: %v, tried to %v", err, u.tried)
	}
	o.FS, o.OnSettled = d.Clone(), nil
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stats := l.Stats().Consumers
	if len(stats) != len(v.Consumers) {
		t.Fatalf("%d consumers seen, %d opened", len(v.Consumers), len(stats))
	}
	for i, got := range v.Consumers {
		want := stats[i]
		if got.ID != want.ID || got.Name != want.Name || got.Backlog != want.Backlog || got.Drops != want.Drops {
			t.Fatalf("consumer %s: seen %+v, opened %+v", want.Name, got, want)
		}
		waits := waiting(t, v, got.ID)
		c, err := l.Consumer(want.Name)
		if err != nil {
			t.Fatal(err)
		}
		read := map[uint64]string{}
		dst := make([]buffer.Entry, 16)
		for {
			n, err := c.Next(dst)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			for _, e := range dst[:n] {
				read[e.Number] = string(e.Data) + string(e.Body)
			}
		}
		if len(waits) != len(read) {
			t.Fatalf("consumer %s: %d records wait as seen, %d were read", want.Name, len(waits), len(read))
		}
		for n, body := range read {
			if waits[n] != body {
				t.Fatalf("consumer %s, record %#x: seen %.40q, read %.40q", want.Name, n, waits[n], body)
			}
		}
	}
	keys, seen := 0, map[string]string{}
	v.Range("", func(k string, value []byte) bool { seen[k] = string(value); return true })
	l.Range("", func(k string, value []byte) bool {
		keys++
		if got, ok := seen[k]; !ok || got != string(value) {
			t.Fatalf("key %s: seen %.40q, opened %.40q", k, got, value)
		}
		return true
	})
	if keys != v.Keys {
		t.Fatalf("%d keys seen, %d opened", v.Keys, keys)
	}
}

// waiting is what waits for a consumer, by number; the first of it must be the
// oldest.
func waiting(t *testing.T, v *buffer.View, id uint32) map[uint64]string {
	t.Helper()
	all := map[uint64]string{}
	var boot uint64
	var since int64
	some := v.Oldest(id, func(s *buffer.Stored) { boot, since = s.Boot, s.Since })
	skipped, err := v.Records(0, id, func(s *buffer.Stored) bool {
		d := s.For(id)
		if d == nil || d.State != buffer.DestWaits {
			return true
		}
		if len(all) == 0 && (s.Boot != boot || s.Since != since || !some) {
			t.Errorf("the oldest is of %d.%d, the first that waits of %d.%d", boot, since, s.Boot, s.Since)
		}
		all[s.Number] = string(d.Data) + string(s.Body)
		return true
	})
	if err != nil || skipped > 0 {
		t.Fatalf("reading the records: %v, %d skipped", err, skipped)
	}
	if some != (len(all) > 0) {
		t.Errorf("there is an oldest: %v, %d records wait", some, len(all))
	}
	return all
}

// At any moment of a workload, what is seen is what a start would find.
func TestInspectSeesWhatAStartWould(t *testing.T) {
	for seed := range uint64(size(t, 6)) {
		w := newWorld(crashfs.New(diskSize), small, seed)
		w.keyHeavy = seed%3 == 2
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		for i := range 240 {
			if err := w.step(i); err != nil {
				t.Fatal(err)
			}
			if i%20 == 19 {
				sameAsStart(t, w.disk, small)
			}
		}
		if err := w.log.Close(); err != nil {
			t.Fatal(err)
		}
		sameAsStart(t, w.disk, small)
	}
}

// Whatever is damaged, Inspect comes back with what a start would find.
func TestInspectDamagedStore(t *testing.T) {
	d, _ := store(t, small, 30)
	step := 1531
	if raceEnabled {
		step = 4093
	}
	for _, name := range append(segments(t, d), "lock") {
		for at := 0; at < int(small.SegmentSize); at += step {
			for _, damage := range []func(p []byte) []byte{
				func(p []byte) []byte { p[at%len(p)] ^= 1 << (at % 8); return p },
				func(p []byte) []byte { return p[:at%len(p)] },
			} {
				e := d.Clone()
				if name == "lock" {
					e.Remove("lock")
					f, err := e.Create("lock")
					if err != nil {
						t.Fatal(err)
					}
					f.WriteAt([]byte("4711\n"), 0)
				}
				e.Corrupt(name, damage)
				v, err := buffer.Inspect(&untouched{Disk: e})
				if err != nil {
					t.Fatalf("%s at %d: %v", name, at, err)
				}
				o := small
				o.FS = e
				l, err := buffer.Open(o)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(v.Recovery.Lost, l.Recovery().Lost) || len(v.Consumers) != len(l.Stats().Consumers) {
					t.Fatalf("%s at %d: seen %+v, opened %+v", name, at, v.Recovery, l.Recovery())
				}
				l.Close()
			}
		}
	}
}

func TestInspectWhereNothingIs(t *testing.T) {
	dir := t.TempDir()
	if _, err := buffer.Inspect(buffer.DirFS(filepath.Join(dir, "log"))); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no directory: %v", err)
	}
	v, err := buffer.Inspect(buffer.DirFS(dir))
	if err != nil || len(v.Segments) > 0 || v.Bytes > 0 {
		t.Fatalf("empty directory: %v %+v", err, v)
	}
	c, err := buffer.Verify(buffer.DirFS(dir))
	if err != nil || len(c.Problems) > 0 {
		t.Fatalf("empty directory: %v %+v", err, c)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 {
		t.Fatalf("it left %v", files)
	}
}

package buffer_test

import (
	"fmt"
	"strings"
	"testing"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// onlyKeys makes a store of commits that hold nothing but a key: no record is missing when one of them is lost.
func onlyKeys(t *testing.T, snapshots bool) (d *crashfs.Disk, want map[string]string) {
	t.Helper()
	d = crashfs.New(diskSize)
	o := small
	o.FS = d
	l, err := buffer.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]string{}
	for i := 0; snapshots && l.Stats().Snapshots < 2 || i < 40; i++ {
		key := fmt.Sprintf("key%d", i)
		want[key] = strings.Repeat("v", i%300)
		if err := l.Put(key, []byte(want[key])); err != nil {
			t.Fatal(err)
		}
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return d, want
}

// A key that damage took, or set back, is told, wherever the damage is: what depends on the keys can be begun anew then.
// The last commit cannot be told from one that was never whole.
func TestEveryLostKeyIsTold(t *testing.T) {
	for _, snapshots := range []bool{false, true} {
		t.Run(fmt.Sprintf("snapshots %t", snapshots), func(t *testing.T) { everyLostKeyIsTold(t, snapshots) })
	}
}

func everyLostKeyIsTold(t *testing.T, snapshots bool) {
	d, want := onlyKeys(t, snapshots)
	if got, r := keysOf(t, d.Clone()); r.KeysLost || same(got, want) != nil {
		t.Fatalf("without damage: keys lost %t, %v", r.KeysLost, same(got, want))
	}
	if v, err := buffer.Verify(d); err != nil || len(v.Problems) > 0 {
		t.Fatalf("without damage: %v %v", err, v.Problems)
	}
	names, lost := segments(t, d), 0
	check := func(what string, last bool, damage func(e *crashfs.Disk)) {
		t.Helper()
		e := d.Clone()
		damage(e)
		v, verifyErr := buffer.Verify(e)
		got, r := keysOf(t, e)
		if same(got, want) == nil {
			return
		}
		lost++
		torn := last && (r.Torn || !strings.Contains(what, "byte"))
		if !r.KeysLost && !torn {
			t.Errorf("%s: %v, and nobody is told: %+v", what, same(got, want), r)
		}
		if !torn && (verifyErr != nil || len(v.Problems) == 0) {
			t.Errorf("%s: %v, and verify finds nothing: %v", what, same(got, want), verifyErr)
		}
	}
	for k, name := range names {
		last := k == len(names)-1
		for at := 2 * 4096; at < int(small.SegmentSize); at += 4096 {
			check(fmt.Sprintf("%s byte %d", name, at+70), last, func(e *crashfs.Disk) {
				e.Corrupt(name, func(p []byte) []byte { p[at+70] ^= 1; return p })
			})
		}
		check(name+" is missing", last, func(e *crashfs.Disk) { e.Remove(name) })
		check(name+" without headers", last, func(e *crashfs.Disk) {
			e.Corrupt(name, func(p []byte) []byte { clear(p[:8192]); return p })
		})
	}
	check("all snapshots", false, func(e *crashfs.Disk) {
		for _, name := range snapshotsOf(t, d) {
			e.Corrupt(name, func(p []byte) []byte { p[len(p)-3] ^= 1; return p })
		}
	})
	if lost < 3 {
		t.Errorf("the damage cost keys in %d cases only", lost)
	}
}

package buffer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A damaged block that held nothing but keys is no lost record; it is told all the same.
func TestKeysLost(t *testing.T) {
	for _, damage := range []bool{false, true} {
		dir := t.TempDir()
		l := open(t, Options{Dir: dir})
		a, _ := l.Consumer("a")
		put(t, l, "x", Dest{Consumer: a.ID()})
		commit(t, l)
		var ends []int64
		for i := range 4 {
			if err := l.Put("key", []byte(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			ends = append(ends, l.active.end)
			commit(t, l)
		}
		name := l.active.name
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if damage {
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte{0xFF}, ends[1]+blockHeadLen); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		l = open(t, Options{Dir: dir})
		if r := l.Recovery(); r.KeysLost != damage || len(r.Lost) > 0 {
			t.Errorf("damage %t: %+v", damage, r)
		}
		l.Close()
	}
}

package buffer

import (
	"errors"
	"fmt"
	"testing"
)

// Single records are found in the tail and on the disk, also those set aside; what is for others is not.
func TestFind(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	defer l.Close()
	a, _ := l.Consumer("a")
	b, _ := l.Consumer("b")
	var numbers []uint64
	for i := range 40 {
		numbers = append(numbers, put(t, l, fmt.Sprint("body ", i), Dest{Consumer: a.ID(), Data: []byte{byte(i)}}))
		if i%7 == 0 {
			commit(t, l)
		}
	}
	other := put(t, l, "other", Dest{Consumer: b.ID()})
	drain(t, a)
	a.SetAside(numbers[3])
	a.SetAside(numbers[39])
	if got := a.Aside(); fmt.Sprint(got) != fmt.Sprint([]uint64{numbers[3], numbers[39]}) {
		t.Errorf("aside %v", got)
	}
	for range 2 {
		for i, n := range numbers {
			e, err := a.Find(n)
			if err != nil || string(e.Body) != fmt.Sprint("body ", i) || e.Data[0] != byte(i) || e.Number != n || e.Boot != 1 || e.Since != 5 {
				t.Fatalf("record %d: %+v, %v", n, e, err)
			}
		}
		for _, n := range []uint64{other, other + 1, 1} {
			if _, err := a.Find(n); !errors.Is(err, ErrNoRecord) {
				t.Errorf("record %d: %v, want none", n, err)
			}
		}
		commit(t, l)
	}
}

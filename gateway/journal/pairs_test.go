package journal

import (
	"slices"
	"testing"

	"weir/buffer"
)

func TestPairsAreKept(t *testing.T) {
	cfg := Config{Pace: DefaultPace, Buffer: buffer.Options{Dir: t.TempDir()}}
	j, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	kept := func(name string) pairs {
		q, err := j.Queue(name)
		if err != nil {
			t.Fatal(err)
		}
		return q.(*Queue).pairs
	}
	one, other, late := kept("one"), kept("other"), kept("late")
	for _, x := range []Pair{{ID: 7, Number: 1 << 63}, {ID: 300, Number: 5}, {ID: 7, Number: 9, Released: true}, {ID: 8, Number: 10}} {
		if err := one.Keep(x); err != nil {
			t.Fatal(err)
		}
	}
	other.Keep(Pair{ID: 8, Number: 11})
	one.Forget(8)
	j.DropQueue("late")
	late.Keep(Pair{ID: 9, Number: 12}) // belongs to nobody, and goes at the next start
	n, err := j.Barrier()
	if err != nil {
		t.Fatal(err)
	}
	if j.Settled(n) {
		t.Error("a barrier is settled before any commit")
	}
	if due := j.pace.due(); due.IsZero() || due.After(j.cfg.Now()) {
		t.Errorf("a barrier wants a commit at %v, not at once", due)
	}
	if err := j.Commit(); err != nil || !j.Settled(n) {
		t.Errorf("after a commit: %v, settled %v", err, j.Settled(n))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if left := (pairs{j.log, late.consumer}).Pairs(); len(left) != 0 || len((pairs{j.log, other.consumer}).Pairs()) != 1 {
		t.Errorf("a queue that is no more has pairs %v, or one that is has lost them", left)
	}
	if got, want := (pairs{j.log, one.consumer}).Pairs(), []Pair{{ID: 7, Number: 9, Released: true}, {ID: 300, Number: 5}}; !slices.Equal(got, want) {
		t.Errorf("pairs %v, want %v", got, want)
	}
}

package bridge

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

func TestWindowRanges(t *testing.T) {
	var w window
	for _, n := range []uint64{10, 11, 12, 13, 15, 16} { // 14 is someone else's, or was set aside
		w.add(n, flying, epoch)
	}
	check := func(name string, want ...Range) {
		t.Helper()
		if got := w.ranges(nil); !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
			t.Fatalf("%s: %v, want %v", name, got, want)
		}
	}
	w.finish(11, arrived)
	check("out of order", Range{11, 11})
	w.finish(10, arrived)
	w.finish(12, arrived)
	check("joined over what was passed on before", Range{10, 12})
	check("nothing twice")
	w.finish(13, arrived)
	w.finish(15, refused)
	w.finish(16, arrived)
	check("never over a hole or a refused record", Range{13, 13}, Range{16, 16})
	if w.onWay != 0 || len(w.flights) != w.head {
		t.Fatalf("%d on the way, %d kept, want none", w.onWay, len(w.flights)-w.head)
	}
	if _, ok := w.finish(16, arrived); ok {
		t.Error("a record ended twice")
	}
}

// Random sends, ends and collections: every acknowledged record is in exactly one range, no other ever is.
func TestWindowRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var (
		w     window
		sent  []uint64
		fate  = map[uint64]end{}
		times = map[uint64]int{}
		next  = uint64(1)
	)
	collect := func() {
		for _, r := range w.ranges(nil) {
			for n := r.First; n <= r.Last; n++ {
				if _, ours := fate[n]; !ours {
					t.Fatalf("range %v holds %d, which was never sent", r, n)
				}
			}
			for _, n := range sent {
				if r.First <= n && n <= r.Last {
					if fate[n] != arrived {
						t.Fatalf("record %d with fate %d is in range %v", n, fate[n], r)
					}
					times[n]++
				}
			}
		}
	}
	for range 3000 {
		switch rng.IntN(5) {
		case 0, 1:
			next += 1 + uint64(rng.IntN(2))
			sent = append(sent, next)
			fate[next] = []end{flying, flying, flying, arrived}[rng.IntN(4)]
			w.add(next, fate[next], time.Time{})
		case 2, 3:
			for _, n := range sent {
				if fate[n] == flying && rng.IntN(3) == 0 {
					fate[n] = []end{arrived, refused}[rng.IntN(2)]
					w.finish(n, fate[n])
					break
				}
			}
		case 4:
			collect()
		}
	}
	collect()
	flyingNow := 0
	for _, n := range sent {
		if fate[n] == flying {
			flyingNow++
		}
		// A range may take in again what lies between two newly acknowledged records; that does no harm.
		if fate[n] == arrived && times[n] == 0 || fate[n] != arrived && times[n] != 0 {
			t.Fatalf("record %d with fate %d is in %d ranges", n, fate[n], times[n])
		}
	}
	if flyingNow != w.onWay {
		t.Fatalf("%d on the way, want %d", w.onWay, flyingNow)
	}
}

func TestWindowHeld(t *testing.T) {
	var w window
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	for n := uint64(1); n <= 5; n++ {
		w.add(n, flying, at(0))
	}
	w.add(6, leaving, at(0))
	step := func(now int, want time.Duration, ends ...uint64) {
		t.Helper()
		for _, n := range ends {
			if _, ok := w.finish(n, arrived); !ok {
				t.Fatalf("record %d is not on its way", n)
			}
		}
		w.ranges(nil)
		if got := w.held(at(now)); got != want {
			t.Errorf("at %d, after the end of %v: held for %s, want %s", now, ends, got, want)
		}
	}
	step(1, 0)
	step(2, 0, 6) // written to the socket: no acknowledgement
	step(3, 0, 1) // in order
	step(4, 0, 3) // the second is overtaken, seen now
	step(9, 5*time.Second, 4)
	step(10, 0, 2) // it came after all
	step(20, 0)
	w.add(7, flying, at(20))
	step(21, 0, 7) // the fifth is overtaken
	step(23, 2*time.Second)
	w.reset()
	w.add(8, flying, at(24))
	step(30, 0)
}

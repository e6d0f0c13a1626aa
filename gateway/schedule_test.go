package gateway

import (
	"testing"
	"time"
)

func TestScheduleDoesNotDrift(t *testing.T) {
	start := time.Unix(1000, 0)
	s := schedule{start: start, every: 10 * time.Second}
	slot := start
	for k := 1; k <= 1000; k++ {
		slot = s.next(slot, slot.Add(137*time.Millisecond))
		if want := start.Add(time.Duration(k) * s.every); !slot.Equal(want) {
			t.Fatalf("slot %d at %v, want %v", k, slot, want)
		}
	}
	if s.missed != 0 {
		t.Errorf("missed %d, want 0", s.missed)
	}
}

func TestScheduleSkipsAndCountsMissedSlots(t *testing.T) {
	start := time.Unix(1000, 0)
	s := schedule{start: start, every: 10 * time.Second}
	if got, want := s.next(start, start.Add(35*time.Second)), start.Add(40*time.Second); !got.Equal(want) {
		t.Errorf("next slot %v, want %v", got, want)
	}
	if s.missed != 3 {
		t.Errorf("missed %d, want 3", s.missed)
	}
	if got, want := s.next(start, start.Add(10*time.Second)), start.Add(20*time.Second); !got.Equal(want) {
		t.Errorf("next slot %v, want %v: a slot that begins now has passed", got, want)
	}
}

func TestScheduleBacksOffAndComesBack(t *testing.T) {
	start := time.Unix(1000, 0)
	s := schedule{start: start, every: time.Second}
	slot, gaps := start, []time.Duration{}
	for range 8 {
		s.done(false)
		next := s.next(slot, slot)
		gaps = append(gaps, next.Sub(slot))
		slot = next
	}
	want := []time.Duration{1, 2, 4, 8, 8, 8, 8, 8}
	for i := range want {
		if gaps[i] != want[i]*time.Second {
			t.Fatalf("gaps %v, want seconds %v", gaps, want)
		}
	}
	s.done(true)
	if got := s.next(slot, slot).Sub(slot); got != time.Second {
		t.Errorf("after a good read the gap is %v, want 1s", got)
	}
}

// TestScheduleBacksOffNoLongerThanItSays: with every number of failures the gap grows or stays, up to eight seconds or
// the interval where that is longer.
func TestScheduleBacksOffNoLongerThanItSays(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, every := range []time.Duration{10 * time.Millisecond, time.Second, 3 * time.Second, 5 * time.Second, 7 * time.Second, 8 * time.Second, 10 * time.Second, time.Minute, time.Hour} {
		last := time.Duration(0)
		for failures := range 20 {
			s := schedule{start: start, every: every, failures: failures}
			gap := s.next(start, start).Sub(start)
			if gap < last || gap > max(backOffMax, every) || gap < every {
				t.Errorf("every %v, %d failures: waits %v, before %v, want at most %v", every, failures, gap, last, max(backOffMax, every))
			}
			last = gap
		}
	}
}

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
	slow := schedule{start: start, every: time.Minute, failures: 5}
	if got := slow.next(start, start).Sub(start); got != time.Minute {
		t.Errorf("a slow sensor waits %v after failures, want its own minute", got)
	}
}

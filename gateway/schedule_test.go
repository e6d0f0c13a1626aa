package gateway

import (
	"slices"
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

// TestScheduleKeepsItsPhase: the first slot is at once, the others lie behind it by the phase, in the steps of the interval.
func TestScheduleKeepsItsPhase(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, phase := range []time.Duration{0, time.Second, 4999 * time.Millisecond, 5 * time.Second, 9 * time.Second} {
		s := schedule{start: start, every: 10 * time.Second, phase: phase}
		slot := start
		for k := range 100 {
			next := s.next(slot, slot.Add(50*time.Millisecond))
			if gap := next.Sub(slot); k > 0 && gap != s.every || gap < s.every/2 || gap > s.every*3/2 {
				t.Fatalf("phase %v: slot %d comes %v after the one before", phase, k+1, gap)
			}
			slot = next
		}
		if got := slot.Sub(start) % s.every; got != phase || s.missed != 0 {
			t.Errorf("phase %v became %v, %d missed", phase, got, s.missed)
		}
	}
}

// TestPhasesAreSpread: however many sensors there are, none fires within a quarter of the even distance of another.
func TestPhasesAreSpread(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 10 * time.Second, time.Hour} {
		span := min(every, mostPhase)
		for n := 1; n <= 100; n++ {
			var all []time.Duration
			for i := range n {
				all = append(all, phaseOf(i, every))
			}
			slices.Sort(all)
			for i := range all {
				gap := span - all[n-1] + all[0]
				if i > 0 {
					gap = all[i] - all[i-1]
				}
				if gap < span/time.Duration(4*n) || all[i] < 0 || all[i] >= span {
					t.Fatalf("%d sensors every %v: one at %v, %v behind another", n, every, all[i], gap)
				}
			}
		}
	}
}

// TestScheduleFollowsTheClock: with alignment slots are at whole multiples of the interval as soon as the clock is trusted,
// and again after it was set, with no gap below half an interval or above one and a half.
func TestScheduleFollowsTheClock(t *testing.T) {
	start := time.Unix(1000, 0)
	var offset time.Duration // of the wall clock
	trusted := false
	s := schedule{start: start, every: time.Minute, wall: func(at time.Time) (int64, bool) { return at.Add(offset).UnixNano(), trusted }}
	slot := start
	step := func() (gap time.Duration) {
		next := s.next(slot, slot.Add(time.Second))
		gap, slot = next.Sub(slot), next
		return gap
	}
	for range 3 {
		if gap := step(); gap != time.Minute {
			t.Fatalf("without a clock: a gap of %v", gap)
		}
	}
	trusted = true
	for _, set := range []time.Duration{0, 17 * time.Second, -29 * time.Second, time.Hour + 31*time.Second, -3 * time.Millisecond, 30 * time.Second} {
		offset += set
		if gap := step(); gap < 30*time.Second || gap > 90*time.Second {
			t.Errorf("clock set by %v: a gap of %v", set, gap)
		}
		for range 3 {
			if wall := slot.Add(offset).UnixNano(); wall%int64(time.Minute) != 0 {
				t.Errorf("clock set by %v: a slot at %v past the minute", set, time.Duration(wall%int64(time.Minute)))
			}
			if gap := step(); gap != time.Minute {
				t.Errorf("clock set by %v: then a gap of %v", set, gap)
			}
		}
	}
	if s.missed != 0 {
		t.Errorf("missed %d, want none", s.missed)
	}
}

// TestAlignedSlotsAreInTheFuture: a read that has taken nearly the whole interval is not followed by a slot that has passed.
func TestAlignedSlotsAreInTheFuture(t *testing.T) {
	start := time.Unix(990, 0) // 30 s past
	s := schedule{start: start, every: time.Minute, wall: func(at time.Time) (int64, bool) { return at.UnixNano(), true }}
	now := start.Add(59 * time.Second)
	if next := s.next(start, now); !next.After(now) || next.Unix()%60 != 0 {
		t.Errorf("next slot at %v, %v after now, want the full minute after it", next.Unix(), next.Sub(now))
	}
}

// BenchmarkSlots is how late a timer of a schedule fires: every millisecond, in microseconds.
func BenchmarkSlots(b *testing.B) {
	s := schedule{start: time.Now(), every: time.Millisecond}
	slot := s.start
	timer := time.NewTimer(0)
	defer timer.Stop()
	var late []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		<-timer.C
		late = append(late, time.Since(slot))
		slot = s.next(slot, time.Now())
		timer.Reset(time.Until(slot))
	}
	slices.Sort(late)
	microseconds := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	b.ReportMetric(microseconds(late[len(late)/2]), "µs-late-median")
	b.ReportMetric(microseconds(late[len(late)*99/100]), "µs-late-99%")
	b.ReportMetric(microseconds(late[len(late)-1]), "µs-late-most")
	b.ReportMetric(float64(s.missed), "missed")
}

package journal

import (
	"math/rand/v2"
	"testing"

	"weir/buffer"
)

// TestSettledAgainstASet holds the ranges against a plain set of numbers under random additions.
func TestSettledAgainstASet(t *testing.T) {
	const base, span = 1<<40 + 1, 300
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var s settled
		s.start(base)
		have := map[uint64]bool{}
		for range 60 {
			first := base + random.Uint64N(span)
			r := buffer.Range{First: first, Last: first + random.Uint64N(9)}
			s.add([]buffer.Range{r})
			for n := r.First; n <= r.Last; n++ {
				have[n] = true
			}
			a := base + random.Uint64N(span)
			b := a + random.Uint64N(12)
			want := true
			for n := a; n <= b; n++ {
				want = want && have[n]
			}
			if got := s.covers(a, b); got != want {
				t.Fatalf("round %d: covers(%d, %d) = %v, want %v; low %d above %v", round, a, b, got, want, s.low, s.above)
			}
		}
		for i := 1; i < len(s.above); i++ {
			if s.above[i-1].Last+1 >= s.above[i].First {
				t.Fatalf("round %d: ranges touch: %v", round, s.above)
			}
		}
	}
}

// TestSettledStaysSmall: numbers settled in order leave no ranges behind.
func TestSettledStaysSmall(t *testing.T) {
	var s settled
	s.start(1<<40 + 1)
	for n := uint64(1<<40 + 1); n < 1<<40+10_000; n++ {
		s.add([]buffer.Range{{First: n, Last: n}})
	}
	if len(s.above) != 0 {
		t.Errorf("%d ranges above the low water mark, want none", len(s.above))
	}
}

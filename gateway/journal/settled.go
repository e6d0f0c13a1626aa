package journal

import (
	"slices"
	"sync"

	"weir/buffer"
)

// settled knows which record numbers are settled: all up to low, and the ranges above it. Safe for concurrent use.
type settled struct {
	mu    sync.RWMutex
	low   uint64         // every number up to here is settled
	above []buffer.Range // disjoint, not touching, rising, all above low+1
}

// start sets the number below which nothing of this run was given out. Called once, before the first record.
func (s *settled) start(first uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.low < first-1 {
		s.low = first - 1
		s.fold()
	}
}

// add marks ranges as settled.
func (s *settled) add(ranges []buffer.Range) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range ranges {
		s.insert(r)
	}
	s.fold()
}

func (s *settled) insert(r buffer.Range) {
	if r.Last <= s.low {
		return
	}
	// from: the first range that r touches or that lies behind it; to: the first that lies behind r without touching.
	from, _ := slices.BinarySearchFunc(s.above, r, func(have, want buffer.Range) int {
		if have.Last+1 < want.First {
			return -1
		}
		return 1
	})
	to := from
	for to < len(s.above) && s.above[to].First <= r.Last+1 {
		r.First = min(r.First, s.above[to].First)
		r.Last = max(r.Last, s.above[to].Last)
		to++
	}
	s.above = slices.Replace(s.above, from, to, r)
}

// fold moves low up over the ranges that touch it.
func (s *settled) fold() {
	n := 0
	for n < len(s.above) && s.above[n].First <= s.low+1 {
		s.low = max(s.low, s.above[n].Last)
		n++
	}
	s.above = slices.Delete(s.above, 0, n)
}

// covers tells whether every number from first to last is settled.
func (s *settled) covers(first, last uint64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if last <= s.low {
		return true
	}
	first = max(first, s.low+1)
	i, _ := slices.BinarySearchFunc(s.above, first, func(have buffer.Range, want uint64) int {
		if have.Last < want {
			return -1
		}
		return 1
	})
	return i < len(s.above) && s.above[i].First <= first && last <= s.above[i].Last
}

package journal

import (
	"testing"

	"weir/buffer"
)

func BenchmarkSettled(b *testing.B) {
	b.ReportAllocs()
	var s settled
	s.start(1)
	one := make([]buffer.Range, 1)
	for n := uint64(1); b.Loop(); n++ {
		one[0] = buffer.Range{First: n, Last: n}
		s.add(one)
		if !s.covers(n, n) {
			b.Fatal("not settled")
		}
	}
}

package topic

import (
	"fmt"
	"testing"
)

func manyFilter(i int) string {
	switch i % 3 {
	case 0:
		return fmt.Sprintf("bench/filters/+/a%d/value", i)
	case 1:
		return fmt.Sprintf("bench/filters/s%d/a%d/#", i%100, i)
	}
	return fmt.Sprintf("bench/filters/+/a%d/+/#", i)
}

func BenchmarkTreeFill(b *testing.B) {
	filters := make([]Filter, many)
	for i := range filters {
		filters[i] = mustParse(b, manyFilter(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		var t Tree[int, int]
		for i, f := range filters {
			t.Set(f, 1, i)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*many), "ns/filter")
}

func BenchmarkTreeMatchAmong(b *testing.B) {
	for _, n := range []int{0, many} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var t Tree[int, int]
			t.Set(mustParse(b, "bench/filters/+/probe/value"), 1, 1)
			for i := range n {
				t.Set(mustParse(b, manyFilter(i)), 1, i)
			}
			name := []byte("bench/filters/s7/probe/value")
			dst := make([]int, 0, 8)
			b.ReportAllocs()
			for b.Loop() {
				if dst = t.Match(name, dst[:0]); len(dst) != 1 {
					b.Fatal(dst)
				}
			}
		})
	}
}

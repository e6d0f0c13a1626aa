package chip_test

import (
	"syscall"
	"testing"
	"time"

	"weir/sensors"
)

// BenchmarkRead reads each chip over a bus that takes no time. What an operation takes
// is nearly all waiting for the chip; what it costs is cpu-µs/op, simulation included.
func BenchmarkRead(b *testing.B) {
	for _, c := range onlyThose(everyChip) {
		b.Run(c.driver, func(b *testing.B) {
			b.ReportAllocs()
			d := openedAt(b, quick(b, c.addresses[0], c.make()), c.driver, c.settings)
			var s sensors.Sample
			if err := d.Read(b.Context(), &s); err != nil { // sets it up
				b.Fatal(err)
			}
			start := processorTime(b)
			for b.Loop() {
				if err := d.Read(b.Context(), &s); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processorTime(b)-start).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
		})
	}
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

package gateway

import (
	"maps"
	"slices"
	"syscall"
	"testing"
)

// BenchmarkReading is one reading of a BME280 with six values, from the bus to the broker's door: two transfers, the
// waiting for the conversion, the pipeline, the payloads. What it costs is cpu-ns/op, of all goroutines; ns/op is mostly
// the waiting. BenchmarkPublish is the part behind the driver.
func BenchmarkReading(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(readings)) {
		b.Run(name, func(b *testing.B) {
			read := oneReading(b, nowhere{}, still, readings[name])
			for range 10 {
				read()
			}
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				read()
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime is what this process has used, in nanoseconds.
func processorTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

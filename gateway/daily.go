package gateway

import (
	"sync"
	"time"
)

// daily tells how much of a growing count fell into the last 24 hours, by the hour. It goes by the time that passes, not
// by the date: a machine without a clock of its own does not know that. The zero value is ready. Safe for concurrent use.
type daily struct {
	mu    sync.Mutex // guards everything below
	start time.Time
	hour  int       // since start, of the newest count
	count [24]int64 // at the beginning of each of the last hours
}

// note takes the count now and gives what came within this hour and the 23 whole ones before it. What came before the
// first call counts as of its hour; what came while nobody asked for hours, as of the first of them.
func (d *daily) note(now time.Time, count int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.start.IsZero() {
		d.start = now
	}
	hour := int(now.Sub(d.start) / time.Hour)
	for d.hour < hour {
		d.hour++
		d.count[d.hour%len(d.count)] = count
	}
	return count - d.count[(d.hour+1)%len(d.count)]
}

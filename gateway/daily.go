package gateway

import (
	"encoding/binary"
	"sync"
	"time"

	"weir/broker/message"
)

// daily tells how much of a growing count fell into the last 24 hours, by the hour. It goes by the time that passes, not
// by the date: a machine without a clock of its own does not know that. The zero value is ready. Safe for concurrent use.
type daily struct {
	mu    sync.Mutex // guards everything below
	start time.Time
	hour  int        // of the newest count; start is in hour day-1
	count [day]int64 // at the beginning of each of the last hours; below 0: before the start
	put   int        // the hour of the last append
}

const day = 24 // hours

// note takes the count now and gives what came within this hour and the 23 whole ones before it. What came before the
// first call counts as of its hour; what came while nobody asked for hours, as of the first of them. whole: an hour has
// begun since the last append.
func (d *daily) note(now time.Time, count int64) (within int64, whole bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.move(now, count)
	return count - d.count[(d.hour+1)%day], d.put != d.hour
}

func (d *daily) move(now time.Time, count int64) {
	if d.put == 0 {
		d.start, d.hour, d.put = now, day-1, day-1
	}
	hour := day - 1 + int(now.Sub(d.start)/time.Hour)
	for d.hour < hour {
		d.hour++
		d.count[d.hour%day] = count
	}
}

// What is kept of it across restarts, big-endian:
//
//	version u8, 1 | boot u64 | since i64 | of the running hour i64 | 24 times: bytes of an hour u64, the running one first
//
// Times are in nanoseconds.

const (
	dailyVersion = 1
	dailyHead    = 1 + 8 + 8 + 8
	dailyLen     = dailyHead + 8*day
)

// append appends what is to be kept, as of a time and its stamp.
func (d *daily) append(b []byte, now time.Time, at message.Stamp, count int64) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.move(now, count)
	d.put = d.hour
	b = append(b, dailyVersion)
	b = binary.BigEndian.AppendUint64(b, at.Boot)
	b = binary.BigEndian.AppendUint64(b, uint64(at.Since))
	b = binary.BigEndian.AppendUint64(b, uint64(now.Sub(d.start)%time.Hour))
	for k := range day {
		from := d.count[(d.hour-k)%day]
		b = binary.BigEndian.AppendUint64(b, uint64(count-from))
		count = from
	}
	return b
}

// load goes on with what was kept. age is how long ago that was, as far as it is known: too short an age lets the figure
// be too high, never too low. It is false if the value is none of ours, and nothing is changed then.
func (d *daily) load(value []byte, now time.Time, age func(boot uint64, since int64) (time.Duration, bool)) (ok bool) {
	if len(value) != dailyLen || value[0] != dailyVersion {
		return false
	}
	word := func(at int) int64 { return int64(binary.BigEndian.Uint64(value[at:])) }
	passed, _ := age(uint64(word(1)), word(9))
	into := min(max(time.Duration(word(17)), 0), time.Hour) + min(max(passed, 0), day*time.Hour)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start, d.hour, d.put = now.Add(-into), day-1, day-1
	sum := int64(0)
	for k := range day {
		sum += max(0, word(dailyHead+8*k))
		d.count[day-1-k] = -sum
	}
	d.move(now, 0)
	return true
}

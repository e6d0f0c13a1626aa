package broker

import (
	"math"
	"time"

	"weir/broker/message"
)

// A stored queue that is full may hold messages that have expired, which its subscriber will never get. They lie on the disk,
// where whoever publishes does not look. So the first message that finds no room has a goroutine look through the queue;
// it is dropped itself, and those behind it find the room.

// weedEvery is how often one queue is looked through at most.
const weedEvery = time.Second

// weedLater has what has expired looked for, as of the time of a message that found no room, unless nothing more can have
// expired since that was done. Not called under any lock.
func (d *durable) weedLater(at message.Stamp) {
	stale := d.stale.Load()
	if stale != 0 && int64(at.Since) < stale || !d.stale.CompareAndSwap(stale, math.MaxInt64) {
		return
	}
	d.weeds.Store(true)
	d.wake()
}

// weed drops what has expired, but for what was sent already: its subscriber may have it. The caller has the turn and may read the
// disk. The queue is read from its start afterwards; what was sent is passed over then.
func (d *durable) weed() {
	o, b := &d.s.out, d.s.b
	f := filler{b: b, out: o}
	stale := time.Duration(math.MaxInt64)
	var over []uint64
	d.queue.Rewind()
	for {
		if _, err := d.read(batchSize, true); err != nil {
			d.broke(err)
			stale = math.MinInt64 // again, when it can be read
			break
		}
		if d.n == 0 {
			break
		}
		for i := range d.batch[:d.n] {
			m := &d.batch[i]
			switch {
			case m.Number <= d.through:
			case f.expired(&m.Message):
				f.counts.expired++
				over = append(over, m.Number)
			case m.Message.Stamp.Boot == b.stamp().Boot:
				stale = min(stale, expires(&m.Message))
			}
		}
	}
	d.at, d.n, d.ended = 0, 0, false
	d.queue.Rewind()
	d.queue.Ack(over)
	b.count.add(&f.counts)
	d.stale.Store(int64(max(stale, b.stamp().Since+weedEvery)))
}

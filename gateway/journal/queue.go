package journal

import (
	"strings"
	"sync/atomic"
	"time"

	"weir/broker"
	"weir/buffer"
)

// Queue is the consumer of one persistent session, or of a shared group with a persistent member. It implements broker.Queue. To the pace it is a link as an upstream is:
// a subscriber that acknowledges promptly costs no write.
type Queue struct {
	j        *Journal
	c        *buffer.Consumer
	pairs    pairs
	entries  []buffer.Entry
	draining atomic.Bool // the subscriber came with a backlog, whose end has not been reached
}

var _ broker.Queue = (*Queue)(nil)

const queuePrefix = "queue/"

// Queue implements broker.Store.
func (j *Journal) Queue(name string) (broker.Queue, error) {
	c, err := j.log.Consumer(queuePrefix + name)
	if err != nil {
		return nil, err
	}
	return &Queue{j: j, c: c, pairs: pairs{j.log, c.ID()}}, nil
}

// DropQueue implements broker.Store.
func (j *Journal) DropQueue(name string) {
	var id uint32
	j.log.Consumers(func(c *buffer.Consumer) bool {
		if c.Name() == queuePrefix+name {
			id = c.ID()
		}
		return id == 0
	})
	if id == 0 {
		return
	}
	kept := pairs{j.log, id}
	for _, p := range kept.Pairs() {
		kept.Forget(p.ID)
	}
	_ = j.log.RemoveConsumer(queuePrefix + name) // fails only when the log is closed
	j.mu.Lock()
	j.pace.forget(id)
	j.mu.Unlock()
	j.changed()
}

// Queues implements broker.Store.
func (j *Journal) Queues(f func(name string) bool) {
	j.log.Consumers(func(c *buffer.Consumer) bool {
		name, ok := strings.CutPrefix(c.Name(), queuePrefix)
		return !ok || f(name)
	})
}

// ID implements broker.Queue.
func (q *Queue) ID() uint32 { return q.c.ID() }

// Next implements broker.Queue. A record that cannot be read is set aside.
func (q *Queue) Next(dst []broker.Queued, disk bool) (n int, onDisk bool, err error) {
	if cap(q.entries) < len(dst) {
		q.entries = make([]buffer.Entry, len(dst))
	}
	for {
		var got int
		ok := true
		if disk {
			got, err = q.c.Next(q.entries[:len(dst)])
		} else {
			got, ok, err = q.c.NextInMemory(q.entries[:len(dst)])
		}
		n = 0
		for i := range q.entries[:got] {
			if q.decode(&q.entries[i], &dst[n]) {
				n++
			}
		}
		if n > 0 || got == 0 || err != nil {
			return n, !ok, err
		}
	}
}

func (q *Queue) decode(e *buffer.Entry, to *broker.Queued) bool {
	if err := to.Message.Decode(e.Body); err != nil {
		q.c.SetAside(e.Number)
		q.j.cfg.Log.Warn("stored message cannot be read, set aside", "record", e.Number, "err", err)
		return false
	}
	to.Number, to.Data = e.Number, e.Data
	to.Message.Stamp.Boot, to.Message.Stamp.Since = e.Boot, time.Duration(e.Since)
	return true
}

// Ack implements broker.Queue.
func (q *Queue) Ack(numbers []uint64) {
	if len(numbers) == 0 {
		return
	}
	var few [16]buffer.Range // anybody may acknowledge at the same time
	ranges, last := few[:0], uint64(0)
	for _, n := range numbers {
		if k := len(ranges); k > 0 && ranges[k-1].Last+1 == n {
			ranges[k-1].Last = n
		} else {
			ranges = append(ranges, buffer.Range{First: n, Last: n})
		}
		last = max(last, n)
	}
	q.c.Ack(ranges)
	now := q.j.cfg.Now()
	q.j.mu.Lock()
	q.j.pace.acked(q.c.ID(), last, now)
	q.j.mu.Unlock()
	if !q.j.log.PositionsDirty() {
		return
	}
	drained := false
	if q.draining.Load() {
		if left, _ := q.c.Waiting(); left == 0 {
			drained = q.draining.Swap(false)
		}
	}
	loose := q.j.log.Loose()
	q.j.mu.Lock()
	q.j.pace.positionsChanged(drained, loose, now)
	q.j.hurry()
	q.j.mu.Unlock()
}

// Rewind implements broker.Queue.
func (q *Queue) Rewind() { q.c.Rewind() }

// Live implements broker.Queue.
func (q *Queue) Live(up bool) {
	waiting, _ := q.c.Waiting()
	q.draining.Store(up && waiting > 0)
	q.j.mu.Lock()
	q.j.pace.setUp(q.c.ID(), up, waiting > 0, q.j.cfg.Now())
	q.j.hurry()
	q.j.mu.Unlock()
}

// Waiting implements broker.Queue.
func (q *Queue) Waiting() (messages int, bytes int64) {
	n, bytes := q.c.Waiting()
	return int(n), bytes
}

// Keep implements broker.Queue.
func (q *Queue) Keep(p broker.Pair) error {
	defer q.j.changed()
	return q.pairs.Keep(Pair(p))
}

// Forget implements broker.Queue.
func (q *Queue) Forget(id uint16) {
	q.pairs.Forget(id)
	q.j.changed()
}

// Pairs implements broker.Queue.
func (q *Queue) Pairs() (all []broker.Pair) {
	for _, p := range q.pairs.Pairs() {
		all = append(all, broker.Pair(p))
	}
	return all
}

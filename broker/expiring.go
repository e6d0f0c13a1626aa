package broker

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// Messages that wait for a session in memory go within a second after they have expired, so that what they hold is free and
// counted, whether or not the subscriber ever comes back. Only the outs with such messages are here, each with the time when
// the first of its messages may expire, rounded up to a second: so a queue is looked through once a second at most.
type expiries struct {
	mu   sync.Mutex // guards everything below; taken under that of an out, never before it
	list []*out     // a heap by alarm
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (e *expiries) Len() int           { return len(e.list) }
func (e *expiries) Less(i, j int) bool { return e.list[i].alarm < e.list[j].alarm }

func (e *expiries) Swap(i, j int) {
	e.list[i], e.list[j] = e.list[j], e.list[i]
	e.list[i].alarmAt, e.list[j].alarmAt = i+1, j+1
}

func (e *expiries) Push(x any) {
	o := x.(*out)
	e.list = append(e.list, o)
	o.alarmAt = len(e.list)
}

func (e *expiries) Pop() any {
	last := len(e.list) - 1
	o := e.list[last]
	e.list[last] = nil
	e.list = e.list[:last]
	o.alarmAt = 0
	return o
}

// expect notes that a message of the queue expires at a time since boot. The caller holds mu.
func (o *out) expect(b *Broker, at time.Duration) {
	if part := at % time.Second; part > 0 {
		at += time.Second - part
	}
	e := &b.expiring
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case o.alarmAt == 0:
		o.alarm = at
		heap.Push(e, o)
	case at < o.alarm:
		o.alarm = at
		heap.Fix(e, o.alarmAt-1)
	default:
		return
	}
	if o.alarmAt == 1 {
		b.calendar.look()
	}
}

// forgo takes an out of the list. The caller holds its mu.
func (o *out) forgo(b *Broker) {
	e := &b.expiring
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.alarmAt > 0 {
		heap.Remove(e, o.alarmAt-1)
	}
}

// dropExpired drops what has expired in queues, and returns how long nothing else does. Called by keepDates.
func (b *Broker) dropExpired() (wait time.Duration) {
	e := &b.expiring
	for {
		e.mu.Lock()
		if len(e.list) == 0 {
			e.mu.Unlock()
			return 24 * time.Hour
		}
		now, o := b.stamp(), e.list[0]
		if left := o.alarm - now.Since; left > 0 {
			e.mu.Unlock()
			return left
		}
		heap.Pop(e)
		e.mu.Unlock()
		f := filler{b: b, out: o, now: now, asked: true}
		o.mu.Lock()
		f.expireQueue() // v5 [MQTT-3.3.2-5]
		if o.queue.len() > 0 && o.stale != math.MaxInt64 {
			o.expect(b, o.stale)
		}
		o.settle(b)
		o.mu.Unlock()
		b.count.add(&f.counts)
	}
}

package broker

import (
	"container/heap"
	"math"
	"sync"
	"time"

	"weir/broker/message"
)

// What has a message expiry goes within a second after it has expired, so that what it holds is free and counted, whether or not
// a subscriber ever comes. There is no timer for each message: who keeps any has one alarm, rounded up to a second, so it looks
// once a second at most. The list is empty, and nothing wakes, while nothing can expire.
//
//	queue of a session in memory ─┐
//	shared group ─────────────────┼──▶ expiries, by alarm ──▶ keepDates ──▶ lapse, which sets the next alarm
//	queue in the store ───────────┤
//	retained messages ────────────┘
type expiries struct {
	mu   sync.Mutex // guards everything below, and the alarms and lapses of who is in it; no other lock is taken under it
	list []keeper   // a heap by alarm
}

// keeper is who keeps messages that expire.
type keeper interface {
	// wakes is the alarm of its own; guarded by expiries.mu.
	wakes() *alarm
	// lapse drops what has expired by now, or has it dropped. Called under no lock by keepDates, when the alarm was due.
	lapse(b *Broker, now message.Stamp)
}

// alarm is when somebody has to look.
type alarm struct {
	at    time.Duration // since boot
	place int           // in expiries.list, from 1; 0: it is not there
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (e *expiries) Len() int           { return len(e.list) }
func (e *expiries) Less(i, j int) bool { return e.list[i].wakes().at < e.list[j].wakes().at }

func (e *expiries) Swap(i, j int) {
	e.list[i], e.list[j] = e.list[j], e.list[i]
	e.list[i].wakes().place, e.list[j].wakes().place = i+1, j+1
}

func (e *expiries) Push(x any) {
	who := x.(keeper)
	e.list = append(e.list, who)
	who.wakes().place = len(e.list)
}

func (e *expiries) Pop() any {
	last := len(e.list) - 1
	who := e.list[last]
	e.list[last] = nil
	if e.list = e.list[:last]; last == 0 {
		e.list = nil
	}
	who.wakes().place = 0
	return who
}

// expect notes that something that somebody keeps expires at a time since boot.
func (b *Broker) expect(who keeper, at time.Duration) {
	b.expiring.mu.Lock()
	defer b.expiring.mu.Unlock()
	b.expectNow(who, at)
}

// expectNow is expect. The caller holds expiring.mu.
func (b *Broker) expectNow(who keeper, at time.Duration) {
	at = wholeSecond(at)
	e, a := &b.expiring, who.wakes()
	switch {
	case a.place == 0:
		a.at = at
		heap.Push(e, who)
	case at < a.at:
		a.at = at
		heap.Fix(e, a.place-1)
	default:
		return
	}
	if a.place == 1 {
		b.calendar.look()
	}
}

// wholeSecond rounds a time up.
func wholeSecond(at time.Duration) time.Duration {
	down := at.Truncate(time.Second)
	if down < at {
		return down + time.Second
	}
	return down
}

// forgo ends that somebody is waited for.
func (b *Broker) forgo(who keeper) {
	e := &b.expiring
	e.mu.Lock()
	defer e.mu.Unlock()
	if at := who.wakes().place; at > 0 {
		heap.Remove(e, at-1)
	}
}

// dropExpired drops what has expired, and returns how long nothing else does. Called by keepDates.
func (b *Broker) dropExpired() (wait time.Duration) {
	e := &b.expiring
	for {
		e.mu.Lock()
		if len(e.list) == 0 {
			e.mu.Unlock()
			return 24 * time.Hour
		}
		now, who := b.stamp(), e.list[0]
		if left := who.wakes().at - now.Since; left > 0 {
			e.mu.Unlock()
			return left
		}
		heap.Pop(e)
		e.mu.Unlock()
		who.lapse(b, now)
	}
}

// wakes and lapse of an out are about its queue in memory.
func (o *out) wakes() *alarm { return &o.alarm }

func (o *out) lapse(b *Broker, now message.Stamp) {
	f := filler{b: b, out: o, now: now, asked: true}
	o.mu.Lock()
	f.expireQueue() // v5 [MQTT-3.3.2-5]
	if o.queue.len() > 0 && o.stale != math.MaxInt64 {
		b.expect(o, o.stale)
	}
	o.settle(b)
	o.mu.Unlock()
	b.count.add(&f.counts)
}

// waited is how long a message has waited, as far as that is certain: within a boot by the clock that nobody sets, across boots by
// the time of day if it was trusted at both ends, else what has passed since this process began.
func (b *Broker) waited(m *message.Message, now message.Stamp) time.Duration {
	s := &m.Stamp
	switch {
	case s.Boot == now.Boot:
		return max(0, now.Since-s.Since)
	case s.Wall != 0 && now.Wall != 0:
		return max(0, time.Duration(now.Wall-s.Wall))
	}
	return max(0, now.Since-b.made)
}

// clockSet is how soon a message of another boot is looked at again while the clock is not set: its age is known when it is.
const clockSet = 10 * time.Minute

// expires is when a message expires, in time since this boot; far away if it does not.
func (b *Broker) expires(m *message.Message, now message.Stamp) time.Duration {
	if !mortal(m) {
		return math.MaxInt64
	}
	s, lasts := &m.Stamp, time.Duration(m.Props.MessageExpiry)*time.Second
	if s.Boot == now.Boot {
		return s.Since + lasts
	}
	left := max(0, lasts-b.waited(m, now))
	if s.Wall != 0 && now.Wall == 0 {
		left = min(left, clockSet)
	}
	return now.Since + left
}

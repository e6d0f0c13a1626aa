package broker

import (
	"math"
	"slices"
	"time"

	"weir/broker/message"
)

// A queue in the store lies on the disk, where what has expired is not seen. So a line remembers until when which of its
// messages may expire, a few words for each second in which any does, and has the queue looked through up to there when that time
// has come:
//
//	Append ─▶ foresee: 12:00:07 up to 41, 12:00:09 up to 44, ... ─alarm─▶ lapse ─▶ weed: read up to 41, Ack what has expired
//	                                                                                └─▶ foresee what is left of them
//
// What was sent already stays: its subscriber may have it. Messages of one expiry stand in the order in which they expire, so
// what is read is what goes.
type lapse struct {
	at   time.Duration // since boot, a whole second
	upTo uint64        // records up to this one may have expired then
}

// mostLapses is how many times a line remembers. Of what expires later than the last of them it knows when the first may, and
// finds out more when that time has come.
const mostLapses = 64

// everything is what a line foresees of a queue that it has not read: any of it may have expired.
const everything = math.MaxUint64

// foresee notes that a record of the queue expires. Called when the store has it.
func (l *line) foresee(number uint64, at time.Duration) {
	if number <= l.passed.Load() { // it is on its way, or over
		return
	}
	at = wholeSecond(at)
	e := &l.b.expiring
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.closed {
		return
	}
	i, same := slices.BinarySearchFunc(l.lapses, at, func(x lapse, at time.Duration) int { return int((x.at - at) / time.Second) })
	last := len(l.lapses) - 1
	switch {
	case same:
		l.lapses[i].upTo = max(l.lapses[i].upTo, number)
	case len(l.lapses) < mostLapses:
		l.lapses = slices.Insert(l.lapses, i, lapse{at, number})
	case i > last:
		l.lapses[last].upTo = max(l.lapses[last].upTo, number)
	default:
		l.lapses[last-1].upTo = max(l.lapses[last-1].upTo, l.lapses[last].upTo)
		l.lapses = slices.Insert(l.lapses[:last], i, lapse{at, number})
	}
	l.b.expectNow(l, l.lapses[0].at)
}

// foresee notes what expires of a batch that the journal has taken from first on.
func (b *Broker) foresee(batch []Entry, first uint64) {
	var now message.Stamp
	for i := range batch {
		e := &batch[i]
		if len(e.Sessions) == 0 || !mortal(e.Message) {
			continue
		}
		if now == (message.Stamp{}) {
			now = b.stamp()
		}
		at := b.expires(e.Message, now)
		for k := range e.Sessions {
			if hit := &e.Sessions[k]; !hit.Drop {
				hit.to.inlet().foresee(first+uint64(i), at)
			}
		}
	}
}

// wakes implements keeper.
func (l *line) wakes() *alarm { return &l.alarm }

// lapse implements keeper: what has expired is looked for by who has the turn.
func (l *line) lapse(_ *Broker, now message.Stamp) {
	if upTo := l.overdue(now); upTo > l.passed.Load() {
		l.weedUpTo(upTo)
		l.wake()
	}
	l.of.lapsed()
}

// overdue is up to which record any may have expired by now; 0: none. It sets the next alarm.
func (l *line) overdue(now message.Stamp) (upTo uint64) {
	e := &l.b.expiring
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for n < len(l.lapses) && l.lapses[n].at <= now.Since {
		upTo = max(upTo, l.lapses[n].upTo)
		n++
	}
	if l.lapses = slices.Delete(l.lapses, 0, n); len(l.lapses) == 0 {
		l.lapses = nil
	} else {
		l.b.expectNow(l, l.lapses[0].at)
	}
	return upTo
}

// weedUpTo has the queue looked through.
func (l *line) weedUpTo(number uint64) {
	for {
		was := l.weeds.Load()
		if number <= was || l.weeds.CompareAndSwap(was, number) {
			return
		}
	}
}

// forgo ends that anything of the queue is waited for: it is dropped.
func (l *line) forgo() {
	l.b.expiring.mu.Lock()
	l.closed, l.lapses = true, nil
	l.b.expiring.mu.Unlock()
	l.b.forgo(l)
}

// weed drops what has expired in the queue and was not sent. The queue is read from its start afterwards; what was sent is passed
// over then. The caller has the turn and may read the disk, and the batch is empty or read again.
func (l *line) weed() {
	upTo, passed := l.weeds.Swap(0), l.passed.Load()
	if upTo <= passed {
		return
	}
	f := filler{b: l.b}
	var over []uint64
	l.queue.Rewind()
	for more := true; more; {
		if _, err := l.read(batchSize, true); err != nil {
			l.weedUpTo(upTo) // when it can be read
			l.broke(err)
			break
		}
		over, more = over[:0], l.n > 0
		for i := range l.batch[:l.n] {
			m := &l.batch[i]
			switch {
			case m.Number > upTo:
				more = false
			case m.Number <= passed:
			case f.expired(&m.Message): // v5 [MQTT-3.3.2-5]
				f.counts.expired++
				over = append(over, m.Number)
			case mortal(&m.Message):
				l.foresee(m.Number, l.b.expires(&m.Message, f.now))
			}
		}
		l.queue.Ack(over)
	}
	l.at, l.n = 0, 0
	l.queue.Rewind()
	_, _ = l.read(0, true) // which lets go of what it gave last, and reads nothing
	l.b.count.add(&f.counts)
}

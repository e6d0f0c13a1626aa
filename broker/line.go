package broker

import (
	"sync"
	"sync/atomic"
	"time"
)

// line is a queue of the store and the one who sends what is in it: a session, or a shared group. Only one goroutine at a time
// works on it (turn), so the queue has one reader; any may ask for it. None of them reads the disk: if that is needed it is done
// by a goroutine of the line's own, which ends when it has caught up.
type line struct {
	b     *Broker
	of    sender
	queue Queue
	turn  turn

	noted   atomic.Uint64 // the last reading that has it in its list
	waking  atomic.Bool   // a goroutine that may read the disk is on its way
	resting atomic.Bool   // the queue could not be read, and is not for a moment
	coming  atomic.Int64  // messages for the queue that the journal does not have yet
	bytes   atomic.Int64  // of them
	passed  atomic.Uint64 // the highest record that was sent, or taken to be given; there is no lower one that was not. Set by who has the turn
	weeds   atomic.Uint64 // the queue is to be looked through up to this record for what has expired; 0: it is not

	// Guarded by Broker.expiring.mu:
	alarm  alarm
	lapses []lapse // by time
	closed bool    // the queue is dropped

	// Of the one who has the turn:
	batch []Queued
	at, n int // batch[at:n] was read and not sent yet
}

// sender sends what is in the queue of a line.
type sender interface {
	inlet() *line
	pumpOut()                       // does what there is to do, and flushes
	work(disk bool) (more bool)     // does it once, by who has the turn; more: the disk has to be read, or with disk that it is worth flushing and going on
	flush()                         // after work
	rested()                        // after the goroutine that reads the disk has done its work
	lapsed()                        // something of it that is in memory may have expired
	hangs() bool                    // whether anything waits for the journal
	unreadable(err error) (on bool) // the queue cannot be read; on: it is to be tried again
}

func (l *line) inlet() *line { return l }

// run does what there is to do. asked: somebody asked meanwhile, who may have flushed before it was done. Not called under any lock.
func (l *line) run() (asked bool) {
	if !l.turn.begin() {
		return false
	}
	onDisk := l.of.work(false)
	for !l.turn.end() {
		onDisk, asked = l.of.work(false), true
	}
	if onDisk {
		l.wake()
	}
	return asked
}

// wake starts the goroutine that reads the disk, unless one is on its way.
func (l *line) wake() {
	if l.waking.Swap(true) {
		return
	}
	if !l.b.readers.start(l.readDisk) {
		l.waking.Store(false)
	}
}

// readDisk works with the disk. Whoever has the turn meanwhile wakes another one: it sees that waking is off by then.
func (l *line) readDisk() {
	l.waking.Store(false)
	if !l.turn.begin() {
		return
	}
	for again := true; again; again = !l.turn.end() {
		for l.of.work(true) {
			l.of.flush()
		}
	}
	l.of.rested()
}

// batchSize is how many messages are read from a queue at a time.
const batchSize = 64

// batches are shared by all lines: one whose queue is at its end has none.
var batches = sync.Pool{New: func() any { b := make([]Queued, batchSize); return &b }}

// read fills the batch, of which everything was sent, with up to most messages. The caller has the turn.
func (l *line) read(most int, disk bool) (onDisk bool, err error) {
	if l.batch == nil {
		l.batch = *batches.Get().(*[]Queued)
	}
	l.at = 0
	if l.n, onDisk, err = l.queue.Next(l.batch[:min(most, batchSize)], disk); l.n == 0 || err != nil {
		b := l.batch
		l.batch, l.n = nil, 0
		for i := range b {
			if p := &b[i].Message.Props; cap(p.User) > batchSize { // few messages have so many
				p.Release()
			}
		}
		batches.Put(&b)
	}
	return onDisk, err
}

// restAfter is how long a queue that could not be read is left alone.
const restAfter = time.Second

// broke notes that the queue could not be read, and sees to it that it is tried again, once in a while however often it is
// asked for.
func (l *line) broke(err error) {
	if l.resting.Swap(true) {
		return
	}
	if !l.of.unreadable(err) {
		l.resting.Store(false)
		return
	}
	time.AfterFunc(restAfter, func() {
		l.resting.Store(false)
		l.b.pledges.add(l.of) // so that the notice reaches it
		l.b.Notify()
	})
}

// room tells whether one more message may wait in the queue, of which so many are in flight, and takes its place.
func (l *line) room(size, inFlight int) bool {
	cfg := l.b.cfg()
	n, bytes := l.queue.Waiting()
	n += int(l.coming.Load())
	bytes += l.bytes.Load()
	if n > 0 && bytes+int64(size) > int64(cfg.QueueBytes) || n-inFlight >= cfg.QueueMessages { // the newest is dropped
		return false
	}
	l.coming.Add(1)
	l.bytes.Add(int64(size))
	return true
}

// arrived gives the places of messages back that the journal has, or never gets.
func arrived(e *Entry) {
	if e.Message == nil {
		return
	}
	for i := range e.Sessions {
		if e.Sessions[i].Drop {
			continue
		}
		l := e.Sessions[i].to.inlet()
		l.coming.Add(-1)
		l.bytes.Add(int64(-footprint(e.Message)))
	}
}

package broker

import (
	"sync"
	"sync/atomic"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
)

// durable is the part of a session that outlives the process: its queue in the store, through which all of its messages of
// QoS 1 and 2 go, and what it may say only when something is kept. Only one goroutine at a time works on it (turn), so the
// queue has one user; any may ask for it. What it has to do is collected under the lock of the session's out.
type durable struct {
	s      *session
	serial serial
	queue  Queue
	turn   turn

	noted    atomic.Uint64 // the last reading that has it in its list
	waking   atomic.Bool   // a goroutine that may read the disk is on its way
	reminded atomic.Bool   // remind waits
	resting  atomic.Bool   // the queue could not be read, and is not for a moment
	starved  atomic.Bool   // the journal had no room for retained messages
	coming   atomic.Int64  // messages for the queue that the journal does not have yet
	bytes    atomic.Int64  // of them
	weeds    atomic.Bool   // the queue is to be looked through for what has expired
	stale    atomic.Int64  // nothing more of it can have expired before this time since boot; 0: it was never looked through

	// Guarded by out.mu:
	acks     []uint64  // records the subscriber is done with
	released []Pair    // of which PUBREC came
	freed    []uint16  // ids whose pair is over
	promises []promise // what may be said when something is kept, in order
	hold     uint64    // nothing is sent again before this number is settled; 0: nothing to wait for
	rewind   bool      // a new connection: what was read before is to be read again
	through  uint64    // the highest record that was sent; there is no lower one that was not
	staged   bool      // PUBLISHes of QoS 2 wait among the promises; nothing may pass them

	// Of the one who has the turn:
	batch  []Queued
	at, n  int  // batch[at:n] was read and not sent yet
	ended  bool // Next had nothing more for sending again
	ids    []uint32
	acked  []uint64
	looked []promise
}

// batchSize is how many messages are read from the queue at a time.
const batchSize = 64

// promise is something that may be said to a connection when a number is settled.
type promise struct {
	number     uint64
	since      time.Time
	soft       bool   // if the store fails it is said all the same, after Config.SpillAfter
	sends      bool   // it holds PUBLISHes or PUBRELs, which come again by themselves on the next connection
	staged     bool   // it holds PUBLISHes
	generation uint32 // of the connection it is for
	bytes      []byte
	completed  []uint16 // ids whose PUBCOMP is in bytes
	ready      bool     // working space of keepPromises
}

// never is the number of a barrier that could not be had.
const never = 1<<64 - 1

func (b *Broker) barrier() uint64 {
	number, err := b.cfg.Store.Barrier()
	if err != nil {
		b.quiet.warn(b.log, "the store takes nothing more", "err", err)
		return never
	}
	return number
}

// newDurable stores a new session and gives it a queue. It stays in memory if the store has no room.
func (b *Broker) newDurable(s *session) {
	d := &durable{s: s, serial: newSerial()}
	if !b.openQueue(d) {
		return
	}
	if !d.save(message.Stamp{}) { // a queue without its session would be dropped at the next start
		b.cfg.Store.DropQueue(d.serial.queue())
		return
	}
	s.durable = d
	s.out.durable = d
}

func (b *Broker) openQueue(d *durable) bool {
	q, err := b.cfg.Store.Queue(d.serial.queue())
	if err != nil {
		b.count.notKept.Add(1)
		b.log.Error("session lives in memory only: the store has no room for its queue", "client", string(d.s.id), "err", err)
		return false
	}
	d.queue = q
	return true
}

// batches are shared by all sessions: one whose queue is at its end has none.
var batches = sync.Pool{New: func() any { b := make([]Queued, batchSize); return &b }}

// read fills the batch, of which everything was sent, with up to most messages. The caller has the turn.
func (d *durable) read(most int, disk bool) (onDisk bool, err error) {
	if d.batch == nil {
		d.batch = *batches.Get().(*[]Queued)
	}
	d.at = 0
	if d.n, onDisk, err = d.queue.Next(d.batch[:min(most, batchSize)], disk); d.n == 0 || err != nil {
		b := d.batch
		d.batch, d.n = nil, 0
		batches.Put(&b)
	}
	return onDisk, err
}

// put sets a key, or counts that it could not be kept.
func (b *Broker) put(key string, value []byte, what string) bool {
	err := b.cfg.Store.Put(key, value)
	if err != nil {
		b.count.notKept.Add(1)
		b.quiet.warn(b.log, "not kept: it does not survive a restart", "what", what, "err", err)
	}
	return err == nil
}

// room tells whether one more message may wait for the session, and takes its place.
func (d *durable) room(size, inFlight int) bool {
	cfg := &d.s.b.cfg
	n, bytes := d.queue.Waiting()
	n += int(d.coming.Load())
	bytes += d.bytes.Load()
	if n > 0 && bytes+int64(size) > int64(cfg.QueueBytes) || n-inFlight >= cfg.QueueMessages { // the newest is dropped
		return false
	}
	d.coming.Add(1)
	d.bytes.Add(int64(size))
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
		d := e.Sessions[i].session.durable
		d.coming.Add(-1)
		d.bytes.Add(int64(-footprint(e.Message)))
	}
}

// pump does what there is to do for the session: keeps what must be kept, says what may be said, and moves messages from
// the queue to the socket's buffer, which the caller flushes; pump does it itself for those who asked meanwhile. Not called under any lock. It reads no disk: if that is needed
// it is done by a goroutine of its own.
func (d *durable) pump() {
	if !d.turn.begin() {
		return
	}
	onDisk, asked := d.work(false), false
	for !d.turn.end() {
		onDisk, asked = d.work(false), true
	}
	if asked { // by somebody who may have flushed before this was done
		d.s.out.flush()
	}
	if onDisk {
		d.wake()
	}
}

// pumpOut pumps and flushes.
func (d *durable) pumpOut() {
	d.pump()
	d.s.out.flush()
}

// wake starts the goroutine that reads the disk, unless one is on its way.
func (d *durable) wake() {
	if d.waking.Swap(true) {
		return
	}
	if !d.s.b.readers.start(d.readDisk) {
		d.waking.Store(false)
	}
}

// readDisk works with the disk. Whoever has the turn meanwhile wakes another one: it sees that waking is off by then.
func (d *durable) readDisk() {
	d.waking.Store(false)
	if !d.turn.begin() {
		return
	}
	for again := true; again; again = !d.turn.end() {
		for d.work(true) {
			d.s.out.flush()
		}
	}
	d.s.out.flush()
}

// work does everything once; more: the disk has to be read, or with disk that it is worth flushing and going on.
func (d *durable) work(disk bool) (more bool) {
	d.starved.Store(false)
	if d.weeds.Load() {
		if !disk {
			return true
		}
		d.weeds.Store(false)
		d.weed()
	}
	for {
		d.keepPromises()
		d.settleUp()
		d.feed()
		again, onDisk := d.step(disk)
		if onDisk || disk && again {
			return true
		}
		if !again {
			return false
		}
	}
}

// keepPromises says what may be said by now. Only who has the turn takes promises out of the list.
func (d *durable) keepPromises() {
	o, b := &d.s.out, d.s.b
	o.mu.Lock()
	d.looked = append(d.looked[:0], d.promises...)
	o.mu.Unlock()
	if len(d.looked) == 0 {
		return
	}
	failing, late := b.cfg.Store.Failing(), time.Now().Add(-b.cfg.SpillAfter)
	ready := 0
	for i := range d.looked {
		p := &d.looked[i]
		p.ready = b.journal.Settled(p.number)
		if !p.ready && p.soft && failing && !p.since.After(late) {
			p.ready = true
			b.count.notKept.Add(1)
			b.quiet.warn(b.log, "the store fails: what a persistent session asked for is kept in memory only", "client", string(d.s.id))
		}
		switch {
		case p.ready:
			ready++
		case p.soft:
			d.remind()
		}
	}
	if ready > 0 {
		o.mu.Lock()
		left := d.promises[:0]
		for i := range d.promises {
			if i < len(d.looked) && d.looked[i].ready {
				d.say(&d.looked[i])
			} else {
				left = append(left, d.promises[i])
			}
		}
		clear(d.promises[len(left):])
		d.promises = left
		o.mu.Unlock()
	}
	clear(d.looked)
}

// remind has soft promises looked at again when SpillAfter is over: the store may fail.
func (d *durable) remind() {
	if d.reminded.Swap(true) {
		return
	}
	time.AfterFunc(d.s.b.cfg.SpillAfter, func() {
		d.reminded.Store(false)
		d.s.b.Notify()
	})
}

// say puts a promise out, if its connection is still there. The caller holds out.mu.
func (d *durable) say(p *promise) {
	o := &d.s.out
	if p.generation != o.generation {
		return
	}
	if p.staged {
		d.staged = false
	}
	if o.conn == nil || o.closing {
		return
	}
	o.room()
	o.pending = append(o.pending, p.bytes...)
	if !p.sends {
		o.answers += len(p.bytes)
	}
	o.completed = append(o.completed, p.completed...)
}

// promise adds a promise for a barrier asked for now. ok is false when too much is owed already. A PUBREL that is left out
// then was promised before: there are no so many in flight.
func (d *durable) promise(p promise) (ok bool) {
	b := d.s.b
	p.number, p.since = b.barrier(), time.Now()
	o := &d.s.out
	o.mu.Lock()
	size := len(p.bytes)
	for i := range d.promises {
		if x := &d.promises[i]; !x.staged && x.sends == p.sends {
			size += len(x.bytes)
		}
	}
	if ok = p.staged || size <= answerBytes; ok {
		d.promises = append(d.promises, p)
	}
	if p.sends && !p.staged && o.flight.Resending() { // or the PUBREL would be sent again before it may be sent at all
		d.hold = max(d.hold, p.number)
	}
	o.mu.Unlock()
	b.pledges.add(d)
	if p.soft {
		d.remind()
	}
	return ok
}

// settleUp tells the store how far the subscriber got: what it has, and what it must never get again.
func (d *durable) settleUp() {
	o := &d.s.out
	o.mu.Lock()
	if len(d.acks)+len(d.released)+len(d.freed) == 0 {
		o.mu.Unlock()
		return
	}
	acks, released, freed, generation := d.acks, d.released, d.freed, o.generation
	d.acks, d.released, d.freed = d.acked[:0], nil, nil
	o.mu.Unlock()
	p := promise{sends: true, generation: generation}
	for _, r := range released {
		d.keep(Pair{ID: r.ID, Number: r.Number, Released: true}) // first: a record that is gone with a pair that is not released would come again
		acks = append(acks, r.Number)
		p.bytes = appendAck(p.bytes, packet.TypePubrel, r.ID) // v5 [MQTT-4.3.3-4], 3.1.1 [MQTT-4.3.3-1]
	}
	if len(acks) > 0 {
		d.queue.Ack(acks)
	}
	for _, id := range freed {
		d.queue.Forget(id)
	}
	d.acked = acks[:0]
	if len(released) > 0 {
		d.promise(p)
		d.keepPromises()
	}
}

func (d *durable) keep(p Pair) {
	if err := d.queue.Keep(p); err != nil { // never lost rather than never repeated
		d.s.b.count.notKept.Add(1)
		d.s.b.quiet.warn(d.s.b.log, "the store has no room: a message of QoS 2 may be repeated after a restart", "client", string(d.s.id), "err", err)
	}
}

// hangs tells whether anything waits for the journal.
func (d *durable) hangs() bool {
	o := &d.s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.gone && (len(d.promises) > 0 || o.conn != nil && d.hold != 0 || d.starved.Load())
}

// attached begins with a new connection: what was sent and not finished is sent again. The caller holds out.mu.
func (d *durable) attached() { d.rewind, d.staged = true, false }

// rewound makes the next step send again from the start, when what was still to be kept of it is. What the connections before
// were promised is void by then: nobody but who has the turn promises PUBLISHes and PUBRELs, so none is missed. The caller
// has the turn and holds out.mu.
func (d *durable) rewound() {
	d.rewind = false
	left := d.promises[:0]
	for _, p := range d.promises {
		switch {
		case p.generation == d.s.out.generation:
			left = append(left, p)
		case p.sends:
			d.hold = max(d.hold, p.number)
		}
	}
	clear(d.promises[len(left):])
	d.promises = left
}

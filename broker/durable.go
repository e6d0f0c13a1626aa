package broker

import (
	"sync/atomic"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
)

// durable is the part of a session that outlives the process: its queue in the store, through which all of its messages of
// QoS 1 and 2 go, and what it may say only when something is kept. Only one goroutine at a time works on it (turn), so the
// queue has one user; any may ask for it. What it has to do is collected under the lock of the session's out.
type durable struct {
	line
	s      *session
	serial serial

	reminded atomic.Bool // remind waits
	starved  atomic.Bool // the journal had no room for retained messages

	// Guarded by out.mu:
	acks     []uint64        // records the subscriber is done with
	released []Pair          // of which PUBREC came
	freed    []uint16        // ids whose pair is over
	promises []promise       // what may be said when something is kept, in order
	hold     uint64          // nothing is sent again before this number is settled; 0: nothing to wait for
	rewind   bool            // a new connection: what was read before is to be read again
	due      []*subscription // retained messages for them are not all in the queue
	paying   []payment       // when they will be
	staged   bool            // PUBLISHes of QoS 2 wait among the promises; nothing may pass them

	// Of the one who has the turn, besides those of line:
	ended  bool // Next had nothing more for sending again
	ids    []uint32
	acked  []uint64
	looked []promise
	fed    uint64          // the last record with a retained message that was due
	used   map[uint16]bool // while it is restored: ids in flight
	tried  int             // ids up to this one were tried then
}

// promise is something that may be said to a connection when a number is settled.
type promise struct {
	number     uint64
	since      time.Time
	soft       bool     // if the store fails it is said all the same, after Config.SpillAfter
	sends      bool     // it holds PUBLISHes or PUBRELs, which come again by themselves on the next connection
	staged     bool     // it holds PUBLISHes
	lending    *lending // it holds PUBLISHes of a shared group
	generation uint32   // of the connection it is for
	bytes      []byte
	packets    int      // in bytes that are no PUBLISH
	completed  []uint16 // ids whose PUBCOMP is in bytes
	ready      bool     // working space of keepPromises
}

// publishes tells whether it holds PUBLISHes, which the window bounds.
func (p *promise) publishes() bool { return p.staged || p.lending != nil }

// never is the number of a barrier that could not be had.
const never = 1<<64 - 1

func newDurable(s *session, n serial) *durable {
	d := &durable{s: s, serial: n}
	d.line.b, d.of = s.b, d
	return d
}

func (b *Broker) barrier() uint64 {
	number, err := b.cfg().Store.Barrier()
	if err != nil {
		b.quiet.warn(b.log, "the store takes nothing more", "err", err)
		return never
	}
	return number
}

// makeDurable stores a new session and gives it a queue. It stays in memory if the store has no room.
func (b *Broker) makeDurable(s *session) {
	d := newDurable(s, newSerial())
	if !b.openQueue(d) {
		return
	}
	if !d.save(message.Stamp{}) { // a queue without its session would be dropped at the next start
		b.cfg().Store.DropQueue(d.serial.queue())
		return
	}
	s.out.durable = d
}

func (b *Broker) openQueue(d *durable) bool {
	q, err := b.cfg().Store.Queue(d.serial.queue())
	if err != nil {
		b.count.notKept.Add(1)
		b.log.Error("session lives in memory only: the store has no room for its queue", "client", d.s.id(), "err", err)
		return false
	}
	d.queue = q
	return true
}

// put sets a key, or counts that it could not be kept.
func (b *Broker) put(key string, value []byte, what string) bool {
	err := b.cfg().Store.Put(key, value)
	if err != nil {
		b.count.notKept.Add(1)
		b.quiet.warn(b.log, "not kept: it does not survive a restart", "what", what, "err", err)
	}
	return err == nil
}

// pump does what there is to do for the session: keeps what must be kept, says what may be said, and moves messages from
// the queue to the socket's buffer, which the caller flushes; pump does it itself for those who asked meanwhile. Then the shared
// groups of the session have their turn, whose members may have room now. Not called under any lock.
func (d *durable) pump() {
	if d.run() {
		d.s.out.flush()
	}
	d.s.share()
}

// pumpOut pumps and flushes.
func (d *durable) pumpOut() {
	d.pump()
	d.s.out.flush()
}

func (d *durable) flush() { d.s.out.flush() }

func (d *durable) rested() {
	d.s.out.flush()
	d.s.share()
}

func (d *durable) lapsed() {} // nothing of it is in memory

func (d *durable) unreadable(err error) (on bool) {
	d.s.out.mu.Lock()
	gone := d.s.out.gone
	d.s.out.mu.Unlock()
	if !gone {
		d.b.quiet.warn(d.b.log, "queue of a session cannot be read, trying again", "client", d.s.id(), "err", err)
	}
	return !gone
}

// work does everything once; more: the disk has to be read, or with disk that it is worth flushing and going on.
func (d *durable) work(disk bool) (more bool) {
	d.starved.Store(false)
	if d.weeds.Load() > 0 && !d.resting.Load() {
		if !disk {
			return true
		}
		d.weed()
		d.ended = false
	}
	for {
		d.keepPromises()
		d.settleUp()
		d.keepLent()
		d.feed()
		d.pay()
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
	failing, late := b.cfg().Store.Failing(), time.Now().Add(-b.cfg().SpillAfter)
	ready := 0
	for i := range d.looked {
		p := &d.looked[i]
		p.ready = b.journal.Settled(p.number)
		if !p.ready && p.soft && failing && !p.since.After(late) {
			p.ready = true
			b.count.notKept.Add(1)
			b.quiet.warn(b.log, "the store fails: what a persistent session asked for is kept in memory only", "client", d.s.id())
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
	time.AfterFunc(d.s.b.cfg().SpillAfter, func() {
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
	if p.lending != nil {
		if o.lending == p.lending {
			o.say(p.lending)
		}
		return
	}
	o.room()
	o.pending = append(o.pending, p.bytes...)
	o.others += int32(p.packets)
	if !p.sends {
		o.answers += int32(len(p.bytes))
	}
	o.answered.complete(p.completed)
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
		if x := &d.promises[i]; !x.publishes() && x.sends == p.sends {
			size += len(x.bytes)
		}
	}
	if ok = p.publishes() || size <= answerBytes; ok {
		d.promises = append(d.promises, p)
	}
	if p.sends && !p.publishes() && o.flight.Resending() { // or the PUBREL would be sent again before it may be sent at all
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
	if len(d.acks)+len(d.released)+len(d.freed)+o.returned.len() == 0 {
		o.mu.Unlock()
		return
	}
	lent := o.takeReturned()
	acks, released, freed, generation := d.acks, d.released, d.freed, o.generation
	d.acks, d.released, d.freed = d.acked[:0], nil, nil
	o.mu.Unlock()
	p := promise{sends: true, generation: generation}
	for _, r := range released {
		r.Released = true
		d.keep(r) // first: a record that is gone with a pair that is not released would come again
		if r.Queue == 0 {
			acks = append(acks, r.Number)
		}
		p.packets++
		p.bytes = appendAck(p.bytes, packet.TypePubrel, r.ID) // v5 [MQTT-4.3.3-4], 3.1.1 [MQTT-4.3.3-1]
	}
	if len(acks) > 0 {
		d.queue.Ack(acks)
	}
	lent.finish()
	for _, id := range freed {
		d.queue.Forget(id)
	}
	for _, g := range lent.unsend() { // now that they are nobody's
		d.b.pledges.add(g)
		d.b.Notify()
	}
	d.acked = acks[:0]
	if len(released) > 0 {
		d.promise(p)
		d.keepPromises()
	}
}

// keepLent puts the pairs of what a shared group gives this session; it is sent when they are kept.
func (d *durable) keepLent() {
	o := &d.s.out
	o.mu.Lock()
	x := o.lending
	if x == nil || x.open || x.asked {
		o.mu.Unlock()
		return
	}
	x.asked = true
	var pairs []Pair
	for i, l := range x.lents {
		if l.sent.qos == 2 {
			pairs = append(pairs, l.pair(x.ids[i]))
		}
	}
	o.mu.Unlock()
	for _, p := range pairs {
		d.keep(p)
	}
	d.promise(promise{sends: true, lending: x, generation: x.generation})
	d.keepPromises()
}

func (d *durable) keep(p Pair) {
	if err := d.queue.Keep(p); err != nil { // never lost rather than never repeated
		d.s.b.count.notKept.Add(1)
		d.s.b.quiet.warn(d.s.b.log, "the store has no room: a message of QoS 2 may be repeated after a restart", "client", d.s.id(), "err", err)
	}
}

// hangs tells whether anything waits for the journal.
func (d *durable) hangs() bool {
	o := &d.s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.gone && (len(d.promises)+len(d.paying) > 0 || o.conn != nil && d.hold != 0 || d.starved.Load())
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

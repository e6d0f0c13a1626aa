package broker

import (
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/qos"
)

const (
	fillBytes  = 64 << 10 // so much is encoded ahead from the queue
	keepBuffer = 1 << 20  // larger output buffers are not kept for others
)

// out is the half of a session that faces its subscriber: what waits, what is unacknowledged, and the bytes on their way
// to the socket. It belongs to the session, not to the connection. Its mutex is held to append, release or take, never
// during I/O, a call of the journal, or together with the mutex of another out. Make one with newSession or lastOut.
type out struct {
	granted atomic.Pointer[granted]  // what the client may do, or could when it was here; nil: everything, or it was not here since the start
	shares  atomic.Pointer[[]*group] // shared groups that the session is in; nil: it never was in one
	online  atomic.Bool              // conn is set; for choosing without the lock
	several atomic.Bool              // the session has had more than one subscription, so a message may match it more than once

	mu         sync.Mutex // guards everything below
	conn       *connection
	generation uint32 // of conn; rises with each
	last       bool   // of a connection: there is no session, only last words
	closing    bool   // conn has its last words in pending: nothing may follow
	gone       bool   // the session has ended
	persistent bool   // it outlives its connection
	version    packet.Version
	maxPacket  uint32 // largest packet the client takes; 0: any
	toucher    uint64 // the last reading that noted it as touched

	pending []byte // for the socket
	answers int32  // bytes of pending that answer what the client sent
	others  int32  // packets in pending that are no PUBLISH
	writing int32  // bytes that the socket has taken and not written yet
	charged int32  // steps that limits.memory counts for it, see fits

	flight   qos.Outbound
	*backlog          // see own
	durable  *durable // nil: it lives in memory; set before the session is found by others, and before it has subscriptions
	answered answered // places that the in-half has to free
}

// backlog is what an out has of messages that wait or are in flight. Most clients that only listen never have any.
type backlog struct {
	holding holding    // of messages in flight, by reference
	queue   fifo[held] // QoS 1 and 2 messages that wait for the window or the connection
	replay  []replay   // retained messages still to be sent
	bytes   int        // of messages in flight and in the queue
	replays int        // of retained messages in flight because of a new subscription; not in bytes

	lent      map[uint16]*lent // messages of shared groups in flight, by packet id
	lentBytes int              // of them
	lending   *lending         // of them: what has not left yet
	returned  *returned        // groups are to be told about these; nil: none

	alarm    alarm         // guarded by expiring.mu: when a message of the queue may expire
	queued   int           // what limits.queued counts for it: len of queue, or more until settle
	stale    time.Duration // since boot; no message in the queue expires before. 0: not known
	dropping int           // messages dropped since it was last able to keep up
}

// noBacklog is that of all who never had one, so that nobody who looks has to ask for it. Nothing is ever written to it.
var noBacklog backlog

// lastOut makes one of a connection without a session, for its last words.
func lastOut(c *connection, words []byte) *out {
	return &out{backlog: &noBacklog, last: true, conn: c, closing: true, version: c.version, pending: words}
}

// own gives it a backlog of its own, to be called before one is written to, and never takes it away. The caller holds mu.
func (o *out) own() {
	if o.backlog == &noBacklog {
		o.backlog = &backlog{}
	}
}

// held is a message kept for one session.
type held struct {
	message *message.Message // shared, never changed; nil: in kept
	kept    *retained        // a retained message for a new subscription
	qos     byte
	retain  bool
	ids     []uint32 // subscription identifiers
	bytes   int
}

// Output buffers are shared by all connections: an idle one has none.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// room makes sure that there is a buffer to append to. The caller holds mu.
func (o *out) room() {
	if o.pending == nil {
		o.pending = (*buffers.Get().(*[]byte))[:0]
	}
}

func recycle(b []byte) {
	if cap(b) > 0 && cap(b) <= keepBuffer {
		b = b[:0]
		buffers.Put(&b)
	}
}

// encoded is a PUBLISH for many subscribers of one kind: the same but for flags and packet id.
type encoded struct {
	valid bool
	bytes []byte
	idAt  int // where the packet id stands, with QoS 1 and 2
}

// put appends a shared PUBLISH with its own flags and id. The caller holds mu and has called room.
func (o *out) put(e *encoded, qos byte, retain bool, id uint16) {
	at := len(o.pending)
	o.pending = append(o.pending, e.bytes...)
	first := byte(packet.TypePublish)<<4 | qos<<1
	if retain {
		first |= 1
	}
	o.pending[at] = first // DUP 0: v5 [MQTT-3.3.1-2] [MQTT-3.3.1-3] [MQTT-4.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2], 3.1.1 [MQTT-3.3.1-3]
	if qos > 0 {
		binary.BigEndian.PutUint16(o.pending[at+e.idAt:], id)
	}
}

// full tells whether so much waits for the socket already that nothing more should.
func (o *out) full(limit int) bool { return len(o.pending) >= limit }

// letGo frees what a finished message held. The caller holds mu.
func (o *out) letGo(ref uint64) {
	if h := o.holding.at(ref); h.kept != nil {
		o.replays -= h.bytes
	} else {
		o.bytes -= h.bytes
	}
	o.holding.drop(ref)
}

// fill moves what waits into pending, as far as window and socket allow. The caller holds mu.
func (o *out) fill(b *Broker) {
	if o.durable != nil || o.conn == nil || o.closing || o.queue.len() == 0 && len(o.replay) == 0 && o.flight.InFlight() == 0 {
		return
	}
	f := filler{b: b, out: o}
	o.resend(&f)
	for o.queue.len() > 0 && o.more(b) && o.flight.Free() > 0 { // v5 [MQTT-3.3.4-9] [MQTT-4.9.0-2]
		h := o.queue.pop()
		if !f.send(h) {
			o.bytes -= h.bytes
		}
	}
	o.fillReplay(&f)
	f.done()
	o.settle(b)
	b.count.add(&f.counts)
}

// filler sends messages one by one, encoding each.
type filler struct {
	b      *Broker
	out    *out
	now    message.Stamp
	asked  bool             // now is set
	opened *message.Message // a retained message that was read; see done
	counts counts
}

// age is how long a message has waited, in whole seconds.
func (f *filler) age(m *message.Message) (seconds uint32) {
	if !f.asked {
		f.now, f.asked = f.b.stamp(), true
	}
	return uint32(min(f.b.waited(m, f.now)/time.Second, 1<<32-1))
}

// mortal tells whether a message has a message expiry.
func mortal(m *message.Message) bool { return m.Props.Has(packet.PropMessageExpiry) }

// expired tells whether a message may not be delivered any more. v5 [MQTT-3.3.2-5]
func (f *filler) expired(m *message.Message) bool {
	return mortal(m) && f.age(m) >= m.Props.MessageExpiry
}

// expireQueue drops what has expired in the queue, which is full. It looks through all of it, but not again before
// something more can have expired. The caller holds mu.
func (f *filler) expireQueue() {
	o := f.out
	if f.now.Since < o.stale {
		return
	}
	o.own()
	o.stale = math.MaxInt64
	o.queue.remove(func(h held) bool {
		if f.expired(h.message) {
			f.counts.expired++
			o.bytes -= h.bytes
			return true
		}
		o.stale = min(o.stale, f.b.expires(h.message, f.now))
		return false
	})
}

// wait puts a message at the end of the queue: v5 [MQTT-4.6.0-5] [MQTT-4.6.0-6], 3.1.1 [MQTT-4.6.0-5] [MQTT-4.6.0-6]. The
// caller holds mu.
func (o *out) wait(b *Broker, h held, now message.Stamp) {
	o.own()
	o.queue.push(h)
	if mortal(h.message) {
		at := b.expires(h.message, now)
		o.stale = min(o.stale, at)
		b.expect(o, at)
	}
}

// send starts the delivery of a message that waited; false: it was dropped and holds nothing. There is room in the window.
func (f *filler) send(h held) bool {
	o := f.out
	kept := h
	h.message = f.message(&h)
	if f.expired(h.message) {
		f.counts.expired++
		return false
	}
	if !f.mayHave(h.message) {
		return false
	}
	if h.qos == 0 {
		f.encode(h, 0, false)
		return true
	}
	o.own()
	ref := o.holding.put(kept)
	id, ok := o.flight.Send(h.qos, ref) // v5 [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1], 3.1.1 [MQTT-2.3.1-4]
	if !ok {
		o.holding.drop(ref)
		f.counts.droppedQueue++
		return false
	}
	if !f.encode(h, id, false) { // too large for the client: as if it had been sent and acknowledged, v5 [MQTT-3.1.2-25]
		o.abandon(id, h.qos)
		o.holding.drop(ref)
		return false
	}
	return true
}

// encode appends a PUBLISH of its own making to pending, and tells whether the client can take it.
func (f *filler) encode(h held, id uint16, dup bool) bool {
	o, m := f.out, f.message(&h)
	p := m.Publish // as it came: v5 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20]
	p.QoS, p.Retain, p.ID, p.Dup = h.qos, h.retain, id, dup
	p.Props.Unset(packet.PropTopicAlias) // of the publisher's connection, v5 [MQTT-3.3.2-7]
	p.Props.SubscriptionIDs = h.ids
	if p.Props.Has(packet.PropMessageExpiry) { // v5 [MQTT-3.3.2-6]
		waited := f.age(m)
		left := uint32(1) // what was begun is completed, however late: v5 [MQTT-4.3.3-7] [MQTT-4.3.3-13]
		if p.Props.MessageExpiry > waited {
			left = p.Props.MessageExpiry - waited
		}
		p.Props.SetMessageExpiry(left)
	}
	o.room()
	at := len(o.pending)
	b, err := p.Append(o.pending, o.version)
	if err != nil || o.maxPacket > 0 && len(b)-at > int(o.maxPacket) { // v5 [MQTT-3.1.2-24]
		o.pending = o.pending[:at]
		f.counts.tooLarge++
		return false
	}
	o.pending = b
	f.counts.sent[h.qos]++
	f.counts.payloadOut += uint64(len(p.Payload))
	return true
}

// abandon frees the id of a message that is not to be sent.
func (o *out) abandon(id uint16, q byte) {
	answer := packet.TypePuback
	if q == 2 {
		answer = packet.TypePubrec
	}
	o.flight.Receive(answer, id, packet.UnspecifiedError)
}

// resend sends again, on a new connection, what the one before left unacknowledged, as far as the window allows.
// v5 [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-4.8.2-4], 3.1.1 [MQTT-4.4.0-1] [MQTT-4.6.0-1]
func (o *out) resend(f *filler) {
	type dropped struct {
		id  uint16
		ref uint64
		qos byte
	}
	var over []dropped // it is too large for this client, or one that the client may not have any more
	o.flight.Resend(func(id uint16, ref uint64, q byte, released bool) bool {
		switch l := o.lent[id]; {
		case released: // v5 [MQTT-4.3.3-6]
			o.acknowledge(packet.TypePubrel, id, packet.Success, whyNot)
		case l != nil: // v5 [MQTT-4.8.2-4]
			if !f.mayHave(l.sent.message) || !f.encode(l.sent, id, true) {
				over = append(over, dropped{id, ref, q})
			}
		case !f.mayHave(f.message(o.holding.at(ref))) || !f.encode(*o.holding.at(ref), id, true): // DUP 1: v5 [MQTT-3.3.1-1], 3.1.1 [MQTT-3.3.1-1]
			over = append(over, dropped{id, ref, q})
		}
		return true
	})
	for _, d := range over {
		if d.qos == 2 { // the subscriber may have it, and the id with it: the handshake goes on without the message
			o.received(packet.TypePubrec, d.id, packet.Success)
			continue
		}
		o.abandon(d.id, d.qos)
		if l := o.lent[d.id]; l != nil {
			o.giveBack(d.id, l)
			o.finish(l)
			continue
		}
		o.letGo(d.ref)
	}
}

// acknowledge appends a PUBACK, PUBREC, PUBREL or PUBCOMP. The caller holds mu.
func (o *out) acknowledge(t packet.Type, id uint16, reason packet.Reason, why why) {
	if o.closing { // v5 [MQTT-3.14.4-1]; what is begun goes on with the next connection
		return
	}
	o.room()
	o.others++
	if o.version == packet.V5 && reason != packet.Success {
		a := packet.Ack{Type: t, ID: id, Reason: reason}
		b, ok := o.inWords(&a, why, o.pending)
		err := error(nil)
		if !ok {
			b, err = a.Append(o.pending, o.version)
		}
		if err == nil {
			o.answers += int32(len(b) - len(o.pending))
			o.pending = b
		}
		return
	}
	o.answers += 4
	o.pending = appendAck(o.pending, t, id)
}

// appendAck writes an acknowledgement with success.
func appendAck(b []byte, t packet.Type, id uint16) []byte {
	first := byte(t) << 4
	if t == packet.TypePubrel {
		first |= 0b0010 // v5 [MQTT-3.6.1-1], 3.1.1 [MQTT-3.6.1-1]
	}
	return append(b, first, 2, byte(id>>8), byte(id)) // v5 [MQTT-2.2.1-5], 3.1.1 [MQTT-2.3.1-6]
}

// unread is an error if the client asks, or publishes, without reading the answers. The caller holds mu.
func (o *out) unread(b *Broker) error {
	if o.answers <= answerBytes {
		if o.answers > freeOut && !o.fits(b, 0) {
			return errMemory
		}
		return nil
	}
	return packet.Errorf(packet.QuotaExceeded, "answers of %d bytes were not read", o.answers)
}

// received handles an acknowledgement from the subscriber. ok is false if it breaks the protocol. The caller holds mu.
func (o *out) received(t packet.Type, id uint16, reason packet.Reason) (ok bool) {
	step, ref := o.flight.Receive(t, id, reason)
	if l := o.lent[id]; l != nil {
		return o.lentReceived(l, step, t, id)
	}
	if o.durable != nil && (step == qos.SendPubrel || step == qos.Done || step == qos.Refused) {
		o.durable.received(step, t, id, ref)
		return true
	}
	switch step {
	case qos.SendPubrel: // v5 [MQTT-4.3.3-4], 3.1.1 [MQTT-4.3.3-1]
		o.acknowledge(packet.TypePubrel, id, packet.Success, whyNot)
	case qos.Done, qos.Refused: // v5 [MQTT-4.4.0-2] [MQTT-4.8.2-6]: refused is acknowledged too
		o.letGo(ref)
	case qos.Ignored:
		if t == packet.TypePubrec && !reason.Failed() {
			o.acknowledge(packet.TypePubrel, id, packet.PacketIdentifierNotFound, whyNot)
		}
	case qos.Wrong:
		return false
	}
	return true
}

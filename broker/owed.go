package broker

import (
	"slices"
	"sync"

	"weir/broker/message"
	"weir/broker/packet"
)

// due is one acknowledgement in the FIFO of a publisher.
type due struct {
	number     uint64 // recorded: the record that must be settled first; waiting: the place of its message in the order of waiting
	generation uint32 // of the connection it is owed to; stale ones are not sent
	id         uint16
	answer     packet.Type // TypePuback or TypePubrec; 0: an in-process message
	reason     packet.Reason
	why        why // the reason in words
	state      dueState
}

// dueState goes one way:
//
//	waiting ──▶ recorded ──▶ settled (which is not stored: the journal knows)
type dueState uint8

const (
	dueSettled  dueState = iota // nothing to wait for
	dueRecorded                 // the journal has it under number
	dueWaiting                  // it has no number yet: its message waits for room in the journal
)

// sink is where released acknowledgements go: a session's out-half or a Publisher. Never called under a lock of owed,
// nor twice at a time.
type sink interface {
	settled(acks []due)
	flush() // after one or more calls of settled
}

// owed is the FIFO of acknowledgements that a publisher is owed, and the messages of it that wait for room in the
// journal. Acknowledgements leave from the head only, and only when the journal has settled them, so they are never
// early and never out of order. nil owes nothing yet.
type owed struct {
	b    *Broker
	sink sink

	releasing turn // who releases; also the right to take from waiting

	mu      sync.Mutex // guards the fields below; never held while calling the journal or the sink
	fifo    []due
	head    int       // fifo[:head] is gone
	waiting []waiting // in order; while there are any, nothing of this publisher goes past them
	place   uint64    // of waiting[0]: how many messages have left it so far
	bytes   int       // of waiting
	edition int       // rises when the FIFO is changed in another way than adding and releasing
	gone    bool      // the publisher is; waiting is for retry to drop
}

// toJournal is what submit is given: the messages of one batch for the journal and the acknowledgements of the batch,
// both in order.
type toJournal struct {
	publisher uint64 // goes into every entry
	entries   []Entry
	dues      []dueIn
	places    []uint64 // working space of submit: places of entries that wait
}

// dueIn is an acknowledgement and the index of the entry that it waits for, or one of the constants.
type dueIn struct {
	due
	entry int
	told  bool // the publisher can be told that nobody took its message: a 5.0 client
}

const (
	noEntry = -1 // nothing to wait for
	again   = -2 // a QoS 2 PUBLISH came again: what its first PUBREC waits for, if that was not sent
)

// submit gives the journal a batch and adds its acknowledgements to the FIFO. What the journal has no room for waits
// within the allowance. taken is how many of the dues were taken; less than all: the allowance is used up, and the
// publisher has to go.
func (o *owed) submit(batch *toJournal, allowance int) (taken int) {
	o.mu.Lock()
	blocked := len(o.waiting) > 0 // only submit makes it so, and there is one submit at a time
	o.mu.Unlock()
	first, n := uint64(0), 0
	if len(batch.entries) > 0 && !blocked {
		for i := range batch.entries {
			batch.entries[i].Publisher = batch.publisher
		}
		first, n = o.b.journal.Append(batch.entries)
		o.b.count.journaled.Add(uint64(n))
	}
	for i := range batch.entries[:n] {
		arrived(&batch.entries[i])
	}
	o.b.foresee(batch.entries[:n], first)
	o.mu.Lock()
	kept := o.wait(batch, n, allowance)
	for i := kept; i < len(batch.entries); i++ {
		arrived(&batch.entries[i])
	}
	open := false
	for i := range batch.dues {
		d := batch.dues[i].due
		switch at := batch.dues[i].entry; {
		case at == again:
			d, open = o.again(d), true
		case at == noEntry, at >= n && batch.entries[at].Message == nil: // none, or dropped by wait
			d.state = dueSettled
		case at < n:
			d.state, d.number, open = dueRecorded, first+uint64(at), true
			if e := &batch.entries[at]; e.Refused && !e.local && batch.dues[i].told { // v5 sections 3.4.2.1 and 3.5.2.1
				d.reason, d.why = packet.QuotaExceeded, whyQueues
			}
		case at < kept:
			d.state, d.number, open = dueWaiting, batch.places[at-n], true
		default:
			o.mu.Unlock()
			o.start(open)
			return i
		}
		o.fifo = append(o.fifo, d)
	}
	o.mu.Unlock()
	o.start(open || kept > n)
	return len(batch.dues)
}

// start registers the publisher if the journal has to be waited for, and releases what can be.
func (o *owed) start(open bool) {
	if open {
		o.b.owing.add(o) // before looking, so that a settlement in between finds it
	}
	o.release()
}

// release sends the acknowledgements at the head that are settled, after trying again what had no room. If another
// goroutine is at it, that one looks again.
func (o *owed) release() {
	if !o.releasing.begin() {
		return
	}
	for {
		o.retry()
		if o.releaseSome() {
			for o.releaseSome() {
			}
			o.sink.flush()
		}
		if o.releasing.end() {
			return
		}
	}
}

// dueRoom is working space of releaseSome.
var dueRoom = sync.Pool{New: func() any { return new([2][64]due) }}

// releaseSome releases up to 64 heads; some: it did, and there may be more.
func (o *owed) releaseSome() (some bool) {
	room := dueRoom.Get().(*[2][64]due)
	defer dueRoom.Put(room)
	heads, acks := room[0][:], room[1][:]
	o.mu.Lock()
	n, edition := copy(heads, o.fifo[o.head:]), o.edition
	o.mu.Unlock()
	ready := 0
	for ready < n && (heads[ready].state == dueSettled || heads[ready].state == dueRecorded && o.b.journal.Settled(heads[ready].number)) {
		ready++
	}
	if ready == 0 {
		return false
	}
	o.mu.Lock()
	if o.edition != edition {
		o.mu.Unlock()
		return true
	}
	o.head += copy(acks[:ready], o.fifo[o.head:]) // again: generations may have changed
	switch {
	case o.head == len(o.fifo):
		o.fifo, o.head = o.fifo[:0], 0
	case o.head >= 1024 && 2*o.head >= len(o.fifo):
		o.fifo, o.head = o.fifo[:copy(o.fifo, o.fifo[o.head:])], 0
	}
	o.mu.Unlock()
	o.sink.settled(acks[:ready])
	return true
}

// again gives what a PUBREC that is owed again has to wait for. If the first one is still in the FIFO it is taken out:
// PUBRECs leave in the order in which the PUBLISHes came on a connection (v5 and 3.1.1 section 4.6). The caller holds mu.
func (o *owed) again(d due) due {
	if i := o.find(d.id); i >= 0 {
		first := &o.fifo[i]
		d.state, d.number, d.reason, d.why = first.state, first.number, first.reason, first.why
		o.fifo = slices.Delete(o.fifo, i, i+1)
		o.edition++
	}
	return d
}

// find is the place of the PUBREC of a packet id in the FIFO, or -1. The caller holds mu.
func (o *owed) find(id uint16) int {
	for i := o.head; i < len(o.fifo); i++ {
		if d := &o.fifo[i]; d.id == id && d.answer == packet.TypePubrec {
			return i
		}
	}
	return -1
}

// unanswered gives the PUBREC of id that is owed, if one is, to whichever connection.
func (o *owed) unanswered(id uint16) (d due, owed bool) {
	if o == nil {
		return due{}, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	i := o.find(id)
	if i < 0 {
		return due{}, false
	}
	return o.fifo[i], true
}

// prune forgets what a lost connection was owed, so that connecting again and again does not make the FIFO grow. What is
// needed later stays: dues of QoS 2, whose PUBLISH may come again, and of messages that wait for room. refused is called for the
// packet ids of QoS 2 messages that nobody took, which the client will not be told any more.
func (o *owed) prune(refused func(id uint16)) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.fifo[:0]
	for _, d := range o.fifo[o.head:] {
		switch {
		case d.state == dueWaiting || d.state == dueRecorded && d.answer == packet.TypePubrec:
			kept = append(kept, d)
		case d.answer == packet.TypePubrec && d.reason.Failed():
			refused(d.id)
		}
	}
	o.fifo, o.head = kept, 0
	o.edition++
}

// drop forgets everything: the publisher's session has ended.
func (o *owed) drop() {
	if o == nil {
		return
	}
	o.mu.Lock()
	o.fifo, o.head, o.gone = nil, 0, true
	o.edition++
	o.mu.Unlock()
	o.release() // drops what waits, or has it dropped by who is offering it to the journal now
	o.b.owing.remove(o)
}

// idle tells whether the journal has to be waited for no more.
func (o *owed) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.head == len(o.fifo) && len(o.waiting) == 0
}

// size is how many acknowledgements are owed.
func (o *owed) size() int {
	if o == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.fifo) - o.head
}

// footprint is about how many bytes a message takes when it is kept.
func footprint(m *message.Message) int {
	p := &m.Props
	n := 256 + len(m.Topic) + len(m.Payload) + len(m.Origin) + len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for _, u := range p.User {
		n += 48 + len(u.Key) + len(u.Value)
	}
	return n
}

package broker

import (
	"errors"
	"fmt"
	"sync"

	"weir/broker/message"
	"weir/broker/topic"
)

// ErrFull is the error of Publisher.Publish when too much of what it published before still waits for room in the
// journal. Nothing was taken; acked is called when there is room again.
var ErrFull = errors.New("broker: publisher is full")

// Publisher publishes from within the process. It is owed acknowledgements as a connection is.
type Publisher struct {
	b          *Broker
	name       string
	acked      func(n int)
	unretained bool   // what it publishes is retained by itself, and no message of clients: see sys
	lossy      bool   // nobody waits for acknowledgements
	token      uint64 // what Entry.Publisher says; 0 when lossy

	key func(id uint16) string // what a message with a packet id is kept with; nil: with nothing

	mu   sync.Mutex // one Publish at a time
	owed owed
}

// NewPublisher makes a publisher. The name is what Route.NotFrom compares. acked(n) says that the next n messages are
// settled, in the order they were published, whatever their QoS; it may be called from inside Publish, never twice at a
// time, must not block and must not call Publish. nil: nobody wants to know, as with
// readings, which are not published again; see Publish.
func (b *Broker) NewPublisher(name string, acked func(n int)) *Publisher {
	lossy := acked == nil
	if lossy {
		acked = func(int) {}
	}
	p := &Publisher{b: b, name: name, acked: acked, lossy: lossy}
	if !lossy {
		p.token = b.token.Add(1)
	}
	p.owed.b, p.owed.sink = b, p
	return p
}

// KeepWith has each message that has a packet id kept along with a key of the Store, neither without the other, and settled only
// when both are durable. Call it before the first Publish.
func (p *Publisher) KeepWith(key func(id uint16) string) { p.key = key }

// Publish takes the whole batch, or nothing and returns ErrFull or what is wrong with a message (no valid topic name, a
// QoS above 2). The messages are copied where they are kept; Stamp and Origin are taken as they are. Local subscribers
// have it when Publish returns. It never blocks. Calls at the same moment are taken one after the other.
//
// A publisher without acked never gets ErrFull: what does not fit reaches local subscribers, and is dropped for
// upstreams and counted (Stats.DroppedTail).
func (p *Publisher) Publish(batch []message.Message) error {
	size := 0
	for i := range batch {
		m := &batch[i]
		if err := topic.ValidName(m.Topic); err != nil {
			return fmt.Errorf("publish message %d of %d: %w", i+1, len(batch), err)
		}
		if m.QoS > 2 {
			return fmt.Errorf("publish message %d of %d: qos %d, want 0 to 2", i+1, len(batch), m.QoS)
		}
		size += footprint(m)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	full := p.full(size)
	if full && !p.lossy {
		return ErrFull
	}
	r := p.b.newReading()
	for i := range batch {
		key := ""
		if p.key != nil && batch[i].ID != 0 {
			key = p.key(batch[i].ID)
		}
		entry, _ := r.publish(&batch[i], source{publisher: p.name, unretained: p.unretained}, p.kind(batch[i].QoS), key)
		r.batch.dues = append(r.batch.dues, dueIn{entry: entry})
	}
	if n := len(r.batch.entries); full && n > 0 {
		p.b.count.droppedTail.Add(uint64(n))
		p.b.quiet.warn(p.b.log, "journal is full: dropping readings for upstreams")
		for i := range r.batch.entries {
			arrived(&r.batch.entries[i])
		}
		r.batch.entries, r.batch.dues = r.batch.entries[:0], r.batch.dues[:0]
	}
	r.batch.publisher = p.token
	p.owed.submit(&r.batch, unlimited)
	r.finish()
	return nil
}

// kind is how a message is to be kept. Where acked says what is settled, an upstream waits for its acknowledgement as a
// client does, and at QoS 2 as one with a session that lasts.
func (p *Publisher) kind(q byte) Kind {
	if p.lossy {
		return KindLocal
	}
	return [...]Kind{KindQoS0, KindQoS1, KindQoS2Persistent}[q]
}

// full tells whether size more bytes are too much beside what waits already.
func (p *Publisher) full(size int) bool {
	o := &p.owed
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		return false
	}
	total := p.b.waitingBytes.n.Load() + int64(size)
	return o.bytes+size > p.b.cfg().AllowanceBytes || total > int64(p.b.cfg().AllowanceTotalBytes)
}

// publish publishes a will. Nobody is owed anything for it, but it waits for room as others do.
func (p *Publisher) publish(m *message.Message, from source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kind := KindQoS0
	if m.QoS > 0 {
		kind = KindQoS1
	}
	r := p.b.newReading()
	r.publish(m, from, kind, "")
	for range r.batch.entries {
		r.batch.dues = append(r.batch.dues, dueIn{})
	}
	r.batch.publisher = p.token
	if taken := p.owed.submit(&r.batch, p.b.cfg().AllowanceBytes); taken < len(r.batch.dues) {
		p.b.count.droppedTail.Add(1)
		p.b.quiet.warn(p.b.log, "journal is full: a will for upstreams is lost", "topic", string(m.Topic))
	}
	r.finish()
}

// settled implements sink.
func (p *Publisher) settled(acks []due) { p.acked(len(acks)) }

func (p *Publisher) flush() {}

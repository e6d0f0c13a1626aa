package broker

import (
	"container/heap"
	"slices"
	"sync"
	"sync/atomic"

	"weir/broker/message"
	"weir/broker/topic"
)

// retainedStore holds the last retained message of each topic.
type retainedStore struct {
	mu       sync.Mutex // makes finding the old message and storing the new one a single step
	names    topic.Names[retained]
	dirty    map[string]struct{} // topics whose value was not stored yet; those of them that are gone are nothing
	expiring mortals             // those with a message expiry
	alarm    alarm               // guarded by Broker.expiring.mu: when the first of them may expire
}

// retained is one retained message: a single run of bytes, which the Store shares. It is read where it is sent.
type retained struct {
	value []byte        // as it is stored, see appendMessage; never changed
	state atomic.Uint32 // its QoS, and retainedOver
	place uint32        // guarded by retainedStore.mu: in its expiring, from 1; 0: it is not there
}

const (
	retainedQoS  = 0b011
	retainedOver = 0b100 // another one has taken its place, or none
)

func (k *retained) qos() byte  { return byte(k.state.Load() & retainedQoS) }
func (k *retained) over() bool { return k.state.Load()&retainedOver != 0 }
func (k *retained) end()       { k.state.Or(retainedOver) }

// retainedSize is about what a retained message takes beside its value: its place in the tree of names, and key and place in
// the Store.
const retainedSize = 280

// newRetained is nil for a message that has no stored form; the broker lets none in.
func newRetained(m *message.Message) *retained {
	var room [512]byte
	head := appendMessageHead(room[:0], m)
	if len(head) == 0 {
		return nil
	}
	value := make([]byte, len(head)+len(m.Payload)) // not a byte too many: there may be very many of them
	copy(value[copy(value, head):], m.Payload)
	return readRetained(value, m)
}

// readRetained is the retained message of a value, which m was read from.
func readRetained(value []byte, m *message.Message) *retained {
	kept := &retained{value: value}
	kept.state.Store(uint32(m.QoS))
	return kept
}

func (k *retained) size() int { return retainedSize + len(k.value) }

// read decodes the message in place; the property lists of m are used again.
func (k *retained) read(m *message.Message) { _ = decodeMessage(k.value, m) } // it was written, or tried, before

// topic is the name it stands at.
func (k *retained) topic() string {
	var m message.Message
	k.read(&m)
	return string(m.Topic)
}

// opened are messages to read retained ones into.
var opened = sync.Pool{New: func() any { return new(message.Message) }}

// message is the message of h; it holds until the next call.
func (f *filler) message(h *held) *message.Message {
	if h.message != nil {
		return h.message
	}
	if f.opened == nil {
		f.opened = opened.Get().(*message.Message)
	}
	h.kept.read(f.opened)
	return f.opened
}

// done gives back the space for reading retained messages.
func (f *filler) done() {
	if f.opened != nil {
		f.opened.Props.Release()
		opened.Put(f.opened)
		f.opened = nil
	}
}

// retain stores, replaces or removes the retained message of a topic. v5 [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7]
// [MQTT-3.3.1-8], 3.1.1 [MQTT-3.3.1-5] [MQTT-3.3.1-7] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.3.1-12]
//
// It happens before subscribers are looked for, and that is what keeps an old value from following a new one: a
// subscriber first enters the tree and then collects retained messages, and a collected one is sent only if it is not
// over at that moment. If it is over, its successor was published when the subscriber was in the tree already.
//
// One that there is no room for is refused (full), and nothing happens, if its publisher can be told. Otherwise it is only
// delivered, and the topic has no retained message then, rather than one of any age: 3.1.1 [MQTT-3.3.1-7]. What comes from within the
// process always has room.
//
// changed: it is stored that the topic has a message now, or has none, and that must be durable before m is acknowledged. A
// new value for a topic that has one is stored later: see keepRetained.
func (b *Broker) retain(m *message.Message, from source) (changed, full bool) {
	s := &b.retained
	name := string(m.Topic)
	var kept *retained
	if len(m.Payload) > 0 {
		kept = newRetained(m)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept != nil && !b.roomForRetained(kept, s.names.Get(name), from.session != nil) {
		b.count.notRetained.Add(1)
		if from.told {
			return false, true
		}
		kept = nil
	}
	if kept == nil {
		if old := s.names.Get(name); old != nil {
			changed = b.dropRetained(name, old)
		}
		return changed, false
	}
	old := s.names.Set(name, kept)
	b.retainedMortal(kept, m, b.stamp)
	switch {
	case b.cfg().Store == nil:
	case old != nil:
		s.dirty[name] = struct{}{}
	default:
		changed = b.storeRetained(name, kept)
	}
	if old != nil {
		s.forget(old)
	}
	return changed, false
}

// roomForRetained takes the place of a message in that of the one that it replaces, if any. The caller holds mu.
func (b *Broker) roomForRetained(kept, old *retained, bounded bool) bool {
	l, count, size := &b.limits, 1, kept.size()
	if old != nil {
		count, size = 0, size-old.size()
	}
	if !bounded || count == 0 && size <= 0 { // less than before always fits
		l.retained.force(count)
		l.retainedBytes.force(size)
		l.memory.force(size)
		return true
	}
	if !l.retained.take(b, count) {
		return false
	}
	if !l.retainedBytes.take(b, size) {
		l.retained.give(b, count)
		return false
	}
	if !l.memory.take(b, size) {
		l.retained.give(b, count)
		l.retainedBytes.give(b, size)
		return false
	}
	return true
}

// retainedGone counts a message out that nothing has taken the place of. The caller holds mu.
func (b *Broker) retainedGone(old *retained) {
	size := old.size()
	b.limits.retained.give(b, 1)
	b.limits.retainedBytes.give(b, size)
	b.limits.memory.give(b, size)
}

// forget notes that a message was taken out of the store. The caller holds mu.
func (s *retainedStore) forget(old *retained) {
	old.end()
	if old.place > 0 {
		heap.Remove(&s.expiring, int(old.place-1))
	}
}

// replay is what is left to be sent of the retained messages for one subscription. The list only refers to messages that
// the store holds anyway, and there is one for a subscription at most.
type replay struct {
	sub   *subscription
	list  []*retained
	round uint32   // of sub
	ids   []uint32 // what identify returned last
}

// identify gives the subscription identifiers of its deliveries: one list for all of them.
func (p *replay) identify(o options) []uint32 {
	id := o.id()
	switch {
	case id == 0:
		return nil
	case len(p.ids) == 0 || p.ids[0] != id: // it changes with the subscription, and those that were sent keep theirs
		p.ids = []uint32{id}
	}
	return p.ids
}

// replayRetained begins to send the retained messages that a subscription matches, those that which says if it is not nil:
// 3.1.1 [MQTT-3.3.1-6], and again for one that was replaced: v5 [MQTT-3.8.4-4], 3.1.1 [MQTT-3.8.4-3].
func (b *Broker) replayRetained(s *session, sub *subscription, again bool, which func(*retained) bool) {
	if again {
		b.forgetReplay(s, sub)
	}
	var list []*retained
	b.retained.names.Match(sub.filter, func(kept *retained) bool {
		if which == nil || which(kept) {
			list = append(list, kept)
		}
		return true
	})
	if which == nil {
		list = append(list, b.replaySys(sub.filter)...)
	}
	o := &s.out
	o.mu.Lock()
	p := replay{sub: sub, list: list, round: sub.rounds()}
	if len(list) > 0 {
		o.own()
		o.replay = append(o.replay, p)
	}
	o.mu.Unlock()
	if d := s.out.durable; d != nil && len(list) == 0 {
		o.mu.Lock()
		d.paying = append(d.paying, payment{0, p})
		o.mu.Unlock()
	}
}

// forgetReplay drops what was not sent yet for a subscription.
func (b *Broker) forgetReplay(s *session, sub *subscription) {
	o := &s.out
	o.mu.Lock()
	if len(o.replay) > 0 {
		o.replay = slices.DeleteFunc(o.replay, func(r replay) bool { return r.sub == sub })
	}
	o.mu.Unlock()
}

// fillReplay sends retained messages as far as window and socket allow. The caller holds mu.
func (o *out) fillReplay(f *filler) {
	if len(o.replay) == 0 {
		return
	}
	for len(o.replay) > 0 {
		p := &o.replay[0]
		opt := p.sub.load()
		for len(p.list) > 0 {
			kept := p.list[0]
			q := min(kept.qos(), opt.qos())
			if !o.more(f.b) || q > 0 && o.flight.Free() == 0 {
				return
			}
			h := held{kept: kept, qos: q, retain: true, ids: p.identify(opt)} // v5 section 3.3.1.3, 3.1.1 [MQTT-3.3.1-8]
			if q > 0 {
				h.bytes = kept.size()
				if o.replays > 0 && o.replays+h.bytes > f.b.cfg().QueueBytes { // they stay in memory though others take their place
					return
				}
			}
			p.list = p.list[1:]
			if kept.over() {
				continue
			}
			if f.send(h) {
				o.replays += h.bytes
			}
		}
		o.replay = slices.Delete(o.replay, 0, 1)
	}
	o.replay = nil
}

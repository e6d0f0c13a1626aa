package broker

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// retainedStore holds the last retained message of each topic.
type retainedStore struct {
	mu    sync.Mutex // makes finding the old message and storing the new one a single step
	names topic.Names[*retained]
	dirty map[string]struct{} // topics whose value was not stored yet; those of them that are gone are nothing
	bytes atomic.Int64

	expiring atomic.Int64 // those with a message expiry: while there are any, they are looked through now and then
}

// sweepEvery is how often retained messages that have expired are looked for. Until then they are only not delivered.
const sweepEvery = 10 * time.Minute

var everyName = func() topic.Filter { f, _ := topic.ParseFilter("#"); return f }() // names with $ are not for clients, and stay

// retained is one retained message.
type retained struct {
	message message.Message
	over    atomic.Bool // another one has taken its place, or none
}

// retain stores, replaces or removes the retained message of a topic. v5 [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7]
// [MQTT-3.3.1-8], 3.1.1 [MQTT-3.3.1-5] [MQTT-3.3.1-7] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.3.1-12]
//
// It happens before subscribers are looked for, and that is what keeps an old value from following a new one: a
// subscriber first enters the tree and then collects retained messages, and a collected one is sent only if it is not
// over at that moment. If it is over, its successor was published when the subscriber was in the tree already.
//
// changed: it is stored that the topic has a message now, or has none, and that must be durable before m is acknowledged. A
// new value for a topic that has one is stored later: see keepRetained.
func (b *Broker) retain(r *reading, m *message.Message) (changed bool) {
	s := &b.retained
	name := string(m.Topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, had := s.names.Get(name)
	if len(m.Payload) == 0 {
		if had {
			s.names.Remove(name)
			changed = b.unstoreRetained(name)
		}
	} else {
		kept := &retained{message: m.Clone()}
		s.bytes.Add(int64(footprint(m)))
		s.names.Set(name, kept)
		if m.Props.Has(packet.PropMessageExpiry) && s.expiring.Add(1) == 1 {
			b.calendar.look()
		}
		switch {
		case b.cfg.Store == nil:
		case had:
			s.dirty[name] = struct{}{}
		default:
			changed = b.storeRetained(name, kept)
		}
	}
	if had {
		s.forget(old)
	}
	return changed
}

// forget notes that a message was taken out of the store. The caller holds mu.
func (s *retainedStore) forget(old *retained) {
	old.over.Store(true)
	s.bytes.Add(int64(-footprint(&old.message)))
	if old.message.Props.Has(packet.PropMessageExpiry) {
		s.expiring.Add(-1)
	}
}

// sweep removes what has expired: v5 section 3.3.2.3.3.
func (b *Broker) sweep(f *filler) {
	s := &b.retained
	var list []*retained
	s.names.Match(everyName, func(_ string, kept *retained) bool {
		if f.expired(&kept.message) {
			list = append(list, kept)
		}
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kept := range list {
		name := string(kept.message.Topic)
		if now, _ := s.names.Get(name); now == kept { // not replaced meanwhile
			s.names.Remove(name)
			s.forget(kept)
			b.unstoreRetained(name)
		}
	}
}

// replay is what is left to be sent of the retained messages for one subscription. The list only refers to messages that
// the store holds anyway, and there is one for a subscription at most.
type replay struct {
	sub   *subscription
	list  []*retained
	round uint32 // of sub
}

// replayRetained begins to send the retained messages that a subscription matches, those that which says if it is not nil: 3.1.1 [MQTT-3.3.1-6], and again for
// one that was replaced: v5 [MQTT-3.8.4-4], 3.1.1 [MQTT-3.8.4-3].
func (b *Broker) replayRetained(s *session, sub *subscription, again bool, which func(*retained) bool) {
	if again {
		b.forgetReplay(s, sub)
	}
	var list []*retained
	b.retained.names.Match(sub.filter, func(_ string, kept *retained) bool {
		if which == nil || which(kept) {
			list = append(list, kept)
		}
		return true
	})
	o := &s.out
	o.mu.Lock()
	p := replay{sub: sub, list: list, round: sub.round}
	if len(list) > 0 {
		o.replay = append(o.replay, p)
	}
	o.mu.Unlock()
	if d := s.durable; d != nil && len(list) == 0 {
		o.mu.Lock()
		d.paying = append(d.paying, payment{0, p})
		o.mu.Unlock()
	}
}

// forgetReplay drops what was not sent yet for a subscription.
func (b *Broker) forgetReplay(s *session, sub *subscription) {
	o := &s.out
	o.mu.Lock()
	o.replay = slices.DeleteFunc(o.replay, func(r replay) bool { return r.sub == sub })
	o.mu.Unlock()
}

// fillReplay sends retained messages as far as window and socket allow. The caller holds mu.
func (o *out) fillReplay(f *filler) {
	for len(o.replay) > 0 {
		p := &o.replay[0]
		opt := p.sub.load()
		for len(p.list) > 0 {
			kept := p.list[0]
			q := min(kept.message.QoS, opt.qos())
			if len(o.pending) >= fillBytes || q > 0 && o.flight.Free() == 0 {
				return
			}
			h := held{message: &kept.message, qos: q, retain: true, replay: true} // v5 section 3.3.1.3, 3.1.1 [MQTT-3.3.1-8]
			if q > 0 {
				h.bytes = footprint(h.message)
				if o.replays > 0 && o.replays+h.bytes > f.b.cfg.QueueBytes { // they stay in memory though others take their place
					return
				}
			}
			p.list = p.list[1:]
			if kept.over.Load() {
				continue
			}
			if id := opt.id(); id != 0 {
				h.ids = []uint32{id}
			}
			if f.send(h) {
				o.replays += h.bytes
			}
		}
		o.replay = slices.Delete(o.replay, 0, 1)
	}
	o.replay = nil
}

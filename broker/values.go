package broker

import (
	"context"
	"time"

	"weir/broker/message"
)

// storeRetained puts the message of a topic. One that the store has no room for is tried again later, and until then the
// store has none for the topic, rather than one of any age. The caller holds retained.mu, so that a delete is never older
// than a value that it removed.
func (b *Broker) storeRetained(name string, kept *retained) bool {
	if b.put(retainKey(name), kept.value, "retained message") {
		return true
	}
	b.cfg().Store.Delete(retainKey(name))
	b.retained.dirty[name] = struct{}{}
	return false
}

// unstoreRetained deletes it. The caller holds retained.mu.
func (b *Broker) unstoreRetained(name string) bool {
	if b.cfg().Store == nil {
		return false
	}
	delete(b.retained.dirty, name)
	b.cfg().Store.Delete(retainKey(name))
	return true
}

// restoreRetained fills the retained messages from the store.
func (b *Broker) restoreRetained() {
	s := &b.retained
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty = map[string]struct{}{}
	if b.cfg().NoRetain {
		return
	}
	var m message.Message
	now := b.stamp()
	b.cfg().Store.Range(keyRetain, func(key string, value []byte) bool {
		if err := decodeMessage(value, &m); err != nil {
			b.log.Error("stored retained message cannot be read, dropped", "err", err)
			b.cfg().Store.Delete(key)
			return true
		}
		kept := readRetained(value, &m)
		b.roomForRetained(kept, nil, false)
		s.names.Set(string(m.Topic), kept)
		b.retainedMortal(kept, &m, func() message.Stamp { return now })
		return true
	})
}

// keepRetained stores new values of retained topics, each at most once in the time between two rounds, until ctx ends,
// and once more then. What is put is durable some seconds later, which the time between rounds leaves room for.
func (b *Broker) keepRetained(ctx context.Context) {
	every := b.cfg().RetainFlush
	every -= min(every/2, putWithin)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			b.flushRetained()
			return
		case <-tick.C:
			b.flushRetained()
		}
	}
}

// putWithin is about how long it takes a Store to make durable what was put.
const putWithin = 5 * time.Second

// flushRetained stores what changed. It holds the lock for one value at a time.
func (b *Broker) flushRetained() {
	s := &b.retained
	s.mu.Lock()
	changed := s.dirty
	s.dirty = map[string]struct{}{}
	s.mu.Unlock()
	for name := range changed {
		s.mu.Lock()
		if kept := s.names.Get(name); kept != nil {
			b.storeRetained(name, kept)
		}
		s.mu.Unlock()
	}
}

package broker

import (
	"weir/broker/message"
	"weir/broker/topic"
)

// Watch has told called with every message that a filter matches and that is published from now on, by clients and from
// within the process, until stop is called; it may be called once more at that moment. told is called by whoever
// publishes: it must not block, not publish, and keep nothing of the message. Retained messages that are there already
// are not given.
func (b *Broker) Watch(f topic.Filter, told func(m *message.Message)) (stop func()) {
	s := &subscription{filter: f, extra: &extra{told: told}}
	b.tree.Add(f, s)
	return func() { b.tree.Remove(f, s) }
}

package broker

import (
	"container/heap"
	"time"

	"weir/broker/message"
)

// mortals are the retained messages that have a message expiry: a heap by the time when they may have expired. It is what such a
// message costs besides what every retained message does: 16 bytes.
type mortals []mortalRetained

type mortalRetained struct {
	at   time.Duration // since boot
	kept *retained
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (h mortals) Len() int           { return len(h) }
func (h mortals) Less(i, j int) bool { return h[i].at < h[j].at }

func (h mortals) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].kept.place, h[j].kept.place = uint32(i+1), uint32(j+1)
}

func (h *mortals) Push(x any) {
	*h = append(*h, x.(mortalRetained))
	(*h)[len(*h)-1].kept.place = uint32(len(*h))
}

func (h *mortals) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = mortalRetained{}
	*h = (*h)[:last]
	if last == 0 {
		*h = nil
	}
	m.kept.place = 0
	return m
}

// retainedMortal notes when a retained message that was just stored expires, if it does; m is what it says. The caller holds
// retained.mu.
func (b *Broker) retainedMortal(kept *retained, m *message.Message, now func() message.Stamp) {
	if mortal(m) {
		b.retainedExpires(kept, b.expires(m, now()))
	}
}

// retainedExpires has a retained message looked at. The caller holds retained.mu.
func (b *Broker) retainedExpires(kept *retained, at time.Duration) {
	s := &b.retained
	heap.Push(&s.expiring, mortalRetained{at, kept})
	if kept.place == 1 {
		b.expect(s, at)
	}
}

// wakes and lapse of the retained messages: those that have expired go from memory and from the Store, v5 section 3.3.2.3.3.
func (s *retainedStore) wakes() *alarm { return &s.alarm }

func (s *retainedStore) lapse(b *Broker, now message.Stamp) {
	f := filler{b: b, now: now, asked: true}
	defer f.done()
	for s.lapseSome(&f, 64) {
	}
}

// lapseSome looks at so many that may have expired; more: there are others. Publishers have the lock in between.
func (s *retainedStore) lapseSome(f *filler, most int) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range most {
		if len(s.expiring) == 0 {
			return false
		}
		first := s.expiring[0]
		if first.at > f.now.Since {
			f.b.expect(s, first.at)
			return false
		}
		m := f.message(&held{kept: first.kept})
		if !f.expired(m) { // it is of another boot, and how old it is may be known by now
			heap.Pop(&s.expiring)
			f.b.retainedExpires(first.kept, f.b.expires(m, f.now))
			continue
		}
		f.b.dropRetained(string(m.Topic), first.kept)
		f.b.count.expiredRetained.Add(1)
	}
	return true
}

// dropRetained takes a message out that is there. The caller holds retained.mu.
func (b *Broker) dropRetained(name string, kept *retained) (stored bool) {
	b.retained.names.Remove(name)
	b.retained.forget(kept)
	b.retainedGone(kept)
	return b.unstoreRetained(name)
}

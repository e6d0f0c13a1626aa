package broker

import (
	"math"
	"slices"
	"time"
)

// share lets the groups of a session that have something give it to their members: there may be room now.
func (s *session) share() {
	var some []*group
	for _, g := range s.out.groups() {
		if g.waits.Load() {
			some = append(some, g)
		}
	}
	s.b.share(some...)
}

// share lets groups give what they have to their members, one group after the other, and then those groups for which room has come
// up on the way. Not called under any lock.
func (b *Broker) share(list ...*group) {
	for len(list) > 0 {
		g := list[0]
		list = append(list[1:], g.runs()...)
	}
}

// runs does what there is to do, and gives the groups that may have something to do because of it.
func (g *group) runs() []*group {
	g.run()
	g.mu.Lock()
	defer g.mu.Unlock()
	after := g.after
	g.after = nil
	return after
}

func (g *group) pumpOut() { g.b.share(g) }
func (g *group) rested()  { g.b.share(g) }
func (g *group) flush()   {} // work does it

func (g *group) unreadable(err error) (on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.dropped {
		g.b.quiet.warn(g.b.log, "queue of a shared group cannot be read, trying again", "group", g.name, "err", err)
	}
	return !g.dropped
}

// hangs tells whether PUBLISHes wait for the journal. Those for stored sessions wait with the session.
func (g *group) hangs() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.staged) > 0
}

// work gives messages to members until none is left or none of them has room, and flushes what members got. more: the disk has to
// be read.
func (g *group) work(disk bool) (more bool) {
	g.forgetExpired()
	if g.weeds.Load() > 0 && !g.resting.Load() {
		if !disk {
			return true
		}
		g.weed()
	}
	for {
		g.waits.Store(true) // before looking at members, so that one who has room afterwards knows
		g.say()
		n, onDisk := g.give(disk)
		g.closeStages()
		g.serve()
		if onDisk {
			return true
		}
		if n == 0 {
			g.release()
			return false
		}
	}
}

// release gives the batch back of which nobody had room for the rest, as copies that come first next time.
func (g *group) release() {
	if g.head == nil && g.at == g.n {
		return
	}
	var rest []*lent
	if g.head != nil {
		rest = append(rest, g.head)
	}
	for ; g.at < g.n; g.at++ {
		rest = append(rest, g.lend(&g.batch[g.at]))
	}
	g.mu.Lock()
	for _, l := range rest {
		l.keep()
		g.foreseeBack(l)
	}
	g.back = append(g.back, rest...) // whatever else came back was read before
	g.mu.Unlock()
	g.head = nil
	_, _ = g.read(0, false) // which lets go of what it gave last, and reads nothing
}

// foreseeBack notes when a message that came back expires. The caller holds mu.
func (g *group) foreseeBack(l *lent) {
	if mortal(l.message) {
		g.b.expect(&g.line, g.b.expires(l.message, g.b.stamp()))
	}
}

func (g *group) lapsed() {
	g.stale.Store(true)
	g.b.share(g)
}

// forgetExpired drops what has expired of what is in memory. The caller has the turn.
func (g *group) forgetExpired() {
	if !g.stale.Swap(false) {
		return
	}
	f, next := filler{b: g.b}, time.Duration(math.MaxInt64)
	over := func(l *lent) bool {
		if f.expired(l.message) { // v5 [MQTT-3.3.2-5]
			f.counts.expired++
			return true
		}
		next = min(next, g.b.expires(l.message, f.now))
		return false
	}
	var done []uint64
	g.mu.Lock()
	g.memory.remove(func(l *lent) bool {
		gone := over(l)
		if gone {
			g.held -= l.size
		}
		return gone
	})
	g.back = slices.DeleteFunc(g.back, func(l *lent) bool {
		gone := over(l)
		if gone {
			done = append(done, l.number)
		}
		return gone
	})
	g.settle()
	if next < math.MaxInt64 {
		g.b.expect(&g.line, next)
	}
	g.mu.Unlock()
	g.ack(done)
	g.b.count.add(&f.counts)
}

// free is how many messages members have room for, up to a batch.
func (g *group) free() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members {
		o := &m.session.out
		o.mu.Lock()
		switch {
		case o.conn == nil || o.closing || o.gone || len(o.pending) >= fillBytes || o.lending != nil && (o.lending.group != g || !o.lending.open):
		case m.load().qos() == 0:
			n = batchSize
		default:
			n += o.flight.Free()
		}
		o.mu.Unlock()
		if n >= batchSize {
			return batchSize
		}
	}
	return n
}

// serve lets members have what they got.
func (g *group) serve() {
	for o := range g.touched {
		o.flush()
		for _, other := range o.groups() {
			if other != g && other.waits.Load() {
				g.mu.Lock()
				g.after = append(g.after, other)
				g.mu.Unlock()
			}
		}
	}
	clear(g.touched)
}

// give hands out messages as far as members have room: n of them.
func (g *group) give(disk bool) (n int, onDisk bool) {
	f := filler{b: g.b}
	defer func() { g.b.count.add(&f.counts) }()
	var done []uint64
	defer func() { g.ack(done) }()
	for n < batchSize {
		l, onDisk := g.first(disk)
		if l == nil {
			return n, onDisk
		}
		switch got := away; {
		case f.expired(l.message): // v5 [MQTT-3.3.2-5]
			f.counts.expired++
			g.taken(l)
			done = append(done, l.number)
		default:
			if got = g.offer(l, &f); got == away || got == busy {
				return n, false
			}
			if l.sent.qos == 0 || got == tooLarge || got == forbidden { // nothing is to be acknowledged
				done = append(done, l.number)
			}
		}
		n++
	}
	return n, false
}

// ack says that nobody waits for these records any more.
func (g *group) ack(numbers []uint64) {
	k := 0
	for _, n := range numbers {
		if n != 0 {
			numbers[k] = n
			k++
		}
	}
	if k > 0 {
		g.queue.Ack(numbers[:k])
	}
}

// first is the message that is to be given next: what came back, what waits in memory, what the queue has. It stays there until
// it is taken.
func (g *group) first(disk bool) (l *lent, onDisk bool) {
	g.mu.Lock()
	ended, queue := g.ended, g.queue
	switch {
	case ended:
	case len(g.back) > 0:
		l = g.back[0]
	case g.memory.len() > 0:
		l = g.memory.first()
	}
	g.mu.Unlock()
	if l != nil {
		return l, false
	}
	if ended || queue == nil {
		g.waits.Store(false) // who has more to give asks for it
		return nil, false
	}
	if g.head != nil {
		return g.head, false
	}
	for g.at == g.n {
		if g.resting.Load() {
			return nil, false
		}
		free := g.free()
		if free == 0 { // what is read and not sent would keep its place in the memory of the store
			return nil, false
		}
		onDisk, err := g.read(free, disk)
		if err != nil {
			g.broke(err)
			return nil, false
		}
		if g.n == 0 {
			g.waits.Store(onDisk)
			return nil, onDisk
		}
		for g.at < g.n && g.batch[g.at].Number <= g.passed.Load() { // it was taken before the queue was weeded
			g.at++
		}
	}
	g.head = g.lend(&g.batch[g.at])
	g.at++
	return g.head, false
}

// taken removes the first message from where it waits. The caller has the turn.
func (g *group) taken(l *lent) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.takenNow(l)
}

func (g *group) takenNow(l *lent) {
	switch {
	case l == g.head:
		g.head = nil
	case g.memory.len() > 0 && g.memory.first() == l:
		g.memory.pop()
		g.held -= l.size
		g.settle()
	default:
		for i := range g.back { // something before it may have come back meanwhile
			if g.back[i] == l {
				g.back = append(g.back[:i], g.back[i+1:]...)
				return
			}
		}
	}
}

package broker

import (
	"cmp"
	"slices"
)

// bound is a pair of a stored session whose record is that of a shared group.
type bound struct {
	d *durable
	Pair
	again bool // it is of QoS 1 and has none: sent again under a new id
}

// findGroups looks for the stored queues of shared groups, before members are restored. Of two of one filter, the one that was made
// first belongs to a group that has ended.
func (b *Broker) findGroups() {
	ids := map[string]uint32{}
	b.groups.found = map[string]string{}
	for name, q := range b.groupQueues() {
		base, _ := groupOf(name)
		if q.ID() > ids[base] {
			ids[base], b.groups.found[base] = q.ID(), name
		}
	}
}

// groupQueues are the stored queues of shared groups, by name.
func (b *Broker) groupQueues() map[string]Queue {
	var names []string
	b.cfg().Store.Queues(func(name string) bool {
		if _, ok := groupOf(name); ok {
			names = append(names, name)
		}
		return true
	})
	all := map[string]Queue{}
	for _, name := range names {
		if q, err := b.cfg().Store.Queue(name); err == nil {
			all[name] = q
		}
	}
	return all
}

// restoreGroups gives members what they were sent at QoS 2 and have not completed. Groups without members are dropped; those of which
// something is in flight, when that is over.
func (b *Broker) restoreGroups(pairs map[uint32][]bound) {
	for name, q := range b.groupQueues() {
		g := b.groups.queues[name]
		if g == nil {
			base, _ := groupOf(name)
			g = b.newGroup(base)
			g.queue, g.queueAs, g.ended = q, name, true
			if b.groups.queues == nil {
				b.groups.queues = map[string]*group{}
			}
			b.groups.queues[name] = g
		}
		g.resume(pairs[q.ID()])
		g.foreseeAll(b.stamp())
		delete(pairs, q.ID())
		g.waits.Store(true)
		g.over()
	}
	for _, all := range pairs { // their records are gone
		for _, p := range all {
			p.fly(&lent{number: p.Number, done: p.Released})
		}
	}
	b.groups.found = nil
}

// resume puts the group's messages that members had back: those with a pair at QoS 2 into flight, those of QoS 1 to where they are
// given anew, unless there is only one member, to which they must come in their order. What was read on the way is all in
// flight, so it is no more than windows hold.
func (g *group) resume(pairs []bound) {
	g.forfeit()
	all := map[uint64]*lent{}
	var flights []flight
	last := uint64(0)
	for _, p := range pairs {
		if all[p.Number] != nil && !p.Released { // it was taken back and given to another one, in a commit that power cut in two: nobody had it
			p.d.queue.Forget(p.ID)
			continue
		}
		l := &lent{group: g, number: p.Number, order: p.Number, done: p.Released}
		flights = append(flights, flight{p, l})
		if p.Released {
			g.queue.Ack([]uint64{p.Number})
			continue
		}
		all[p.Number] = l
		last = max(last, p.Number)
	}
	var only *durable
	if len(g.members) == 1 {
		only = g.members[0].session.out.durable
	}
	g.upTo(last, func(m *Queued) {
		l := g.lend(m)
		l.keep()
		had := all[m.Number]
		switch {
		case had != nil:
			*had = *l
		case only != nil && min(l.qos, g.members[0].load().qos()) == 1:
			if id := only.unused(); id != 0 {
				flights = append(flights, flight{bound{only, Pair{ID: id, Number: m.Number}, true}, l})
				return
			}
			fallthrough
		default:
			g.back = append(g.back, l)
		}
	})
	g.release()
	slices.SortStableFunc(flights, func(a, b flight) int { return cmp.Compare(a.Number, b.Number) })
	for _, f := range flights {
		f.fly(f.lent)
	}
}

// flight is a message that goes back into flight.
type flight struct {
	bound
	lent *lent
}

// fly puts a message into flight again. Without its content it is only completed.
func (p bound) fly(l *lent) {
	s, q := p.d.s, byte(2)
	if p.again {
		q = 1
	}
	if l.message != nil {
		var opt options
		if sub := s.subs.get(l.group.name); sub != nil {
			opt = sub.load()
		}
		l.sent = held{message: l.message, qos: q, retain: l.retain && opt.retainAsPublished(), bytes: l.size}
		if id := opt.id(); id != 0 {
			l.sent.ids = []uint32{id}
		}
	}
	if !s.out.flight.Restore(p.ID, p.Number, q, p.Released) {
		return
	}
	s.out.borrow(p.ID, l)
	if g := l.group; g != nil && !l.done {
		g.lent.Add(1)
	}
}

// upTo calls f for the messages of the queue up to a number.
func (g *group) upTo(last uint64, f func(m *Queued)) {
	for last > 0 {
		if g.at == g.n {
			if _, err := g.read(batchSize, true); err != nil {
				g.b.log.Error("queue of a shared group cannot be read: what was on its way from it is lost", "group", g.name, "err", err)
			}
			if g.n == 0 {
				return
			}
		}
		m := &g.batch[g.at]
		if m.Number > last {
			return
		}
		f(m)
		g.at++
	}
}

// forfeit drops what was sent at QoS 2 to members whose sessions ended with the process: v5 [MQTT-4.8.2-5].
func (g *group) forfeit() {
	before, _ := g.queue.Waiting()
	pairs := g.queue.Pairs()
	for _, p := range pairs {
		g.queue.Ack([]uint64{p.Number})
		g.queue.Forget(p.ID)
	}
	if after, _ := g.queue.Waiting(); after < before {
		g.b.count.droppedShared.Add(uint64(before - after))
		g.b.log.Warn("messages of a shared group at QoS 2 were on their way to sessions that ended with the process: they are dropped", "group", g.name, "messages", before-after)
	}
}

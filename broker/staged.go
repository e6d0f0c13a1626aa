package broker

import "slices"

// lending is what one group gives one member while its pairs are not kept: PUBLISHes of QoS 2, and whatever follows them.
type lending struct {
	group      *group
	generation uint32 // of the member's connection
	open       bool   // more may be added, by the group
	asked      bool   // its pairs are put
	bytes      []byte
	lents      []*lent
	ids        []uint16
}

// keeping is a lending to a session in memory, to be sent when its tickets are kept.
type keeping struct {
	number uint64
	out    *out
	what   *lending
}

// closeStages ends the lendings of this round. Those to stored sessions are their own business from here on. The pair of one to a session
// in memory is the group's: that session ends with the process, and its messages must not go to others then
// (v5 [MQTT-4.8.2-5]).
func (g *group) closeStages() {
	for _, o := range g.opened {
		o.mu.Lock()
		x := o.lending
		if x == nil || x.group != g || !x.open { // its connection is gone
			o.mu.Unlock()
			continue
		}
		x.open = false
		if o.durable != nil {
			o.mu.Unlock()
			o.durable.run() // it keeps the pairs, and may say at once what is staged
			continue
		}
		x.asked = true
		for _, l := range x.lents { // under the lock, so that who takes them back finds the pairs kept, and forgets them
			if l.ticket != 0 {
				g.keepPair(Pair{ID: l.ticket, Number: l.number})
			}
		}
		o.mu.Unlock()
		number := g.b.barrier()
		g.mu.Lock()
		g.staged = append(g.staged, keeping{number, o, x})
		g.mu.Unlock()
		g.b.pledges.add(g)
	}
	if len(g.opened) > 0 {
		clear(g.opened)
		g.opened = g.opened[:0]
		g.say()
	}
}

func (g *group) keepPair(p Pair) {
	if err := g.queue.Keep(p); err != nil { // never lost rather than never repeated
		g.b.count.notKept.Add(1)
		g.b.quiet.warn(g.b.log, "the store has no room: a message of QoS 2 may be repeated after a restart", "group", g.name, "err", err)
	}
}

// say sends what members in memory may have by now. The caller has the turn, and nobody else takes anything out of staged.
func (g *group) say() {
	g.mu.Lock()
	all := slices.Clone(g.staged)
	g.mu.Unlock()
	if len(all) == 0 {
		return
	}
	said := map[*lending]bool{}
	for _, k := range all {
		if !g.b.journal.Settled(k.number) {
			continue
		}
		said[k.what] = true
		o := k.out
		o.mu.Lock()
		if o.lending == k.what { // or its connection is gone
			o.say(k.what)
			g.touched[o] = struct{}{}
		}
		o.mu.Unlock()
	}
	if len(said) > 0 {
		g.mu.Lock()
		g.staged = slices.DeleteFunc(g.staged, func(k keeping) bool { return said[k.what] })
		g.mu.Unlock()
	}
}

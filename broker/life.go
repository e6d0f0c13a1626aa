package broker

import (
	"cmp"
	"math"
	"slices"
	"time"

	"weir/broker/message"
	"weir/broker/topic"
)

// save keeps what there is to know of a session besides its subscriptions. Called by its owner, or under Broker.mu while it
// has none.
func (d *durable) save(away message.Stamp) (ok bool) {
	s := d.s
	k := kept{protocol: s.version, lasts: s.lasts, away: away, user: []byte(s.user()), id: []byte(s.id()), will: s.will}
	key := d.serial.key(keySession)
	if s.b.put(key, k.append(nil), "session") {
		return true
	}
	if k.will == nil {
		return false
	}
	k.will = nil // rather than that the last one, and when its connection was lost, stay
	return s.b.put(key, k.append(nil), "session")
}

// saveSub keeps a subscription, and whether retained messages for it are due.
func (d *durable) saveSub(f topic.Filter, o options, due bool) (ok bool) {
	if due {
		o |= optionDue
	}
	value := append(appendOptions(nil, o), f.String()...)
	return d.s.b.put(d.serial.sub(f.String()), value, "subscription")
}

// forget removes everything of the session from the store. Not called under any lock.
func (d *durable) forget() {
	store := d.s.b.cfg().Store
	store.Delete(d.serial.key(keySession))
	for sub := range d.s.subs.all() {
		store.Delete(d.serial.sub(sub.filter.String()))
	}
	d.s.out.mu.Lock()
	for _, sub := range d.due {
		d.forgetGiven(sub)
	}
	d.s.out.mu.Unlock()
	d.s.in.Held(func(id uint16) bool {
		store.Delete(d.serial.held(id))
		return true
	})
	store.DropQueue(d.serial.queue())
}

// restore makes what the store holds again: retained messages, sessions with their subscriptions, packet ids, and dates
// that run on. What cannot be read is left out and counted; it never stops the start.
func (b *Broker) restore() {
	store, now := b.cfg().Store, b.stamp()
	b.restoreRetained()
	all := map[serial]*session{}
	var bad []string
	store.Range(keySession, func(key string, value []byte) bool {
		n, _, ok := keyOf(keySession, key)
		k, err := parseKept(value)
		if !ok || err != nil || b.sessions[string(k.id)] != nil {
			b.log.Error("stored session cannot be read, dropped", "err", err)
			bad = append(bad, key)
			return true
		}
		s := b.restoreSession(n, &k, now)
		if s == nil {
			bad = append(bad, key)
			return true
		}
		all[n] = s
		return true
	})
	b.findGroups()
	bad = append(bad, b.restoreParts(all)...)
	bad = append(bad, b.restoreDue(all)...)
	for _, key := range bad {
		store.Delete(key)
	}
	var strays []string
	store.Queues(func(name string) bool {
		if _, shared := groupOf(name); !shared {
			strays = append(strays, name)
		}
		return true
	})
	lent := map[uint32][]bound{}
	for _, s := range all {
		s.out.durable.resume(lent)
		name := s.out.durable.serial.queue()
		strays = slices.DeleteFunc(strays, func(have string) bool { return have == name })
	}
	for _, name := range strays {
		store.DropQueue(name)
	}
	b.restoreGroups(lent)
	for _, s := range all {
		s.out.durable.used = nil
		s.out.durable.foreseeAll(now)
	}
	if len(all) > 0 {
		b.log.Info("sessions restored", "sessions", len(all), "retained", b.retained.names.Len())
	}
}

// restoreSession makes a session without a connection. nil: it has no queue, which it cannot be without.
func (b *Broker) restoreSession(n serial, k *kept, now message.Stamp) *session {
	s := b.newSession(string(k.id), string(k.user))
	s.lasts, s.will, s.version = k.lasts, k.will, k.protocol
	d := newDurable(s, n)
	s.out.durable = d
	s.out.persistent = true
	s.out.version = k.protocol
	if !b.openQueue(d) {
		return nil
	}
	wait, start := elapsed(k.away, now), time.Now()
	s.absence = &absence{expires: start.Add(max(0, s.lasts-wait)), away: k.away, place: -1}
	if s.will != nil {
		s.absence.willDue = start.Add(max(0, s.will.delay-wait))
	}
	if k.away == (message.Stamp{}) { // it loses its connection now
		s.absence.away = now
		d.save(now)
	}
	b.sessions[s.id()] = s
	b.most = max(b.most, len(b.sessions))
	b.limits.sessions.force(1)
	s.placed = true
	s.charged = int32(s.base(s.will))
	b.limits.memory.force(int(s.charged))
	b.calendar.add(s)
	return s
}

// restoreParts gives sessions their subscriptions and the packet ids that they have sent; stray keys are returned.
func (b *Broker) restoreParts(all map[serial]*session) (strays []string) {
	b.cfg().Store.Range(keySub, func(key string, value []byte) bool {
		n, _, ok := keyOf(keySub, key)
		s := all[n]
		if !ok || s == nil || len(value) < 8 {
			strays = append(strays, key)
			return true
		}
		f, err := topic.ParseFilter(string(value[8:]), topic.InnerWildcard())
		if err != nil {
			b.log.Error("stored subscription cannot be read, dropped", "client", s.id(), "err", err)
			strays = append(strays, key)
			return true
		}
		o := parseOptions(value)
		if s.subs.get(f.String()) == nil {
			b.limits.subscriptions.force(1)
			b.limits.memory.force(cost(f))
		}
		s.subscribe(f, (o &^ optionDue).atMost(*b.cfg().MaxQoS), o&optionDue != 0)
		return true
	})
	b.cfg().Store.Range(keyHeld, func(key string, _ []byte) bool {
		n, rest, ok := keyOf(keyHeld, key)
		s := all[n]
		if !ok || s == nil || len(rest) != 2 {
			strays = append(strays, key)
			return true
		}
		s.in.Restore(uint16(rest[0])<<8 | uint16(rest[1]))
		return true
	})
	return strays
}

// resume puts messages that were on their way back into flight. Messages are sent in the order of their numbers, so every one
// up to the last that has a pair was sent, or was about to be; those of QoS 1 have no pair and get a new id. Pairs of messages of
// shared groups are added to lent, by queue.
func (d *durable) resume(lent map[uint32][]bound) {
	r := resuming{d: d, used: map[uint16]bool{}}
	for _, p := range d.queue.Pairs() {
		r.used[p.ID] = true
		if p.Queue != 0 {
			lent[p.Queue] = append(lent[p.Queue], bound{d: d, Pair: p})
		} else {
			r.pairs = append(r.pairs, p)
		}
	}
	d.used = r.used
	if len(r.pairs) > 0 {
		slices.SortFunc(r.pairs, func(a, b Pair) int { return cmp.Compare(a.Number, b.Number) })
		r.run(math.MaxUint16)
	}
}

// foreseeAll has a queue that was found at the start looked through soon: some of it may have expired meanwhile.
func (l *line) foreseeAll(now message.Stamp) {
	if n, _ := l.queue.Waiting(); n > 0 {
		l.foresee(everything, now.Since+time.Second)
	}
}

// unused is an id that no message in flight has; 0: there is none. Called by who restores the session, after resume.
func (d *durable) unused() uint16 {
	for d.tried++; d.tried <= math.MaxUint16; d.tried++ {
		if !d.used[uint16(d.tried)] {
			return uint16(d.tried)
		}
	}
	return 0
}

// resuming is one resume. When the ids are used up, which takes damage that brings acknowledged messages back, the rest is not
// in flight: it is sent as new, in order, and the pairs of its messages are given up. Some of those may arrive twice.
type resuming struct {
	d     *durable
	pairs []Pair // from the next one on, by number
	used  map[uint16]bool
	free  int // ids from this one on were not tried
	spent bool
	again uint64 // pairs given up
}

// run does it with ids up to most.
func (r *resuming) run(most int) {
	d, last := r.d, r.pairs[len(r.pairs)-1].Number
	var released []uint64
	for _, p := range r.pairs {
		r.used[p.ID] = true
		if p.Released {
			released = append(released, p.Number)
		}
	}
	d.queue.Ack(released)
	d.queued(last, func(m *Queued) {
		for len(r.pairs) > 0 && r.pairs[0].Number < m.Number {
			r.fly()
		}
		r.message(m, most)
	})
	for len(r.pairs) > 0 {
		r.fly()
	}
	if !r.spent {
		d.passed.Store(last)
	}
	if d.hold != 0 {
		d.hold = d.s.b.barrier()
	}
	if r.spent {
		d.s.b.count.notKept.Add(r.again)
		d.s.b.log.Error("more messages of a session were on their way than there are packet ids: the rest is sent as new",
			"client", d.s.id(), "after", d.passed.Load(), "may arrive twice", r.again)
	}
}

// message puts one back into flight.
func (r *resuming) message(m *Queued, most int) {
	d, paired := r.d, len(r.pairs) > 0 && r.pairs[0].Number == m.Number
	if paired && r.spent {
		d.queue.Forget(r.pairs[0].ID)
		r.pairs = r.pairs[1:]
		r.again++
		return
	}
	p, q := Pair{Number: m.Number}, byte(2)
	if paired {
		p, r.pairs = r.pairs[0], r.pairs[1:]
	} else if !r.spent {
		for r.free++; r.free <= most && r.used[uint16(r.free)]; {
			r.free++
		}
		if r.spent = r.free > most; !r.spent {
			r.used[uint16(r.free)] = true
		}
		p.ID = uint16(r.free)
	}
	if r.spent {
		return
	}
	if !paired {
		if q, _, _ = parseHit(m.Data, nil); q == 2 {
			d.keep(p)
			d.hold = never
		}
	}
	d.passed.Store(m.Number)
	d.s.out.flight.Restore(p.ID, p.Number, q, p.Released)
}

// fly puts the next pair back, whose message is gone. Beyond what is in flight it is completed without it: to send it
// again its place among the messages would have to be kept.
func (r *resuming) fly() {
	d, p := r.d, r.pairs[0]
	r.pairs = r.pairs[1:]
	if r.spent && !p.Released {
		p.Released = true
		d.keep(p)
		d.hold = never
	}
	d.s.out.flight.Restore(p.ID, p.Number, 2, p.Released)
}

// queued calls f for the messages of the queue up to a number.
func (d *durable) queued(last uint64, f func(m *Queued)) {
	defer d.queue.Rewind()
	for {
		if _, err := d.read(batchSize, true); err != nil {
			d.s.b.log.Error("queue of a session cannot be read: some of it waits for the next start", "client", d.s.id(), "err", err)
		}
		if d.n == 0 {
			return
		}
		for i := range d.batch[:d.n] {
			if d.batch[i].Number > last {
				return
			}
			f(&d.batch[i])
		}
	}
}

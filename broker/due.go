package broker

import (
	"crypto/sha256"
	"maps"
	"slices"
	"sync"

	"weir/broker/message"
	"weir/broker/topic"
)

// Retained messages for a new subscription of a stored session are part of what SUBACK promised. They go through the session's queue
// some at a time, so the subscription is stored with a mark that they are due, which goes when the last one is in the queue:
//
//	SUBSCRIBE ─▶ sub/ (due) ─▶ SUBACK ─▶ Append ... Append ─▶ sub/ (not due), given/ deleted
//	                  └── process dies: all of them again, but those of QoS 2 that have a key given/
//
// The mark goes when the last message is settled. Messages of QoS 1 may come again. One of QoS 2 must not: it is put along with its
// key, neither without the other.

// owe stores a subscription, with the mark if retained messages are to be sent. Called by the reader.
func (d *durable) owe(f topic.Filter, o options, send bool) (ok, due bool) {
	old := d.s.subs.get(f.String())
	out := &d.s.out
	out.mu.Lock()
	defer out.mu.Unlock() // so that what an earlier round has left to say is not said in between
	was := old != nil && slices.Contains(d.due, old)
	due = send || was
	if !d.saveSub(f, o, due) {
		return false, false
	}
	if send && old != nil { // they are to come again: v5 [MQTT-3.8.4-4]
		d.forgetGiven(old)
		old.askedFor().round++
		if !was {
			d.due = append(d.due, old)
		}
	}
	return true, due
}

// payment says that nothing is left of a replay when a record is settled; 0: now.
type payment struct {
	number uint64
	replay
}

// pay takes the mark from subscriptions whose retained messages are all kept, or delivered. The caller has the turn.
func (d *durable) pay() {
	o := &d.s.out
	o.mu.Lock()
	paying := slices.Clone(d.paying)
	o.mu.Unlock()
	done := 0
	for done < len(paying) && (paying[done].number == 0 || d.b.journal.Settled(paying[done].number)) {
		done++
	}
	if done == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	d.paying = slices.Delete(d.paying, 0, done) // only who has the turn takes any out
	for _, p := range paying[:done] {
		at := slices.Index(d.due, p.sub)
		if at < 0 || o.gone || p.round != p.sub.rounds() {
			continue
		}
		d.due = slices.Delete(d.due, at, at+1)
		d.saveSub(p.sub.filter, p.sub.load(), false) // without room for it they come again after a restart
		d.forgetGiven(p.sub)
	}
}

// owePayment notes replays that have come to their end, unless something of their subscription is left; number is that of the last
// record. The caller has the turn.
func (d *durable) owePayment(over []replay, number uint64) {
	if len(over) == 0 {
		return
	}
	o := &d.s.out
	o.mu.Lock()
	for _, p := range over {
		if !slices.ContainsFunc(o.replay, func(r replay) bool { return r.sub == p.sub }) {
			d.paying = append(d.paying, payment{number, p})
		}
	}
	o.mu.Unlock()
	d.b.pledges.add(d) // before looking, so that a settlement in between finds it
	d.pay()
}

// cancel forgets that retained messages are due for a subscription that ends. Called by the reader.
func (d *durable) cancel(sub *subscription) {
	o := &d.s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if at := slices.Index(d.due, sub); at >= 0 {
		d.due = slices.Delete(d.due, at, at+1)
		d.forgetGiven(sub)
	}
}

// replaced notes that a message takes the place of the retained one of its topic, which the session gets by itself: it must not come again
// as a retained one that is due. The caller holds out.mu and gives the message to the journal afterwards.
func (d *durable) replaced(name []byte) {
	for _, sub := range d.due {
		if sub.filter.Match(name) {
			d.s.b.put(d.give(sub, string(name)), nil, "id of a retained message")
		}
	}
}

// give notes the key of a message that is about to be given to the session, and returns it. The caller holds out.mu.
func (d *durable) give(sub *subscription, name string) (key string) {
	key = d.serial.given(sub.filter.String(), name)
	asked := sub.askedFor()
	asked.given = append(asked.given, key)
	return key
}

// forgetGiven deletes the keys of a subscription. The caller holds out.mu.
func (d *durable) forgetGiven(sub *subscription) {
	if sub.extra == nil {
		return
	}
	for _, key := range sub.given {
		d.b.cfg().Store.Delete(key)
	}
	sub.given = nil
}

// given is the key that says that the session has the retained message of a topic, for one subscription.
func (n serial) given(filter, name string) string {
	f, t := sha256.Sum256([]byte(filter)), sha256.Sum256([]byte(name))
	return n.key(keyGiven) + string(f[:8]) + string(t[:16])
}

// restoreDue begins again to send the retained messages that are due, and gives the keys that mean nothing any more.
func (b *Broker) restoreDue(all map[serial]*session) (strays []string) {
	given := map[string]bool{}
	b.cfg().Store.Range(keyGiven, func(key string, _ []byte) bool {
		given[key] = true
		return true
	})
	for n, s := range all {
		for _, sub := range s.out.durable.due {
			b.replayRetained(s, sub, false, func(kept *retained) bool {
				key := n.given(sub.filter.String(), kept.topic())
				had := given[key]
				if had {
					delete(given, key)
					asked := sub.askedFor()
					asked.given = append(asked.given, key)
				}
				return !had || min(kept.qos(), sub.load().qos()) < 2
			})
		}
	}
	return slices.Collect(maps.Keys(given))
}

// feed puts retained messages for new subscriptions into the queue, some at a time, and sends those of QoS 0. One that was
// replaced by then is left out: its successor comes by the subscription itself.
func (d *durable) feed() {
	o, b := &d.s.out, d.s.b
	o.mu.Lock()
	waiting := len(o.replay) > 0
	o.mu.Unlock()
	if !waiting {
		return
	}
	messages, _ := d.queue.Waiting()
	meal := meals.Get().(*meal)
	defer meal.clear()
	o.mu.Lock()
	d.serve(meal, batchSize-messages)
	o.mu.Unlock()
	first, n := uint64(0), 0
	if len(meal.entries) > 0 {
		first, n = b.journal.Append(meal.entries)
	}
	b.count.journaled.Add(uint64(n))
	b.foresee(meal.entries[:n], first)
	for i, r := range meal.from[:n] { // only who has the turn reads the queue, so none has left yet
		if kept := r.list[0]; kept.over() {
			d.queue.Ack([]uint64{first + uint64(i)})
		}
	}
	if n < len(meal.entries) {
		o.mu.Lock()
		o.replay = slices.Concat(meal.from[n:], o.replay)
		o.mu.Unlock()
		d.starved.Store(true)
		b.pledges.add(d)
	}
	if n > 0 {
		d.fed = first + uint64(n) - 1
	}
	d.owePayment(meal.over, d.fed)
}

// meal is what one feed takes from the replays.
type meal struct {
	entries  []Entry
	from     []replay           // each with the message of one entry
	over     []replay           // of which nothing is left
	messages []*message.Message // to read retained messages into; those of entries come first
}

var meals = sync.Pool{New: func() any { return new(meal) }}

// message is space for the message of the next entry.
func (m *meal) message() *message.Message {
	if len(m.messages) == len(m.entries) {
		m.messages = append(m.messages, new(message.Message))
	}
	return m.messages[len(m.entries)]
}

// clear gives the meal back.
func (m *meal) clear() {
	for _, used := range m.messages[:len(m.entries)] {
		used.Props.Release()
	}
	clear(m.entries)
	clear(m.from)
	clear(m.over)
	m.entries, m.from, m.over = m.entries[:0], m.from[:0], m.over[:0]
	meals.Put(m)
}

// serve takes up to most retained messages of QoS 1 and 2 for the queue, and sends those of QoS 0 that stand between them.
// The caller holds out.mu.
func (d *durable) serve(meal *meal, most int) {
	o := &d.s.out
	f := filler{b: d.s.b, out: o}
	defer func() {
		f.done()
		f.b.count.add(&f.counts)
	}()
	for len(o.replay) > 0 {
		p := &o.replay[0]
		opt := p.sub.load()
		for len(p.list) > 0 {
			kept := p.list[0]
			q := min(kept.qos(), opt.qos())
			h := held{kept: kept, qos: q, retain: true, ids: p.identify(opt)} // v5 section 3.3.1.3, 3.1.1 [MQTT-3.3.1-8]
			h.message = f.message(&h)
			away := o.conn == nil || o.closing
			switch {
			case kept.over() || !f.mayHave(h.message) || q == 0 && away: // QoS 0 is not kept for a session without a connection
			case f.expired(h.message): // v5 [MQTT-3.3.2-5]
				f.counts.expired++
			case q == 0 && !o.more(f.b) || q > 0 && len(meal.entries) >= most:
				return
			case q == 0:
				f.encode(h, 0, false)
			default:
				hit := SessionHit{Queue: d.queue.ID(), QoS: q, Data: appendHit(nil, q, true, h.ids), to: d}
				m := meal.message()
				kept.read(m)
				e := Entry{Message: m, Sessions: []SessionHit{hit}}
				if q == 2 {
					e.Key = d.give(p.sub, string(m.Topic))
				}
				meal.entries = append(meal.entries, e)
				meal.from = append(meal.from, replay{sub: p.sub, list: []*retained{kept}, round: p.round})
			}
			p.list = p.list[1:]
		}
		meal.over = append(meal.over, *p)
		o.replay = o.replay[1:]
	}
	o.replay = nil
}

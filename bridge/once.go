package bridge

import "slices"

// step is how far a message sent at QoS 2 has come. A step marked * is kept, and what follows it waits until it is durable.
//
//	            PUBLISH                 PUBREC                 PUBREL           PUBCOMP
//	claimed* ─────────────▶ published ─────────▶ received* ─────────────▶ released ─────▶ (forgotten)
//	    │                      │   │                 ▲                       │
//	    │ connection lost      │   │ content gone    │                       │ connection lost: PUBREL again
//	    ▼                      │   └─────────────────┘◀──────────────────────┘
//	(forgotten, id free)       └──▶ refused by PUBREC >= 0x80: (forgotten)
//	                                connection lost: PUBLISH again with DUP
type step uint8

const (
	claimed step = iota
	published
	received
	released
)

// exchange is one message at QoS 2 that has no end yet.
type exchange struct {
	number uint64
	id     uint16
	step   step
	stamp  uint64 // of the last change that must be durable before the next packet leaves
	dead   bool   // the record is a dead letter: it is not acknowledged at PUBCOMP
	here   bool   // the source gave the record, or PUBREL left, on this connection
	freed  bool   // PUBREL left on this connection without PUBREC: PUBCOMP frees the id, and the record is dealt with anew

	counted bool // as a possible repeat
}

// once decides which packet of QoS 2 may leave towards the upstream. It is pure: what happened is told to it, what is
// durable too. Changes are stamped with the number of the barrier that will cover them; one barrier runs at a time, and
// covers everything stamped before it was asked for, so that many changes share one commit. Not safe for concurrent use.
type once struct {
	exchanges []exchange // by record number
	books
}

// books know what is durable.
type books struct {
	last   uint64 // stamp of the newest change
	asked  uint64 // stamp up to which the running barrier covers, or covered
	sure   uint64 // durable up to here
	asking bool
}

// change stamps a change.
func (b *books) change() uint64 {
	b.last++
	return b.last
}

// wants reports whether a barrier is to be asked for.
func (b *books) wants() bool { return !b.asking && b.last > b.asked }

// ask notes that a barrier was asked for, and covered that it is durable.
func (b *books) ask() { b.asking, b.asked = true, b.last }

func (b *books) covered() { b.asking, b.sure = false, b.asked }

func (b *books) durable(stamp uint64) bool { return stamp <= b.sure }

// restore takes over what was kept, in the order of the records.
func (o *once) restore(pairs []Pair) {
	o.exchanges = o.exchanges[:0]
	for _, p := range pairs {
		f := exchange{number: p.Number, id: p.ID, step: published}
		if p.Released {
			f.step = received
		}
		o.exchanges = append(o.exchanges, f)
	}
}

// find gives the exchange of a record; nil: there is none.
func (o *once) find(number uint64) *exchange {
	i, ok := o.place(number)
	if !ok {
		return nil
	}
	return &o.exchanges[i]
}

func (o *once) place(number uint64) (int, bool) {
	return slices.BinarySearchFunc(o.exchanges, number, func(f exchange, n uint64) int {
		switch {
		case f.number < n:
			return -1
		case f.number > n:
			return 1
		}
		return 0
	})
}

// claim notes that a record got a packet id. The pair is to be kept.
func (o *once) claim(number uint64, id uint16) {
	i, _ := o.place(number)
	o.exchanges = slices.Insert(o.exchanges, i, exchange{number: number, id: id, step: claimed, stamp: o.change(), here: true})
}

// mayPublish reports whether PUBLISH of the record may leave: for the first time once record and pair are durable, or again.
func (o *once) mayPublish(number uint64) bool {
	f := o.find(number)
	return f != nil && (f.step == claimed && o.durable(f.stamp) || f.step == published)
}

// published notes that PUBLISH left.
func (o *once) published(number uint64) {
	if f := o.find(number); f != nil && f.step == claimed {
		f.step = published
	}
}

// again notes that the source gave a record on this connection whose exchange is from an earlier one.
func (o *once) again(number uint64) *exchange {
	f := o.find(number)
	if f != nil {
		f.here = true
	}
	return f
}

// received notes PUBREC. It reports whether that is news: then the pair is to be kept as released.
func (o *once) received(number uint64) bool {
	f := o.find(number)
	if f == nil || f.step != published || f.freed {
		return false
	}
	f.step, f.stamp = received, o.change()
	return true
}

// gone takes the exchanges of records below number that the source no longer has. Their content cannot be sent again, but the
// upstream may hold their ids: PUBREL frees those. Call it with what again was told of; the pairs are to be kept as released.
func (o *once) gone(number uint64) (pairs []Pair) {
	for i := range o.exchanges {
		f := &o.exchanges[i]
		if f.number >= number {
			break
		}
		if f.step == published && !f.here {
			f.step, f.stamp, f.here, f.dead = received, o.change(), true, true // whatever became of the record is done
			pairs = append(pairs, f.pair())
		}
	}
	return pairs
}

func (f *exchange) pair() Pair { return Pair{ID: f.id, Number: f.number, Released: f.step >= received} }

// release calls send for each PUBREL that may leave now: PUBREC is durable, and it has not left on this connection.
func (o *once) release(send func(id uint16)) {
	for i := range o.exchanges {
		if f := &o.exchanges[i]; f.step == received && o.durable(f.stamp) {
			f.step = released
			send(f.id)
		}
	}
}

// ended takes an exchange out: PUBCOMP, or refused. After PUBCOMP the record is acknowledged first, and then the pair forgotten.
func (o *once) ended(number uint64) (id uint16, ok bool) {
	i, ok := o.place(number)
	if !ok {
		return 0, false
	}
	id = o.exchanges[i].id
	o.exchanges = slices.Delete(o.exchanges, i, i+1)
	return id, true
}

// bury notes that a record that was sent became a dead letter. The upstream may hold its id, which PUBREL frees.
func (o *once) bury(number uint64) {
	if e := o.find(number); e != nil {
		e.dead = true
	}
}

// lost notes the end of a connection. What was never sent is taken out: those pairs are to be forgotten.
func (o *once) lost() (unsent []uint16) {
	kept := o.exchanges[:0]
	for _, f := range o.exchanges {
		if f.step == claimed {
			unsent = append(unsent, f.id)
			continue
		}
		f.here, f.freed = false, false
		if f.step == released {
			f.step = received
		}
		kept = append(kept, f)
	}
	o.exchanges = kept
	return unsent
}

// withheld is how many wait for our disk, and not for the upstream.
func (o *once) withheld() (n int) {
	for i := range o.exchanges {
		if f := &o.exchanges[i]; f.step == received {
			n++
		}
	}
	return n
}

// freeing reports whether the PUBCOMP of an id is awaited that is only to be freed.
func (o *once) freeing() bool {
	return slices.ContainsFunc(o.exchanges, func(f exchange) bool { return f.freed })
}

// pairs are the exchanges as they are kept.
func (o *once) pairs() (all []Pair) {
	for i := range o.exchanges {
		all = append(all, o.exchanges[i].pair())
	}
	return all
}

// reset forgets the session and reports how many messages of it may arrive twice, as they are sent again.
func (o *once) reset() (repeats int) {
	repeats = len(o.exchanges)
	o.exchanges = o.exchanges[:0]
	return repeats
}

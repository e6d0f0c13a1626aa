package broker

import (
	"sync/atomic"

	"weir/broker/message"
)

// waiting is a message that the journal had no room for.
type waiting struct {
	message message.Message // a copy of its own
	entry   Entry           // all but its message
	bytes   int
}

// taken gives the entry of a waiting message.
func (w *waiting) taken() Entry {
	e := w.entry
	e.Message = &w.message
	return e
}

// wait keeps copies of entries[from:] until there is room. It returns the index of the first one that the allowance does
// not cover. QoS 0 never waits unless something does already; what is dropped has its Message set to nil.
// The caller holds mu.
func (o *owed) wait(batch *toJournal, from, allowance int) int {
	entries := batch.entries
	batch.places = batch.places[:0]
	for i := from; i < len(entries); i++ {
		e := &entries[i]
		optional := e.Message.QoS == 0
		size := footprint(e.Message) + 8*len(e.Routes) + 64*len(e.Sessions)
		batch.places = append(batch.places, o.place+uint64(len(o.waiting)))
		if optional && len(o.waiting) == 0 || !o.reserve(size, allowance) {
			if !optional {
				return i
			}
			o.b.count.droppedTail.Add(1)
			o.b.quiet.warn(o.b.log, "journal is full: dropping QoS 0 messages for upstreams")
			e.Message = nil
			continue
		}
		o.waiting = append(o.waiting, waiting{message: e.Message.Clone(), entry: e.copy(), bytes: size})
	}
	return len(entries)
}

// reserve takes room for a waiting message from the allowances. The caller holds mu.
func (o *owed) reserve(size, allowance int) bool {
	switch {
	case allowance == unlimited:
		o.b.waitingBytes.n.Add(int64(size))
	case o.bytes+size > allowance, !o.b.waitingBytes.add(size, o.b.cfg().AllowanceTotalBytes):
		return false
	}
	o.bytes += size
	return true
}

// copy keeps all of an entry but its message.
func (e *Entry) copy() Entry {
	c := *e
	c.Message, c.Publisher = nil, 0
	c.Routes = append([]RouteHit(nil), e.Routes...)
	c.Sessions = append([]SessionHit(nil), e.Sessions...)
	for i := range c.Sessions {
		c.Sessions[i].Data = append([]byte(nil), c.Sessions[i].Data...)
	}
	return c
}

// unlimited is the allowance of a publisher that sees to it by itself.
const unlimited = -1

// retry offers waiting messages to the journal, as long as that has room. The caller has the turn.
func (o *owed) retry() {
	for {
		o.mu.Lock()
		if o.gone {
			o.dropWaiting()
		}
		n := min(len(o.waiting), 64)
		if n == 0 {
			o.mu.Unlock()
			return
		}
		batch := make([]Entry, n)
		for i := range batch {
			batch[i] = o.waiting[i].taken()
		}
		o.mu.Unlock()
		first, taken := o.b.journal.Append(batch)
		o.b.count.journaled.Add(uint64(taken))
		o.b.foresee(batch[:taken], first)
		o.mu.Lock()
		o.recorded(first, taken)
		o.mu.Unlock()
		for i := range batch[:taken] {
			arrived(&batch[i])
			for k := range batch[i].Sessions {
				batch[i].Sessions[k].to.pumpOut()
			}
		}
		if taken < n {
			return
		}
	}
}

// recorded notes that the journal took the first n waiting messages. The caller holds mu.
func (o *owed) recorded(first uint64, n int) {
	for i := range o.waiting[:n] {
		o.bytes -= o.waiting[i].bytes
		o.b.waitingBytes.sub(o.waiting[i].bytes)
	}
	clear(o.waiting[:n])
	o.waiting = o.waiting[n:]
	if len(o.waiting) == 0 {
		o.waiting = nil
	}
	after := o.place + uint64(n)
	for i := o.head; i < len(o.fifo); i++ {
		if d := &o.fifo[i]; d.state == dueWaiting && d.number < after {
			d.state, d.number = dueRecorded, first+d.number-o.place
		}
	}
	o.place = after
}

// dropWaiting drops the messages that wait, and counts those of QoS 0: the others were not acknowledged. The caller holds
// mu and has the turn.
func (o *owed) dropWaiting() {
	for i := range o.waiting {
		if o.waiting[i].message.QoS == 0 {
			o.b.count.droppedTail.Add(1)
		}
		e := o.waiting[i].taken()
		arrived(&e)
	}
	o.b.waitingBytes.sub(o.bytes)
	o.waiting, o.bytes = nil, 0
}

// bounded is a counter with a limit.
type bounded struct{ n atomic.Int64 }

func (b *bounded) add(n, limit int) bool {
	if b.n.Add(int64(n)) > int64(limit) {
		b.n.Add(int64(-n))
		return false
	}
	return true
}

func (b *bounded) sub(n int) { b.n.Add(int64(-n)) }

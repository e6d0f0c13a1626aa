package bridge

import (
	"time"

	"weir/broker/packet"
)

// hold is a QoS 2 message received from the upstream whose PUBREL has not come. A step marked * waits until it is durable.
//
//	PUBLISH ──▶ local side ──settled──▶ id kept* ──▶ PUBREC ──▶ PUBREL ──▶ id dropped* ──▶ PUBCOMP
//	               │                      ▲ ▲
//	               └─ or kept in the block │ └── PUBLISH again, DUP: not delivered; PUBREC when the first one has it
//	                  of the message ──────┘
type hold struct {
	id      uint16
	settled bool          // the message came to its end here
	unkept  bool          // the store had no room for the id; it is tried again
	stamp   uint64        // when the id is durable; see books
	reason  packet.Reason // a failure: the message was not taken, and the id is free
}

// holds decides which PUBREC and PUBCOMP may leave towards the upstream. It is pure, as once is.
type holds struct {
	ids  map[uint16]*hold
	owed []completion // PUBCOMPs, in order
	books
}

type completion struct {
	id    uint16
	known bool
	stamp uint64
}

// restore takes over the ids that were kept.
func (h *holds) restore(ids []uint16) {
	h.reset()
	for _, id := range ids {
		h.ids[id] = &hold{id: id, settled: true}
	}
}

// reset forgets the session.
func (h *holds) reset() { h.ids, h.owed = map[uint16]*hold{}, nil }

// arrive takes the id of a PUBLISH. again: it is held, and the message must not be delivered.
func (h *holds) arrive(id uint16) (held *hold, again bool) {
	if held = h.ids[id]; held != nil {
		return held, true
	}
	held = &hold{id: id}
	h.ids[id] = held
	return held, false
}

// current reports whether a hold belongs to the session there is.
func (h *holds) current(held *hold) bool { return h.ids[held.id] == held }

// settle notes that the message is settled here, and whether its id is durable with it.
func (h *holds) settle(held *hold, kept bool) {
	held.settled, held.unkept = true, false
	if !kept {
		held.stamp = h.change()
	}
}

// refuse notes that the message was not taken: PUBREC says so, and the id is free.
func (h *holds) refuse(held *hold, r packet.Reason) {
	held.reason = r
	if h.current(held) {
		delete(h.ids, held.id)
	}
}

// mayReceive reports whether PUBREC may leave.
func (h *holds) mayReceive(held *hold) bool {
	return held.reason.Failed() || held.settled && h.durable(held.stamp)
}

// release takes PUBREL. PUBCOMP is owed when everything up to here is durable: also for an id that is not known, which may
// have been dropped on an earlier connection.
func (h *holds) release(id uint16) (known bool) {
	c := completion{id: id, stamp: h.last}
	if _, c.known = h.ids[id]; c.known {
		delete(h.ids, id)
		c.stamp = h.change()
	}
	h.owed = append(h.owed, c)
	return c.known
}

// complete gives the next PUBCOMP that may leave.
func (h *holds) complete() (c completion, ok bool) {
	if len(h.owed) == 0 || !h.durable(h.owed[0].stamp) {
		return c, false
	}
	c, h.owed = h.owed[0], h.owed[1:]
	return c, true
}

// lost notes the end of a connection: the upstream sends again what it waits for.
func (h *holds) lost() { h.owed = nil }

// receipts is the shell round holds, guarded by the intake's lock.
type receipts struct {
	holds
	barriers
	lasting bool // the session of the connection outlives it
}

// ended notes that a message came to its end here.
func (t *intake) ended(held *hold, r packet.Reason) {
	switch x := &t.receipts; {
	case held == nil:
	case r.Failed():
		x.refuse(held, r)
	case x.current(held):
		kept, err := x.keeper.Hold(held.id)
		if err != nil {
			held.unkept = true
			x.fail(err)
			return
		}
		x.holds.settle(held, kept)
	}
}

// answer sends PUBCOMPs and asks for what they, and PUBRECs, wait for. The caller holds mu.
func (t *intake) answer(now time.Time) {
	x := &t.receipts
	if x.keeper == nil || !x.lasting {
		return
	}
	if !x.retry.IsZero() && !now.Before(x.retry) {
		for _, held := range x.ids {
			if held.unkept {
				t.ended(held, packet.Success)
			}
		}
	}
	x.look(&x.books, now)
	for t.conn != nil {
		c, ok := x.complete()
		if !ok {
			break
		}
		t.conn.Complete(c.id, c.known)
	}
}

// released takes PUBRELs.
func (t *intake) released(from upward, ids []uint16, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != from {
		return
	}
	for _, id := range ids {
		if t.receipts.release(id) {
			t.receipts.keeper.Drop(id)
		}
	}
	t.answer(now)
}

// heldIDs are the ids that the session to be resumed holds.
func (t *intake) heldIDs() (ids []uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.receipts.ids {
		ids = append(ids, id)
	}
	return ids
}

// retryAt is when something that found no room is tried again; zero: nothing is.
func (t *intake) retryAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.receipts.retry
}

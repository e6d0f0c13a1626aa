package qos

import (
	"math/rand/v2"
	"slices"
	"testing"

	"weir/broker/packet"
)

// frame is one packet on the way between the two peers of the model.
type frame struct {
	t      packet.Type
	q      byte
	dup    bool
	id     uint16
	ref    uint64
	reason packet.Reason
}

// peers is a sender and a receiver with an ordered link between them that is cut again and again. It keeps its own
// books of what was sent, delivered and acknowledged, and fails the test when the state machines break a promise.
type peers struct {
	*testing.T
	r      *rand.Rand
	out    *Outbound
	in     *Inbound
	window int

	there, back []frame // on the way to the receiver, and to the sender
	owed        []frame // answers the receiver has not sent yet

	inUse     map[uint16]uint64 // ids of unfinished messages, by the model's own books
	qos       []byte            // of each message, by ref
	delivered []int             // how often each was delivered
	ended     []Step            // Done or Refused, by ref
	onLink    map[uint64]bool   // sent as PUBLISH on this connection and not finished: what the window bounds
	firsts    []uint64          // messages in the order of their first delivery
	refused   map[uint64]bool   // answered with a failure at some time
	cuts      int
}

func newPeers(t *testing.T, seed uint64) *peers {
	p := &peers{T: t, r: rand.New(rand.NewPCG(seed, 7)), inUse: map[uint16]uint64{}, onLink: map[uint64]bool{}, refused: map[uint64]bool{}}
	p.window = 1 + p.r.IntN(12)
	p.out, p.in = NewOutbound(p.window), NewInbound(p.window)
	if p.r.IntN(2) == 0 { // start near the wrap
		p.out.table.last = uint16(maxIDs - p.r.IntN(20))
	}
	return p
}

func (p *peers) sendNew() {
	q := byte(1 + p.r.IntN(2))
	ref := uint64(len(p.qos))
	id, ok := p.out.Send(q, ref)
	if !ok {
		return
	}
	if other, used := p.inUse[id]; used || id == 0 {
		p.Fatalf("id %d given to message %d is in use by %d", id, ref, other)
	}
	p.inUse[id] = ref
	p.qos, p.delivered, p.ended = append(p.qos, q), append(p.delivered, 0), append(p.ended, Ignored)
	p.publish(frame{t: packet.TypePublish, q: q, id: id, ref: ref})
}

func (p *peers) publish(f frame) {
	p.there = append(p.there, f)
	if p.onLink[f.ref] = true; len(p.onLink) > p.window {
		p.Fatalf("%d messages on the link, the window is %d", len(p.onLink), p.window)
	}
}

func (p *peers) resend() {
	p.out.Resend(func(id uint16, ref uint64, q byte, released bool) bool {
		if p.inUse[id] != ref || p.qos[ref] != q {
			p.Fatalf("id %d resent with message %d at qos %d, it is %d at qos %d", id, ref, q, p.inUse[id], p.qos[ref])
		}
		if released {
			p.there = append(p.there, frame{t: packet.TypePubrel, id: id, ref: ref})
		} else {
			p.publish(frame{t: packet.TypePublish, q: q, dup: true, id: id, ref: ref})
		}
		return p.r.IntN(10) > 0
	})
}

// arriveThere gives the receiver the next packet.
func (p *peers) arriveThere() {
	if len(p.there) == 0 {
		return
	}
	f := p.there[0]
	p.there = p.there[1:]
	if f.t == packet.TypePubrel {
		p.in.Release(f.id)
		p.owed = append(p.owed, frame{t: packet.TypePubcomp, id: f.id})
		return
	}
	answer := frame{t: packet.TypePuback, id: f.id}
	if f.q == 2 {
		answer.t = packet.TypePubrec
	}
	switch step := p.in.Publish(f.q, f.id, f.dup); step {
	case New:
		if p.r.IntN(12) == 0 {
			answer.reason = packet.QuotaExceeded
			p.back = append(p.back, answer)
			p.in.Acked(f.id)
			p.refused[f.ref] = true
			return
		}
		if p.delivered[f.ref]++; p.delivered[f.ref] == 1 {
			p.firsts = append(p.firsts, f.ref)
		} else if f.q == 2 {
			p.Fatalf("qos 2 message %d delivered %d times", f.ref, p.delivered[f.ref])
		}
	case Duplicate:
		if f.q != 2 || !f.dup {
			p.Fatalf("qos %d dup %t is said to be a duplicate", f.q, f.dup)
		}
	default:
		p.Fatalf("the receiver says %s to message %d, id %d, maximum %d", step, f.ref, f.id, p.window)
	}
	p.owed = append(p.owed, answer)
}

// answer lets the receiver send the oldest answer it owes.
func (p *peers) answer() {
	if len(p.owed) == 0 {
		return
	}
	f := p.owed[0]
	p.owed = p.owed[1:]
	p.back = append(p.back, f)
	switch f.t {
	case packet.TypePuback:
		p.in.Acked(f.id)
	case packet.TypePubcomp:
		p.in.Completed(f.id)
	}
}

// arriveBack gives the sender the next answer.
func (p *peers) arriveBack() {
	if len(p.back) == 0 {
		return
	}
	f := p.back[0]
	p.back = p.back[1:]
	step, ref := p.out.Receive(f.t, f.id, f.reason)
	switch step {
	case SendPubrel:
		p.there = append(p.there, frame{t: packet.TypePubrel, id: f.id, ref: ref})
	case Done, Refused:
		if p.inUse[f.id] != ref || p.ended[ref] != Ignored {
			p.Fatalf("%s for id %d and message %d, which is %d and %s", step, f.id, ref, p.inUse[f.id], p.ended[ref])
		}
		if step == Done && p.delivered[ref] == 0 {
			p.Fatalf("message %d is done and was never delivered", ref)
		}
		p.ended[ref] = step
		delete(p.inUse, f.id)
		delete(p.onLink, ref)
	default:
		p.Fatalf("%s id %d: %s", f.t, f.id, step)
	}
}

// cut loses everything on the way and starts a new connection, perhaps with another window.
func (p *peers) cut() {
	p.cuts++
	p.there, p.back, p.owed = nil, nil, nil
	clear(p.onLink)
	p.window = 1 + p.r.IntN(12)
	p.out.Reconnect(p.window)
	p.in.Reconnect(p.window)
	if p.r.IntN(3) == 0 { // both come back from storage
		p.restore()
	}
	p.resend()
}

// restore replaces both halves by new ones made from what a store would hold.
func (p *peers) restore() {
	out, in := NewOutbound(1), NewInbound(1)
	p.out.Unfinished(func(id uint16, ref uint64, q byte, released bool) bool { return out.Restore(id, ref, q, released) })
	p.in.Held(func(id uint16) bool { return in.Restore(id) })
	if out.InFlight() != p.out.InFlight() {
		p.Fatalf("%d messages restored of %d", out.InFlight(), p.out.InFlight())
	}
	out.Reconnect(p.window)
	in.Reconnect(p.window)
	p.out, p.in = out, in
}

func (p *peers) step() {
	switch n := p.r.IntN(1000); {
	case n < 250:
		p.sendNew()
	case n < 300:
		p.resend()
	case n < 530:
		p.arriveThere()
	case n < 770:
		p.answer()
	case n < 990:
		p.arriveBack()
	default:
		p.cut()
	}
	if p.out.InFlight() != len(p.inUse) {
		p.Fatalf("%d in flight, the books say %d", p.out.InFlight(), len(p.inUse))
	}
}

// drain lets everything arrive, without a cut.
func (p *peers) drain() {
	for range 10000 {
		p.resend()
		p.arriveThere()
		p.answer()
		p.arriveBack()
	}
}

// TestTwoPeers proves on random schedules: QoS 1 at least once, QoS 2 exactly once, windows kept, no id reused in use, first
// deliveries in the order of sending.
func TestTwoPeers(t *testing.T) {
	messages, cuts := 0, 0
	for seed := range uint64(100) {
		p := newPeers(t, seed)
		for range 4000 {
			p.step()
		}
		p.drain()
		for ref, ended := range p.ended {
			n := p.delivered[ref]
			switch {
			case ended == Done && n == 0, ended == Done && p.qos[ref] == 2 && n != 1:
				t.Fatalf("seed %d: qos %d message %d ended as %s and was delivered %d times", seed, p.qos[ref], ref, ended, n)
			case ended != Done && ended != Refused:
				t.Fatalf("seed %d: message %d never ended", seed, ref)
			}
		}
		p.checkOrder(seed)
		if p.in.Open() != 0 || len(p.inUse) != 0 {
			t.Fatalf("seed %d: %d open, %d ids in use at the end", seed, p.in.Open(), len(p.inUse))
		}
		messages, cuts = messages+len(p.qos), cuts+p.cuts
	}
	if messages < 20000 || cuts < 2000 {
		t.Errorf("only %d messages and %d cuts: the model does not try hard enough", messages, cuts)
	}
	t.Logf("%d messages, %d cuts", messages, cuts)
}

// checkOrder wants first deliveries in the order of sending. A message that was refused, the refusal lost with its connection,
// and taken when it came again is outside of the order.
func (p *peers) checkOrder(seed uint64) {
	firsts := slices.DeleteFunc(p.firsts, func(ref uint64) bool { return p.refused[ref] })
	if !slices.IsSorted(firsts) {
		p.Fatalf("seed %d: delivered in the order %v", seed, firsts)
	}
}

package broker

import (
	"fmt"
	"testing"

	"weir/broker/message"
	"weir/broker/packet"
)

// TestResumeBeyondTheIDs: when more messages come back than there are packet ids, those beyond are sent as new, in order, and
// none is left out. The pairs are given up, and counted, except those whose message is gone.
func TestResumeBeyondTheIDs(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		l := buildLasting(t, Config{Inflight: 1})
		sub, _ := l.stay(v, "sub")
		sub.subscribe(2, "x")
		l.leave(sub)
		for i := range 7 {
			l.deliver("x", fmt.Sprint(i), []byte{1, 1, 1, 2, 1, 2, 1}[i])
		}
		l.b.mu.Lock()
		d := l.b.sessions["sub"].out.durable
		l.b.mu.Unlock()
		messages := queuedNumbers(d)
		if len(messages) != 7 {
			t.Fatalf("%d messages wait", len(messages))
		}
		gone := messages[6] + 1 // as if it had been damaged
		pairs := []Pair{{ID: 2, Number: messages[3]}, {ID: 9, Number: messages[5]}, {ID: 8, Number: gone}}
		for _, p := range pairs {
			d.keep(p)
		}
		r := resuming{d: d, pairs: pairs, used: map[uint16]bool{}}
		r.run(3) // ids 1 and 3 are left for the messages of QoS 1 before
		if d.passed.Load() != messages[1] || r.again != 2 || l.b.Stats().NotKept != 2 {
			t.Errorf("in flight through %d, want %d; %d pairs given up, %d counted, want 2", d.passed.Load(), messages[1], r.again, l.b.Stats().NotKept)
		}
		if pairs := d.queue.Pairs(); len(pairs) != 1 || pairs[0] != (Pair{ID: 8, Number: gone, Released: true}) {
			t.Errorf("pairs %+v, want only that of the message that is gone, released", pairs)
		}
		sub, _ = l.stay(v, "sub")
		for i := range 7 {
			if i == 2 { // what was in flight comes first
				sub.expectAck(packet.TypePubrel, 8)
				sub.send(&packet.Ack{Type: packet.TypePubcomp, ID: 8})
			}
			p := sub.expectMessage("x", fmt.Sprint(i))
			if p.Dup != (i < 2) {
				t.Errorf("message %d with DUP %t", i, p.Dup)
			}
			sub.finish(p)
		}
		sub.nothing()
	})
}

// queuedNumbers reads the numbers of what waits.
func queuedNumbers(d *durable) (all []uint64) {
	d.queued(never, func(m *Queued) { all = append(all, m.Number) })
	return all
}

// manyQueue is a queue of so many messages at QoS 1 with one pair behind them.
type manyQueue struct {
	Queue
	messages, at int
	forgotten    int
}

func (q *manyQueue) Pairs() []Pair { return []Pair{{ID: 1, Number: uint64(q.messages)}} }
func (q *manyQueue) Rewind()       { q.at = 0 }
func (q *manyQueue) Ack([]uint64)  {}
func (q *manyQueue) Forget(uint16) { q.forgotten++ }

func (q *manyQueue) Next(dst []Queued, _ bool) (n int, onDisk bool, err error) {
	for n < len(dst) && q.at < q.messages {
		q.at++
		dst[n] = Queued{uint64(q.at), appendHit(nil, 1, false, nil), message.Message{}}
		n++
	}
	return n, false, nil
}

// TestResumeEnds: a start ends, however many messages damage has brought back.
func TestResumeEnds(t *testing.T) {
	l := buildLasting(t, Config{})
	q := &manyQueue{messages: 70_000}
	s := l.b.newSession("sub", "")
	d := newDurable(s, 0)
	d.queue = q
	d.resume(map[uint32][]bound{})
	if got := s.out.flight.InFlight(); got != 65_534 || d.passed.Load() != 65_534 || q.forgotten != 1 {
		t.Errorf("%d in flight, through %d, %d pairs given up; want 65534, 65534, 1", got, d.passed.Load(), q.forgotten)
	}
}

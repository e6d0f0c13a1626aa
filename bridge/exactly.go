package bridge

import (
	"errors"
	"math"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
)

// maxParcels is how many bytes of messages may wait here for a commit.
const maxParcels = 1 << 20

// exactly is the shell round once: it tells the keeper what to keep, and asks it for barriers. It belongs to the goroutine
// of Run and outlives connections.
type exactly struct {
	once
	barriers
}

// barriers asks the keeper for what books want.
type barriers struct {
	keeper  Keeper    // nil: nothing outlives a connection
	barrier uint64    // the one that runs
	retry   time.Time // the keeper had no room: not before this; zero: it had
}

// lanes of a connection: what waits behind a QoS 2 message whose pair is not durable yet, in order.
type lane struct {
	parcels []parcel // from head on
	head    int
	bytes   []byte
}

// parcel is one PUBLISH ready to go.
type parcel struct {
	number   uint64
	from, to int // its bytes in the lane
	id       uint16
	qos      byte
}

func (l *lane) waiting() int { return len(l.parcels) - l.head }

func (l *lane) full() bool { return len(l.bytes) >= maxParcels }

func (l *lane) add(number uint64, p *packet.Publish, bytes []byte) {
	l.parcels = append(l.parcels, parcel{number: number, from: len(l.bytes), to: len(bytes), id: p.ID, qos: p.QoS})
	l.bytes = bytes
}

// tidy gives memory back once everything has gone.
func (l *lane) tidy() {
	if l.head < len(l.parcels) {
		return
	}
	l.parcels, l.head, l.bytes = l.parcels[:0], 0, l.bytes[:0]
}

// wrap makes a parcel of a message that must wait, or that is sent again. Errors are those of client.Conn.Claim.
func (s *session) wrap(r *Record, p *packet.Publish, again *exchange) error {
	x := &s.b.exact
	var bytes []byte
	var err error
	if again != nil {
		bytes, err = s.conn.Again(p, again.id, s.lane.bytes)
	} else {
		bytes, err = s.conn.Claim(p, r.Number, s.lane.bytes)
	}
	if err != nil {
		return err
	}
	if p.QoS == 2 && again == nil {
		if err := x.keeper.Keep(Pair{ID: p.ID, Number: r.Number}); err != nil { // no room for keys: try again later
			s.conn.Unclaim(p.ID, 2)
			x.fail(err)
			return client.ErrWindow
		}
		x.claim(r.Number, p.ID)
	}
	s.lane.add(r.Number, p, bytes)
	return nil
}

// post sends the parcels that may go, up to the first that may not.
func (s *session) post(now time.Time) (sent bool, err error) {
	l := &s.lane
	for l.head < len(l.parcels) && s.quota.until.IsZero() {
		p := &l.parcels[l.head]
		if p.qos == 2 && !s.b.exact.mayPublish(p.number) {
			break
		}
		err := s.conn.Post(l.bytes[p.from:p.to], p.qos, p.number)
		if errors.Is(err, client.ErrBusy) {
			break
		}
		if err != nil {
			return sent, err
		}
		if p.qos == 2 {
			s.b.exact.published(p.number)
		}
		s.onWay(p.number, p.qos, now)
		sent = true
		l.head++
	}
	l.tidy()
	return sent, nil
}

// unwrap takes back what was not sent: it is asked for anew.
func (s *session) unwrap() {
	for _, p := range s.lane.parcels[s.lane.head:] {
		if p.qos == 2 {
			if f := s.b.exact.find(p.number); f == nil || f.step != claimed {
				continue // it was sent on an earlier connection, and keeps its id
			}
			s.b.exact.forget(p.number)
		}
		if p.id != 0 {
			s.conn.Unclaim(p.id, p.qos)
		}
	}
	s.lane = lane{}
}

// letGo begins the end of an exchange of an earlier connection whose message cannot be sent again as it was: it may have
// arrived. The upstream may hold its id, which PUBREL frees; until PUBCOMP says so the id is not free, or the next message
// under it could be taken for this one. Then the record has its turn, as if it had never been sent. repeat: it will be sent.
func (s *session) letGo(e *exchange, repeat bool, now time.Time) {
	s.await(now)
	if repeat && !e.counted {
		e.counted = true
		s.b.count.repeats.Add(1)
	}
	e.freed = true
	s.conn.Release(e.id)
	s.upTo = s.conn.Appended()
	s.conn.Flush()
}

// missing deals with messages of earlier connections that the source no longer has, given that it came to number.
func (s *session) missing(number uint64) {
	x := &s.b.exact
	for _, p := range x.gone(number) {
		x.keep(p)
	}
}

// settle asks whether the barrier is durable, sends what that lets go, and asks for the next one.
func (s *session) settle(now time.Time) error {
	x := &s.b.exact
	if x.keeper == nil || s.b.token == "" {
		return nil
	}
	x.look(&x.books, now)
	flush := false
	x.release(func(id uint16) {
		s.conn.Release(id)
		s.progress, s.upTo, flush = now, s.conn.Appended(), true
	})
	sent, err := s.post(now)
	if flush || sent {
		s.conn.Flush()
	}
	return err
}

// look notes a barrier that is durable and asks for the next one if anything waits for it.
func (x *barriers) look(b *books, now time.Time) {
	if b.asking && x.keeper.Settled(x.barrier) {
		b.covered()
	}
	if !x.retry.IsZero() && now.Before(x.retry) {
		return
	}
	x.retry = time.Time{}
	if !b.wants() {
		return
	}
	barrier, err := x.keeper.Barrier()
	if err != nil {
		x.fail(err)
		return
	}
	x.barrier = barrier
	b.ask()
	if x.keeper.Settled(barrier) {
		b.covered()
	}
}

// fail notes that the keeper has no room; it is tried again after a second.
func (x *barriers) fail(error) { x.retry = time.Now().Add(time.Second) }

// keep puts a pair in place of another of its id, which takes no more room and fails only when the store is closed.
func (x *exactly) keep(p Pair) {
	if err := x.keeper.Keep(p); err != nil {
		x.fail(err)
	}
}

// forget takes an exchange out and its pair with it.
func (x *exactly) forget(number uint64) {
	if id, ok := x.ended(number); ok {
		x.keeper.Forget(id)
	}
}

// caughtUp says that the source has nothing more: whatever it did not give is gone.
const caughtUp = math.MaxUint64

// broken notes that the connection is gone.
func (x *exactly) broken() {
	for _, id := range x.lost() {
		x.keeper.Forget(id)
	}
}

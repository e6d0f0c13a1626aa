package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
)

// session is the forward direction over one connection: from Source to Conn, and back what became of it. It belongs to
// the goroutine of Run; only the mailbox is filled from elsewhere.
type session struct {
	b       *Bridge
	conn    *client.Conn
	mail    *mailbox
	window  window
	shaper  *shaper
	records []Record // the last batch of Source.Next; records[next:n] are not sent yet
	next, n int
	ranges  []Range
	lane    lane
	ended   []uint64 // records with PUBCOMP, whose pairs are forgotten once the source knows

	size     int       // most records and state messages on the way
	progress time.Time // last acknowledgement, or when the first message that needs one went on its way
	upTo     int64     // bytes appended to the connection when the newest of those was
	moved    int64     // bytes at the upstream when last looked
	watched  time.Time // when that was
	quota    quota
	state    stateMail
	proven   bool // the upstream has acknowledged something
	told     bool // the upstream has been told the state
	fresh    bool // nobody has looked at the backlog yet
	draining bool
	looked   time.Time      // when the backlog was last looked at
	answers  []Subscription // of the upstream
}

// Ack, Complete and Abort are for the intake, which knows a session by its connection.
func (s *session) Ack(n int, r packet.Reason) { s.conn.Ack(n, r) }

// Complete sends PUBCOMP.
func (s *session) Complete(id uint16, known bool) {
	s.conn.Complete(id, known)
	s.conn.Flush()
}

// Abort cuts the connection without waiting.
func (s *session) Abort() { s.conn.Abort() }

// pump sends what the window allows.
func (s *session) pump(now time.Time) error {
	sent := s.tellState(now)
	for {
		if s.next == s.n {
			room := min(s.room(), len(s.records))
			if room <= 0 {
				break
			}
			n, err := s.b.src.Next(s.records[:room])
			if err != nil {
				return fmt.Errorf("read the buffer: %w", err)
			}
			if s.next, s.n = 0, n; n == 0 {
				s.missing(caughtUp)
				break
			}
		}
		if s.room() <= 0 {
			break
		}
		ok, err := s.send(&s.records[s.next], now)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		sent = true
		s.next++
	}
	if sent {
		s.conn.Flush()
	}
	s.tell()
	return s.settle(now)
}

// send sends one record or disposes of it; false: not now.
func (s *session) send(r *Record, now time.Time) (bool, error) {
	b := s.b
	again := b.exact.again(r.Number)
	if again != nil {
		s.missing(r.Number)
		if again.step > published { // its PUBREC came: PUBREL is what is left
			s.await(now)
			s.window.add(r.Number, flying, now)
			return true, nil
		}
		if again.freed {
			return false, nil
		}
	}
	p, verdict, reason := s.shaper.shape(r)
	if again != nil && (verdict != sendIt || p.QoS != 2) { // it cannot be sent again as it was
		s.letGo(again, verdict == sendIt, now)
		return false, nil
	}
	if verdict != sendIt {
		s.leaveOut(r.Number, verdict, reason, now)
		return true, nil
	}
	if s.shaper.capped {
		b.warnCapped()
	}
	b.intake.sent(p, now)
	var err error
	if again != nil || p.QoS == 2 || s.lane.waiting() > 0 {
		err = s.wrap(r, p, again)
	} else if err = s.conn.Send(p, r.Number); err == nil {
		s.onWay(r.Number, p.QoS, now)
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, client.ErrWindow), errors.Is(err, client.ErrBusy):
		b.intake.unsent(p, now)
		return false, nil
	case errors.Is(err, client.ErrClosed):
		return false, err
	}
	b.intake.unsent(p, now)
	if again != nil {
		s.letGo(again, false, now)
		return false, nil
	}
	s.refuse(r.Number, reasonOf(err)) // it cannot be sent to this server, or to any
	return true, nil
}

// leaveOut settles a record that is not sent.
func (s *session) leaveOut(number uint64, why verdict, reason packet.Reason, now time.Time) {
	switch why {
	case cannotSend:
		s.refuse(number, reason)
		return
	case tooOld:
		s.b.count.expired.Add(1)
	case goesRound:
		s.b.intake.looped.Add(1)
	}
	s.window.add(number, arrived, now)
}

// onWay notes that a record has left.
func (s *session) onWay(number uint64, qos byte, now time.Time) {
	if qos > 0 {
		s.await(now)
		s.window.add(number, flying, now)
	} else {
		s.window.add(number, leaving, now)
	}
	s.b.count.sent.Add(1)
}

// refuse sets a record aside that was not sent.
func (s *session) refuse(number uint64, why packet.Reason) {
	s.b.count.refused.Add(1)
	s.b.src.Refuse(number, why, s.b.clock.Now())
}

// collect takes the acknowledgements that have come.
func (s *session) collect(now time.Time) {
	for _, a := range s.mail.take() {
		if a.QoS > 0 { // that bytes were written says nothing
			s.progress = now
			s.b.stall = false
			s.proven = s.proven || !a.Reason.Failed()
		}
		if a.Ref == stateRef {
			s.state.onWay = false
			switch {
			case a.Reason == packet.QuotaExceeded: // later, or the retained state there would be the one before
				s.told, s.state.refused = false, now
			case a.Reason.Failed():
				s.b.log.Warn("state topic refused by the upstream", "topic", s.b.topic, "reason", a.Reason.String())
			}
			continue
		}
		s.finish(a, now)
	}
	s.tell()
	s.forget()
	if s.quota.until.IsZero() || now.Before(s.quota.until) || s.window.onWay > 0 {
		return
	}
	s.quota.until = time.Time{} // what got 0x97 is sent again, in order, before anything later
	s.window.reset()
	s.unwrap()
	s.next, s.n = 0, 0
	s.b.src.Rewind()
}

// forget drops the pairs of what the source knows to have arrived.
func (s *session) forget() {
	for _, number := range s.ended {
		s.b.exact.forget(number)
	}
	s.ended = s.ended[:0]
}

// finish notes what became of a record.
func (s *session) finish(a client.Ack, now time.Time) {
	b := s.b
	switch {
	case a.Received:
		if b.exact.received(a.Ref) {
			b.exact.keep(b.exact.find(a.Ref).pair())
		}
	case a.Reason == packet.QuotaExceeded: // kept nowhere: it stays unacknowledged and is sent again
		b.exact.forget(a.Ref)
		if _, ok := s.window.finish(a.Ref, refused); ok {
			s.quota.exceeded(now)
		}
	case a.Reason.Failed() && !b.trouble.refused(a.Ref): // nor are others: it stays, and is tried again after a while
		b.exact.forget(a.Ref)
		if _, ok := s.window.finish(a.Ref, refused); ok {
			b.count.refused.Add(1)
			b.refuseLane(s, now)
		}
	case a.Reason.Failed():
		if _, ok := s.window.finish(a.Ref, refused); ok {
			b.count.refused.Add(1)
			s.tell() // what came before it first
			b.src.Refuse(a.Ref, a.Reason, b.clock.Now())
			s.quota.accepted()
		}
		b.exact.forget(a.Ref)
	default:
		if a.QoS == 2 {
			e := b.exact.find(a.Ref)
			if e == nil {
				return
			}
			s.ended = append(s.ended, a.Ref)
			if e.freed {
				return // the record comes now
			}
		}
		if sent, ok := s.window.finish(a.Ref, arrived); ok {
			b.count.acked.Add(1)
			b.roundTrip(now.Sub(sent), a.QoS)
			s.quota.accepted()
			b.accepted(a)
		} else if a.QoS == 2 && !b.exact.find(a.Ref).dead { // PUBREL of an earlier connection, whose record was not given yet, or is gone
			b.src.Ack([]Range{{a.Ref, a.Ref}})
			s.skip(a.Ref)
		}
	}
}

// skip takes a record that has ended out of the batch that is not sent yet, or it would be sent as new.
func (s *session) skip(number uint64) {
	for i := s.next; i < s.n; i++ {
		if s.records[i].Number != number {
			continue
		}
		for ; i > s.next; i-- { // in order, and no two records share what they point to
			s.records[i], s.records[i-1] = s.records[i-1], s.records[i]
		}
		s.next++
		return
	}
}

// tell gives the source what has arrived.
func (s *session) tell() {
	if s.ranges = s.window.ranges(s.ranges[:0]); len(s.ranges) > 0 {
		s.b.src.Ack(s.ranges)
	}
}

// owing reports whether something is on the way.
func (s *session) owing() bool { return s.window.onWay > 0 || s.state.onWay }

// awaiting reports whether acknowledgements of the upstream are awaited. What waits for our own disk is not its fault.
func (s *session) awaiting() bool {
	return s.window.awaited > 0 && s.window.awaited > s.b.exact.withheld() || s.state.onWay && s.state.awaited || s.b.exact.freeing()
}

// await notes that a message goes on its way that needs an acknowledgement. Call it before the window knows.
func (s *session) await(now time.Time) {
	if !s.awaiting() {
		s.progress = now
	}
	s.upTo = s.conn.Appended()
}

// looks is how often, in the time of StallAfter, a session looks at how far its bytes have come.
const looks = 4

// stalled reports whether acknowledgements have been awaited for too long. What is not yet at the upstream cannot be
// acknowledged: on a slow link, as long as its bytes move, that is progress too. One message whose acknowledgement got
// lost among others that come is no progress: it would be on its way for ever.
func (s *session) stalled(now time.Time, after time.Duration) bool {
	if !s.awaiting() {
		return false
	}
	if now.Sub(s.watched) >= after/looks {
		s.watched = now
		moved := s.conn.Delivered()
		if moved > s.moved && s.moved < s.upTo {
			s.progress = now
		}
		s.moved = moved
	}
	return now.Sub(s.progress) >= after || s.window.held(now) >= after
}

// goodbye tells the upstream that we go, waits for what it still acknowledges, and disconnects.
func (s *session) goodbye(ctx context.Context, last []byte) {
	if !s.b.cfg.NoState {
		s.state.payload = last
	}
	s.quota.until = time.Now().Add(time.Hour) // no more records
	s.unwrap()
	for waiting := true; waiting; {
		if s.tellState(time.Now()) {
			s.conn.Flush()
		}
		if s.state.payload == nil && !s.owing() && s.b.exact.withheld() == 0 && s.lane.waiting() == 0 {
			break
		}
		select {
		case <-s.mail.wake:
		case <-s.b.durable():
		case <-s.conn.Done():
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
		s.collect(time.Now())
		if s.settle(time.Now()) != nil {
			waiting = false
		}
	}
	if err := s.conn.Disconnect(ctx, packet.NormalDisconnection); err != nil && !errors.Is(err, client.ErrClosed) {
		s.b.log.Debug("upstream did not take the goodbye", "err", err)
	}
	s.collect(time.Now())
}

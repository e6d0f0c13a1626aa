package bridge

import (
	"errors"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
)

const (
	laneFirst = 10 // the first pause of a refused lane is so many times MinWait, doubled each time
	laneMax   = 5  // and at most so many times MaxWait
)

// refuseLane interrupts the sending of a lane that the upstream refuses.
func (b *Bridge) refuseLane(s *session, now time.Time) {
	if s.quota.until.IsZero() {
		b.lanePause = min(max(2*b.lanePause, laneFirst*b.cfg.MinWait), laneMax*b.cfg.MaxWait)
		b.log.Warn("the upstream refuses everything: nothing more is moved to the dead letters, one message is tried", "after", b.lanePause)
	}
	s.quota.hold(b.lanePause, now)
}

// accepted notes that the upstream took a record.
func (b *Bridge) accepted(a client.Ack) {
	if a.QoS > 0 {
		b.trouble.accepted(a.Ref)
		b.lanePause = 0
	}
}

// blame finds out whether a message made the upstream end the connection, and moves it to the dead letters if so.
func (b *Bridge) blame(s *session, err error) {
	var e *client.Error
	if !errors.As(err, &e) || e.Kind != client.Disconnected && e.Kind != client.PeerClosed {
		return
	}
	first, last, ok := s.window.span()
	if x := b.exact.find(first); ok && x != nil && x.step > published {
		return // its PUBREC came: the upstream took it
	}
	if !ok || !b.trouble.disconnected(first, last, s.proven) {
		return
	}
	why := packet.UnspecifiedError
	if e.Reason.Failed() {
		why = e.Reason
	}
	b.log.Warn("a message makes the upstream disconnect each time", "record", first, "reason", why.String())
	b.count.refused.Add(1)
	b.exact.bury(first)
	b.src.Refuse(first, why, b.clock.Now())
}

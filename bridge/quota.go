package bridge

import "time"

const (
	quotaFirst = time.Second
	quotaMax   = time.Minute
)

// quota interrupts sending after the server said 0x97, with growing pauses, and lets one record at a time try again.
type quota struct {
	until time.Time // sending stops until then; zero: it does not
	pause time.Duration
	probe bool // one at a time until one is accepted
}

// exceeded notes a 0x97. Several of one interruption count once.
func (q *quota) exceeded(now time.Time) {
	if !q.until.IsZero() {
		return
	}
	q.pause = min(max(2*q.pause, quotaFirst), quotaMax)
	q.until, q.probe = now.Add(q.pause), true
}

// hold interrupts sending for a pause, and lets one record at a time try again.
func (q *quota) hold(pause time.Duration, now time.Time) {
	if q.until.IsZero() {
		q.until, q.probe = now.Add(pause), true
	}
}

// active reports whether sending is interrupted or restricted.
func (q *quota) active() bool { return !q.until.IsZero() || q.probe }

// accepted notes that a record was taken while sending is not interrupted.
func (q *quota) accepted() {
	if q.until.IsZero() {
		*q = quota{}
	}
}

// room is how many records may be sent now.
func (s *session) room() int {
	room := s.size - s.window.onWay - s.lane.waiting()
	if s.state.onWay {
		room--
	}
	if s.b.trouble.narrow != 0 && s.state.onWay { // its acknowledgement proves that the upstream is well
		return 0
	}
	if s.quota.probe || s.b.trouble.narrow != 0 {
		room = min(room, 1-s.window.onWay-s.lane.waiting())
	}
	if s.lane.full() {
		return 0
	}
	if !s.quota.until.IsZero() {
		return 0
	}
	return room
}

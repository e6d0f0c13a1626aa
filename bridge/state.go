package bridge

import (
	"strconv"
	"time"

	"weir/broker/message"
)

// Words of the state topic and of Status.State.
const (
	Connected = "connected"
	Draining  = "draining"  // connected, and more waits than is on the way
	Stalled   = "stalled"   // no acknowledgement came: reconnecting, or nothing acknowledged since
	Throttled = "throttled" // the server has asked for less, sending is interrupted
	Refused   = "refused"   // by the server: credentials, rights, identity; or every message
	NoClock   = "waiting-for-clock"
	Offline   = "offline"
)

// word puts the state of the link into one word.
func (l *link) word(draining, stall, throttled, refused bool) string {
	switch {
	case l.state == up && refused:
		return Refused
	case l.state == up && throttled:
		return Throttled
	case stall:
		return Stalled
	case l.state == up && draining:
		return Draining
	case l.state == up:
		return Connected
	case l.state == waiting && l.forClock:
		return NoClock
	case l.cause == denied:
		return Refused
	}
	return Offline
}

// told is what was last told about the state.
type told struct {
	word  string
	stamp message.Stamp // when it became so
	wall  time.Time     // the same by the machine's clock
	at    time.Time     // when it was told
}

// oldEnough is the age of the oldest waiting record from which an open link counts as draining.
const oldEnough = 10 * time.Second

// look finds out, now and then, whether there is a backlog to drain.
func (b *Bridge) look(s *session, now time.Time) {
	if !s.draining && now.Sub(s.looked) < b.cfg.StateEvery {
		return
	}
	s.looked = now
	backlog := b.src.Backlog()
	many := backlog.Records > uint64(s.conn.Window())
	s.draining = many && (s.draining || s.fresh || b.oldest(backlog) > oldEnough)
	s.fresh = false
}

// tell publishes the state, here and upstream, when it has changed, and now and then while a backlog drains.
func (b *Bridge) tell(now time.Time) {
	s := b.session
	if s != nil {
		b.look(s, now)
	}
	word := b.link.word(s != nil && s.draining, b.stall, s != nil && s.quota.active(), b.trouble.refusing())
	changed := word != b.told.word
	if changed {
		b.told.word, b.told.stamp, b.told.wall = word, b.clock.Now(), now
	}
	again := word == Draining && now.Sub(b.told.at) >= b.cfg.StateEvery
	upstream := s != nil && !b.cfg.NoState && (changed || again || !s.told && now.Sub(s.state.refused) >= b.cfg.StateEvery)
	if !changed && !again && !upstream {
		return
	}
	text := b.report(word).append(nil)
	if upstream {
		s.state.payload, s.told = text, true
	}
	if changed || again {
		b.told.at = now
		b.note() // whoever hears of it may ask for more
		if b.cfg.Announce != nil {
			b.cfg.Announce(b.topic, text, true)
		}
	}
}

// report is the state as it is to be told, with the given word.
func (b *Bridge) report(word string) *report {
	backlog := b.src.Backlog()
	r := &report{word: word, backlog: backlog, repeats: b.count.repeats.Load(), oldest: b.oldest(backlog), program: b.cfg.Program}
	stamp := b.told.stamp
	if word != b.told.word {
		stamp = b.clock.Now()
	}
	r.since.at, r.since.certain = b.clock.Wall(stamp)
	return r
}

// oldest is the age of the oldest waiting record; 0: none waits, or it is not known.
func (b *Bridge) oldest(backlog Backlog) time.Duration {
	if backlog.Records == 0 {
		return 0
	}
	age, known := ageOf(b.clock, message.Stamp{Boot: backlog.OldestBoot, Since: backlog.OldestSince})
	if !known {
		return 0
	}
	return max(age, 0)
}

// note keeps what Status returns.
func (b *Bridge) note() {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := &b.status
	st.State, st.Since, st.Link, st.Err = b.told.word, b.told.wall, b.link.state.String(), b.lastErr
	st.NextTry, st.InFlight, st.Window, st.Subscribed = time.Time{}, 0, 0, nil
	if b.link.state == waiting {
		st.NextTry = b.link.until
	}
	if s := b.session; s != nil {
		st.InFlight, st.Window, st.Subscribed = s.window.onWay, s.size, s.answers
	}
}

// Status is a snapshot. Safe for concurrent use.
func (b *Bridge) Status() Status {
	b.mu.Lock()
	st := b.status
	b.mu.Unlock()
	st.Backlog = b.src.Backlog()
	st.OldestAge = b.oldest(st.Backlog)
	st.RTT = time.Duration(b.count.rtt.Load())
	st.Sent, st.Acked, st.Refused, st.Expired = b.count.sent.Load(), b.count.acked.Load(), b.count.refused.Load(), b.count.expired.Load()
	st.Repeats = b.count.repeats.Load()
	if n := b.count.connects.Load(); n > 1 {
		st.Reconnects = n - 1
	}
	t := b.intake
	st.Received, st.Unmatched, st.Looped, st.Overrun = t.received.Load(), t.unmatched.Load(), t.looped.Load(), t.overrun.Load()
	return st
}

// StateTopic is where the state of a bridge is published, here and upstream.
func StateTopic(gateway, name string) string { return "weir/" + gateway + "/bridge/" + name }

// report is what the state topic says.
type report struct {
	word    string
	since   moment
	backlog Backlog
	repeats uint64
	oldest  time.Duration // 0: none, or not known
	program string
}

// append writes the report as JSON; see doc.go.
func (r *report) append(dst []byte) []byte {
	dst = appendText(append(dst, `{"state":`...), []byte(r.word))
	if r.since.known() && r.since.certain {
		dst = append(dst, `,"since":"`...)
		dst = r.since.at.UTC().AppendFormat(dst, timeLayout)
		dst = append(dst, '"')
	}
	dst = strconv.AppendUint(append(dst, `,"backlog":`...), r.backlog.Records, 10)
	dst = strconv.AppendInt(append(dst, `,"bytes":`...), r.backlog.Bytes, 10)
	if r.oldest > 0 {
		dst = strconv.AppendFloat(append(dst, `,"oldest_age":`...), r.oldest.Seconds(), 'f', 1, 64)
	}
	dst = strconv.AppendUint(append(dst, `,"aside":`...), r.backlog.Aside, 10)
	dst = strconv.AppendUint(append(dst, `,"dead":`...), r.backlog.Dead, 10)
	dst = strconv.AppendUint(append(dst, `,"repeats":`...), r.repeats, 10)
	dst = strconv.AppendUint(append(dst, `,"drops":`...), r.backlog.Dropped+r.backlog.DeadDropped, 10)
	dst = appendText(append(dst, `,"version":`...), []byte(r.program))
	return append(dst, '}')
}

// lastWords is the will: nothing is known but that the link is gone.
func lastWords(program string) []byte {
	dst := []byte(`{"state":"` + Offline + `","version":`)
	return append(appendText(dst, []byte(program)), '}')
}

package bridge

import (
	"fmt"
	"time"
)

// state of a link.
//
//	   ┌──────────── stop, from anywhere ───────────┐
//	   ▼                                            │
//	  idle ──start──▶ resolving ──▶ dialling ──▶ connecting ──▶ up
//	   │                ▲    │          │            │           │
//	   │ no clock yet   │    └──────────┴── failed ──┴── lost ───┤
//	   ▼                │                  ▼                     │ lost
//	waiting ──due───────┴────────────── waiting ◀────────────────┘
type state uint8

const (
	idle state = iota
	resolving
	dialling
	connecting
	up
	waiting
)

var stateNames = [...]string{"idle", "resolving", "dialling", "connecting", "up", "waiting"}

// String names the state.
func (s state) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("link(%d)", uint8(s))
}

// cause is why a link is not up, as far as it matters for when to try again.
type cause uint8

const (
	none    cause = iota
	broken        // the network, the server, the protocol
	denied        // credentials, rights, identity: trying again soon does not help
	stalled       // no acknowledgement came
)

// event is what happened to a link.
type event uint8

const (
	started event = iota // Run begins
	stepped              // the step under way succeeded
	failed               // the step under way failed
	lost                 // the connection ended
	due                  // the time of link.until has come
	stopped              // Run ends
)

// action is what the shell has to do next.
type action uint8

const (
	nothing action = iota
	resolve
	dial
	connect
	serve // the link is up
	wait  // until link.until, then due
	hang  // close what is open
)

// timing of a link; see Config.
type timing struct {
	minWait, maxWait, stableAfter, clockDeadline time.Duration
}

const (
	deniedSlower  = 30          // a refused link waits so many times MinWait at least
	deniedLonger  = 5           // and so many times MaxWait at most
	clockInterval = time.Second // between looks at a clock that is not trusted
)

// link is the state machine of one upstream's connection. It is pure: times and random numbers are given to it.
type link struct {
	timing
	random    func() float64 // 0 <= r < 1
	needClock bool           // TLS wants a clock that can be trusted

	state      state
	since      time.Time // of the state
	until      time.Time // waiting: until then
	cause      cause     // why it was not up the last time; none once it is
	forClock   bool      // waiting for the clock
	clockUntil time.Time // the end of the patience with the clock; zero: not begun
	backoff    time.Duration
}

// step takes an event and says what to do. trusted: the clock can be believed. Events that do not fit are ignored.
func (l *link) step(e event, why cause, trusted bool, now time.Time) action {
	switch {
	case e == stopped:
		l.set(idle, now)
		return hang
	case e == started && l.state == idle, e == due && l.state == waiting && !now.Before(l.until):
		return l.attempt(trusted, now)
	case e == stepped:
		return l.forward(now)
	case e == failed && (l.state == resolving || l.state == dialling || l.state == connecting):
		l.cause = why
		return l.retreat(l.pause(), now)
	case e == lost && l.state == up:
		l.cause = why
		if now.Sub(l.since) < l.stableAfter {
			return l.retreat(l.pause(), now)
		}
		l.backoff = 0
		if why == denied {
			return l.retreat(l.pause(), now)
		}
		return l.retreat(time.Duration(l.random()*float64(l.minWait)), now) // at once, but not everyone in the same instant
	}
	return nothing
}

// attempt begins anew, or waits for the clock.
func (l *link) attempt(trusted bool, now time.Time) action {
	if l.needClock && !trusted {
		if l.clockUntil.IsZero() {
			l.clockUntil = now.Add(l.clockDeadline)
		}
		if now.Before(l.clockUntil) {
			l.forClock = true
			l.set(waiting, now)
			l.until = now.Add(clockInterval)
			if l.until.After(l.clockUntil) {
				l.until = l.clockUntil
			}
			return wait
		}
	}
	l.forClock = false
	l.set(resolving, now)
	return resolve
}

// forward goes on after a step that succeeded.
func (l *link) forward(now time.Time) action {
	switch l.state {
	case resolving:
		l.set(dialling, now)
		return dial
	case dialling:
		l.set(connecting, now)
		return connect
	case connecting:
		l.cause = none
		l.set(up, now)
		return serve
	}
	return nothing
}

func (l *link) retreat(d time.Duration, now time.Time) action {
	l.set(waiting, now)
	l.until = now.Add(d)
	return wait
}

// pause is the next wait: decorrelated jitter, that is, a random time between the least wait and three times the wait
// before, capped. Everyone spreads out even if all lost the server in the same instant.
func (l *link) pause() time.Duration {
	least, most := l.minWait, l.maxWait
	if l.cause == denied {
		least, most = least*deniedSlower, most*deniedLonger
	}
	before := max(l.backoff, least)
	l.backoff = min(least+time.Duration(l.random()*float64(3*before-least)), most)
	return l.backoff
}

// set changes the state; since is kept through looks at the clock.
func (l *link) set(s state, now time.Time) {
	if l.state != s {
		l.state, l.since = s, now
	}
}

package broker

import (
	"context"
	"time"
)

// mostFamiliar is how many users at addresses are familiar at a time.
const mostFamiliar = 1024

// over is a context that has ended.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// familiar lets in who is known though the address waits, or has as many logins under way as it may: many clients can stand behind
// one address, a router, a proxy or a Unix socket, and one of them that tries many names is not to keep the others out. Known is who
// has logged in from the address since the start and gives the password that was right before, which is told without computing
// anything; see Authenticator. Whoever is refused learns nothing: not whether there is such a user, since everybody who waits is
// refused alike and as fast, and not much about passwords, since each look counts as a failure of the user at the address until
// it was the right one.
func (c *connection) familiar(at attempt, user string, password []byte) bool {
	b, listener := c.b, c.conn.Listener().Name()
	logins := b.cfg().Logins
	if !b.attempts.glance(&logins, at, time.Now()) {
		return false
	}
	credential := b.cfg().Users.Credential(listener, user) // before, so that a change meanwhile is one
	good, err := b.cfg().Users.Verify(over, listener, user, password)
	if !good || err != nil {
		return false
	}
	c.checked, c.credential = true, credential
	b.attempts.welcome(at.user)
	return true
}

// glance tells whether a login that may not be checked now may be looked at: that of a user who is familiar at the address and does
// not have to wait. It counts as a failure.
func (a *attempts) glance(l *Logins, at attempt, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.familiar[at.user]; !ok {
		return false
	}
	u := a.origins[at.user]
	if u == nil {
		u = a.add(l, at.user, now)
	}
	if now.Before(u.until) {
		return false
	}
	u.failed(l, now, l.Failures, l.Forget)
	return true
}

// welcome notes that a user has logged in from an address.
func (a *attempts) welcome(user origin) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.origins, user)
	a.meet(user)
}

// meet makes a user familiar at an address; another one goes if there are too many. The caller holds mu.
func (a *attempts) meet(user origin) {
	if a.familiar == nil {
		a.familiar = map[origin]struct{}{}
	}
	if _, ok := a.familiar[user]; ok {
		return
	}
	for o := range a.familiar {
		if len(a.familiar) < mostFamiliar {
			break
		}
		delete(a.familiar, o)
	}
	a.familiar[user] = struct{}{}
}

package broker

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// mostOrigins is how many origins of failed logins are remembered.
const mostOrigins = 4096

// Logins bounds logins by password. But for the last two fields they hold for logins that failed: a device that logs in well meets
// none of them.
type Logins struct {
	Failures        int           // of one user name from one address, before it has to wait; default 5
	AddressFailures int           // of all user names from one address; default 30
	Forget          time.Duration // after so long without one, one failure of a user name is forgotten; default 1 minute
	AddressForget   time.Duration // the same for an address; default 10 s
	Wait            time.Duration // the first time to wait; it doubles with each further failure; default 1 s
	MaxWait         time.Duration // the longest; default 1 minute
	AddressChecks   int           // logins of one address that are checked or wait for it at a time; default 8
	Checks          int           // of all addresses together; default 64
}

func (l *Logins) withDefaults() {
	orDefault(&l.Failures, 5)
	orDefault(&l.AddressFailures, 30)
	orDefault(&l.Forget, time.Minute)
	orDefault(&l.AddressForget, 10*time.Second)
	orDefault(&l.Wait, time.Second)
	orDefault(&l.MaxWait, time.Minute)
	orDefault(&l.AddressChecks, 8)
	orDefault(&l.Checks, 64)
}

// attempts bounds failed logins, so that guessing is slow and a flood of guesses costs others nothing. Who failed is an
// origin: an address with a user name, and the address alone.
//
//	failures of an origin:  0 ─▶ ... ─▶ free ─▶ wait 1 s ─▶ 2 s ─▶ 4 s ─▶ ... ─▶ 60 s     one is forgotten now and then
//
// Two kinds of origin, so that one device with a wrong password does not lock out the others behind its address: it
// waits alone, and each attempt that it makes meanwhile is refused unseen and counts for nothing. Only an address from
// which many names are tried waits as a whole, but for users who are familiar there: see familiar.go. A login that is
// refused here tells nothing about the password.
//
// The number of logins that wait for their check is bounded too, for each address and altogether, since one is checked at
// a time: whoever floods the broker from a few addresses leaves the others their places. The zero value is usable.
type attempts struct {
	mu       sync.Mutex // guards the fields below
	seed     maphash.Seed
	origins  map[origin]*failures
	familiar map[origin]struct{} // users who have logged in from an address
	checking int
}

// origin is where logins come from. user is 0 for the address alone.
type origin struct {
	address netip.Prefix
	user    uint64
}

// failures of an origin.
type failures struct {
	count    int
	last     time.Time // the last failure, or when some were forgotten after it
	until    time.Time // nothing is checked before
	checking int       // logins under way; of an address only
	told     bool      // it is logged that the origin waits
}

// attempt is one login under way.
type attempt struct{ address, user origin }

// from is the address logins are counted by: of IPv6 the network of 64 bits, which one host has to itself. A peer without
// an IP address, such as one of a Unix socket, is one for all.
func from(ip netip.Addr) netip.Prefix {
	a := ip.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// begin tells whether a login may be checked now; end must follow then. first: it is the first refusal of an origin
// that has to wait.
func (a *attempts) begin(l *Logins, address netip.Prefix, user string, now time.Time) (at attempt, ok, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.origins == nil {
		a.origins, a.seed = map[origin]*failures{}, maphash.MakeSeed()
	}
	at = attempt{origin{address: address}, origin{address, maphash.String(a.seed, user) | 1}}
	for _, o := range []origin{at.user, at.address} {
		if f := a.origins[o]; f != nil && now.Before(f.until) {
			first, f.told = !f.told, true
			return at, false, first
		}
	}
	f := a.origins[at.address]
	if a.checking >= l.Checks || f != nil && f.checking >= l.AddressChecks {
		return at, false, false
	}
	if f == nil {
		f = a.add(l, at.address, now)
	}
	f.checking++
	a.checking++
	return at, true, false
}

// end notes what came of a login. settled: the origin had to wait and has logged in now.
func (a *attempts) end(l *Logins, at attempt, failed bool, now time.Time) (settled bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.checking--
	f := a.origins[at.address] // there while it is checking
	f.checking--
	if !failed {
		a.meet(at.user)
		if u := a.origins[at.user]; u != nil {
			settled = u.told
			delete(a.origins, at.user)
		}
		if f.checking == 0 && f.count == 0 {
			delete(a.origins, at.address)
		}
		return settled
	}
	f.failed(l, now, l.AddressFailures, l.AddressForget)
	u := a.origins[at.user]
	if u == nil {
		u = a.add(l, at.user, now)
	}
	u.failed(l, now, l.Failures, l.Forget)
	return false
}

// failed counts one more failure, those that are forgotten taken off before.
func (f *failures) failed(l *Logins, now time.Time, free int, forget time.Duration) {
	f.age(now, forget)
	f.last = now
	f.count++
	over := f.count - free
	if over <= 0 {
		return
	}
	wait := min(l.Wait, l.MaxWait)
	for k := range over - 1 { // by default 1, 2, 4, 8, 16, 32, 60 s
		if wait = min(2*wait, l.MaxWait); wait == l.MaxWait {
			f.count = min(f.count, free+k+2) // more would not be forgotten for long
			break
		}
	}
	f.until = now.Add(wait)
}

// age forgets what is long ago.
func (f *failures) age(now time.Time, forget time.Duration) {
	if n := int(now.Sub(f.last) / forget); n > 0 {
		f.last = now
		f.count = max(0, f.count-n)
	}
	if f.count == 0 {
		f.told = false
	}
}

// add makes room for an origin if need be: what is forgotten goes first, then any that nobody is waiting at. Its failures
// are forgotten with it, which the global bound of checks makes up for.
func (a *attempts) add(l *Logins, o origin, now time.Time) *failures {
	if len(a.origins) >= mostOrigins {
		for o, f := range a.origins {
			forget := l.Forget
			if o.user == 0 {
				forget = l.AddressForget
			}
			if f.age(now, forget); f.count == 0 && f.checking == 0 {
				delete(a.origins, o)
			}
		}
	}
	for o, f := range a.origins {
		if len(a.origins) < mostOrigins {
			break
		}
		if f.checking == 0 {
			delete(a.origins, o)
		}
	}
	f := &failures{last: now}
	a.origins[o] = f
	return f
}

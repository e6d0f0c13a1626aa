package broker

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"weir/broker/packet"
)

func addressOf(s string) netip.Prefix { return from(netip.MustParseAddr(s)) }

// usualLogins are the bounds by default.
var usualLogins = func() (l Logins) { l.withDefaults(); return l }()

// try is one login; waited: it was refused unseen.
func (a *attempts) try(s, user string, good bool, now time.Time) (waited bool) {
	at, ok, _ := a.begin(&usualLogins, addressOf(s), user, now)
	if ok {
		a.end(&usualLogins, at, !good, now)
	}
	return !ok
}

func TestFrom(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
	} {
		if got := addressOf(in).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := from(netip.Addr{}); got.IsValid() {
		t.Errorf("a Unix socket: %s", got)
	}
	if got := from(netip.MustParseAddr("fe80::1%eth0")).String(); got != "fe80::/64" {
		t.Errorf("with a zone: %s", got)
	}
}

// TestFailuresHaveToWait: a few are free, then each costs twice the time of the one before, up to a minute; what is
// refused meanwhile does not count; a quiet time forgets.
func TestFailuresHaveToWait(t *testing.T) {
	var a attempts
	now := time.Now()
	for i := range usualLogins.Failures {
		if a.try("192.0.2.7", "u", false, now) {
			t.Fatalf("failure %d had to wait", i+1)
		}
	}
	for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		if a.try("192.0.2.7", "u", false, now) {
			t.Fatalf("had to wait before the wait of %d s", wait)
		}
		wait *= time.Second
		for range 100 {
			if !a.try("192.0.2.7", "u", true, now.Add(wait-1)) {
				t.Fatalf("did not have to wait %v", wait)
			}
		}
		if a.try("192.0.2.7", "other", true, now) || a.try("192.0.2.8", "u", true, now) {
			t.Fatal("another user of the address, or the user from another one, had to wait")
		}
		now = now.Add(wait)
	}
	if a.try("192.0.2.7", "u", true, now) {
		t.Fatal("had to wait after the longest wait")
	}
	if len(a.origins) != 1 {
		t.Errorf("%d origins are remembered after a success, want the address", len(a.origins))
	}
	now = now.Add(time.Hour)
	for range usualLogins.Failures {
		if a.try("192.0.2.7", "u", false, now) {
			t.Fatal("old failures were not forgotten")
		}
	}
}

// TestManyNamesFromOneAddress: whoever tries many names waits as an address, and others do not.
func TestManyNamesFromOneAddress(t *testing.T) {
	var a attempts
	now := time.Now()
	for i := range usualLogins.AddressFailures + 1 {
		if a.try("192.0.2.7", fmt.Sprint("name", i), false, now) {
			t.Fatalf("name %d had to wait", i)
		}
	}
	if !a.try("192.0.2.7", "one more", false, now) || a.try("192.0.2.8", "one more", false, now) {
		t.Error("the address does not wait, or another one does")
	}
	// One device that tries its wrong password each second does not bring its address there.
	a = attempts{}
	for i := range 3600 {
		at := now.Add(time.Duration(i) * time.Second)
		a.try("192.0.2.7", "wrong", false, at)
		if a.try("192.0.2.7", "good", true, at) {
			t.Fatalf("after %d s a device with a good password had to wait", i)
		}
	}
}

// TestChecksAreBounded: one address can have so many logins checked at a time, all together so many.
func TestChecksAreBounded(t *testing.T) {
	var a attempts
	now := time.Now()
	var under []attempt
	for i := range usualLogins.AddressChecks + 5 {
		at, ok, _ := a.begin(&usualLogins, addressOf("192.0.2.7"), "u", now)
		if ok {
			under = append(under, at)
		}
		if ok != (i < usualLogins.AddressChecks) {
			t.Fatalf("login %d: %v", i+1, ok)
		}
	}
	for i := range usualLogins.Checks {
		at, ok, _ := a.begin(&usualLogins, addressOf(fmt.Sprintf("198.51.100.%d", i)), "u", now)
		if ok {
			under = append(under, at)
		}
	}
	if len(under) != usualLogins.Checks {
		t.Errorf("%d logins are checked at once, want %d", len(under), usualLogins.Checks)
	}
	for _, at := range under {
		a.end(&usualLogins, at, false, now)
	}
	if a.checking != 0 || len(a.origins) != 0 {
		t.Errorf("%d are checking, %d origins remembered, want none", a.checking, len(a.origins))
	}
}

// TestOriginsAreBounded: memory is bounded, whoever fails from wherever, and who waits for a check stays.
func TestOriginsAreBounded(t *testing.T) {
	var a attempts
	now := time.Now()
	at, _, _ := a.begin(&usualLogins, addressOf("192.0.2.7"), "u", now)
	for i := range 3 * mostOrigins {
		a.try(fmt.Sprintf("2001:db8:%x:%x::1", i>>8, i&255), "u", false, now.Add(time.Duration(i)*time.Millisecond))
		if len(a.origins) > mostOrigins {
			t.Fatalf("%d origins are remembered, limit %d", len(a.origins), mostOrigins)
		}
	}
	a.end(&usualLogins, at, true, now)
}

// TestLoginsAreLimited goes through the broker: 0x9F, or return code 3, and others log in meanwhile.
func TestLoginsAreLimited(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{Users: users{"pump": "secret", "boss": "secret"}, Anonymous: func(string) bool { return false }})
		login := func(user, password string) packet.Reason {
			c := h.dial(v)
			defer c.nc.Close()
			return c.connect("c"+user, as(user), func(p *packet.Connect) { p.HasPassword, p.Password = true, []byte(password) }).Reason
		}
		for i := range usualLogins.Failures + 1 {
			if r := login("pump", "wrong"); r != packet.BadUserNameOrPassword {
				t.Fatalf("failure %d: %s", i+1, r)
			}
		}
		want := packet.ServerUnavailable
		if v == packet.V5 {
			want = packet.ConnectionRateExceeded
		}
		if r := login("pump", "secret"); r != want {
			t.Errorf("CONNACK %s, want %s", r, want)
		}
		if r := login("boss", "secret"); r != packet.Success {
			t.Errorf("another user: CONNACK %s", r)
		}
		if s := h.b.Stats(); s.LoginsFailed != uint64(usualLogins.Failures+1) || s.LoginsLimited != 1 {
			t.Errorf("%d logins failed, %d limited, want %d, 1", s.LoginsFailed, s.LoginsLimited, usualLogins.Failures+1)
		}
	})
}

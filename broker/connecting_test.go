package broker

import (
	"context"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"weir/broker/packet"
)

// TestMaxConnecting: connections that say nothing are bounded; those beyond are closed unheard, and the others do not notice. Who
// sends CONNECT or leaves gives its place back.
func TestMaxConnecting(t *testing.T) {
	h := build(t, Config{MaxConnecting: 3, AddressConnecting: 1})
	c, _ := h.login(packet.V5, "c")
	var silent []*client
	for range 3 { // of this machine, so that it is not bounded by address
		silent = append(silent, h.dial(packet.V5))
	}
	h.wantLimit("max_connecting", 3, 0)
	late := h.dial(packet.V5)
	late.expectEnd(packet.Success)
	h.wantLimit("max_connecting", 3, 1)
	c.nothing()
	if s := h.b.Stats(); s.Refused != 1 {
		t.Errorf("%d refused, want 1", s.Refused)
	}
	if ack := silent[0].connect("d"); ack.Reason != packet.Success {
		t.Errorf("CONNACK %s", ack.Reason)
	}
	h.wantLimit("max_connecting", 2, 1)
	silent[1].nc.Close()
	h.wantLimit("max_connecting", 1, 1)
	silent[2].write([]byte("GET / HTTP/1.1\r\n\r\n"))
	h.wantLimit("max_connecting", 0, 1)
	h.login(packet.V5, "e")
}

// TestConnectingTimesOut: who connects and says nothing has its place for ConnectWait.
func TestConnectingTimesOut(t *testing.T) {
	bubble(t, Config{MaxConnecting: 1, ConnectWait: 3 * time.Second}, func(t *testing.T, h *house) {
		h.dial(packet.V5)
		after(2900 * time.Millisecond)
		h.wantLimit("max_connecting", 1, 0)
		h.dial(packet.V5).expectEnd(packet.Success)
		after(200 * time.Millisecond)
		h.wantLimit("max_connecting", 0, 1)
		h.login(packet.V5, "c")
		if s := h.b.Stats(); s.ConnectTimeouts != 1 {
			t.Errorf("%d connections have timed out, want 1", s.ConnectTimeouts)
		}
	})
}

// TestAddressConnecting: one address cannot take the places of all others, and is counted by its network if it is of IPv6.
func TestAddressConnecting(t *testing.T) {
	b := New(Config{MaxConnecting: 10, AddressConnecting: 2}, newJournal(), stampNow, quietLog())
	var w connecting
	type peer struct {
		*connection
		at netip.Addr
	}
	var all []peer
	for _, tt := range []struct {
		ip string
		ok bool
	}{
		{"192.0.2.7", true}, {"192.0.2.7", true}, {"192.0.2.7", false}, {"192.0.2.8", true}, {"2001:db8:1:2::3", true}, {"2001:db8:1:2::4", true},
		{"2001:db8:1:2::5", false}, {"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", false},
	} {
		p := peer{&connection{b: b, told: b.cfg()}, netip.MustParseAddr(tt.ip)}
		ok := w.take(p.connection, p.at)
		if ok != tt.ok {
			t.Errorf("%s: taken %v, want %v", tt.ip, ok, tt.ok)
		}
		if ok {
			all = append(all, p)
		}
	}
	if s := b.Stats(); s.TooManyConnecting != 2 {
		t.Errorf("%d refused because of their address, want 2", s.TooManyConnecting)
	}
	for _, p := range all {
		w.give(p.connection, p.at)
		w.give(p.connection, p.at) // once is enough
	}
	if n := b.limits.connecting.n.Load(); n != 0 || w.byAddress != nil {
		t.Errorf("%d are left, by address %v", n, w.byAddress)
	}
}

// hesitant is an Authenticator that takes its time.
type hesitant chan struct{}

func (h hesitant) Verify(ctx context.Context, _, _ string, _ []byte) (bool, error) {
	select {
	case <-h:
	case <-ctx.Done():
	}
	return true, ctx.Err()
}

func (hesitant) Credential(string, string) uint64 { return 1 }

// TestSockets: connections whose login is under way are bounded along with all others.
func TestSockets(t *testing.T) {
	wait := make(hesitant)
	h := build(t, Config{MaxConnections: 8, MaxConnecting: 2, Users: wait, Logins: Logins{AddressChecks: 100}})
	c, _ := h.login(packet.V5, "c")
	connect := packet.Connect{CleanStart: true, ClientID: []byte("d"), HasUsername: true, Username: []byte("u")}
	for i := range h.b.cfg().sockets() - 1 {
		h.dial(packet.V5).send(&connect)
		h.until(func() bool { return h.sockets() == i+2 }) // it is accepted, so that what is waited for next is its CONNECT
		h.wantLimit("max_connecting", 0, 0)
	}
	h.dial(packet.V5).expectEnd(packet.Success)
	c.nothing()
	if s := h.b.Stats(); s.Refused != 1 {
		t.Errorf("%d refused, want 1", s.Refused)
	}
	close(wait)
}

// sockets is how many connections there are.
func (h *house) sockets() int {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	return h.b.sockets
}

// TestSizes: there may be very many of them. What they may have are sizes of the allocator; the next one costs all of them 16 or
// 32 bytes more.
func TestSizes(t *testing.T) {
	for name, n := range map[string][2]uintptr{
		"connection": {unsafe.Sizeof(connection{}), 112}, "session": {unsafe.Sizeof(session{}), 256}, "subscription": {unsafe.Sizeof(subscription{}), 48},
	} {
		if n[0] > n[1] {
			t.Errorf("a %s has %d bytes, want %d at most", name, n[0], n[1])
		}
	}
}

package broker

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"weir/broker/packet"
	"weir/broker/transport"
)

func TestOrderlyStop(t *testing.T) {
	h := build(t, Config{})
	five, _ := h.login(packet.V5, "five")
	three, _ := h.login(packet.V311, "three")
	idle := h.dial(packet.V5) // never said CONNECT
	h.until(func() bool { h.b.mu.Lock(); defer h.b.mu.Unlock(); return h.b.sockets == 3 })
	done := make(chan struct{})
	go func() { h.stop(); close(done) }()
	five.expectEnd(packet.ServerShuttingDown)
	three.expectEnd(packet.Success)
	idle.expectEnd(packet.Success)
	five.nc.Close()
	three.nc.Close()
	idle.nc.Close()
	<-done
	if _, err := net.Dial("tcp", h.address); err == nil {
		t.Error("the port is still open")
	}
	if s := h.b.Stats(); s.Connections != 0 || s.Sessions != 0 {
		t.Errorf("%d connections, %d sessions left", s.Connections, s.Sessions)
	}
}

// TestBrokenListener: one listener that breaks stops the others, and Run says why.
func TestBrokenListener(t *testing.T) {
	good, err := transport.Listen(transport.Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	bad, err := transport.Listen(transport.Options{Name: "bad", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	b := New(Config{}, newJournal(), stampNow, quietLog())
	done := make(chan error, 1)
	go func() { done <- b.Run(context.Background(), good, bad) }()
	bad.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run: %v, want the listener's error", err)
	}
	if _, err := good.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the other listener: %v, want it closed", err)
	}
}

// slowUsers is an Authenticator that never comes to an end.
type slowUsers struct{ asked chan struct{} }

func (u slowUsers) Credential(_, _ string) uint64 { return 1 }

func (u slowUsers) Verify(ctx context.Context, _, _ string, _ []byte) (bool, error) {
	close(u.asked)
	<-ctx.Done()
	return false, ctx.Err()
}

// TestStopWhileLoginIsChecked: stopping does not wait for logins, of which many may queue.
func TestStopWhileLoginIsChecked(t *testing.T) {
	u := slowUsers{make(chan struct{})}
	h := build(t, Config{Users: u, ConnectWait: 3 * patience})
	c := h.dial(packet.V5)
	c.send(&packet.Connect{CleanStart: true, ClientID: []byte("c"), HasUsername: true, Username: []byte("u")})
	<-u.asked
	stopped := make(chan struct{})
	go func() { h.stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Fatal("the broker does not stop")
	}
	if a := c.expect(packet.TypeConnack).(*packet.Connack); a.Reason != packet.ServerUnavailable {
		t.Errorf("CONNACK %s, want %s", a.Reason, packet.ServerUnavailable)
	}
}

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/bridge/upstream"
	"weir/broker/packet"
)

func listen(t testing.TB, o upstream.Options) *upstream.Server {
	t.Helper()
	s, err := upstream.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		for _, v := range s.Violations() {
			t.Errorf("protocol violation: %s", v)
		}
	})
	return s
}

func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func open(t testing.TB, o Options) *Conn {
	t.Helper()
	c, err := Connect(limited(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func kindOf(err error) Kind {
	var e *Error
	if !errors.As(err, &e) {
		return Kind(255)
	}
	return e.Kind
}

// The simple interface, both versions, all QoS, both directions.
func TestPublishAndSubscribe(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			s := listen(t, upstream.Options{})
			ctx := limited(t)
			got := make(chan string, 10)
			sub := open(t, Options{URL: s.URL(), Version: v, ClientID: "sub", OnMessages: func(messages []packet.Publish) {
				for _, m := range messages {
					got <- fmt.Sprintf("%s=%s at %d", m.Topic, m.Payload, m.QoS)
				}
			}})
			reasons, err := sub.Subscribe(ctx, packet.Subscription{Filter: []byte("a/+"), QoS: 2}, packet.Subscription{Filter: []byte("b"), QoS: 0})
			if err != nil || fmt.Sprint(reasons) != "[granted QoS 2 success]" {
				t.Fatalf("subscribe: %v, %v", reasons, err)
			}
			pub := open(t, Options{URL: s.URL(), Version: v, ClientID: "pub"})
			for q := byte(0); q <= 2; q++ {
				if err := pub.Publish(ctx, packet.Publish{Topic: []byte("a/x"), Payload: []byte("75"), QoS: q}); err != nil {
					t.Fatal(err)
				}
				if m, want := <-got, fmt.Sprintf("a/x=75 at %d", q); m != want {
					t.Errorf("received %s, want %s", m, want)
				}
			}
			if err := s.WaitUnacknowledged(ctx, 0); err != nil {
				t.Error(err)
			}
			if reasons, err := sub.Unsubscribe(ctx, "b"); err != nil || len(reasons) != 1 || reasons[0].Failed() {
				t.Errorf("unsubscribe: %v, %v", reasons, err)
			}
			for _, c := range []*Conn{sub, pub} {
				if err := c.Disconnect(ctx, packet.NormalDisconnection); err != nil {
					t.Error(err)
				}
				if err := c.Err(); err != ErrClosed {
					t.Errorf("after Disconnect: %v", err)
				}
				if err := c.Publish(ctx, packet.Publish{Topic: []byte("t")}); err != ErrClosed {
					t.Errorf("publish after Disconnect: %v", err)
				}
			}
			if len(s.Arrivals()) != 3 {
				t.Errorf("%d arrived, want 3", len(s.Arrivals()))
			}
		})
	}
}

// The batched interface: many messages, few calls, all acknowledged.
func TestSendBatches(t *testing.T) {
	s := listen(t, upstream.Options{Forget: true})
	var mu sync.Mutex
	ended, calls, last := 0, 0, uint64(0)
	room := make(chan struct{}, 1)
	c := open(t, Options{URL: s.URL(), ClientID: "c", Window: 500, OnAcks: func(acks []Ack) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		for _, a := range acks {
			if a.Reason.Failed() || a.QoS == 1 && a.Ref < last {
				t.Errorf("ended: %+v after %d", a, last)
			}
			if a.QoS == 1 {
				last = a.Ref
			}
			ended++
		}
		select {
		case room <- struct{}{}:
		default:
		}
	}})
	const n = 20000
	p := packet.Publish{Topic: []byte("t"), Payload: make([]byte, 100)}
	for sent := 0; ; {
		for sent < n {
			p.QoS = byte(sent % 2)
			err := c.Send(&p, uint64(sent))
			if err == ErrWindow || err == ErrBusy {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sent++
		}
		c.Flush()
		mu.Lock()
		done := ended
		mu.Unlock()
		if done == n {
			break
		}
		select {
		case <-room:
		case <-limited(t).Done():
			t.Fatalf("%d of %d ended", done, n)
		}
	}
	if err := s.WaitCount(limited(t), n); err != nil { // QoS 0 ends when it is written
		t.Fatal(err)
	}
	if s.Count() != n || calls > n/2 {
		t.Errorf("%d arrived, %d calls for %d acknowledgements", s.Count(), calls, n)
	}
}

func TestRefusedPublish(t *testing.T) {
	s := listen(t, upstream.Options{Behaviour: upstream.Behaviour{Verdict: func(a *upstream.Arrival) packet.Reason { return packet.NotAuthorized }}})
	c := open(t, Options{URL: s.URL()})
	for q := byte(1); q <= 2; q++ {
		var refused *RefusedError
		if err := c.Publish(limited(t), packet.Publish{Topic: []byte("t"), QoS: q}); !errors.As(err, &refused) || refused.Reason != packet.NotAuthorized {
			t.Errorf("QoS %d: %v", q, err)
		}
	}
}

// The will is published when the connection breaks, not after DISCONNECT.
func TestWill(t *testing.T) {
	s := listen(t, upstream.Options{})
	o := Options{URL: s.URL(), ClientID: "c", Will: &Will{Topic: "w", Payload: []byte("gone"), Retain: true}}
	if err := open(t, o).Disconnect(limited(t), packet.NormalDisconnection); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Retained("w"); ok {
		t.Error("will published after DISCONNECT")
	}
	for name, end := range map[string]func(c *Conn) error{
		"cut":                (*Conn).Close,
		"with will, said so": func(c *Conn) error { return c.Disconnect(limited(t), packet.DisconnectWithWill) },
	} {
		s.Publish("w", nil, 0, true)
		if err := end(open(t, o)); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitRetained(limited(t), "w", func(a upstream.Arrival) bool { return string(a.Payload) == "gone" }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each way of not getting a connection is told apart, in words that help.
func TestConnectErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	rejects := listen(t, upstream.Options{Behaviour: upstream.Behaviour{Refuse: packet.Banned}})
	mute := listen(t, upstream.Options{Behaviour: upstream.Behaviour{Mute: true}})
	closes := serveRaw(t, func(c net.Conn) { readSome(c) })
	garbage := serveRaw(t, func(c net.Conn) { readSome(c); io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); readSome(c) })
	for _, test := range []struct {
		name string
		o    Options
		kind Kind
		says string
	}{
		{"no such scheme", Options{URL: "http://x"}, Settings, `scheme "http"`},
		{"user in the URL", Options{URL: "mqtt://me:sesame@x"}, Settings, "own setting"},
		{"a path", Options{URL: "mqtt://x/topic"}, Settings, "more than host and port"},
		{"password alone", Options{URL: "mqtt://x", Version: packet.V311, Password: []byte("x")}, Settings, "without a user name"},
		{"no such name", Options{URL: "mqtt://does-not-exist.invalid"}, NoSuchHost, "does-not-exist.invalid"},
		{"nothing listens", Options{URL: closed}, ConnectionRefused, "connection refused"},
		{"CONNACK refuses", Options{URL: rejects.URL(), Version: packet.V5}, Rejected, "banned"},
		{"no CONNACK", Options{URL: mute.URL(), ConnectTimeout: 50 * time.Millisecond}, TimedOut, "no answer in time"},
		{"closed before CONNACK", Options{URL: closes}, PeerClosed, "without a word"},
		{"another protocol", Options{URL: garbage}, Protocol, "broke the protocol"},
		{"TLS to a plain port", Options{URL: "mqtts://" + garbage}, TLSFailed, "does not speak TLS"},
	} {
		c, err := Connect(limited(t), test.o)
		if err == nil {
			c.Close()
			t.Errorf("%s: connected", test.name)
			continue
		}
		if test.kind == NoSuchHost && kindOf(err) == DNS {
			continue // a machine without a DNS server
		}
		if kindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %s: %v\nwant %s: ...%s...", test.name, kindOf(err), err, test.kind, test.says)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Connect(ctx, Options{URL: mute.URL()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// serveRaw answers each connection with f and returns the address.
func serveRaw(t *testing.T, f func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { f(c); c.Close() })
		}
	})
	t.Cleanup(func() { l.Close(); group.Wait() })
	return l.Addr().String()
}

func readSome(c net.Conn) {
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	c.Read(make([]byte, 1000))
}

// The server's last word is the error.
func TestServerDisconnects(t *testing.T) {
	s := listen(t, upstream.Options{})
	first := open(t, Options{URL: s.URL(), ClientID: "same"})
	open(t, Options{URL: s.URL(), ClientID: "same"})
	select {
	case <-first.Done():
	case <-limited(t).Done():
		t.Fatal("still up")
	}
	var e *Error
	if err := first.Err(); !errors.As(err, &e) || e.Kind != Disconnected || e.Reason != packet.SessionTakenOver {
		t.Errorf("%v, want session taken over", err)
	}
	second := open(t, Options{URL: s.URL(), ClientID: "other"})
	s.Cut()
	<-second.Done()
	if kindOf(second.Err()) != PeerClosed {
		t.Errorf("%s: %v, want closed by peer", kindOf(second.Err()), second.Err())
	}
}

// A server that breaks the protocol is told so, and left.
func TestBreachIsTold(t *testing.T) {
	told := make(chan []byte, 1)
	address := serveRaw(t, func(c net.Conn) {
		readSome(c)
		c.Write([]byte{0x20, 3, 0, 0, 0, 0xC0, 0}) // CONNACK, and a PINGREQ
		b, _ := io.ReadAll(c)
		told <- b
	})
	c := open(t, Options{URL: address})
	<-c.Done()
	if kindOf(c.Err()) != Protocol {
		t.Errorf("%v", c.Err())
	}
	if b := <-told; string(b) != "\xe0\x01\x82" {
		t.Errorf("told % x, want DISCONNECT with protocol error", b)
	}
}

// Packets larger than MaxPacket end the connection when their length is known; smaller ones grow the buffer.
func TestMaxPacket(t *testing.T) {
	s := listen(t, upstream.Options{})
	got := make(chan int, 1)
	c := open(t, Options{URL: s.URL(), Version: packet.V311, MaxPacket: 100000, OnMessages: func(m []packet.Publish) { got <- len(m[0].Payload) }})
	if _, err := c.Subscribe(limited(t), packet.Subscription{Filter: []byte("#")}); err != nil {
		t.Fatal(err)
	}
	s.Publish("t", make([]byte, 99000), 0, false)
	if n := <-got; n != 99000 {
		t.Errorf("%d bytes came", n)
	}
	s.Publish("t", make([]byte, 101000), 0, false)
	select {
	case <-c.Done():
	case <-limited(t).Done():
		t.Fatal("still up")
	}
	var e *Error
	if !errors.As(c.Err(), &e) || e.Reason != packet.PacketTooLarge {
		t.Errorf("%v", c.Err())
	}
}

// Everything at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	s := listen(t, upstream.Options{Forget: true})
	c := open(t, Options{URL: s.URL(), Window: 20})
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 50 {
				err := c.Publish(limited(t), packet.Publish{Topic: []byte("t"), QoS: byte((g + i) % 3)})
				if err != nil && err != ErrWindow {
					t.Error(err)
				}
				c.InFlight()
				c.Info()
			}
		})
	}
	group.Go(func() {
		for range 20 {
			if _, err := c.Subscribe(limited(t), packet.Subscription{Filter: []byte("x"), QoS: 1}); err != nil {
				t.Error(err)
			}
		}
	})
	group.Wait()
	if err := c.Disconnect(limited(t), packet.NormalDisconnection); err != nil {
		t.Error(err)
	}
}

// One QoS 1 message through a real socket and back, in batches of a window.
func BenchmarkSend(b *testing.B) {
	s := listen(b, upstream.Options{Forget: true})
	room := make(chan struct{}, 1)
	c := open(b, Options{URL: s.URL(), ClientID: "c", Window: 1000, OnAcks: func(acks []Ack) {
		select {
		case room <- struct{}{}:
		default:
		}
	}})
	p := packet.Publish{Topic: []byte("plant/line"), Payload: make([]byte, 100), QoS: 1}
	b.ReportAllocs()
	for b.Loop() {
		for c.Send(&p, 1) != nil {
			c.Flush()
			<-room
		}
	}
	c.Flush()
}

// The client's own share of a message: appended, acknowledged.
func BenchmarkCore(b *testing.B) {
	c := upCore(b, Options{Version: packet.V311}, packet.Connack{})
	p := packet.Publish{Topic: []byte("plant/temperature"), Payload: make([]byte, 100), QoS: 1}
	ack := []byte{0x40, 2, 0, 0}
	var out []byte
	var zeros []uint64
	b.ReportAllocs()
	for b.Loop() {
		if c.publish(&p, 1) != nil {
			b.Fatal("not sent")
		}
		out, zeros = c.take(out, zeros)
		ack[2], ack[3] = byte(p.ID>>8), byte(p.ID)
		c.receive(ack, epoch)
		c.acks = c.acks[:0]
	}
}

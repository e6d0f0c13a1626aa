package upstream

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"weir/broker/packet"
)

type appender interface {
	Append(dst []byte, v packet.Version) ([]byte, error)
}

// peerOf is a client that says exactly what the test wants.
type peerOf struct {
	t  *testing.T
	c  net.Conn
	in []byte
	v  packet.Version
}

func dial(t *testing.T, s *Server, v packet.Version) *peerOf {
	t.Helper()
	c, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &peerOf{t: t, c: c, v: v}
}

func (p *peerOf) say(packets ...appender) {
	p.t.Helper()
	var b []byte
	for _, pk := range packets {
		var err error
		if b, err = pk.Append(b, p.v); err != nil {
			p.t.Fatal(err)
		}
	}
	if _, err := p.c.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// hear reads the next packet.
func (p *peerOf) hear() (packet.Frame, error) {
	for {
		f, n, err := packet.Next(p.in, 0)
		if err != nil {
			p.t.Fatal(err)
		}
		if n > 0 {
			f.Body = append([]byte(nil), f.Body...)
			p.in = append([]byte(nil), p.in[n:]...)
			return f, nil
		}
		b := make([]byte, 4096)
		k, err := p.c.Read(b)
		p.in = append(p.in, b[:k]...)
		if k == 0 && err != nil {
			return packet.Frame{}, err
		}
	}
}

func (p *peerOf) expect(want packet.Type) packet.Frame {
	p.t.Helper()
	f, err := p.hear()
	if err != nil || f.Type != want {
		p.t.Fatalf("got %s, %v, want %s", f.Type, err, want)
	}
	return f
}

func (p *peerOf) connect() *peerOf {
	p.t.Helper()
	p.say(&packet.Connect{Version: p.v, CleanStart: true, ClientID: []byte("c")})
	p.expect(packet.TypeConnack)
	return p
}

func serve(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// What a client still had on its way when another connection took its session over does not count: the session goes on
// there, where the message comes again.
func TestNothingCountsAfterATakeOver(t *testing.T) {
	for range 100 {
		s := serve(t, Options{})
		greeting := &packet.Connect{Version: packet.V311, ClientID: []byte("c")}
		message := &packet.Publish{Topic: []byte("t"), QoS: 2, ID: 1}
		old := dial(t, s, packet.V311)
		old.say(greeting)
		old.expect(packet.TypeConnack)
		s.Behave(func(b *Behaviour) { b.Hang = true })
		old.say(message)
		fresh := dial(t, s, packet.V311)
		fresh.say(greeting)
		s.Behave(func(b *Behaviour) { b.Hang = false })
		fresh.expect(packet.TypeConnack)
		message.Dup = true
		fresh.say(message)
		fresh.expect(packet.TypePubrec)
		fresh.say(&packet.Ack{Type: packet.TypePubrel, ID: 1})
		fresh.expect(packet.TypePubcomp)
		for {
			if _, err := old.hear(); err != nil {
				break
			}
		}
		if n := len(s.Arrivals()); n != 1 {
			t.Fatalf("the message arrived %d times", n)
		}
		s.Close()
	}
}

// Each offence is seen, ends the connection, and is the only thing seen.
func TestViolations(t *testing.T) {
	publish := func(q byte, id uint16) *packet.Publish { return &packet.Publish{Topic: []byte("t"), QoS: q, ID: id} }
	dup := func(q byte, id uint16) *packet.Publish { p := publish(q, id); p.Dup = true; return p }
	aliased, retained := publish(0, 0), publish(0, 0)
	aliased.Props.SetTopicAlias(1)
	retained.Retain = true
	one := byte(1)
	for _, test := range []struct {
		name  string
		b     Behaviour
		say   []appender
		wants string
	}{
		{"CONNECT twice", Behaviour{}, []appender{&packet.Connect{Version: packet.V5, CleanStart: true}}, "CONNECT from a client"},
		{"a server's packet", Behaviour{}, []appender{&packet.Pingresp{}}, "PINGRESP from a client"},
		{"id in use", Behaviour{AckDelay: time.Hour}, []appender{publish(1, 1), publish(1, 1)}, "id 1 is in use"},
		{"QoS 2 id in use", Behaviour{}, []appender{publish(2, 1), publish(2, 1)}, "id 1"},
		{"DUP from nowhere", Behaviour{}, []appender{dup(1, 1)}, "does not know"},
		{"receive maximum", Behaviour{AckDelay: time.Hour, ReceiveMaximum: 2}, []appender{publish(1, 1), publish(2, 2), publish(1, 3)}, "more than 2"},
		{"QoS 2 counts until PUBCOMP", Behaviour{ReceiveMaximum: 1}, []appender{publish(2, 2), publish(1, 3)}, "more than 1"},
		{"too large", Behaviour{MaxPacket: 20}, []appender{&packet.Publish{Topic: []byte("t"), Payload: make([]byte, 20)}}, "packet too large"},
		{"QoS above the maximum", Behaviour{MaxQoS: &one}, []appender{publish(2, 1)}, "at most 1"},
		{"retained", Behaviour{NoRetain: true}, []appender{retained}, "retain not supported"},
		{"topic alias", Behaviour{}, []appender{aliased}, "alias"},
		{"PUBACK for nothing", Behaviour{}, []appender{&packet.Ack{Type: packet.TypePuback, ID: 9}}, "not in use"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, Options{Behaviour: test.b})
			p := dial(t, s, packet.V5).connect()
			p.say(test.say...)
			for {
				f, err := p.hear()
				if err != nil {
					t.Fatalf("no DISCONNECT: %v", err)
				}
				if f.Type == packet.TypeDisconnect {
					break
				}
			}
			if _, err := p.hear(); err != io.EOF {
				t.Errorf("after DISCONNECT: %v, want it closed", err)
			}
			if got := s.Violations(); len(got) != 1 || !strings.Contains(got[0], test.wants) {
				t.Errorf("violations %q, want one with %q", got, test.wants)
			}
		})
	}
}

// Offences that do not end the connection.
func TestMilderViolations(t *testing.T) {
	s := serve(t, Options{})
	p := dial(t, s, packet.V5).connect()
	p.say(&packet.Ack{Type: packet.TypePubrel, ID: 3})
	p.expect(packet.TypePubcomp)
	p.say(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("#"), QoS: 1}}})
	p.expect(packet.TypeSuback)
	s.Publish("a", nil, 1, false)
	s.Publish("b", nil, 1, false)
	p.expect(packet.TypePublish)
	p.expect(packet.TypePublish)
	p.say(&packet.Ack{Type: packet.TypePuback, ID: 2}, &packet.Ack{Type: packet.TypePuback, ID: 1})
	if err := s.WaitUnacknowledged(within(t), 0); err != nil {
		t.Fatal(err)
	}
	if got := s.Violations(); len(got) != 2 || !strings.Contains(got[0], "PUBREL") || !strings.Contains(got[1], "came first") {
		t.Errorf("violations %q", got)
	}
}

// QoS 2 arrives once, whatever is repeated; retained messages and subscriptions work; a kind client offends nobody.
func TestKindClient(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		s := serve(t, Options{})
		p := dial(t, s, v).connect()
		m := &packet.Publish{Topic: []byte("t"), QoS: 2, ID: 1, Payload: []byte("x"), Retain: true}
		again := *m
		again.Dup = true
		p.say(m, &again)
		p.expect(packet.TypePubrec)
		p.expect(packet.TypePubrec)
		p.say(&packet.Ack{Type: packet.TypePubrel, ID: 1})
		p.expect(packet.TypePubcomp)
		p.say(&packet.Subscribe{ID: 2, Filters: []packet.Subscription{{Filter: []byte("t"), QoS: 2}}})
		p.expect(packet.TypeSuback)
		p.expect(packet.TypePublish)
		p.say(&packet.Ack{Type: packet.TypePubrec, ID: 1})
		p.expect(packet.TypePubrel)
		p.say(&packet.Ack{Type: packet.TypePubcomp, ID: 1}, &packet.Pingreq{})
		p.expect(packet.TypePingresp)
		p.say(&packet.Unsubscribe{ID: 3, Filters: [][]byte{[]byte("t")}})
		p.expect(packet.TypeUnsuback)
		p.say(&packet.Disconnect{})
		if _, err := p.hear(); err != io.EOF {
			t.Errorf("after DISCONNECT: %v", err)
		}
		if a, ok := s.Retained("t"); !ok || string(a.Payload) != "x" || s.Count() != 1 || len(s.Arrivals()) != 1 {
			t.Errorf("retained %+v, %d arrivals", a, s.Count())
		}
		if got := s.Violations(); len(got) > 0 {
			t.Errorf("violations %q", got)
		}
	}
}

// Down and Up keep the address; what has arrived is kept.
func TestDownAndUp(t *testing.T) {
	s := serve(t, Options{})
	address := s.Address()
	p := dial(t, s, packet.V311).connect()
	p.say(&packet.Publish{Topic: []byte("t")})
	if err := s.WaitCount(within(t), 1); err != nil {
		t.Fatal(err)
	}
	s.Down()
	if _, err := p.hear(); err == nil {
		t.Error("still connected")
	}
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("still listening")
	}
	if err := s.WaitClients(within(t), 0); err != nil {
		t.Error(err)
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	if s.Address() != address {
		t.Errorf("address %s, want %s", s.Address(), address)
	}
	dial(t, s, packet.V311).connect()
	if s.Count() != 1 || s.Connects() != 2 {
		t.Errorf("%d arrivals, %d connects", s.Count(), s.Connects())
	}
}

// Hanging ends; a hanging server can be closed.
func TestHang(t *testing.T) {
	s := serve(t, Options{})
	p := dial(t, s, packet.V5).connect()
	s.Behave(func(b *Behaviour) { b.Hang = true })
	p.say(&packet.Publish{Topic: []byte("t"), QoS: 1, ID: 1}, &packet.Publish{Topic: []byte("t"), QoS: 1, ID: 2})
	s.Behave(func(b *Behaviour) { b.Hang = false })
	p.expect(packet.TypePuback)
	s.Behave(func(b *Behaviour) { b.Hang = true })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

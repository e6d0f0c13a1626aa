package broker

import (
	"strings"
	"sync/atomic"
	"testing"

	"weir/broker/packet"
)

// signpost is a Config.Redirect that can be turned.
type signpost struct{ to atomic.Pointer[Redirect] }

func (s *signpost) redirect(string) *Redirect { return s.to.Load() }

func pointing(to *Redirect) *signpost {
	s := new(signpost)
	s.to.Store(to)
	return s
}

// TestRedirect: who connects is told where to go, without a look at its login; 3.1.1 has no word for it.
// v5 [MQTT-4.13.2-1] [MQTT-3.1.2-24] [MQTT-3.1.4-6], sections 3.2.2.3.16 and 4.11, 3.1.1 [MQTT-3.2.2-4]
func TestRedirect(t *testing.T) {
	for _, tt := range []struct {
		to    Redirect
		tweak func(*packet.Connect)
		want  packet.Reason
		says  string // the reference; empty: none
	}{
		{Redirect{To: "other:1883"}, nil, packet.UseAnotherServer, "other:1883"},
		{Redirect{To: "[fe80::1]:1884 other", Permanent: true}, nil, packet.ServerMoved, "[fe80::1]:1884 other"},
		{Redirect{To: "other"}, as("broken"), packet.UseAnotherServer, "other"},
		{Redirect{To: "other"}, method(scramAs("pump", "secret")), packet.UseAnotherServer, "other"},
		{Redirect{To: strings.Repeat("x", 100)}, func(p *packet.Connect) { p.Props.SetMaximumPacketSize(50) }, packet.UseAnotherServer, ""},
	} {
		both(t, func(t *testing.T, v packet.Version) {
			if v == packet.V311 && tt.tweak != nil {
				return
			}
			cfg := withKeys(Config{Redirect: pointing(&tt.to).redirect})
			cfg.Users = users{}
			h := build(t, cfg)
			h.route("#")
			c := h.dial(v)
			p := &packet.Connect{CleanStart: true, ClientID: []byte("c")}
			if tt.tweak != nil {
				tt.tweak(p)
			}
			c.send(p, message1("x", "1", 0, 0))
			ack := c.expect(packet.TypeConnack).(*packet.Connack)
			want, says := tt.want, tt.says
			if v == packet.V311 {
				want, says = packet.ServerUnavailable, ""
			}
			if ack.Reason != want || string(ack.Props.ServerReference) != says {
				t.Errorf("%+v: CONNACK %s %q", tt.to, ack.Reason, ack.Props.ServerReference)
			}
			c.expectEnd(packet.Success)
			if n := len(h.journal.wait(t, 0)); n != 0 {
				t.Errorf("%d messages were taken", n)
			}
			h.until(func() bool { return h.sockets() == 0 })
			if s := h.b.Stats(); s.Refused != 1 || s.LoginsFailed != 0 {
				t.Errorf("%d refused, %d logins failed, want 1 and none", s.Refused, s.LoginsFailed)
			}
		})
	}
}

// TestSentAway: at a reload those who are connected are told where to go and disconnected, their wills are published, and their
// sessions stay. v5 [MQTT-4.13.2-1] [MQTT-3.14.4-1] [MQTT-3.14.2-3], section 3.14.2.2.5
func TestSentAway(t *testing.T) {
	sign := pointing(nil)
	h := build(t, Config{Redirect: sign.redirect})
	h.route("#")
	c, _ := h.login(packet.V5, "c", keepSession, lastWill("will", "gone", 0))
	small, _ := h.login(packet.V5, "small", func(p *packet.Connect) { p.Props.SetMaximumPacketSize(20) })
	old, _ := h.login(packet.V311, "old")
	if gone := h.b.Reauthorize(); gone != 0 {
		t.Fatalf("%d had to go", gone)
	}
	for _, c := range []*client{c, small, old} {
		c.nothing()
	}
	sign.to.Store(&Redirect{To: "gateway2.example.com:1883", Permanent: true})
	if gone := h.b.Reauthorize(); gone != 0 {
		t.Errorf("the logins of %d do not hold", gone)
	}
	d := c.expect(packet.TypeDisconnect).(*packet.Disconnect)
	if d.Reason != packet.ServerMoved || string(d.Props.ServerReference) != "gateway2.example.com:1883" {
		t.Errorf("DISCONNECT %s %q", d.Reason, d.Props.ServerReference)
	}
	c.expectEnd(packet.Success)
	small.expectEnd(packet.ServerMoved) // without the reference, for which there is no room
	if small.have > 20 {
		t.Errorf("DISCONNECT of %d bytes", small.have)
	}
	old.expectEnd(packet.ServerMoved)
	if got := h.journal.wait(t, 1); string(got[0].message.Topic) != "will" {
		t.Errorf("got %q", got[0].message.Topic)
	}
	sign.to.Store(nil)
	if _, ack := h.login(packet.V5, "c", resume, expiry(3600)); !ack.SessionPresent {
		t.Error("the session is gone")
	}
}

// TestSentAwayDuringLogin: who was logging in meanwhile is sent away too.
func TestSentAwayDuringLogin(t *testing.T) {
	sign := pointing(nil)
	h := build(t, withKeys(Config{Redirect: sign.redirect}))
	c, s := h.dial(packet.V5), scramAs("pump", "secret")
	challenge := c.ask(s, "c")
	sign.to.Store(&Redirect{To: "other"})
	h.b.Reauthorize()
	c.prove(s, challenge)
	s.entered(t, *c.expect(packet.TypeConnack).(*packet.Connack))
	c.expectEnd(packet.UseAnotherServer)
}

package broker

import (
	"testing"

	"weir/broker/auth"
	"weir/broker/packet"
)

// again asks for a new exchange on a connection that is in use.
func (c *client) again(s *scramUser) (challenge []byte) {
	c.t.Helper()
	c.send(authPacket(packet.ReAuthenticate, s.first()))
	return c.challenged()
}

// finished wants the exchange to have ended well, with the server's proof. v5 [MQTT-4.12.0-5] [MQTT-3.15.2-1]
func (c *client) finished(s *scramUser) {
	c.t.Helper()
	a := c.expect(packet.TypeAuth).(*packet.Auth)
	if a.Reason != packet.Success || string(a.Props.AuthMethod) != auth.ScramMethod || string(a.Props.AuthData) != s.signature || a.Props.Has(packet.PropReasonString) {
		c.t.Fatalf("AUTH %s with %+v, want %s", a.Reason, a.Props, s.signature)
	}
}

// TestAuthenticateAgain: as often as the client likes, while messages go on. v5 [MQTT-4.12.1-1]
func TestAuthenticateAgain(t *testing.T) {
	everywhere(t, withKeys(Config{}), func(t *testing.T, h *house, dial func() *client) {
		c, s := dial(), scramAs("pump", "secret")
		s.entered(t, c.scram(s, "c"))
		c.subscribe(1, "a")
		for range 3 {
			challenge := c.again(s)
			c.publish("a", "meanwhile", 1, 1)
			p := c.expectMessage("a", "meanwhile")
			c.expectAck(packet.TypePuback, 1)
			c.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
			c.nothing()
			c.prove(s, challenge)
			c.finished(s)
		}
		c.nothing()
		h.nobodyExchanges()
		c.again(s)
		before := h.limit("memory").Now
		h.vanish(c)
		h.until(func() bool { return h.limit("memory").Now < before })
		h.nobodyExchanges()
	})
}

// TestAuthenticateAgainFails: it ends the connection, with DISCONNECT, and the will is published. v5 [MQTT-4.12.1-1]
// [MQTT-4.12.1-2] [MQTT-4.12.0-5] [MQTT-4.13.1-1]
func TestAuthenticateAgainFails(t *testing.T) {
	named := func(reason packet.Reason, method string, data []byte) *packet.Auth {
		a := authPacket(reason, data)
		a.Props.SetAuthMethod([]byte(method))
		return a
	}
	for _, tt := range []struct {
		name string
		do   func(c *client, s *scramUser)
		want packet.Reason
	}{
		{"wrong proof", func(c *client, s *scramUser) {
			s.password = "guess"
			c.prove(s, c.again(s))
		}, packet.NotAuthorized},
		{"as another", func(c *client, _ *scramUser) {
			c.send(authPacket(packet.ReAuthenticate, scramAs("valve", "tight").first()))
		}, packet.NotAuthorized},
		{"as nobody", func(c *client, _ *scramUser) {
			c.send(authPacket(packet.ReAuthenticate, scramAs("nobody", "x").first()))
		}, packet.NotAuthorized},
		{"another method", func(c *client, s *scramUser) {
			c.send(named(packet.ReAuthenticate, "SCRAM-SHA-1", s.first()))
		}, packet.ProtocolError},
		{"another method within", func(c *client, s *scramUser) {
			c.send(named(packet.ContinueAuthentication, "SCRAM-SHA-1", s.last(c.again(s))))
		}, packet.ProtocolError},
		{"channel binding", func(c *client, _ *scramUser) {
			c.send(authPacket(packet.ReAuthenticate, []byte("p=tls-unique,,n=pump,r=abc")))
		}, packet.BadAuthenticationMethod},
		{"no first message", func(c *client, _ *scramUser) { c.send(named(packet.ReAuthenticate, auth.ScramMethod, nil)) }, packet.ProtocolError},
		{"no last message", func(c *client, s *scramUser) {
			c.again(s)
			c.send(authPacket(packet.ContinueAuthentication, []byte("x")))
		}, packet.ProtocolError},
		{"begun twice", func(c *client, s *scramUser) {
			c.again(s)
			c.send(authPacket(packet.ReAuthenticate, s.first()))
		}, packet.ProtocolError},
		{"goes on without a beginning", func(c *client, s *scramUser) {
			c.send(authPacket(packet.ContinueAuthentication, s.first()))
		}, packet.ProtocolError},
		{"goes on after the end", func(c *client, s *scramUser) {
			challenge := c.again(s)
			c.prove(s, challenge)
			c.finished(s)
			c.prove(s, challenge)
		}, packet.ProtocolError},
		{"success from a client", func(c *client, s *scramUser) {
			c.send(authPacket(packet.Success, s.last(c.again(s))))
		}, packet.ProtocolError},
		{"empty", func(c *client, _ *scramUser) { c.write(raw(c.t, "F0")) }, packet.ProtocolError},
		{"with flags", func(c *client, _ *scramUser) { c.write(raw(c.t, "F1")) }, packet.MalformedPacket},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := build(t, withKeys(Config{}))
			watch, s := h.dial(packet.V5), scramAs("valve", "tight")
			s.entered(t, watch.scram(s, "watch"))
			watch.subscribe(0, "will")
			c, s := h.dial(packet.V5), scramAs("pump", "secret")
			s.entered(t, c.scram(s, "c", lastWill("will", "gone", 0)))
			tt.do(c, s)
			c.expectEnd(tt.want)
			watch.expectMessage("will", "gone")
			watch.nothing()
			h.nobodyExchanges()
		})
	}
}

// TestAuthenticateAgainIsLimited: wrong proofs count with failed logins.
func TestAuthenticateAgainIsLimited(t *testing.T) {
	h := build(t, withKeys(Config{Logins: Logins{Failures: 1}}))
	c, s := h.dial(packet.V5), scramAs("pump", "secret")
	s.entered(t, c.scram(s, "c"))
	challenge := c.again(s)
	for range 2 {
		if ack := h.dial(packet.V5).scram(scramAs("pump", "guess"), "d"); ack.Reason != packet.NotAuthorized {
			t.Errorf("CONNACK %s", ack.Reason)
		}
	}
	c.prove(s, challenge)
	c.expectEnd(packet.ConnectionRateExceeded)
}

// TestSessionBelongsToScramUser: an exchange as another user does not get the session of a client id.
func TestSessionBelongsToScramUser(t *testing.T) {
	h := build(t, withKeys(Config{}))
	c, s := h.dial(packet.V5), scramAs("pump", "secret")
	s.entered(t, c.scram(s, "c", keepSession))
	d, s := h.dial(packet.V5), scramAs("valve", "tight")
	ack := d.scram(s, "c", keepSession)
	c.expectEnd(packet.SessionTakenOver)
	if s.entered(t, ack); ack.SessionPresent || h.session("c").user() != "valve" {
		t.Errorf("session present %v, of %q", ack.SessionPresent, h.session("c").user())
	}
}

// TestScramWillOfABridge: the will of a bridge that is not for clients is left out after an exchange too.
func TestScramWillOfABridge(t *testing.T) {
	h := build(t, withKeys(Config{}))
	c, s := h.dial(packet.V5), scramAs("pump", "secret")
	s.entered(t, c.scram(s, "c", lastWill("$SYS/broker/connection/house.weir/state", "0", 1)))
	h.vanish(c)
	if s := h.b.Stats(); s.Rejected != 1 || s.WillsSent != 0 {
		t.Errorf("%d wills were left out, %d sent, want 1, 0", s.Rejected, s.WillsSent)
	}
}

package broker

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/broker/auth"
	"weir/broker/packet"
	"weir/broker/transport"
	"weir/broker/transport/authority"
)

// everywhere runs a test over every transport.
func everywhere(t *testing.T, cfg Config, test func(t *testing.T, h *house, dial func() *client)) {
	t.Run("tcp", func(t *testing.T) {
		h := build(t, cfg)
		test(t, h, func() *client { return h.dial(packet.V5) })
	})
	t.Run("goroutine", func(t *testing.T) {
		m := newMemory()
		h := &house{t: t, journal: newJournal(), memory: m}
		h.run(cfg, m)
		test(t, h, func() *client { return h.dial(packet.V5) })
	})
	carriers(t, cfg, func(t *testing.T, h *carrier) {
		test(t, h.house, func() *client { return h.reach(packet.V5) })
	})
}

// TestScramLogin: an exchange logs in, the server proves itself, and the rights are those of the user. v5 [MQTT-4.12.0-2]
// [MQTT-4.12.0-5] [MQTT-3.2.0-1] [MQTT-3.15.2-2] [MQTT-3.15.2-3]
func TestScramLogin(t *testing.T) {
	cfg := withKeys(Config{Rights: func(who Who) Rights { return narrow(who.User) }})
	everywhere(t, cfg, func(t *testing.T, h *house, dial func() *client) {
		c, s := dial(), scramAs("pump", "secret")
		s.entered(t, c.scram(s, "c", keepSession, lastWill("will", "gone", 0)))
		if got := h.session("c"); got.user() != "pump" || got.will == nil || got.out.granted.Load().rights != narrow("pump") {
			t.Errorf("the session is of user %q, will %v", got.user(), got.will)
		}
		if got := c.subscribe(1, "a", "n/x"); got[0] != packet.GrantedQoS1 || got[1] != packet.NotAuthorized {
			t.Errorf("granted %v", got)
		}
		c.publish("a", "1", 0, 0)
		c.expectMessage("a", "1")
		c.leave()
		c, s = dial(), scramAs("pump", "secret")
		ack := c.scram(s, "c", resume, func(p *packet.Connect) { p.HasUsername, p.Username = true, []byte("pump") })
		if s.entered(t, ack); !ack.SessionPresent {
			t.Error("the session is not there any more")
		}
		c.leave()
		c, s = dial(), scramAs("valve", "tight")
		ack = c.scram(s, "", func(p *packet.Connect) { p.HasPassword, p.Password = true, []byte("not looked at") })
		if s.entered(t, ack); !ack.Props.Has(packet.PropAssignedClientID) {
			t.Error("no client id")
		}
		c.nothing()
		h.nobodyExchanges()
	})
}

// nobodyExchanges wants nothing left of exchanges.
func (h *house) nobodyExchanges() {
	h.t.Helper()
	h.wantLimit("max_connecting", 0, 0)
	h.b.exchanges.mu.Lock()
	defer h.b.exchanges.mu.Unlock()
	if h.b.exchanges.of != nil {
		h.t.Errorf("%d exchanges are left", len(h.b.exchanges.of))
	}
}

// TestScramRefused: what a client does wrong in its exchange ends it, with CONNACK, and nothing of what it sent counts.
// v5 [MQTT-4.12.0-1] [MQTT-4.12.0-4] [MQTT-4.12.0-5] [MQTT-3.1.4-6] [MQTT-3.14.0-1] [MQTT-3.15.2-1] [MQTT-3.15.1-1] [MQTT-4.13.1-1]
func TestScramRefused(t *testing.T) {
	first := func(data string) func(*client) {
		return func(c *client) {
			c.send(func() *packet.Connect {
				p := &packet.Connect{CleanStart: true, ClientID: []byte("c")}
				lastWill("will", "gone", 0)(p)
				p.Props.SetAuthMethod([]byte(auth.ScramMethod))
				p.Props.SetAuthData([]byte(data))
				return p
			}())
		}
	}
	named := func(method string, data []byte) *packet.Auth {
		a := authPacket(packet.ContinueAuthentication, data)
		a.Props.SetAuthMethod([]byte(method))
		return a
	}
	then := func(more func(c *client, s *scramUser, challenge []byte)) func(*client) {
		return func(c *client) {
			s := scramAs("pump", "secret")
			more(c, s, c.ask(s, "c", lastWill("will", "gone", 0)))
		}
	}
	wrong := func(name, password string) func(*client) {
		return func(c *client) {
			s := scramAs(name, password)
			c.prove(s, c.ask(s, "c", lastWill("will", "gone", 0)))
		}
	}
	for _, tt := range []struct {
		name  string
		do    func(*client)
		want  packet.Reason
		words string // in CONNACK; empty: none
	}{
		{"wrong password", wrong("pump", "guess"), packet.NotAuthorized, ""},
		{"another user's password", wrong("pump", "tight"), packet.NotAuthorized, ""},
		{"nobody", wrong("nobody", "secret"), packet.NotAuthorized, ""},
		{"a user without keys", wrong("plain", "secret"), packet.NotAuthorized, ""},
		{"no data", first(""), packet.ProtocolError, "without its header"},
		{"not SCRAM", first("secret"), packet.ProtocolError, "without its header"},
		{"channel binding", first("p=tls-unique,,n=pump,r=abc"), packet.BadAuthenticationMethod, "channel binding"},
		{"for another", first("n,a=root,n=pump,r=abc"), packet.NotAuthorized, ""},
		{"an unknown method", func(c *client) {
			p := &packet.Connect{CleanStart: true, ClientID: []byte("c")}
			p.Props.SetAuthMethod([]byte("SCRAM-SHA-1"))
			c.send(p)
		}, packet.BadAuthenticationMethod, `authentication method "SCRAM-SHA-1" is not supported`},
		{"another user name", func(c *client) {
			p := &packet.Connect{CleanStart: true, ClientID: []byte("c"), HasUsername: true, Username: []byte("valve")}
			method(scramAs("pump", "secret"))(p)
			c.send(p)
		}, packet.NotAuthorized, ""},
		{"a bad will", func(c *client) {
			p := &packet.Connect{CleanStart: true, ClientID: []byte("c")}
			method(scramAs("pump", "secret"))(p)
			lastWill("$SYS/x", "gone", 0)(p)
			c.send(p)
		}, packet.TopicNameInvalid, "will"},
		{"a will without the right to it", func(c *client) {
			s := scramAs("pump", "secret")
			c.prove(s, c.ask(s, "c", lastWill("n/x", "gone", 0)))
		}, packet.NotAuthorized, ""},
		{"another method", then(func(c *client, s *scramUser, challenge []byte) {
			c.send(named("SCRAM-SHA-1", s.last(challenge)))
		}), packet.ProtocolError, "within an authentication"},
		{"success", then(func(c *client, s *scramUser, challenge []byte) {
			c.send(authPacket(packet.Success, s.last(challenge)))
		}), packet.ProtocolError, "within an authentication"},
		{"begun again", then(func(c *client, s *scramUser, _ []byte) {
			c.send(authPacket(packet.ReAuthenticate, s.first()))
		}), packet.ProtocolError, "within an authentication"},
		{"an empty AUTH", then(func(c *client, _ *scramUser, _ []byte) { c.write(raw(c.t, "F0")) }), packet.ProtocolError, "within an authentication"},
		{"AUTH without a method", then(func(c *client, _ *scramUser, _ []byte) { c.write(raw(c.t, "F0 18 00")) }), packet.ProtocolError, "method"},
		{"AUTH with flags", then(func(c *client, _ *scramUser, _ []byte) { c.write(raw(c.t, "F1")) }), packet.MalformedPacket, "flags"},
		{"AUTH with another reason", then(func(c *client, _ *scramUser, _ []byte) { c.write(raw(c.t, "F0 04 04 15 0001 6D")) }), packet.ProtocolError, "reason"},
		{"not the last message", then(func(c *client, s *scramUser, _ []byte) {
			c.send(authPacket(packet.ContinueAuthentication, s.first()))
		}), packet.ProtocolError, "without a proof"},
		{"no last message", then(func(c *client, s *scramUser, _ []byte) {
			c.send(named(auth.ScramMethod, nil))
		}), packet.ProtocolError, "without a proof"},
		{"another nonce", then(func(c *client, s *scramUser, challenge []byte) {
			last := string(s.last(challenge))
			c.send(authPacket(packet.ContinueAuthentication, []byte(strings.Replace(last, "r=fyko", "r=fyka", 1))))
		}), packet.ProtocolError, "another nonce"},
		{"PUBLISH", then(func(c *client, _ *scramUser, _ []byte) { c.publish("x", "1", 0, 0) }), packet.ProtocolError, "PUBLISH before the authentication was over"},
		{"SUBSCRIBE", then(func(c *client, _ *scramUser, _ []byte) {
			c.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("x")}}})
		}), packet.ProtocolError, "SUBSCRIBE"},
		{"PINGREQ", then(func(c *client, _ *scramUser, _ []byte) { c.send(&packet.Pingreq{}) }), packet.ProtocolError, "PINGREQ"},
		{"CONNECT", then(func(c *client, s *scramUser, _ []byte) {
			c.send(&packet.Connect{CleanStart: true, ClientID: []byte("c")})
		}), packet.ProtocolError, "CONNECT"},
		{"the proof, and another packet before CONNACK", func(c *client) {
			s := scramAs("pump", "guess")
			last := s.last(c.ask(s, "c"))
			c.send(authPacket(packet.ContinueAuthentication, last), message1("x", "1", 0, 0))
		}, packet.NotAuthorized, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := build(t, withKeys(Config{Rights: func(who Who) Rights { return narrow(who.User) }}))
			h.route("#")
			before := h.limit("memory").Now
			c := h.dial(packet.V5)
			tt.do(c)
			ack := c.expect(packet.TypeConnack).(*packet.Connack)
			words := string(ack.Props.ReasonString)
			if ack.Reason != tt.want || (words == "") != (tt.words == "") || !strings.Contains(words, tt.words) {
				t.Errorf("CONNACK %s %q, want %s %q", ack.Reason, words, tt.want, tt.words)
			}
			c.expectEnd(packet.Success)
			h.until(func() bool { return h.sockets() == 0 && h.limit("memory").Now == before })
			h.nobodyExchanges()
			if n := len(h.journal.wait(t, 0)); n != 0 || h.session("c") != nil {
				t.Errorf("%d messages were taken, session %v", n, h.session("c"))
			}
		})
	}
}

// TestScramNotOffered: where no user has keys the method is unknown. v5 [MQTT-4.12.0-1]
func TestScramNotOffered(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no users": {}, "no keys": {Users: users{"pump": "secret"}},
		"none with keys": {Users: users{"pump": "secret"}, Keys: func(string, string) (auth.Keys, bool) { return auth.Keys{}, false }},
	} {
		h := build(t, cfg)
		c := h.dial(packet.V5)
		if ack := c.connect("c", method(scramAs("pump", "secret"))); ack.Reason != packet.BadAuthenticationMethod {
			t.Errorf("%s: CONNACK %s", name, ack.Reason)
		}
		c.expectEnd(packet.Success)
	}
}

// TestScramHidesUsers: a name that is nobody's is asked the same, always, as a user is.
func TestScramHidesUsers(t *testing.T) {
	h := build(t, withKeys(Config{}))
	of := func(name string) string {
		c := h.dial(packet.V5)
		_, rest, _ := strings.Cut(string(c.ask(scramAs(name, ""), "c")), ",")
		c.nc.Close()
		return rest
	}
	seen := map[string]bool{}
	for _, name := range []string{"pump", "valve", "plain", "nobody"} {
		a, b := of(name), of(name)
		if a != b || seen[a] || len(a) != len(of("pump")) || !strings.HasSuffix(a, ",i=4096") {
			t.Errorf("%s: %s, then %s", name, a, b)
		}
		seen[a] = true
	}
}

// TestScramLeavesInBetween: a client may go before it has proved anything, and one that is told that the server stops gets no
// DISCONNECT before CONNACK: v5 [MQTT-3.14.0-1].
func TestScramLeavesInBetween(t *testing.T) {
	h := build(t, withKeys(Config{}))
	c := h.dial(packet.V5)
	c.ask(scramAs("pump", "secret"), "c", lastWill("will", "gone", 0))
	h.wantLimit("max_connecting", 1, 0)
	c.send(&packet.Disconnect{})
	c.expectEnd(packet.Success)
	h.nobodyExchanges()
	c = h.dial(packet.V5)
	c.ask(scramAs("pump", "secret"), "c")
	c.nc.Close()
	h.nobodyExchanges()
	c = h.dial(packet.V5)
	c.ask(scramAs("pump", "secret"), "c")
	h.stop()
	c.expectEnd(packet.Success)
}

// TestScramHasTheTimeOfConnect: the exchange as a whole, and until its end it has a place among those that connect.
func TestScramHasTheTimeOfConnect(t *testing.T) {
	bubble(t, withKeys(Config{MaxConnecting: 1, ConnectWait: 3 * time.Second}), func(t *testing.T, h *house) {
		c, s := h.dial(packet.V5), scramAs("pump", "secret")
		after(2 * time.Second)
		c.ask(s, "c")
		h.wantLimit("max_connecting", 1, 0)
		h.dial(packet.V5).expectEnd(packet.Success)
		after(900 * time.Millisecond)
		h.wantLimit("max_connecting", 1, 1)
		after(200 * time.Millisecond)
		c.expectEnd(packet.Success)
		h.wantLimit("max_connecting", 0, 1)
		if n := h.b.Stats().ConnectTimeouts; n != 1 {
			t.Errorf("%d connections have timed out, want 1", n)
		}
		c = h.dial(packet.V5)
		after(2 * time.Second)
		challenge := c.ask(s, "c", func(p *packet.Connect) { p.KeepAlive = 10 })
		after(900 * time.Millisecond)
		c.prove(s, challenge)
		s.entered(t, *c.expect(packet.TypeConnack).(*packet.Connack))
		h.wantLimit("max_connecting", 0, 1)
		after(14 * time.Second) // the keep alive counts from there
		c.nothing()
	})
}

// TestScramProofsAreLimited: wrong proofs wait as wrong passwords do, and together with them.
func TestScramProofsAreLimited(t *testing.T) {
	h := build(t, withKeys(Config{Logins: Logins{Failures: 2, Wait: time.Hour, MaxWait: time.Hour}}))
	for i, want := range []packet.Reason{packet.NotAuthorized, packet.NotAuthorized, packet.NotAuthorized, packet.ConnectionRateExceeded} {
		if ack := h.dial(packet.V5).scram(scramAs("pump", "guess"), "c"); ack.Reason != want {
			t.Errorf("the proof number %d: %s, want %s", i+1, ack.Reason, want)
		}
	}
	if ack := h.dial(packet.V5).scram(scramAs("pump", "secret"), "c"); ack.Reason != packet.ConnectionRateExceeded {
		t.Errorf("the right proof too early: %s", ack.Reason)
	}
	if ack := h.dial(packet.V5).connect("c", func(p *packet.Connect) {
		p.HasUsername, p.HasPassword, p.Username, p.Password = true, true, []byte("pump"), []byte("secret")
	}); ack.Reason != packet.ConnectionRateExceeded {
		t.Errorf("the password too early: %s", ack.Reason)
	}
	s := scramAs("valve", "tight")
	s.entered(t, h.dial(packet.V5).scram(s, "c"))
	if n := h.b.Stats(); n.LoginsFailed != 3 || n.LoginsLimited != 3 {
		t.Errorf("%d failed and %d not looked at, want 3 and 3", n.LoginsFailed, n.LoginsLimited)
	}
}

// TestScramFamiliar: who has logged in from an address is not kept out by others who guess there.
func TestScramFamiliar(t *testing.T) {
	h := build(t, withKeys(Config{Logins: Logins{AddressFailures: 2, Wait: time.Hour, MaxWait: time.Hour}}))
	s := scramAs("pump", "secret")
	s.entered(t, h.dial(packet.V5).scram(s, "c"))
	for range 3 {
		if ack := h.dial(packet.V5).scram(scramAs("nobody", "guess"), "d"); ack.Reason != packet.NotAuthorized {
			t.Errorf("CONNACK %s", ack.Reason)
		}
	}
	for _, other := range []*scramUser{scramAs("valve", "tight"), scramAs("pump", "guess"), scramAs("nobody", "guess")} {
		if ack := h.dial(packet.V5).scram(other, "d"); ack.Reason != packet.ConnectionRateExceeded {
			t.Errorf("%s: CONNACK %s", other.bare, ack.Reason)
		}
	}
	s.entered(t, h.dial(packet.V5).scram(s, "c"))
}

// TestScramMemory: what waits for a client's answer counts, and a packet that the client does not take is not sent.
// v5 [MQTT-3.1.2-24]
func TestScramMemory(t *testing.T) {
	h := build(t, withKeys(Config{Memory: 1 << 20}))
	c := h.dial(packet.V5)
	h.until(func() bool { return h.sockets() == 1 })
	before := h.limit("memory").Now
	c.ask(scramAs("pump", "secret"), "c", lastWill("will", strings.Repeat("x", 20<<10), 0))
	if n := h.limit("memory").Now - before; n < 20<<10 {
		t.Errorf("%d bytes are counted, want the size of CONNECT at least", n)
	}
	p := &packet.Connect{CleanStart: true, ClientID: []byte("d")}
	method(scramAs("pump", "secret"))(p)
	lastWill("will", strings.Repeat("x", 3<<10), 0)(p) // little enough to come in one piece
	full, all := false, []*client{c}
	for range 1 << 20 / (3 << 10) {
		d := h.dial(packet.V5)
		all = append(all, d)
		d.send(p)
		a, _, err := d.next()
		if ack, ok := a.(*packet.Connack); ok {
			full = ack.Reason == packet.QuotaExceeded
		} else if err == nil {
			continue
		}
		break
	}
	if !full {
		t.Error("the last one was not told that the memory is used up")
	}
	for _, c := range all {
		c.nc.Close()
	}
	h.until(func() bool { return h.limit("memory").Now < before })
	for size, want := range map[uint32]packet.Reason{20: packet.PacketTooLarge, 108: packet.PacketTooLarge, 109: packet.Success} {
		c, s := h.dial(packet.V5), scramAs("pump", "secret")
		tweak := func(p *packet.Connect) { p.Props.SetMaximumPacketSize(size) }
		if want == packet.Success {
			s.entered(t, c.scram(s, "c", tweak))
			continue
		}
		if ack := c.connect("c", method(s), tweak); ack.Reason != want {
			t.Errorf("at most %d: CONNACK %s, want %s", size, ack.Reason, want)
		}
	}
}

// TestScramDuringReload: who has other keys when the exchange ends than when it began is shown out.
func TestScramDuringReload(t *testing.T) {
	file := scramFile()
	cfg := withKeys(Config{})
	credential := &changing{oneFile: oneFile{file}}
	cfg.Users = credential
	h := build(t, cfg)
	c, s := h.dial(packet.V5), scramAs("pump", "secret")
	challenge := c.ask(s, "c")
	credential.add.Add(1)
	h.b.Reauthorize()
	c.prove(s, challenge)
	s.entered(t, *c.expect(packet.TypeConnack).(*packet.Connack))
	c.expectEnd(packet.AdministrativeAction)
	c, s = h.dial(packet.V5), scramAs("pump", "secret")
	s.entered(t, c.scram(s, "c"))
	h.b.Reauthorize()
	c.nothing()
	credential.add.Add(1)
	h.b.Reauthorize()
	c.expectEnd(packet.AdministrativeAction)
}

// TestScramBesideCertificate: a certificate that gives a name must give that of the user.
func TestScramBesideCertificate(t *testing.T) {
	clients := authority.New("clients")
	h := carry(t, withKeys(Config{}), "mqtts", func(f *transport.Files) {
		f.ClientCA, f.Clients, f.Identity = file("ca.pem", clients.PEM()), transport.Optional, transport.CommonName
	})
	s := scramAs("pump", "secret")
	s.entered(t, h.reach(packet.V5, clients.Issue("pump").TLS()).scram(s, "c"))
	if ack := h.reach(packet.V5, clients.Issue("valve").TLS()).connect("d", method(s)); ack.Reason != packet.NotAuthorized {
		t.Errorf("CONNACK %s with the certificate of another", ack.Reason)
	}
}

// changing has a credential that changes.
type changing struct {
	oneFile
	add atomic.Uint64
}

func (c *changing) Credential(listener, user string) uint64 {
	return c.oneFile.Credential(listener, user) + c.add.Load()
}

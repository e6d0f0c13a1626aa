package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weir/broker/packet"
	"weir/broker/transport"
	"weir/broker/transport/authority"
)

// carrier is a house behind TLS, WebSocket or both.
type carrier struct {
	*house
	scheme string
	socket *transport.Socket
	server *authority.Authority
}

// carriers runs a test behind each of them.
func carriers(t *testing.T, cfg Config, run func(t *testing.T, h *carrier)) {
	for _, scheme := range []string{"mqtts", "ws", "wss"} {
		t.Run(scheme, func(t *testing.T) { run(t, carry(t, cfg, scheme, nil)) })
	}
}

// carry makes one. more may change what it reads.
func carry(t *testing.T, cfg Config, scheme string, more func(*transport.Files)) *carrier {
	t.Helper()
	h := &carrier{house: &house{t: t, journal: newJournal()}, scheme: scheme, server: authority.New("server")}
	o := transport.Options{Name: scheme, Address: "127.0.0.1:0"}
	if scheme != "ws" {
		o.TLS = transport.NewTLS(h.load(more))
	}
	if scheme != "mqtts" {
		o.WebSocket = &transport.WebSocket{}
	}
	var err error
	if h.socket, err = transport.Listen(o); err != nil {
		t.Fatal(err)
	}
	h.address = h.socket.Addr().String()
	h.run(cfg, h.socket)
	return h
}

func (h *carrier) load(more func(*transport.Files)) *transport.Material {
	h.t.Helper()
	p := h.server.Issue("broker")
	f := transport.Files{Certificate: file("cert.pem", p.PEM), Key: file("key.pem", p.Key)}
	if more != nil {
		more(&f)
	}
	m, err := transport.Load(f)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func file(name string, data []byte) transport.Source {
	return transport.Source{Name: name, Read: func() ([]byte, error) { return data, nil }}
}

// reach connects, by a WebSocket of others' making where there is one.
func (h *carrier) reach(v packet.Version, certificates ...tls.Certificate) *client {
	h.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(h.server.Certificate)
	config := &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: certificates}
	var nc net.Conn
	var err error
	if h.scheme == "mqtts" {
		nc, err = tls.Dial("tcp", h.address, config)
	} else {
		var ws *websocket.Conn
		ws, _, err = websocket.Dial(context.Background(), h.scheme+"://"+h.address+"/mqtt", &websocket.DialOptions{
			Subprotocols: []string{"mqtt"}, HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: config}}})
		if err == nil {
			ws.SetReadLimit(-1)
			nc = websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { nc.Close() })
	return &client{t: h.t, nc: nc, v: v}
}

// TestCarriers: messages both ways, the orderly end from either side, and the DISCONNECT of a stop, which comes before the end
// of TLS and WebSocket.
func TestCarriers(t *testing.T) {
	carriers(t, Config{}, func(t *testing.T, h *carrier) {
		sub, pub := h.reach(packet.V5), h.reach(packet.V311)
		sub.connect("sub")
		sub.subscribe(1, "x/#")
		pub.connect("pub")
		large := strings.Repeat("0123456789", 20000)
		for i := range 20 {
			pub.publish("x/y", large, 1, uint16(i+1))
			pub.expectAck(packet.TypePuback, uint16(i+1))
			m := sub.expectMessage("x/y", large)
			sub.send(&packet.Ack{Type: packet.TypePuback, ID: m.ID})
		}
		pub.leave()
		done := make(chan struct{})
		go func() { h.stop(); close(done) }()
		sub.expectEnd(packet.ServerShuttingDown)
		sub.nc.Close()
		<-done
		if s := h.socket.Stats(); s.Open != 0 || s.Accepted != 2 || len(s.Failed) != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

// TestCarrierSlowReader: a subscriber that does not read is bounded as on a plain socket, delays nobody, and is gone within the
// bounds of the end.
func TestCarrierSlowReader(t *testing.T) {
	carriers(t, Config{QueueBytes: 256 << 10}, func(t *testing.T, h *carrier) {
		slow, quick, pub := h.reach(packet.V5), h.reach(packet.V5), h.reach(packet.V5)
		slow.connect("slow")
		slow.subscribe(0, "x")
		quick.connect("quick")
		quick.subscribe(0, "x")
		pub.connect("pub")
		payload := strings.Repeat("x", 32<<10)
		for range 600 { // 19 MB: more than sockets and queues hold
			pub.publish("x", payload, 0, 0)
			quick.expectMessage("x", payload)
		}
		pub.nothing()
		if n := h.b.Stats().DroppedQoS0; n == 0 {
			t.Error("nothing was dropped for the slow subscriber")
		}
		o := &h.session("slow").out
		o.mu.Lock()
		waiting := len(o.pending)
		o.mu.Unlock()
		if waiting > 512<<10 {
			t.Errorf("%d bytes wait for the slow subscriber", waiting)
		}
		quick.leave()
		pub.leave()
		h.stop() // fails the test if it does not end
	})
}

// TestCarrierHalfOpen: a peer that is silent loses its connection by keep alive, one without CONNECT by the time for it.
func TestCarrierHalfOpen(t *testing.T) {
	carriers(t, Config{ConnectWait: 2 * time.Second}, func(t *testing.T, h *carrier) {
		c, mute := h.reach(packet.V5), h.reach(packet.V5)
		c.connect("c", func(p *packet.Connect) { p.KeepAlive = 1 })
		c.expectEnd(packet.KeepAliveTimeout)
		mute.expectEnd(packet.Success)
		h.until(func() bool {
			s := h.b.Stats()
			return s.KeepAliveLost == 1 && s.ConnectTimeouts == 1 && h.socket.Stats().Open == 0
		})
	})
}

// TestCertificateIsLogin: the name in a certificate is the user, whatever CONNECT says, and has the user's rights.
func TestCertificateIsLogin(t *testing.T) {
	clients := authority.New("clients")
	for _, scheme := range []string{"mqtts", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			h := carry(t, Config{Anonymous: func(string) bool { return false }}, scheme, func(f *transport.Files) {
				f.ClientCA, f.Clients, f.Identity = file("ca.pem", clients.PEM()), transport.Optional, transport.CommonName
			})
			c := h.reach(packet.V5, clients.Issue("pump7").TLS())
			if a := c.connect("c", func(p *packet.Connect) { p.HasUsername, p.Username = true, []byte("admin") }); a.Reason != packet.Success {
				t.Fatalf("CONNACK %s", a.Reason)
			}
			h.b.mu.Lock()
			got := h.b.sessions["c"].user()
			h.b.mu.Unlock()
			if got != "pump7" {
				t.Errorf("logged in as %q, want pump7", got)
			}
			without := h.reach(packet.V5)
			if a := without.connect("d"); a.Reason != packet.NotAuthorized {
				t.Errorf("CONNACK %s without a certificate and a user, want %s", a.Reason, packet.NotAuthorized)
			}
			without = h.reach(packet.V5)
			if a := without.connect("e", func(p *packet.Connect) { p.HasUsername, p.Username = true, []byte("pump7") }); a.Reason != packet.NotAuthorized {
				t.Errorf("CONNACK %s with a name only, want %s", a.Reason, packet.NotAuthorized)
			}
		})
	}
}

// TestRecheck: a client whose certificate is revoked is told and disconnected, the others stay.
func TestRecheck(t *testing.T) {
	clients := authority.New("clients")
	good, bad := clients.Issue("good"), clients.Issue("bad")
	for _, scheme := range []string{"mqtts", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			var lists []transport.Source
			more := func(f *transport.Files) {
				f.ClientCA, f.Clients, f.Revoked = file("ca.pem", clients.PEM()), transport.Required, lists
			}
			h := carry(t, Config{}, scheme, more)
			stays, goes := h.reach(packet.V5, good.TLS()), h.reach(packet.V5, bad.TLS())
			stays.connect("stays")
			goes.connect("goes", lastWill("will", "gone", 0))
			stays.subscribe(0, "will")
			lists = []transport.Source{file("crl", clients.Revoke(time.Now().Add(time.Hour), bad))}
			h.socket.TLS().Replace(h.load(more))
			if n := h.b.Recheck(); n != 1 {
				t.Errorf("%d clients disconnected, want 1", n)
			}
			goes.expectEnd(packet.AdministrativeAction)
			stays.expectMessage("will", "gone")
			stays.nothing()
			if n := h.b.Recheck(); n != 0 {
				t.Errorf("%d clients disconnected by a second look", n)
			}
		})
	}
}

// TestHandshakeFailures: what never got as far as MQTT is counted by its reason, and logged once for each.
func TestHandshakeFailures(t *testing.T) {
	h := carry(t, Config{}, "mqtts", nil)
	for range 3 {
		nc, err := net.Dial("tcp", h.address)
		if err != nil {
			t.Fatal(err)
		}
		nc.Write(bytes.Repeat([]byte{0x10}, 100))
		nc.SetReadDeadline(time.Now().Add(patience))
		nc.Read(make([]byte, 100))
		nc.Close()
	}
	h.until(func() bool { return h.socket.Stats().Failed[transport.NotTLS] == 3 && h.socket.Stats().Open == 0 })
	if more, now := h.b.quiet.ask("handshake failed: "+string(transport.NotTLS), time.Now()); now || more != 0 {
		t.Errorf("the sentence was not said before")
	}
	if n := h.b.quiet.said["handshake failed: "+string(transport.NotTLS)].more; n != 3 {
		t.Errorf("kept back %d times with this look, want 3", n)
	}
	if s := h.b.Stats(); s.ProtocolErrors != 0 {
		t.Errorf("%d protocol errors", s.ProtocolErrors)
	}
}

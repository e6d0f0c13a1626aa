package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/broker/transport/authority"
)

func text(name string, data []byte) Source {
	return Source{Name: name, Read: func() ([]byte, error) { return data, nil }}
}

// files are those of a listener with a certificate of a, for clients of clients; nil: none are asked.
func files(a *authority.Authority, clients *authority.Authority) Files {
	p := a.Issue("gateway")
	f := Files{Certificate: text("cert.pem", p.PEM), Key: text("key.pem", p.Key)}
	if clients != nil {
		f.ClientCA, f.Clients = text("ca.pem", clients.PEM()), Required
	}
	return f
}

func mustLoad(t *testing.T, f Files) *Material {
	t.Helper()
	m, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// listenTLS runs an echo behind TLS.
func listenTLS(t *testing.T, m *Material, more ...func(*Options)) (*Socket, chan *echo) {
	t.Helper()
	o := Options{Name: "test", Address: "127.0.0.1:0", TLS: NewTLS(m)}
	for _, f := range more {
		f(&o)
	}
	l, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	handlers, _ := serve(t, l, func() *echo { return &echo{deadline: time.Now().Add(patience)} })
	return l, handlers
}

// asClient is how a client of the authority connects.
func asClient(server *authority.Authority, certificates ...tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate)
	c := &tls.Config{RootCAs: roots, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if len(certificates) > 0 { // whatever authorities the server names
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil }
	}
	return c
}

// exchange connects, sends a word and wants it back.
func exchange(t *testing.T, l *Socket, c *tls.Config) (*tls.Conn, error) {
	t.Helper()
	nc := tls.Client(dial(t, l), c)
	if _, err := nc.Write([]byte("hello")); err != nil {
		return nc, err
	}
	_, err := io.ReadFull(nc, make([]byte, 5))
	return nc, err
}

// failedWith waits for the end of a connection and wants a handshake that failed for the reason.
func failedWith(t *testing.T, l *Socket, handlers chan *echo, want Reason) {
	t.Helper()
	select {
	case e := <-handlers:
		var failed *HandshakeError
		if err := <-e.closed; !errors.As(err, &failed) || failed.Reason != want {
			t.Errorf("Closed(%v), want %q", err, want)
		}
	case <-time.After(patience):
		t.Fatal("no connection came")
	}
}

// ended waits for the end of a connection.
func ended(t *testing.T, handlers chan *echo) error {
	t.Helper()
	select {
	case e := <-handlers:
		return <-e.closed
	case <-time.After(patience):
		t.Fatal("no connection came")
		return nil
	}
}

func TestTLSVersions(t *testing.T) {
	a := authority.New("root")
	l, handlers := listenTLS(t, mustLoad(t, files(a, nil)))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := asClient(a)
		c.MinVersion, c.MaxVersion = version, version
		nc, err := exchange(t, l, c)
		if err != nil {
			t.Fatalf("%s: %v", tls.VersionName(version), err)
		}
		nc.Close()
		ended(t, handlers)
	}
	c := asClient(a)
	c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if _, err := exchange(t, l, c); err == nil {
		t.Error("TLS 1.1 was taken")
	}
	failedWith(t, l, handlers, Incompatible)
	f := files(a, nil)
	f.MinVersion = tls.VersionTLS13
	l, handlers = listenTLS(t, mustLoad(t, f))
	c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err := exchange(t, l, c); err == nil {
		t.Error("TLS 1.2 was taken where 1.3 is the least")
	}
	failedWith(t, l, handlers, Incompatible)
	if n := l.Stats().Failed[Incompatible]; n != 1 {
		t.Errorf("counted %d, want 1", n)
	}
}

func TestClientCertificates(t *testing.T) {
	server, clients, others := authority.New("server"), authority.New("clients"), authority.New("others")
	below := clients.Sub("below")
	pump, revoked := clients.Issue("pump7"), clients.Issue("stolen")
	old := clients.Issue("old", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	onlyServer := clients.Issue("server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	f := files(server, clients)
	f.Identity = CommonName
	f.Revoked = []Source{text("crl", clients.Revoke(time.Now().Add(time.Hour), revoked))}
	l, handlers := listenTLS(t, mustLoad(t, f))
	for _, c := range []struct {
		name string
		cert []tls.Certificate
		want Reason // empty: let in
	}{
		{"good", []tls.Certificate{pump.TLS()}, ""},
		{"none", nil, NoCertificate},
		{"unknown authority", []tls.Certificate{others.Issue("pump7").TLS()}, UnknownAuthority},
		{"expired", []tls.Certificate{old.TLS()}, CertificateExpired},
		{"not for clients", []tls.Certificate{onlyServer.TLS()}, BadCertificate},
		{"revoked", []tls.Certificate{revoked.TLS()}, CertificateRevoked},
		{"its authority has no list", []tls.Certificate{below.Issue("pump8").TLS(below)}, NoRevocationList},
		{"no name", []tls.Certificate{clients.Issue("").TLS()}, BadIdentity},
		{"control character", []tls.Certificate{clients.Issue("pump\x007").TLS()}, BadIdentity},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc, err := exchange(t, l, asClient(server, c.cert...))
			if c.want != "" {
				if err == nil {
					t.Error("let in")
				}
				failedWith(t, l, handlers, c.want)
				if n := l.Stats().Failed[c.want]; n == 0 {
					t.Errorf("%q is not counted", c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			e := <-handlers
			if got := e.conn.Identity(); got != "pump7" {
				t.Errorf("identity %q", got)
			}
			nc.Close()
			<-e.closed
		})
	}
	f.Clients = Optional
	l, handlers = listenTLS(t, mustLoad(t, f))
	if _, err := exchange(t, l, asClient(server)); err != nil {
		t.Errorf("without a certificate where it is optional: %v", err)
	}
	if got := (<-handlers).conn.Identity(); got != "" {
		t.Errorf("identity %q without a certificate", got)
	}
	if _, err := exchange(t, l, asClient(server, revoked.TLS())); err == nil {
		t.Error("a revoked certificate was taken because none is needed")
	}
	failedWith(t, l, handlers, CertificateRevoked)
}

// TestReplace: what is replaced counts for new connections, resumed sessions and those that are there, and sessions are
// resumed across it.
func TestReplace(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			server, clients := authority.New("server"), authority.New("clients")
			pump, thief := clients.Issue("pump7"), clients.Issue("thief")
			f := files(server, clients)
			f.Identity = CommonName
			l, handlers := listenTLS(t, mustLoad(t, f))
			good, bad := asClient(server, pump.TLS()), asClient(server, thief.TLS())
			good.MaxVersion, bad.MaxVersion = version, version
			for _, c := range []*tls.Config{good, bad} {
				if _, err := exchange(t, l, c); err != nil {
					t.Fatal(err)
				}
			}
			first, second := <-handlers, <-handlers

			next := files(server, clients) // another certificate of the server too
			next.Identity = CommonName
			next.Revoked = []Source{text("crl", clients.Revoke(time.Now().Add(time.Hour), thief))}
			l.TLS().Replace(mustLoad(t, next))
			if err := first.conn.Recheck(); err != nil {
				t.Errorf("a client that may stay: %v", err)
			}
			var failed *HandshakeError
			if err := second.conn.Recheck(); !errors.As(err, &failed) || failed.Reason != CertificateRevoked {
				t.Errorf("a client that is revoked now: %v", err)
			}
			nc, err := exchange(t, l, good)
			if err != nil || !nc.ConnectionState().DidResume {
				t.Errorf("%v, resumed: %t, want a session that is resumed", err, nc.ConnectionState().DidResume)
			}
			<-handlers
			if _, err := exchange(t, l, bad); err == nil {
				t.Error("a revoked client came back by its session")
			}
			failedWith(t, l, handlers, CertificateRevoked)

			other := files(server, authority.New("other clients"))
			l.TLS().Replace(mustLoad(t, other))
			if err := first.conn.Recheck(); !errors.As(err, &failed) || failed.Reason != UnknownAuthority {
				t.Errorf("a client of an authority that is gone: %v", err)
			}
			if _, err := exchange(t, l, good); err == nil {
				t.Error("a client of an authority that is gone came back by its session")
			}
		})
	}
}

func TestExpiredList(t *testing.T) {
	server, clients := authority.New("server"), authority.New("clients")
	pump, thief := clients.Issue("pump7"), clients.Issue("thief")
	f := files(server, clients)
	f.Revoked = []Source{text("clients.crl", authority.ListPEM(clients.Revoke(time.Now().Add(-time.Hour), thief)))}
	m := mustLoad(t, f)
	if e := m.Expired(time.Now()); len(e) != 1 || !strings.Contains(e[0], "clients.crl: the revocation list of CN=clients was to be replaced by") {
		t.Errorf("Expired: %q", e)
	}
	l, handlers := listenTLS(t, m)
	if _, err := exchange(t, l, asClient(server, pump.TLS())); err != nil {
		t.Errorf("an expired list keeps out who is not on it: %v", err)
	}
	<-handlers
	if _, err := exchange(t, l, asClient(server, thief.TLS())); err == nil {
		t.Error("an expired list is not looked at")
	}
	failedWith(t, l, handlers, CertificateRevoked)
	f.RefuseExpired = true
	l.TLS().Replace(mustLoad(t, f))
	if _, err := exchange(t, l, asClient(server, pump.TLS())); err == nil {
		t.Error("an expired list lets clients in that it is to keep out")
	}
	failedWith(t, l, handlers, NoRevocationList)
}

func TestNotTLS(t *testing.T) {
	l, handlers := listenTLS(t, mustLoad(t, files(authority.New("root"), nil)))
	nc := dial(t, l)
	nc.Write([]byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd"))
	io.Copy(io.Discard, nc)
	failedWith(t, l, handlers, NotTLS)
	nc = dial(t, l)
	nc.Close()
	failedWith(t, l, handlers, PeerLeft)
	c := asClient(authority.New("another"))
	if _, err := exchange(t, l, c); err == nil {
		t.Error("the client took a certificate of another authority")
	}
	failedWith(t, l, handlers, PeerRefused)
}

// TestSilentHandshakes: more peers than there are places for computing connect and say nothing, or half of a handshake.
// Others get in meanwhile, and the silent ones are gone at their deadline.
func TestSilentHandshakes(t *testing.T) {
	a := authority.New("root")
	l, err := Listen(Options{Name: "test", Address: "127.0.0.1:0", TLS: NewTLS(mustLoad(t, files(a, nil)))})
	if err != nil {
		t.Fatal(err)
	}
	var wait atomic.Int64
	wait.Store(int64(3 * time.Second))
	handlers, _ := serve(t, l, func() *echo { return &echo{deadline: time.Now().Add(time.Duration(wait.Load()))} })
	silent := make([]*echo, 0, 4*cap(working)+4)
	for i := range cap(silent) {
		nc := dial(t, l)
		if i%2 == 0 {
			nc.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3}) // the beginning of a ClientHello
		}
		silent = append(silent, <-handlers)
	}
	wait.Store(int64(patience))
	if _, err := exchange(t, l, asClient(a)); err != nil {
		t.Fatalf("the silent ones keep others out: %v", err)
	}
	if n := l.Stats().Failed[TimedOut]; n > 0 {
		t.Errorf("others got in when %d silent ones were gone", n)
	}
	if err := ended(t, handlersOf(silent...)); err == nil {
		t.Error("no error")
	}
	for _, e := range silent[1:] {
		if err := <-e.closed; !errors.Is(err, ErrTimeout) || !e.timeout {
			t.Errorf("Closed(%v), Timeout called: %t", err, e.timeout)
		}
	}
	if n := len(working); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
	if s := l.Stats(); s.Failed[TimedOut] != uint64(len(silent)) {
		t.Errorf("counted %v, want %d not in time", s.Failed, len(silent))
	}
}

func handlersOf(all ...*echo) chan *echo {
	c := make(chan *echo, len(all))
	for _, e := range all {
		c <- e
	}
	return c
}

// TestTLSLastWords: last words come before close_notify, which the client sees as an orderly end.
func TestTLSLastWords(t *testing.T) {
	a := authority.New("root")
	l, err := Listen(Options{Name: "test", Address: "127.0.0.1:0", TLS: NewTLS(mustLoad(t, files(a, nil)))})
	if err != nil {
		t.Fatal(err)
	}
	handlers, _ := serve(t, l, func() *echo { return &echo{quit: "quit"} })
	for range 20 {
		nc := tls.Client(dial(t, l), asClient(a))
		nc.Write([]byte("quit"))
		nc.Write(make([]byte, 100000))
		got, err := io.ReadAll(nc) // EOF only after close_notify: crypto/tls gives ErrUnexpectedEOF otherwise
		if err != nil || string(got) != "last words" {
			t.Fatalf("got %q, %v", got, err)
		}
		nc.Close()
		<-(<-handlers).closed
	}
}

// TestTLSStalledPeer: a peer that does not read any more neither holds a Flush nor the end.
func TestTLSStalledPeer(t *testing.T) {
	a := authority.New("root")
	l, handlers := listenTLS(t, mustLoad(t, files(a, nil)))
	if _, err := exchange(t, l, asClient(a)); err != nil {
		t.Fatal(err)
	}
	e := <-handlers
	e.mu.Lock()
	e.out = make([]byte, 64<<20)
	e.mu.Unlock()
	e.conn.Flush()
	e.conn.Shutdown()
	select {
	case <-e.closed:
	case <-time.After(patience):
		t.Fatal("not closed")
	}
}

// late holds the last TLS record of its second write back, which is the end of a client's handshake.
type late struct {
	net.Conn
	writes int
	goOn   chan struct{}
}

func (l *late) Write(b []byte) (int, error) {
	if l.writes++; l.writes != 2 {
		return l.Conn.Write(b)
	}
	last := 0
	for at := 0; at+5 <= len(b); at += 5 + int(b[at+3])<<8 + int(b[at+4]) {
		last = at
	}
	if n, err := l.Conn.Write(b[:last]); err != nil {
		return n, err
	}
	<-l.goOn
	n, err := l.Conn.Write(b[last:])
	return last + n, err
}

// TestReplaceDuringHandshake: a list comes between the look at a certificate and the end of its handshake, when Recheck has
// no connection to look at yet.
func TestReplaceDuringHandshake(t *testing.T) {
	server, clients := authority.New("server"), authority.New("clients")
	thief := clients.Issue("thief")
	f := files(server, clients)
	m := mustLoad(t, f)
	looked := make(chan struct{}, 100)
	m.now = func() time.Time { looked <- struct{}{}; return time.Now() }
	l, handlers := listenTLS(t, m)
	f.Revoked = []Source{text("crl", clients.Revoke(time.Now().Add(time.Hour), thief))}
	after := mustLoad(t, f)

	nc := &late{Conn: dial(t, l), goOn: make(chan struct{})}
	shaken := make(chan error, 1)
	go func() { shaken <- tls.Client(nc, asClient(server, thief.TLS())).Handshake() }()
	for range 2 { // by crypto/tls, then by judge
		select {
		case <-looked:
		case <-time.After(patience):
			t.Fatal("the certificate is not looked at")
		}
	}
	e := <-handlers
	l.TLS().Replace(after)
	if err := e.conn.Recheck(); err != nil {
		t.Fatalf("the handshake is over already (%v), so this test tests nothing", err)
	}
	close(nc.goOn)
	<-shaken // the client's part ends before the server's verdict
	failedWith(t, l, handlersOf(e), CertificateRevoked)
}

// TestTLSBadRecordOfStalledPeer: a peer reads nothing, so that the writer is stuck, and sends what crypto/tls wants to answer.
// The connection ends nevertheless, by itself or at a Shutdown.
func TestTLSBadRecordOfStalledPeer(t *testing.T) {
	a := authority.New("root")
	for _, shutdown := range []bool{false, true} {
		l, handlers := listenTLS(t, mustLoad(t, files(a, nil)))
		raw := dial(t, l)
		nc := tls.Client(raw, asClient(a))
		if _, err := nc.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		io.ReadFull(nc, make([]byte, 5))
		e := <-handlers
		e.mu.Lock()
		e.out = make([]byte, 64<<20)
		e.mu.Unlock()
		e.conn.Flush()
		for limit := time.Now().Add(patience); !e.conn.secure.turn.writing.Load() && time.Now().Before(limit); {
			runtime.Gosched()
		}
		raw.Write(append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...)) // a record that does not decrypt
		stacks := make([]byte, 1<<20)
		for limit := time.Now().Add(patience); !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("tls.(*Conn).sendAlert(")); {
			if time.Now().After(limit) {
				t.Fatal("the reader does not hang, so this test tests nothing")
			}
		}
		if shutdown {
			e.conn.Shutdown()
		}
		select {
		case <-e.closed:
		case <-time.After(patience):
			t.Fatalf("the reader hangs (shutdown: %t)", shutdown)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	a, b := authority.New("root"), authority.New("other")
	p, q := a.Issue("gateway"), a.Issue("second")
	chain := append(bytes.Clone(a.PEM()), p.PEM...)
	gone := Source{Name: "gone.pem", Read: func() ([]byte, error) { return nil, errors.New("there is no file gone.pem") }}
	for _, c := range []struct {
		name string
		f    Files
		want string
	}{
		{"key of another", Files{Certificate: text("cert.pem", p.PEM), Key: text("key.pem", q.Key)}, "key.pem: does not belong to cert.pem: it holds an ECDSA key P-256 ("},
		{"no file", Files{Certificate: gone, Key: text("key.pem", p.Key)}, "there is no file gone.pem"},
		{"both wrong", Files{Certificate: gone, Key: text("key.pem", p.PEM)}, "key.pem: found CERTIFICATE, want -----BEGIN PRIVATE KEY-----"},
		{"order", Files{Certificate: text("cert.pem", chain), Key: text("key.pem", p.Key)}, "the certificate of the key, CN=gateway, stands at place 2, want it first"},
		{"key as certificate", Files{Certificate: text("cert.pem", p.Key), Key: text("key.pem", p.Key)}, "cert.pem: found PRIVATE KEY, want -----BEGIN CERTIFICATE-----"},
		{"no PEM", Files{Certificate: text("cert.pem", []byte("hello")), Key: text("key.pem", p.Key)}, "cert.pem: found no PEM block"},
		{"passphrase", Files{Certificate: text("cert.pem", p.PEM), Key: text("key.pem", bytes.ReplaceAll(p.Key, []byte("PRIVATE"), []byte("ENCRYPTED PRIVATE")))}, "the key is encrypted"},
		{"no certificates in the authority", Files{Clients: Required, ClientCA: text("ca.pem", p.Key)}, "ca.pem: found PRIVATE KEY, want -----BEGIN CERTIFICATE-----"},
		{"no authority", Files{Clients: Required, ClientCA: text("ca.pem", p.PEM)}, "ca.pem: CN=gateway may not sign certificates"},
		{"list of another", Files{Clients: Required, ClientCA: text("ca.pem", a.PEM()), Revoked: []Source{text("b.crl", b.Revoke(time.Now().Add(time.Hour)))}}, "b.crl: the list is of CN=other, which is not among"},
		{"list signed by another", Files{Clients: Required, ClientCA: text("ca.pem", a.PEM()), Revoked: []Source{text("b.crl", authority.New("root").Revoke(time.Now().Add(time.Hour)))}}, "b.crl: the list of CN=root is not signed by"},
		{"list that is none", Files{Clients: Required, ClientCA: text("ca.pem", a.PEM()), Revoked: []Source{text("b.crl", []byte("x"))}}, "b.crl: not a revocation list"},
		{"certificate as list", Files{Clients: Required, ClientCA: text("ca.pem", a.PEM()), Revoked: []Source{text("b.crl", a.PEM())}}, "b.crl: found CERTIFICATE, want -----BEGIN X509 CRL-----"},
	} {
		if c.f.Certificate.Read == nil {
			c.f.Certificate, c.f.Key = text("cert.pem", p.PEM), text("key.pem", p.Key)
		}
		if _, err := Load(c.f); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant %s", c.name, err, c.want)
		}
	}
	old := a.Issue("gateway", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	m := mustLoad(t, Files{Certificate: text("cert.pem", old.PEM), Key: text("key.pem", old.Key)})
	if e := m.Expired(time.Now()); len(e) != 1 || !strings.Contains(e[0], "cert.pem: the certificate of CN=gateway expired at") {
		t.Errorf("Expired: %q", e)
	}
}

// TestShutdownInHandshake: Serve does not wait for the deadline of a peer that says nothing.
func TestShutdownInHandshake(t *testing.T) {
	l, err := Listen(Options{Address: "127.0.0.1:0", TLS: NewTLS(mustLoad(t, files(authority.New("root"), nil)))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	conns, done := make(chan *Conn, 1), make(chan error, 1)
	go func() {
		done <- Serve(ctx, l, slog.New(slog.DiscardHandler), func(c *Conn) Handler {
			conns <- c
			return &echo{conn: c, closed: make(chan error, 1), deadline: time.Now().Add(time.Hour)}
		})
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := <-conns
	cancel()
	c.Shutdown()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Serve waits for a handshake")
	}
}

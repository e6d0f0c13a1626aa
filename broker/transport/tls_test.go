package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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
		name  string
		cert  []tls.Certificate
		want  Reason // empty: let in
		whose string // what is said of it names the certificate
	}{
		{"good", []tls.Certificate{pump.TLS()}, "", ""},
		{"none", nil, NoCertificate, ""},
		{"unknown authority", []tls.Certificate{others.Issue("pump7").TLS()}, UnknownAuthority, "CN=pump7"},
		{"long name", []tls.Certificate{others.Issue(strings.Repeat("ü", 20_000)).TLS()}, UnknownAuthority, "üü...: x509"},
		{"expired", []tls.Certificate{old.TLS()}, CertificateExpired, "CN=old"},
		{"not for clients", []tls.Certificate{onlyServer.TLS()}, BadCertificate, "CN=server"},
		{"revoked", []tls.Certificate{revoked.TLS()}, CertificateRevoked, "CN=stolen"},
		{"its authority has no list", []tls.Certificate{below.Issue("pump8").TLS(below)}, NoRevocationList, "CN=pump8"},
		{"no name", []tls.Certificate{clients.Issue("").TLS()}, BadIdentity, ""},
		{"control character", []tls.Certificate{clients.Issue("pump\x007").TLS()}, BadIdentity, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc, err := exchange(t, l, asClient(server, c.cert...))
			if c.want != "" {
				if err == nil {
					t.Error("let in")
				}
				text := failedWith(t, l, handlers, c.want)
				if whose := c.whose; !strings.Contains(text, whose) {
					t.Errorf("%q, want %q in it", text, whose)
				}
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

func TestLoadErrors(t *testing.T) {
	a, b := authority.New("root"), authority.New("other")
	der := func(a *authority.Authority, revoked ...authority.Pair) []byte {
		return a.Revoke(time.Now().Add(time.Hour), revoked...)
	}
	list := func(a *authority.Authority, revoked ...authority.Pair) []byte {
		return authority.ListPEM(der(a, revoked...))
	}
	cut := func(blocks ...[]byte) []byte { // as a full disk, or a copy that was broken off, leaves a file
		all := slices.Concat(blocks...)
		return all[:len(all)-60]
	}
	broken := func(name string, before []byte) string {
		return fmt.Sprintf("%s:%d: the block of PEM that begins here is cut short or damaged", name, 1+bytes.Count(before, []byte("\n")))
	}
	none := list(a)
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
		{"chain cut short", Files{Certificate: text("cert.pem", cut(p.PEM, a.PEM())), Key: text("key.pem", p.Key)}, broken("cert.pem", p.PEM)},
		{"nothing but half", Files{Certificate: text("cert.pem", cut(p.PEM)), Key: text("key.pem", p.Key)}, broken("cert.pem", nil)},
		{"authorities cut short", Files{Clients: Required, ClientCA: text("ca.pem", cut(a.PEM(), b.PEM()))}, broken("ca.pem", a.PEM())},
		{"lists cut short", Files{Clients: Required, ClientCA: text("ca.pem", a.PEM()), Revoked: []Source{text("a.crl", cut(none, list(a, p)))}}, broken("a.crl", none)},
		{"more than a list", Files{Clients: Required, ClientCA: text("ca.pem", a.PEM()), Revoked: []Source{text("a.crl", slices.Concat(der(a), der(a, p)))}}, "bytes behind the list, want each list in a file of its own, or PEM"},
		{"certificate as list", Files{Clients: Required, ClientCA: text("ca.pem", a.PEM()), Revoked: []Source{text("b.crl", a.PEM())}}, "b.crl: found CERTIFICATE, want -----BEGIN X509 CRL-----"},
	} {
		if c.f.Certificate.Read == nil {
			c.f.Certificate, c.f.Key = text("cert.pem", p.PEM), text("key.pem", p.Key)
		}
		if _, err := Load(c.f); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant %s", c.name, err, c.want)
		}
	}
	marked := append([]byte("\xEF\xBB\xBF# by an editor of another system\r\n"), bytes.ReplaceAll(p.PEM, []byte("\n"), []byte("\r\n"))...)
	mustLoad(t, Files{Certificate: text("cert.pem", bytes.Replace(marked, []byte("# by an editor of another system\r\n"), nil, 1)), Key: text("key.pem", p.Key)})
	mustLoad(t, Files{Certificate: text("cert.pem", marked), Key: text("key.pem", p.Key)})
	old := a.Issue("gateway", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	m := mustLoad(t, Files{Certificate: text("cert.pem", old.PEM), Key: text("key.pem", old.Key)})
	if e := m.Expired(time.Now()); len(e) != 1 || !strings.Contains(e[0], "cert.pem: the certificate of CN=gateway expired at") {
		t.Errorf("Expired: %q", e)
	}
}

package gateway

import (
	"context"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/transport"
	"weir/broker/transport/authority"
	"weir/gateway/config"
	"weir/gateway/status"
	"weir/sensors/chip"
)

// keyring is a folder with the files of a listener, and of clients.
type keyring struct {
	*site
	dir             string
	server, clients *authority.Authority
}

func (s *site) keyring() *keyring {
	k := &keyring{site: s, dir: s.TempDir(), server: authority.New("server"), clients: authority.New("clients")}
	k.put("server-ca.pem", k.server.PEM())
	k.put("clients-ca.pem", k.clients.PEM())
	k.renew()
	return k
}

func (k *keyring) put(name string, data []byte) string {
	k.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		k.Fatal(err)
	}
	return path
}

// renew makes another certificate for the listener.
func (k *keyring) renew(tweak ...func(*x509.Certificate)) {
	p := k.server.Issue("gateway", tweak...)
	k.put("cert.pem", p.PEM)
	k.put("key.pem", p.Key)
}

// revoke makes the revocation list.
func (k *keyring) revoke(revoked ...authority.Pair) {
	k.put("clients.crl", k.clients.Revoke(time.Now().Add(time.Hour), revoked...))
}

// as connects to a listener with a certificate.
func (k *keyring) as(address string, p authority.Pair) (*local, error) {
	name := p.Certificate.Subject.CommonName
	return k.connect(client.Options{URL: "mqtts://" + strings.Replace(address, "127.0.0.1", "localhost", 1), ClientID: name, TLS: client.TLS{
		CAFile: filepath.Join(k.dir, "server-ca.pem"), CertFile: k.put(name+".pem", p.PEM), KeyFile: k.put(name+".key", p.Key)}})
}

const securedListener = `
[listener.default]
address = "127.0.0.1:1883"
[listener.secure]
address   = "127.0.0.1:1883"
cert      = { file = "KEYS/cert.pem" }
key       = { file = "KEYS/key.pem" }
client_ca = { file = "KEYS/clients-ca.pem" }
crl       = ["KEYS/clients.crl"]
identity  = "cn"
`

func (k *keyring) text(more string) string {
	text := strings.NewReplacer("KEYS", k.dir, "\naddress = \"127.0.0.1:1883\"", "\naddress = \"127.0.0.1:0\"").Replace(securedListener)
	return head + noSensors + strings.Replace(text, "[listener.secure]\naddress   = \"127.0.0.1:1883\"", "[listener.secure]\naddress = \"127.0.0.1:0\"", 1) + more
}

// TestListeners: several at once, each with its own rules, and a reload that changes who is let in.
func TestListeners(t *testing.T) {
	s := newSite(t, upstream.Options{})
	k := s.keyring()
	pump, thief := k.clients.Issue("pump7"), k.clients.Issue("thief")
	k.revoke()
	socket := filepath.Join(t.TempDir(), "mqtt.sock")
	text := k.text("[listener.unix]\naddress = \"unix:" + socket + "\"\nmode = \"0600\"\n" +
		"[user.pump7]\npublish = [\"pump7/#\"]\n[user.thief]\npublish = [\"thief/#\"]\n")
	s.start(text)
	if len(s.addresses) != 3 || s.addresses[2] != socket {
		t.Fatalf("listening at %v", s.addresses)
	}
	good, err := k.as(s.addresses[1], pump)
	if err != nil {
		t.Fatal(err)
	}
	defer good.conn.Close()
	if err := good.publish("pump7/x", "1"); err != nil {
		t.Errorf("what the user pump7 may: %v", err)
	}
	if err := good.publish("thief/x", "1"); err == nil {
		t.Error("pump7 may publish what thief may")
	}
	bad, err := k.as(s.addresses[1], thief)
	if err != nil {
		t.Fatal(err)
	}
	defer bad.conn.Close()
	if _, err := s.connect(client.Options{URL: "mqtts://" + strings.Replace(s.addresses[1], "127.0.0.1", "localhost", 1),
		TLS: client.TLS{CAFile: filepath.Join(k.dir, "server-ca.pem")}}); err == nil {
		t.Error("let in without a certificate")
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	here, err := s.connect(client.Options{URL: "mqtt://localhost", Dial: dial})
	if err != nil {
		t.Fatalf("by the Unix socket: %v", err)
	}
	defer here.conn.Close()
	st := s.want("the counts", func(st *status.Snapshot) bool {
		return len(st.Listeners) == 3 && st.Listeners[1].Connections == 2 && st.Listeners[1].Failed[string(transport.NoCertificate)] == 1 && st.Listeners[2].Connections == 1
	})
	if l := st.Listeners[1]; l.Name != "secure" || l.Protocol != "mqtts" || l.Accepted != 3 || l.Expires.IsZero() || len(l.Warnings) != 0 {
		t.Errorf("listener %+v", l)
	}

	k.revoke(thief)
	cfg := s.config(text)
	if _, err := s.gateway.Reload(func() (*config.Config, error) { return cfg, nil }); err != nil {
		t.Fatal(err)
	}
	select {
	case <-bad.conn.Done():
	case <-time.After(limit):
		t.Fatal("the revoked client stays")
	}
	if _, err := k.as(s.addresses[1], thief); err == nil {
		t.Error("the revoked client comes back")
	}
	if err := good.publish("pump7/x", "2"); err != nil {
		t.Errorf("the other client: %v", err)
	}
}

// TestReloadRefused: a certificate that does not fit or has expired changes nothing, and is told by its file.
func TestReloadRefused(t *testing.T) {
	s := newSite(t, upstream.Options{})
	k := s.keyring()
	k.revoke()
	s.start(k.text(""))
	pump := k.clients.Issue("pump7")
	reload := func() error {
		cfg := s.config(k.text(""))
		_, err := s.gateway.Reload(func() (*config.Config, error) { return cfg, nil })
		return err
	}
	k.put("key.pem", k.server.Issue("other").Key)
	if err := reload(); err == nil || !strings.Contains(err.Error(), "listener.secure: "+k.dir+"/key.pem: does not belong to "+k.dir+"/cert.pem") {
		t.Errorf("a key of another certificate: %v", err)
	}
	k.renew(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	if err := reload(); err == nil || !strings.Contains(err.Error(), "the certificate of CN=gateway expired at") {
		t.Errorf("an expired certificate: %v", err)
	}
	c, err := k.as(s.addresses[1], pump)
	if err != nil {
		t.Fatalf("after reloads that were refused: %v", err)
	}
	defer c.conn.Close()
	k.renew(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(10*24*time.Hour + time.Minute) })
	if err := reload(); err != nil {
		t.Fatal(err)
	}
	st := s.gateway.Status()
	if w := st.Listeners[1].Warnings; len(w) != 1 || !strings.Contains(w[0], "the certificate of CN=gateway expires at") || !strings.HasSuffix(w[0], "in 10 days") {
		t.Errorf("warnings %q", w)
	}
	if v := st.Verdict(); !strings.Contains(v, "Listener secure: the certificate of CN=gateway expires at") || !st.OK() {
		t.Errorf("verdict %q, %t", v, st.OK())
	}
	for range 2 {
		s.gateway.lookAtCertificates(time.Now()) // as attend does, which has not yet
	}
	if n := strings.Count(s.said.String(), "needs to be replaced"); n != 1 {
		t.Errorf("%d log lines, want one", n)
	}
	settings := map[string]bool{"listener.default.cert": false, "listener.other.cert": false}
	for _, f := range config.Fields(chip.Drivers) { // the listener speaks TLS, so that all its keys count
		settings[strings.Replace(f.Path, "listener.NAME", "listener.secure", 1)] = f.Reload
	}
	for setting, want := range settings {
		if got := s.gateway.taken(setting); got != want {
			t.Errorf("%s is taken by a reload: %t, want %t", setting, got, want)
		}
	}
}

// TestExpiredAtStart: a certificate that has expired does not keep the gateway from starting; the status says so.
func TestExpiredAtStart(t *testing.T) {
	s := newSite(t, upstream.Options{})
	k := s.keyring()
	k.revoke()
	k.renew(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	cfg := s.config(k.text(""))
	if p := CheckFiles(cfg); len(p) != 0 {
		t.Errorf("CheckFiles: %v", p)
	}
	if p := CheckDates(cfg, time.Now()); len(p) != 1 || p[0].Severity != config.Error || !strings.Contains(p[0].String(), ": listener.secure.cert: "+k.dir+"/cert.pem: the certificate of CN=gateway expired at") {
		t.Errorf("CheckDates: %v", p)
	}
	s.start(k.text(""))
	if st := s.gateway.Status(); st.OK() || !strings.Contains(st.Verdict(), "Listener secure: ") {
		t.Errorf("verdict %q, %t", st.Verdict(), st.OK())
	}
}

func TestCheckFiles(t *testing.T) {
	s := newSite(t, upstream.Options{})
	k := s.keyring()
	k.put("clients.crl", authority.New("strangers").Revoke(time.Now().Add(time.Hour)))
	k.put("cert.pem", k.server.Issue("other").PEM)
	var lines []string
	for _, p := range CheckFiles(s.config(k.text(""))) {
		lines = append(lines, strings.ReplaceAll(p.String(), k.dir, "KEYS"))
	}
	for _, want := range []string{"listener.secure.key: KEYS/key.pem: does not belong to KEYS/cert.pem", "listener.secure.crl: KEYS/clients.crl: the list is of CN=strangers"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "test.toml:") && strings.Contains(l, ": "+want) }) {
			t.Errorf("got %q, want %q with its place", lines, want)
		}
	}
}

// TestHandedOver: a socket that was handed over is used if it is where the configuration says, and not otherwise.
func TestHandedOver(t *testing.T) {
	hand := func(network, address string) (*os.File, net.Addr) {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		l.Close()
		t.Cleanup(func() { f.Close() })
		return f, l.Addr()
	}
	s := newSite(t, upstream.Options{})
	lan, address := hand("tcp", "127.0.0.1:0")
	path := filepath.Join(t.TempDir(), "x.sock")
	here, _ := hand("unix", path)
	strange, _ := hand("tcp", "127.0.0.1:0")
	text := head + noSensors + "[listener.lan]\naddress = \"" + address.String() + "\"\n[listener.here]\naddress = \"unix:" + path + "\"\n"
	o := s.options()
	o.Sockets = []Socket{{"lan", lan}, {"here", here}, {"strange", strange}}
	for range 2 { // also after the gateway was built anew
		s.startWith(s.config(text), o)
		for _, d := range []func(context.Context, string, string) (net.Conn, error){
			nil, func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", path)
			},
		} {
			c, err := s.connect(client.Options{URL: "mqtt://" + address.String(), Dial: d})
			if err != nil {
				t.Fatal(err)
			}
			c.close()
		}
		s.stop()
	}
	if !strings.Contains(s.said.String(), "socket=strange") {
		t.Error("a socket of no listener is not told")
	}
	for want, text := range map[string]string{
		"is at " + address.String() + ", and its address is \"127.0.0.1:1\"": "[listener.lan]\naddress = \"127.0.0.1:1\"\n",
		"and its address is \"unix:/x\"":                                     "[listener.lan]\naddress = \"unix:/x\"\n",
	} {
		if g, err := New(s.config(head+noSensors+text), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
			if g != nil {
				g.Close()
			}
		}
	}
}

func TestAt(t *testing.T) {
	tcp := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []struct {
		want string
		is   net.Addr
		ok   bool
	}{
		{"127.0.0.1:1883", tcp("127.0.0.1:1883"), true},
		{"127.0.0.1:1883", tcp("0.0.0.0:1883"), false},
		{"127.0.0.1:1883", tcp("[::1]:1883"), false},
		{"127.0.0.1:1883", tcp("127.0.0.1:1884"), false},
		{"127.0.0.1:0", tcp("127.0.0.1:1884"), true},
		{"0.0.0.0:1883", tcp("[::]:1883"), true},
		{"0.0.0.0:1883", tcp("127.0.0.1:1883"), false},
		{":1883", tcp("[::]:1883"), true},
		{"localhost:1883", tcp("[::1]:1883"), true},
		{"localhost:1883", tcp("[::]:1883"), false},
		{"unix:/a", &net.UnixAddr{Name: "/a"}, true},
		{"unix:/a", &net.UnixAddr{Name: "/b"}, false},
		{"127.0.0.1:1883", &net.UnixAddr{Name: "/b"}, false},
	} {
		a, err := config.ParseAddress(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if got := at(a, c.is); got != c.ok {
			t.Errorf("%s at %s: %t, want %t", c.want, c.is, got, c.ok)
		}
	}
}

package client

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/bridge/upstream"
	"weir/broker/packet"
)

// Each way TLS can be set up, and each way it can fail, told apart.
func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.issue("gateway")
	files := map[string][]byte{"ca.pem": ca.pem, "cert.pem": cert, "key.pem": key}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	withCert := TLS{CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	strangerCert, strangerKey := other.issue("stranger")
	never := Kind(0)
	for _, test := range []struct {
		name   string
		server *tls.Config
		tls    TLS
		want   Kind // Other: it works
	}{
		{"trusted", ca.serverConfig("127.0.0.1", false), TLS{CAPEM: ca.pem}, never},
		{"with ALPN", ca.serverConfig("127.0.0.1", false), TLS{CAPEM: ca.pem, ALPN: []string{"x-amzn-mqtt-ca"}}, never},
		{"ALPN nobody speaks", ca.serverConfig("127.0.0.1", false), TLS{CAPEM: ca.pem, ALPN: []string{"nonsense"}}, TLSFailed},
		{"client certificate from files", ca.serverConfig("127.0.0.1", true), withCert, never},
		{"client certificate missing", ca.serverConfig("127.0.0.1", true), TLS{CAPEM: ca.pem}, TLSFailed},
		{"client certificate of a stranger", ca.serverConfig("127.0.0.1", true), TLS{CAPEM: ca.pem, CertPEM: strangerCert, KeyPEM: strangerKey}, TLSFailed},
		{"unknown authority", ca.serverConfig("127.0.0.1", false), TLS{CAPEM: other.pem}, UnknownAuthority},
		{"the system's authorities", ca.serverConfig("127.0.0.1", false), TLS{}, UnknownAuthority},
		{"other name", ca.serverConfig("example.com", false), TLS{CAPEM: ca.pem}, WrongName},
		{"other name, asked for", ca.serverConfig("example.com", false), TLS{CAPEM: ca.pem, ServerName: "example.com"}, never},
		{"clock behind", ca.serverConfig("127.0.0.1", false), TLS{CAPEM: ca.pem, Time: func() time.Time { return time.Unix(0, 0) }}, NotYetValid},
		{"clock ahead", ca.serverConfig("127.0.0.1", false), TLS{CAPEM: ca.pem, Time: func() time.Time { return time.Now().Add(time.Hour * 25) }}, Expired},
		{"not verified, on demand", ca.serverConfig("example.com", false), TLS{InsecureSkipVerify: true}, never},
		{"no such file", ca.serverConfig("127.0.0.1", false), TLS{CAFile: filepath.Join(dir, "none")}, Settings},
		{"nothing in the file", ca.serverConfig("127.0.0.1", false), TLS{CAPEM: []byte("x")}, Settings},
		{"certificate without key", ca.serverConfig("127.0.0.1", false), TLS{CertPEM: cert}, Settings},
		{"key of another certificate", ca.serverConfig("127.0.0.1", false), TLS{CertPEM: cert, KeyPEM: strangerKey}, Settings},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := listen(t, upstream.Options{TLS: test.server})
			c, err := Connect(limited(t), Options{URL: s.URL(), TLS: test.tls, ClientID: "c"})
			if test.want != never {
				if err == nil {
					c.Close()
				}
				if kindOf(err) != test.want {
					t.Errorf("%s: %v, want %s", kindOf(err), err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Publish(limited(t), packet.Publish{Topic: []byte("t"), Payload: make([]byte, 200000), QoS: 1}); err != nil {
				t.Error(err)
			}
			if err := c.Disconnect(limited(t), packet.NormalDisconnection); err != nil {
				t.Error(err)
			}
		})
	}
}

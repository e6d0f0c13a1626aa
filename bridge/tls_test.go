package bridge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"weir/bridge/upstream"
)

// selfSigned is a server certificate for 127.0.0.1 that is its own authority.
func selfSigned(t *testing.T) (config *tls.Config, ca []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Over TLS, cut in between: everything arrives, in order; a certificate nobody vouches for is never taken.
func TestForwardOverTLS(t *testing.T) {
	config, ca := selfSigned(t)
	r := newRig(t, upstream.Options{TLS: config})
	p := newProxy(t, r.server.Address(), 5, 20000) // enough for handshakes
	r.cfg.Connect.URL = "mqtts://" + p.address
	for i := range 1000 {
		r.publish("t", fmt.Sprint(i))
	}
	r.start()
	r.waitStatus("an error about trust", func(st Status) bool { return strings.Contains(st.Err, "not trusted here") })
	if n := r.server.Connects(); n != 0 {
		t.Fatalf("%d connections without a trusted certificate", n)
	}
	r.stop()
	r.cfg.Connect.TLS.CAPEM = ca
	r.start()
	r.source.waitDrained(t)
	next := 0
	for i, a := range r.arrivals() {
		var k int
		if _, err := fmt.Sscan(string(a.Payload), &k); err != nil || k > next {
			t.Fatalf("arrival %d is %s, %d has not come before", i, a.Payload, next)
		}
		next = max(next, k+1)
	}
	if next != 1000 {
		t.Errorf("%d of 1000 arrived", next)
	}
}

package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// Authority signs certificates. Make one with New or Sub.
type Authority struct {
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
	lists       int64
}

// must ends the test: nothing here fails but for a mistake in the test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("authority: %v", err))
	}
	return v
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// New makes a root.
func New(name string) *Authority { return build(name, nil) }

// Sub makes an authority below a.
func (a *Authority) Sub(name string) *Authority { return build(name, a) }

func build(name string, above *Authority) *Authority {
	a := &Authority{key: newKey(), serial: 1}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	parent, signer := c, a.key
	if above != nil {
		parent, signer = above.Certificate, above.key
	}
	a.Certificate = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, c, parent, a.key.Public(), signer))))
	return a
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte { return certificatePEM(a.Certificate.Raw) }

// Pair is a certificate with its key.
type Pair struct {
	Certificate *x509.Certificate
	PEM, Key    []byte
}

// TLS is the pair as crypto/tls wants it, with the certificates of those in between.
func (p Pair) TLS(between ...*Authority) tls.Certificate {
	chain := p.PEM
	for _, a := range between {
		chain = append(chain[:len(chain):len(chain)], a.PEM()...)
	}
	return must(tls.X509KeyPair(chain, p.Key))
}

// Issue makes a certificate for localhost and 127.0.0.1 as a server and for name as a client; tweak may change it before it
// is signed.
func (a *Authority) Issue(name string, tweak ...func(*x509.Certificate)) Pair {
	key := newKey()
	a.serial++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, f := range tweak {
		f(c)
	}
	der := must(x509.CreateCertificate(rand.Reader, c, a.Certificate, key.Public(), a.key))
	return Pair{Certificate: must(x509.ParseCertificate(der)), PEM: certificatePEM(der),
		Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})}
}

// Revoke makes a list of certificates, as DER, to be replaced by until.
func (a *Authority) Revoke(until time.Time, revoked ...Pair) []byte {
	a.lists++
	l := &x509.RevocationList{Number: big.NewInt(a.lists), ThisUpdate: until.Add(-48 * time.Hour).Add(time.Duration(a.lists) * time.Second), NextUpdate: until}
	for _, p := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: p.Certificate.SerialNumber, RevocationTime: time.Now()})
	}
	return must(x509.CreateRevocationList(rand.Reader, l, a.Certificate, a.key))
}

// ListPEM writes a list as PEM.
func ListPEM(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}) }

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

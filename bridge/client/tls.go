package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"
)

// TLS says how mqtts:// is secured. The zero value trusts the system's authorities. Files are read at each connect, so
// a renewed certificate is used from the next connection on.
type TLS struct {
	CAFile   string // PEM; instead of the system's authorities
	CAPEM    []byte
	CertFile string // PEM; our certificate, with KeyFile
	KeyFile  string
	CertPEM  []byte
	KeyPEM   []byte

	ServerName string   // name to ask for (SNI) and to verify; default: the host of the URL
	ALPN       []string // protocols offered, such as x-amzn-mqtt-ca

	InsecureSkipVerify bool             // takes any certificate; for tests, and said so in the log by the caller
	Time               func() time.Time // clock for verification; nil: the system's
}

// config builds the crypto/tls form for a host.
func (t *TLS) config(host string) (*tls.Config, error) {
	c := &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS12, NextProtos: t.ALPN, Time: t.Time,
		InsecureSkipVerify: t.InsecureSkipVerify,
	}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	ca, err := bytesOrFile(t.CAPEM, t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if ca != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("certificate authority %s: no certificate in it, want PEM", t.CAFile)
		}
	}
	cert, err := bytesOrFile(t.CertPEM, t.CertFile)
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	key, err := bytesOrFile(t.KeyPEM, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("client key: %w", err)
	}
	if (cert == nil) != (key == nil) {
		return nil, errors.New("client certificate and key: one without the other")
	}
	if cert != nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("client certificate %s and key %s: %w", t.CertFile, t.KeyFile, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func bytesOrFile(b []byte, name string) ([]byte, error) {
	if b != nil || name == "" {
		return b, nil
	}
	return os.ReadFile(name)
}

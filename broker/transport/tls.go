package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ClientCertificates says whether clients show certificates.
type ClientCertificates int

// The choices. Whoever shows a certificate must show a valid one.
const (
	NotAsked ClientCertificates = iota
	Optional
	Required
)

// IdentityFrom says which name of a client's certificate is its user name. See identityOf for the rules.
type IdentityFrom int

// The choices.
const (
	NoIdentity    IdentityFrom = iota
	CommonName                 // the CN of the subject
	AlternateName              // the one DNS name, e-mail address or URI
)

// Source is where a certificate, key or list is read from, each time anew. Name stands in errors.
type Source struct {
	Name    string
	Setting string                 // what it was set by, for SourceError; may be empty
	Read    func() ([]byte, error) // its errors name the source themselves
}

// SourceError is what is wrong with a source. Load joins one for each that is.
type SourceError struct {
	Setting string
	Err     error
}

// Error is the error alone.
func (e *SourceError) Error() string { return e.Err.Error() }

// Unwrap is the error.
func (e *SourceError) Unwrap() error { return e.Err }

// fault is an error in a source, which its text begins with.
func (s Source) fault(format string, v ...any) error {
	return &SourceError{s.Setting, fmt.Errorf("%s: "+format, append([]any{s.Name}, v...)...)}
}

// Files are what a listener with TLS reads, and how it uses it.
type Files struct {
	Certificate, Key Source // PEM: the listener's certificate and those between it and a root; its private key
	ClientCA         Source // PEM: whose certificates clients may have; each one is trusted by itself, a root or not
	Revoked          []Source
	Clients          ClientCertificates
	Identity         IdentityFrom
	RefuseExpired    bool   // a revocation list that has expired lets nobody in; otherwise it is used as it is
	MinVersion       uint16 // tls.VersionTLS12 or later; 0: that
}

// Material is what was read from Files, checked. It does not change.
type Material struct {
	config  *tls.Config
	files   Files
	leaf    *x509.Certificate
	roots   *x509.CertPool // nil: clients are not asked
	revoked *revocations   // nil: no lists
	now     func() time.Time
}

// Load reads and checks the material of a listener. The error is all that is wrong, each with its file, what was seen
// and what is wanted. That something has expired is none: see Expired.
func Load(f Files) (*Material, error) {
	m := &Material{files: f, now: time.Now}
	certificate, err := pair(f.Certificate, f.Key)
	errs := []error{err}
	var authorities []*x509.Certificate
	if f.Clients != NotAsked {
		authorities, err = certificates(f.ClientCA)
		errs = append(errs, err)
		if err == nil {
			errs = append(errs, onlyAuthorities(f.ClientCA, authorities))
		}
		m.roots = x509.NewCertPool()
		for _, a := range authorities {
			m.roots.AddCert(a)
		}
	}
	if len(f.Revoked) > 0 && err == nil {
		m.revoked, err = readRevoked(f.Revoked, authorities)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m.leaf = certificate.Leaf
	m.config = &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: max(f.MinVersion, tls.VersionTLS12), ClientCAs: m.roots,
		Time: func() time.Time { return m.now() },
	}
	switch f.Clients {
	case Optional:
		m.config.ClientAuth = tls.VerifyClientCertIfGiven
	case Required:
		m.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return m, nil
}

// Expires is when the listener's certificate does.
func (m *Material) Expires() time.Time { return m.leaf.NotAfter }

// Subject is whose certificate it is, for people.
func (m *Material) Subject() string { return subject(m.leaf) }

// Expired lists, in words, what has expired at that time, or is not valid yet: the listener's certificate, revocation
// lists.
func (m *Material) Expired(at time.Time) (all []string) {
	switch {
	case at.After(m.leaf.NotAfter):
		all = append(all, fmt.Sprintf("%s: the certificate of %s expired at %s", m.files.Certificate.Name, m.Subject(), stamp(m.leaf.NotAfter)))
	case at.Before(m.leaf.NotBefore):
		all = append(all, fmt.Sprintf("%s: the certificate of %s is valid from %s, and this machine's clock says %s",
			m.files.Certificate.Name, m.Subject(), stamp(m.leaf.NotBefore), stamp(at)))
	}
	return append(all, m.revoked.expired(at)...)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// TLS gives connections the material that is current when they come. Safe for concurrent use.
type TLS struct {
	base    *tls.Config // holds the keys of session tickets, which outlive the material
	current atomic.Pointer[Material]
}

// NewTLS begins with m.
func NewTLS(m *Material) *TLS {
	t := &TLS{}
	t.current.Store(m)
	t.base = &tls.Config{GetConfigForClient: t.configFor}
	return t
}

// configFor is the configuration of one handshake.
func (t *TLS) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	config := t.current.Load().config.Clone()
	turn := hello.Conn.(*turnstile)
	// Also when a session is resumed, where crypto/tls looks at no list, and maybe not at the authorities of now.
	config.VerifyConnection = func(state tls.ConnectionState) error {
		m := t.current.Load()
		identity, err := m.judge(&state)
		turn.seen = &sight{by: m, state: state, identity: identity}
		return err
	}
	return config, nil
}

// Material is what is in use.
func (t *TLS) Material() *Material { return t.current.Load() }

// Replace puts m in use for new connections. Those that are there stay: see Conn.Recheck.
func (t *TLS) Replace(m *Material) { t.current.Store(m) }

// judge tells whether the client of a connection is let in, and the name that its certificate gives it, if it is to.
func (m *Material) judge(state *tls.ConnectionState) (identity string, err error) {
	if m.roots == nil {
		return "", nil // whatever was shown when clients were asked: it counts for nothing now
	}
	if len(state.PeerCertificates) == 0 {
		if m.files.Clients == Required {
			return "", &HandshakeError{Reason: NoCertificate}
		}
		return "", nil
	}
	leaf := state.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	now := m.now()
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: m.roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return "", refusal(err, state.PeerCertificates)
	}
	if m.revoked != nil {
		if err := m.revoked.judge(chains, now, m.files.RefuseExpired); err != nil {
			return "", err
		}
	}
	return identityOf(leaf, m.files.Identity)
}

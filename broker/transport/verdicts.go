package transport

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// identityMax is the longest user name a certificate may give, in bytes.
const identityMax = 256

// oidCommonName is 2.5.4.3 (X.520).
const oidCommonName = "2.5.4.3"

// identityOf is the user name that a certificate gives its client.
//
// CommonName: the subject has exactly one CN. AlternateName: the certificate has exactly one name among its DNS names,
// e-mail addresses and URIs; IP addresses do not count. A name that could be read in two ways is no name: none, several,
// an empty one, one over 256 bytes, one that is not UTF-8 or holds a control character, and one that begins or ends with
// a space are refused, not cut or cleaned. Case is kept.
func identityOf(c *x509.Certificate, from IdentityFrom) (string, error) {
	var names []string
	what := ""
	switch from {
	case NoIdentity:
		return "", nil
	case CommonName:
		what = "common name"
		for _, a := range c.Subject.Names {
			if a.Type.String() == oidCommonName {
				text, _ := a.Value.(string) // anything but text counts as an empty name
				names = append(names, text)
			}
		}
	case AlternateName:
		what = "alternative name of type DNS, e-mail or URI"
		names = append(append(names, c.DNSNames...), c.EmailAddresses...)
		for _, u := range c.URIs {
			names = append(names, u.String())
		}
	}
	if len(names) != 1 {
		return "", badIdentity("%s has %d names of the kind, want one %s", subject(c), len(names), what)
	}
	name := names[0]
	switch {
	case name == "":
		return "", badIdentity("the %s is empty", what)
	case len(name) > identityMax:
		return "", badIdentity("the %s has %d bytes, want at most %d", what, len(name), identityMax)
	case !utf8.ValidString(name), strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }):
		return "", badIdentity("the %s %q holds a control character or is not UTF-8", what, name)
	case strings.TrimSpace(name) != name:
		return "", badIdentity("the %s %q begins or ends with a space", what, name)
	}
	return name, nil
}

func badIdentity(format string, v ...any) error {
	return &HandshakeError{Reason: BadIdentity, Err: fmt.Errorf(format, v...)}
}

// refusal sorts why a client's certificate does not verify.
func refusal(err error, shown []*x509.Certificate) error {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
	)
	reason := BadCertificate
	switch {
	case errors.As(err, &authority):
		reason = UnknownAuthority
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		reason = CertificateExpired
	}
	if len(shown) > 0 {
		err = fmt.Errorf("%s: %w", subject(shown[0]), err)
	}
	return &HandshakeError{Reason: reason, Err: err}
}

// remoteAlert sorts an alert with which the peer has ended the handshake. crypto/tls gives its text only.
func remoteAlert(err error) error {
	if strings.Contains(err.Error(), "certificate") {
		return &HandshakeError{Reason: PeerRefused, Err: err}
	}
	return &HandshakeError{Reason: BadTLS, Err: err}
}

// isIncompatible tells whether crypto/tls found nothing in common with the peer.
func isIncompatible(text string) bool {
	for _, part := range []string{"unsupported versions", "no cipher suite supported", "unsupported by client", "no mutually supported",
		"doesn't support any", "no supported"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// subject is a certificate's subject, or its names, for people. Anybody can make one that is as long as a handshake, so it is cut.
func subject(c *x509.Certificate) string {
	const limit = 200
	name := c.Subject.String()
	switch {
	case name != "":
	case len(c.DNSNames) > 0:
		name = c.DNSNames[0]
	default:
		name = "serial number " + c.SerialNumber.Text(16)
	}
	if len(name) > limit {
		name = strings.ToValidUTF8(name[:limit], "") + "..."
	}
	return name
}

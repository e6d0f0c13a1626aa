package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"weir/broker/packet"
)

// Kind sorts the reasons why there is no connection.
type Kind uint8

// The kinds.
const (
	Other             Kind = iota
	Settings               // the options cannot work: bad URL, unreadable certificate
	NoSuchHost             // DNS knows no address
	DNS                    // DNS did not answer or failed
	ConnectionRefused      // nothing listens there
	Unreachable            // no route
	TimedOut               // no answer in time, in whatever step
	NotYetValid            // TLS: the certificate begins in the future; the clock may be behind
	Expired                // TLS: the certificate has ended; the clock may be ahead
	UnknownAuthority       // TLS: signed by nobody we trust
	WrongName              // TLS: the certificate is for another host
	TLSFailed              // TLS: anything else, such as a client certificate the server does not take
	Rejected               // CONNACK with a failure: see Reason
	Disconnected           // DISCONNECT from the server: see Reason
	PeerClosed             // the connection was closed or reset without a word
	Silent                 // the peer did not answer a PINGREQ, or takes no bytes
	Protocol               // the server broke the protocol: see Reason
)

var kindNames = [...]string{"other", "settings", "no such host", "DNS", "connection refused", "unreachable", "timed out",
	"certificate not yet valid", "certificate expired", "unknown authority", "wrong host name", "TLS", "rejected",
	"disconnected", "closed by peer", "silent", "protocol"}

// String names the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Error says why a connection did not come about or ended.
type Error struct {
	Kind   Kind
	Reason packet.Reason // of Rejected, Disconnected and Protocol
	Text   string        // in words, for people
	Err    error         // what is behind it, may be nil
}

// Error is the text.
func (e *Error) Error() string { return e.Text }

// Unwrap is what is behind it.
func (e *Error) Unwrap() error { return e.Err }

func fault(k Kind, err error, format string, a ...any) *Error {
	return &Error{Kind: k, Err: err, Text: fmt.Sprintf(format, a...)}
}

// sortError makes an *Error of what a step of connecting returned. doing names the step and its object.
func sortError(doing string, err error) *Error {
	var (
		own     *Error
		dns     *net.DNSError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		record  tls.RecordHeaderError
		op      *net.OpError
		broken  *packet.Error
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &broken):
		return &Error{Kind: Protocol, Reason: broken.Reason, Err: err, Text: doing + ": the server broke the protocol: " + broken.Error()}
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault(NoSuchHost, err, "%s: DNS knows no address for it", doing)
	case errors.As(err, &dns):
		return fault(DNS, err, "%s: DNS does not answer: %s", doing, dns.Err)
	case errors.As(err, &name):
		return fault(WrongName, err, "%s: the certificate is for another name: %v", doing, name)
	case errors.As(err, &unknown):
		return fault(UnknownAuthority, err, "%s: the certificate is signed by an authority that is not trusted here", doing)
	case errors.As(err, &invalid):
		return certificateError(doing, invalid, time.Now(), err)
	case errors.As(err, &record):
		return fault(TLSFailed, err, "%s: the server does not speak TLS on this port", doing)
	case errors.As(err, &op) && op.Op == "remote error": // how crypto/tls reports an alert
		return fault(TLSFailed, err, "%s: the server ends TLS: %v", doing, op.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault(ConnectionRefused, err, "%s: connection refused, nothing listens there", doing)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fault(Unreachable, err, "%s: no route to it", doing)
	case isTimeout(err):
		return fault(TimedOut, err, "%s: no answer in time", doing)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		return fault(PeerClosed, err, "%s: closed by the server without a word", doing)
	}
	return fault(Other, err, "%s: %v", doing, err)
}

// certificateError tells a clock that is wrong from a certificate that is. now is what the certificate was judged by.
func certificateError(doing string, invalid x509.CertificateInvalidError, now time.Time, err error) *Error {
	const day = "2006-01-02 15:04 MST"
	switch {
	case invalid.Reason != x509.Expired || invalid.Cert == nil:
		return fault(TLSFailed, err, "%s: %v", doing, invalid)
	case now.Before(invalid.Cert.NotBefore):
		return fault(NotYetValid, err, "%s: the certificate is not valid before %s; is this machine's clock behind?", doing, invalid.Cert.NotBefore.UTC().Format(day))
	}
	return fault(Expired, err, "%s: the certificate ended on %s; is this machine's clock ahead?", doing, invalid.Cert.NotAfter.UTC().Format(day))
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) ||
		errors.As(err, &n) && n.Timeout()
}

package transport

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Reason is why a handshake failed.
type Reason string

// The reasons. Those of TLS come first, those of WebSocket behind.
const (
	TimedOut           Reason = "not finished in time"
	PeerLeft           Reason = "peer left"
	NotTLS             Reason = "not TLS"
	Incompatible       Reason = "no common TLS version or cipher"
	PeerRefused        Reason = "peer does not accept this certificate"
	NoCertificate      Reason = "no client certificate"
	UnknownAuthority   Reason = "client certificate of an unknown authority"
	CertificateExpired Reason = "client certificate expired or not yet valid"
	CertificateRevoked Reason = "client certificate revoked"
	NoRevocationList   Reason = "no valid revocation list of the authority"
	BadIdentity        Reason = "client certificate without a usable name"
	BadCertificate     Reason = "client certificate not valid"
	BadTLS             Reason = "TLS failed"

	NotWebSocket   Reason = "not a WebSocket request"
	WrongPath      Reason = "wrong path"
	WrongProtocol  Reason = "subprotocol mqtt not offered"
	OriginRefused  Reason = "origin not allowed"
	RequestTooLong Reason = "request too long"
)

// HandshakeError is what Handler.Closed gets when a handshake failed.
type HandshakeError struct {
	Reason Reason
	Err    error // may be nil
}

// Error says the reason and what is known besides.
func (e *HandshakeError) Error() string {
	if e.Err == nil {
		return string(e.Reason)
	}
	return string(e.Reason) + ": " + e.Err.Error()
}

// Unwrap is the error behind, if any.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Stats count the connections of a listener.
type Stats struct {
	Open     int               // now, those in a handshake included
	Accepted uint64            // since it listens
	Failed   map[Reason]uint64 // handshakes
}

// tally is behind Stats.
type tally struct {
	open     atomic.Int64
	accepted atomic.Uint64

	mu     sync.Mutex // guards the field below
	failed map[Reason]uint64
}

func (t *tally) fail(r Reason) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = map[Reason]uint64{}
	}
	t.failed[r]++
}

// Stats counts. Safe for concurrent use.
func (s *Socket) Stats() Stats {
	t := &s.counts
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{Open: int(t.open.Load()), Accepted: t.accepted.Load(), Failed: maps.Clone(t.failed)}
}

// tallyOf is where the connections of a listener are counted.
func tallyOf(l Listener) *tally {
	if s, ok := l.(*Socket); ok {
		return &s.counts
	}
	return new(tally)
}

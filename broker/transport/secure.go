package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// working bounds the handshakes that compute at one time, of all listeners: half the processors, so that a storm of clients
// that come back leaves the other half to those who are connected. One that waits for its peer does not count.
var working = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// secure is a connection with TLS.
type secure struct {
	*tls.Conn
	raw   net.Conn
	turn  *turnstile
	rules *TLS
	seen  atomic.Pointer[sight] // nil: the handshake is not over
}

// sight is what the last look at a client's certificate found.
type sight struct {
	by       *Material
	state    tls.ConnectionState
	identity string
}

func newSecure(raw net.Conn, rules *TLS) *secure {
	turn := &turnstile{Conn: raw}
	return &secure{Conn: tls.Server(turn, rules.base), raw: raw, turn: turn, rules: rules}
}

// Read implements net.Conn.
func (s *secure) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.turn.calm()
	return n, err
}

// Close closes the socket; that no more follows was told by CloseWrite, which may wait for the peer.
func (s *secure) Close() error { return s.raw.Close() }

// handshake implements handshaker.
func (s *secure) handshake(deadline time.Time) error {
	if err := s.turn.begin(deadline); err != nil {
		return err
	}
	err := s.Conn.Handshake()
	s.turn.end()
	if err != nil {
		return tlsFailure(err)
	}
	// Whoever replaces the rules looks for connections afterwards. One of that moment is either found, or looks itself.
	s.seen.Store(s.turn.seen)
	return s.recheck()
}

func (s *secure) identity() string {
	if g := s.seen.Load(); g != nil {
		return g.identity
	}
	return ""
}

// recheck judges the certificate by the rules of now. A name that has become another is an error too.
func (s *secure) recheck() error {
	g, m := s.seen.Load(), s.rules.current.Load()
	if g == nil || g.by == m {
		return nil
	}
	identity, err := m.judge(&g.state)
	switch {
	case err != nil:
		return err
	case identity != g.identity:
		return &HandshakeError{Reason: BadIdentity, Err: errors.New("the certificate stands for another user now")}
	}
	return nil
}

// tlsFailure sorts what crypto/tls says when a handshake fails.
func tlsFailure(err error) error {
	var (
		failed  *HandshakeError
		record  tls.RecordHeaderError
		verify  *tls.CertificateVerificationError
		network *net.OpError
	)
	switch {
	case errors.As(err, &failed):
		return failed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err // sorted by who set the deadline
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return &HandshakeError{Reason: PeerLeft, Err: err}
	case errors.As(err, &record):
		return &HandshakeError{Reason: NotTLS, Err: errors.New("the first bytes are not those of TLS")}
	case errors.As(err, &verify):
		return refusal(verify.Err, verify.UnverifiedCertificates)
	case errors.As(err, &network) && network.Op == "remote error":
		return remoteAlert(err)
	}
	switch text := err.Error(); text {
	case "tls: client didn't provide a certificate":
		return &HandshakeError{Reason: NoCertificate}
	default:
		if isIncompatible(text) {
			return &HandshakeError{Reason: Incompatible, Err: err}
		}
	}
	return &HandshakeError{Reason: BadTLS, Err: err}
}

// turnstile is the socket below a handshake. It holds one of the places for computing, but not while it waits for the
// peer, so that a peer that is slow, or wants to be, keeps nobody out.
//
// Afterwards it sees to it that the reader does not hang. What crypto/tls reads can make it write: an alert for a bad record, the
// answer to a key update. It waits then, without a bound, for whoever is writing, and that is for a peer that may never
// read. So once bytes have come, and the reader does not return or ask for more while a write is stuck, the write fails.
type turnstile struct {
	net.Conn
	guard    *time.Timer // runs while crypto/tls is busy with what was read; made with the first bytes
	writing  atomic.Bool
	deadline time.Time
	shaking  bool // belongs to the reader; false when others begin to use the connection
	seen     *sight
}

func (t *turnstile) begin(deadline time.Time) error {
	t.deadline, t.shaking = deadline, true
	return t.enter()
}

func (t *turnstile) end() {
	t.leave()
	t.shaking = false
}

func (t *turnstile) enter() error {
	select {
	case working <- struct{}{}:
		return nil
	default:
	}
	var over <-chan time.Time
	if !t.deadline.IsZero() {
		timer := time.NewTimer(time.Until(t.deadline))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case working <- struct{}{}:
		return nil
	case <-over:
		return os.ErrDeadlineExceeded
	}
}

func (t *turnstile) leave() { <-working }

func (t *turnstile) Read(b []byte) (int, error) {
	if !t.shaking {
		t.calm()
		n, err := t.Conn.Read(b)
		t.watch()
		return n, err
	}
	t.leave()
	n, err := t.Conn.Read(b)
	t.reenter()
	return n, err
}

func (t *turnstile) Write(b []byte) (int, error) {
	if !t.shaking {
		t.writing.Store(true)
		defer t.writing.Store(false)
		return t.Conn.Write(b)
	}
	t.leave()
	n, err := t.Conn.Write(b)
	t.reenter()
	return n, err
}

// reenter waits without a bound of its own: whoever has a place only computes.
func (t *turnstile) reenter() { working <- struct{}{} }

// stuck is how long crypto/tls may be busy with what was read while a write waits for the peer. Without one it may be as long
// as it takes.
const stuck = 2 * time.Second

// watch and calm belong to the reader.
func (t *turnstile) watch() {
	if t.guard == nil {
		t.guard = time.AfterFunc(stuck, func() {
			if t.writing.Load() {
				t.Conn.SetWriteDeadline(time.Unix(1, 0))
			}
		})
		return
	}
	t.guard.Reset(stuck)
}

func (t *turnstile) calm() {
	if t.guard != nil {
		t.guard.Stop()
	}
}

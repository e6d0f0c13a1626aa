package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"weir/broker/transport/authority"
)

// failedWith waits for the end of a connection, wants a handshake that failed for the reason, and gives what is said of it.
func failedWith(t *testing.T, l *Socket, handlers chan *echo, want Reason) (text string) {
	t.Helper()
	select {
	case e := <-handlers:
		var failed *HandshakeError
		err := <-e.closed
		if !errors.As(err, &failed) || failed.Reason != want {
			t.Errorf("Closed(%v), want %q", err, want)
		}
		text = fmt.Sprint(err)
	case <-time.After(patience):
		t.Fatal("no connection came")
	}
	return text
}

// ended waits for the end of a connection.
func ended(t *testing.T, handlers chan *echo) error {
	t.Helper()
	select {
	case e := <-handlers:
		return <-e.closed
	case <-time.After(patience):
		t.Fatal("no connection came")
		return nil
	}
}

func TestNotTLS(t *testing.T) {
	l, handlers := listenTLS(t, mustLoad(t, files(authority.New("root"), nil)))
	nc := dial(t, l)
	nc.Write([]byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd"))
	io.Copy(io.Discard, nc)
	failedWith(t, l, handlers, NotTLS)
	nc = dial(t, l)
	nc.Close()
	failedWith(t, l, handlers, PeerLeft)
	c := asClient(authority.New("another"))
	if _, err := exchange(t, l, c); err == nil {
		t.Error("the client took a certificate of another authority")
	}
	failedWith(t, l, handlers, PeerRefused)
}

// TestSilentHandshakes: more peers than there are places for computing connect and say nothing, or half of a handshake.
// Others get in meanwhile, and the silent ones are gone at their deadline.
func TestSilentHandshakes(t *testing.T) {
	a := authority.New("root")
	l, err := Listen(Options{Name: "test", Address: "127.0.0.1:0", TLS: NewTLS(mustLoad(t, files(a, nil)))})
	if err != nil {
		t.Fatal(err)
	}
	var wait atomic.Int64
	wait.Store(int64(3 * time.Second))
	handlers, _ := serve(t, l, func() *echo { return &echo{deadline: time.Now().Add(time.Duration(wait.Load()))} })
	silent := make([]*echo, 0, 4*cap(working)+4)
	for i := range cap(silent) {
		nc := dial(t, l)
		if i%2 == 0 {
			nc.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3}) // the beginning of a ClientHello
		}
		silent = append(silent, <-handlers)
	}
	wait.Store(int64(patience))
	if _, err := exchange(t, l, asClient(a)); err != nil {
		t.Fatalf("the silent ones keep others out: %v", err)
	}
	if n := l.Stats().Failed[TimedOut]; n > 0 {
		t.Errorf("others got in when %d silent ones were gone", n)
	}
	if err := ended(t, handlersOf(silent...)); err == nil {
		t.Error("no error")
	}
	for _, e := range silent[1:] {
		if err := <-e.closed; !errors.Is(err, ErrTimeout) || !e.timeout {
			t.Errorf("Closed(%v), Timeout called: %t", err, e.timeout)
		}
	}
	if n := len(working); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
	if s := l.Stats(); s.Failed[TimedOut] != uint64(len(silent)) {
		t.Errorf("counted %v, want %d not in time", s.Failed, len(silent))
	}
}

func handlersOf(all ...*echo) chan *echo {
	c := make(chan *echo, len(all))
	for _, e := range all {
		c <- e
	}
	return c
}

// TestTLSLastWords: last words come before close_notify, which the client sees as an orderly end.
func TestTLSLastWords(t *testing.T) {
	a := authority.New("root")
	l, err := Listen(Options{Name: "test", Address: "127.0.0.1:0", TLS: NewTLS(mustLoad(t, files(a, nil)))})
	if err != nil {
		t.Fatal(err)
	}
	handlers, _ := serve(t, l, func() *echo { return &echo{quit: "quit"} })
	for range 20 {
		nc := tls.Client(dial(t, l), asClient(a))
		nc.Write([]byte("quit"))
		nc.Write(make([]byte, 100000))
		got, err := io.ReadAll(nc) // EOF only after close_notify: crypto/tls gives ErrUnexpectedEOF otherwise
		if err != nil || string(got) != "last words" {
			t.Fatalf("got %q, %v", got, err)
		}
		nc.Close()
		<-(<-handlers).closed
	}
}

// TestTLSStalledPeer: a peer that does not read any more neither holds a Flush nor the end.
func TestTLSStalledPeer(t *testing.T) {
	a := authority.New("root")
	l, handlers := listenTLS(t, mustLoad(t, files(a, nil)))
	if _, err := exchange(t, l, asClient(a)); err != nil {
		t.Fatal(err)
	}
	e := <-handlers
	e.mu.Lock()
	e.out = make([]byte, 64<<20)
	e.mu.Unlock()
	e.conn.Flush()
	e.conn.Shutdown()
	select {
	case <-e.closed:
	case <-time.After(patience):
		t.Fatal("not closed")
	}
}

// late holds the last TLS record of its second write back, which is the end of a client's handshake.
type late struct {
	net.Conn
	writes int
	goOn   chan struct{}
}

func (l *late) Write(b []byte) (int, error) {
	if l.writes++; l.writes != 2 {
		return l.Conn.Write(b)
	}
	last := 0
	for at := 0; at+5 <= len(b); at += 5 + int(b[at+3])<<8 + int(b[at+4]) {
		last = at
	}
	if n, err := l.Conn.Write(b[:last]); err != nil {
		return n, err
	}
	<-l.goOn
	n, err := l.Conn.Write(b[last:])
	return last + n, err
}

// TestReplaceDuringHandshake: a list comes between the look at a certificate and the end of its handshake, when Recheck has
// no connection to look at yet.
func TestReplaceDuringHandshake(t *testing.T) {
	server, clients := authority.New("server"), authority.New("clients")
	thief := clients.Issue("thief")
	f := files(server, clients)
	m := mustLoad(t, f)
	looked := make(chan struct{}, 100)
	m.now = func() time.Time { looked <- struct{}{}; return time.Now() }
	l, handlers := listenTLS(t, m)
	f.Revoked = []Source{text("crl", clients.Revoke(time.Now().Add(time.Hour), thief))}
	after := mustLoad(t, f)

	nc := &late{Conn: dial(t, l), goOn: make(chan struct{})}
	shaken := make(chan error, 1)
	go func() { shaken <- tls.Client(nc, asClient(server, thief.TLS())).Handshake() }()
	for range 2 { // by crypto/tls, then by judge
		select {
		case <-looked:
		case <-time.After(patience):
			t.Fatal("the certificate is not looked at")
		}
	}
	e := <-handlers
	l.TLS().Replace(after)
	if err := e.conn.Recheck(); err != nil {
		t.Fatalf("the handshake is over already (%v), so this test tests nothing", err)
	}
	close(nc.goOn)
	<-shaken // the client's part ends before the server's verdict
	failedWith(t, l, handlersOf(e), CertificateRevoked)
}

// TestTLSBadRecordOfStalledPeer: a peer reads nothing, so that the writer is stuck, and sends what crypto/tls wants to answer.
// The connection ends nevertheless, by itself or at a Shutdown.
func TestTLSBadRecordOfStalledPeer(t *testing.T) {
	a := authority.New("root")
	for _, shutdown := range []bool{false, true} {
		l, handlers := listenTLS(t, mustLoad(t, files(a, nil)))
		raw := dial(t, l)
		nc := tls.Client(raw, asClient(a))
		if _, err := nc.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		io.ReadFull(nc, make([]byte, 5))
		e := <-handlers
		e.mu.Lock()
		e.out = make([]byte, 64<<20)
		e.mu.Unlock()
		e.conn.Flush()
		for limit := time.Now().Add(patience); !e.conn.secure.turn.writing.Load() && time.Now().Before(limit); {
			runtime.Gosched()
		}
		raw.Write(append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...)) // a record that does not decrypt
		stacks := make([]byte, 1<<20)
		for limit := time.Now().Add(patience); !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("tls.(*Conn).sendAlert(")); {
			if time.Now().After(limit) {
				t.Fatal("the reader does not hang, so this test tests nothing")
			}
		}
		if shutdown {
			e.conn.Shutdown()
		}
		select {
		case <-e.closed:
		case <-time.After(patience):
			t.Fatalf("the reader hangs (shutdown: %t)", shutdown)
		}
	}
}

// TestShutdownInHandshake: Serve does not wait for the deadline of a peer that says nothing.
func TestShutdownInHandshake(t *testing.T) {
	l, err := Listen(Options{Address: "127.0.0.1:0", TLS: NewTLS(mustLoad(t, files(authority.New("root"), nil)))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	conns, done := make(chan *Conn, 1), make(chan error, 1)
	go func() {
		done <- Serve(ctx, l, slog.New(slog.DiscardHandler), func(c *Conn) Handler {
			conns <- c
			return &echo{conn: c, closed: make(chan error, 1), deadline: time.Now().Add(time.Hour)}
		})
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := <-conns
	cancel()
	c.Shutdown()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Serve waits for a handshake")
	}
}

package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const patience = 20 * time.Second

var discard = slog.New(slog.DiscardHandler)

// echo is a handler that sends back what it receives, in pieces of at most piece bytes for each Receive; 0: all.
type echo struct {
	conn     *Conn
	piece    int
	deadline time.Time
	extend   time.Duration // moves the deadline at each Receive
	waits    bool          // MayWait
	quit     string        // ends the connection with last words when it is received

	blocked chan struct{} // Receive waits until it is closed
	entered chan struct{} // told when Receive begins

	mu       sync.Mutex
	out      []byte
	calls    int
	most     int // the largest Receive
	received int
	timeout  bool
	closed   chan error
}

func (e *echo) Receive(b []byte) (int, error) {
	if e.entered != nil {
		e.entered <- struct{}{}
	}
	if e.blocked != nil {
		<-e.blocked
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	if e.extend > 0 {
		e.deadline = e.deadline.Add(e.extend)
	}
	e.most = max(e.most, len(b))
	if e.quit != "" && bytes.Contains(b, []byte(e.quit)) {
		e.out = append(e.out, "last words"...)
		return len(b), errors.New("told to quit")
	}
	if e.piece > 0 && len(b) < e.piece {
		return 0, nil
	}
	e.received += len(b)
	e.out = append(e.out, b...)
	go e.conn.Flush()
	return len(b), nil
}

func (e *echo) Deadline() time.Time { return e.deadline }
func (e *echo) MayWait() bool       { return e.waits }
func (e *echo) Timeout()            { e.timeout = true }
func (e *echo) Closed(err error)    { e.closed <- err }

func (e *echo) Take(done []byte) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.out
	e.out = nil
	return b
}

// both runs a test with goroutines and with pollers.
func both(t *testing.T, f func(t *testing.T)) {
	t.Run("goroutines", f)
	t.Run(polling, f)
}

// polling ends the names of tests whose connections pollers drive.
const polling = "pollers"

// shell is what a test serves with.
func shell(t *testing.T) *Pollers {
	if !strings.HasSuffix(t.Name(), "/"+polling) {
		return nil
	}
	ps := NewPollers()
	t.Cleanup(ps.Close)
	return ps
}

// serve runs a listener whose connections get the handler that make gives.
func serve(t *testing.T, l Listener, handler func() *echo) (handlers chan *echo, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	handlers = make(chan *echo, 100)
	done := make(chan error, 1)
	pollers := shell(t)
	go func() {
		done <- pollers.Serve(ctx, l, discard, func(c *Conn) Handler {
			e := handler()
			e.conn, e.closed = c, make(chan error, 1)
			handlers <- e
			return e
		})
	}()
	var all []*echo
	stop = sync.OnceFunc(func() {
		cancel()
		for {
			select {
			case e := <-handlers:
				all = append(all, e)
			default:
				for _, e := range all {
					e.conn.Shutdown()
				}
				if err := <-done; err != nil {
					t.Errorf("Serve: %v", err)
				}
				return
			}
		}
	})
	t.Cleanup(stop)
	return handlers, stop
}

func listen(t *testing.T) Listener {
	t.Helper()
	l, err := Listen(Options{Name: "test", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, l Listener) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return nc.(*net.TCPConn)
}

// TestEchoThroughFullSockets sends far more than sockets buffer before it reads anything back: every byte comes back in
// order, first by attempts that do not block, then by the writer goroutine.
func TestEchoThroughFullSockets(t *testing.T) { both(t, echoThroughFullSockets) }

func echoThroughFullSockets(t *testing.T) {
	l := listen(t)
	handlers, _ := serve(t, l, func() *echo { return &echo{} })
	nc := dial(t, l)
	e := <-handlers
	const size = 16 << 20
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i * 7 / 3)
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := nc.Write(sent)
		wrote <- err
	}()
	if err := <-wrote; err != nil { // nothing was read so far: reading does not wait for writing
		t.Fatal(err)
	}
	got := make([]byte, size)
	if _, err := io.ReadFull(nc, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Error("the bytes came back changed")
	}
	nc.Close()
	if err := <-e.closed; !errors.Is(err, io.EOF) {
		t.Errorf("Closed(%v), want EOF", err)
	}
	if e.most <= inputSmall || e.most > 2*inputLarge {
		t.Errorf("largest Receive %d bytes, want more than %d and at most %d", e.most, inputSmall, 2*inputLarge)
	}
}

func TestLargeUnit(t *testing.T) { both(t, largeUnit) }

func largeUnit(t *testing.T) {
	l := listen(t)
	const piece = 1<<20 + 17
	handlers, _ := serve(t, l, func() *echo { return &echo{piece: piece} })
	nc := dial(t, l)
	e := <-handlers
	for range 3 {
		sent := bytes.Repeat([]byte("0123456789abcdefg"), piece/17+1)[:piece]
		if _, err := nc.Write(sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, piece)
		if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("changed, or %v", err)
		}
	}
	nc.Close()
	<-e.closed
}

// TestLastWords: what is put out when the connection ends reaches the peer, though it goes on sending.
func TestLastWords(t *testing.T) { both(t, lastWords) }

func lastWords(t *testing.T) {
	l := listen(t)
	handlers, _ := serve(t, l, func() *echo { return &echo{quit: "quit"} })
	for range 50 {
		nc := dial(t, l)
		e := <-handlers
		nc.Write([]byte("quit"))
		nc.Write(make([]byte, 100000)) // unread bytes make close send a reset
		got, err := io.ReadAll(nc)
		if err != nil || string(got) != "last words" {
			t.Fatalf("got %q, %v", got, err)
		}
		nc.Close()
		if err := <-e.closed; err == nil || err.Error() != "told to quit" {
			t.Errorf("Closed(%v)", err)
		}
	}
}

func TestShutdown(t *testing.T) { both(t, shutdown) }

func shutdown(t *testing.T) {
	l := listen(t)
	handlers, stop := serve(t, l, func() *echo { return &echo{} })
	nc := dial(t, l)
	e := <-handlers
	e.mu.Lock()
	e.out = []byte("goodbye")
	e.mu.Unlock()
	e.conn.Shutdown()
	e.conn.Shutdown()
	if got, err := io.ReadAll(nc); err != nil || string(got) != "goodbye" {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := <-e.closed; !errors.Is(err, ErrShutdown) {
		t.Errorf("Closed(%v), want ErrShutdown", err)
	}
	nc.Close()
	stop()
	e.conn.Flush() // later on it does nothing
	e.conn.Shutdown()
}

// TestShutdownOfStalledPeer: a peer that neither reads nor closes is not waited for longer than Linger.
func TestShutdownOfStalledPeer(t *testing.T) { both(t, shutdownOfStalledPeer) }

func shutdownOfStalledPeer(t *testing.T) {
	l := listen(t)
	handlers, stop := serve(t, l, func() *echo { return &echo{} })
	dial(t, l)
	e := <-handlers
	e.mu.Lock()
	e.out = make([]byte, 64<<20)
	e.mu.Unlock()
	e.conn.Flush()
	began := time.Now()
	e.conn.Shutdown()
	<-e.closed
	stop()
	if d := time.Since(began); d > 10*Linger {
		t.Errorf("stopped after %s", d)
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		l := &single{conns: make(chan net.Conn, 1)}
		l.conns <- server
		began := time.Now()
		handlers, stop := serve(t, l, func() *echo { return &echo{deadline: began.Add(10 * time.Second), extend: 15 * time.Second} })
		e := <-handlers
		time.Sleep(9 * time.Second)
		client.Write([]byte("x"))
		b := make([]byte, 1)
		client.Read(b)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		select {
		case err := <-e.closed:
			t.Fatalf("closed too early: %v", err)
		default:
		}
		if err := <-e.closed; !errors.Is(err, ErrTimeout) || !e.timeout || time.Since(began) != 25*time.Second {
			t.Errorf("Closed(%v) after %s, Timeout called: %t", err, time.Since(began), e.timeout)
		}
		client.Close()
		stop()
	})
}

// single is a Listener that gives out the connections and errors it is told to.
type single struct {
	conns chan net.Conn
	errs  []error
	once  sync.Once
}

func (s *single) Name() string   { return "single" }
func (s *single) Addr() net.Addr { return &net.TCPAddr{} }
func (s *single) Close() error   { s.once.Do(func() { close(s.conns) }); return nil }

func (s *single) Accept() (net.Conn, error) {
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return nil, err
	}
	if c, ok := <-s.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func TestAcceptBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		l := &single{conns: make(chan net.Conn, 1)}
		for range 5 {
			l.errs = append(l.errs, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)})
		}
		l.conns <- server
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(context.Background())
		began := time.Now()
		got := make(chan *echo, 1)
		done := make(chan error, 1)
		go func() {
			done <- Serve(ctx, l, slog.New(slog.NewTextHandler(&log, nil)), func(c *Conn) Handler {
				e := &echo{conn: c, closed: make(chan error, 1)}
				got <- e
				return e
			})
		}()
		<-got
		if d := time.Since(began); d != (5+10+20+40+80)*time.Millisecond {
			t.Errorf("accepted after %s", d)
		}
		client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d log lines, want one when it began and one when it ended:\n%s", n, &log)
		}
	})
}

func TestAcceptBroken(t *testing.T) {
	l := &single{conns: make(chan net.Conn), errs: []error{errors.New("torn out")}}
	err := Serve(context.Background(), l, discard, nil)
	if err == nil || !strings.Contains(err.Error(), "listener single: accept: torn out") {
		t.Errorf("Serve: %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	l := listen(t)
	defer l.Close()
	_, err := Listen(Options{Address: l.Addr().String()})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("Listen: %v, want EADDRINUSE", err)
	}
	want := "another program has port"
	if runtime.GOOS == "linux" {
		want = fmt.Sprintf("process %d (", os.Getpid())
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want it to say %q", err, want)
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1": true, "::1": true, "0.0.0.0": false, "192.168.1.4": false, "::": false} {
		if got := Loopback(&net.TCPAddr{IP: net.ParseIP(address)}); got != want {
			t.Errorf("%s: %t, want %t", address, got, want)
		}
	}
}

// TestManyFlushes has many goroutines flush at once while the peer reads slowly: no byte is lost or repeated.
func TestManyFlushes(t *testing.T) { both(t, manyFlushes) }

func manyFlushes(t *testing.T) {
	l := listen(t)
	handlers, _ := serve(t, l, func() *echo { return &echo{} })
	nc := dial(t, l)
	nc.SetReadBuffer(4096)
	e := <-handlers
	const writers, each = 8, 1000
	for range writers {
		go func() {
			for range each {
				e.mu.Lock()
				e.out = append(e.out, "0123456789"...)
				e.mu.Unlock()
				e.conn.Flush()
			}
		}()
	}
	got := make([]byte, writers*each*10)
	if _, err := io.ReadFull(nc, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, bytes.Repeat([]byte("0123456789"), writers*each)) {
		t.Error("the bytes are mixed up")
	}
	nc.Close()
	<-e.closed
}

package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestReset: a peer that breaks off is an error, and not waited for.
func TestReset(t *testing.T) { both(t, reset) }

func reset(t *testing.T) {
	l := listen(t)
	handlers, _ := serve(t, l, func() *echo { return &echo{} })
	nc := dial(t, l)
	e := <-handlers
	nc.SetLinger(0)
	nc.Close()
	if err := <-e.closed; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Closed(%v), want a reset", err)
	}
}

// TestBytesThenEnd: what was sent right before the peer closed its sending side is received.
func TestBytesThenEnd(t *testing.T) { both(t, bytesThenEnd) }

func bytesThenEnd(t *testing.T) {
	l := listen(t)
	handlers, _ := serve(t, l, func() *echo { return &echo{} })
	sent := bytes.Repeat([]byte("0123456789"), 30_000)
	for range 20 {
		nc := dial(t, l)
		e := <-handlers
		nc.Write(sent)
		nc.CloseWrite()
		if err := <-e.closed; !errors.Is(err, io.EOF) {
			t.Fatalf("Closed(%v), want EOF", err)
		}
		e.mu.Lock()
		if e.received != len(sent) {
			t.Errorf("%d bytes received before the end, want %d", e.received, len(sent))
		}
		e.mu.Unlock()
		nc.Close()
	}
}

// TestPieces: units that arrive byte by byte are put together.
func TestPieces(t *testing.T) { both(t, pieces) }

func pieces(t *testing.T) {
	l := listen(t)
	for _, wait := range []bool{false, true} {
		handlers, stop := serve(t, l, func() *echo { return &echo{piece: 100, waits: wait} })
		nc := dial(t, l)
		<-handlers
		for i := range 100 {
			nc.Write([]byte{byte(i)})
		}
		got := make([]byte, 100)
		if _, err := io.ReadFull(nc, got); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i] != byte(i) {
				t.Fatalf("byte %d is %d", i, got[i])
			}
		}
		nc.Close()
		stop()
		l = listen(t)
	}
	l.Close()
}

// TestDeadlinePasses: a connection that sends nothing in time ends, one whose deadline moves on stays.
func TestDeadlinePasses(t *testing.T) { both(t, deadlinePasses) }

func deadlinePasses(t *testing.T) {
	l := listen(t)
	began := time.Now()
	handlers, _ := serve(t, l, func() *echo {
		return &echo{deadline: began.Add(100 * time.Millisecond), extend: time.Hour}
	})
	busy := dial(t, l)
	busyEcho := <-handlers
	busy.Write([]byte("x"))
	io.ReadFull(busy, make([]byte, 1))
	dial(t, l)
	idle := <-handlers
	if err := <-idle.closed; !errors.Is(err, ErrTimeout) || !idle.timeout || time.Since(began) < 100*time.Millisecond {
		t.Errorf("Closed(%v) after %s, Timeout called: %t", err, time.Since(began), idle.timeout)
	}
	busy.Write([]byte("y"))
	if _, err := io.ReadFull(busy, make([]byte, 1)); err != nil {
		t.Errorf("the one whose deadline moved: %v", err)
	}
	busy.Close()
	<-busyEcho.closed
}

// TestWaiting: a Receive that waits for another connection does not keep that one from being served.
func TestWaiting(t *testing.T) { both(t, waiting) }

func waiting(t *testing.T) {
	l := listen(t)
	const n = 10 // more than there are pollers
	blocked := make(chan struct{})
	release := sync.OnceFunc(func() { close(blocked) })
	defer release()
	handlers, _ := serve(t, l, func() *echo { return &echo{waits: true, blocked: blocked} })
	var all []*net.TCPConn
	for range n {
		nc := dial(t, l)
		nc.Write([]byte("wait"))
		all = append(all, nc)
	}
	for range n {
		<-handlers
	}
	last := dial(t, l)
	(<-handlers).blocked = nil
	last.Write([]byte("x"))
	if _, err := io.ReadFull(last, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	for _, nc := range all {
		nc.Write([]byte("more")) // while it waits
	}
	release()
	for _, nc := range all {
		got := make([]byte, 8)
		if _, err := io.ReadFull(nc, got); err != nil || string(got) != "waitmore" {
			t.Fatalf("%q, %v", got, err)
		}
		nc.Close()
	}
}

// TestShutdownWhileWaiting: the connection ends when Receive returns.
func TestShutdownWhileWaiting(t *testing.T) { both(t, shutdownWhileWaiting) }

func shutdownWhileWaiting(t *testing.T) {
	l := listen(t)
	blocked := make(chan struct{})
	handlers, _ := serve(t, l, func() *echo { return &echo{waits: true, blocked: blocked, entered: make(chan struct{}, 1)} })
	nc := dial(t, l)
	e := <-handlers
	nc.Write([]byte("wait"))
	<-e.entered
	e.conn.Shutdown()
	select {
	case err := <-e.closed:
		t.Fatalf("Closed(%v) during Receive", err)
	default:
	}
	close(blocked)
	if err := <-e.closed; !errors.Is(err, ErrShutdown) {
		t.Errorf("Closed(%v), want ErrShutdown", err)
	}
	if got, err := io.ReadAll(nc); err != nil || string(got) != "wait" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestListenerClosed: closing the listener ends Serve.
func TestListenerClosed(t *testing.T) { both(t, listenerClosed) }

func listenerClosed(t *testing.T) {
	l := listen(t)
	done := make(chan error, 1)
	pollers := shell(t)
	go func() { done <- pollers.Serve(t.Context(), l, discard, nil) }()
	l.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v, want net.ErrClosed", err)
	}
}

// TestComeAndGo has connections come and go, by themselves and by Shutdown, while others write to them all the time. Socket
// numbers are used again at once: no byte may reach another connection than the one it is for.
func TestComeAndGo(t *testing.T) { both(t, comeAndGo) }

func comeAndGo(t *testing.T) {
	l := listen(t)
	handlers, _ := serve(t, l, func() *echo { return &echo{} })
	const clients, rounds = 6, 24
	var all sync.WaitGroup
	gate := make(chan struct{}, 1) // from dialling until the handler is known
	for i := range clients {
		all.Go(func() {
			for round := range rounds {
				gate <- struct{}{}
				nc := dial(t, l)
				e := <-handlers
				<-gate
				mark := byte(i)
				stop := make(chan struct{})
				var writing sync.WaitGroup
				writing.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						e.mu.Lock()
						if len(e.out) < 1<<20 {
							e.out = append(e.out, bytes.Repeat([]byte{mark}, 10_000)...)
						}
						e.mu.Unlock()
						e.conn.Flush()
					}
				})
				got := make([]byte, 50_000*(1+round%3))
				io.ReadFull(nc, got)
				for _, b := range got {
					if b != mark {
						t.Errorf("client %d got a byte of %d", mark, b)
						break
					}
				}
				switch round % 3 {
				case 0:
					nc.Close()
				case 1:
					e.conn.Shutdown()
				case 2:
					nc.SetLinger(0)
					nc.Close()
				}
				nc.Close()
				<-e.closed
				close(stop)
				writing.Wait()
			}
		})
	}
	all.Wait()
}

// TestEchoOnUnixSocket sends far more than a Unix socket buffers before it reads anything back, several times over one connection.
func TestEchoOnUnixSocket(t *testing.T) { both(t, echoOnUnixSocket) }

func echoOnUnixSocket(t *testing.T) {
	file := filepath.Join(t.TempDir(), "socket")
	l, err := Listen(Options{Name: "local", Address: "unix:" + file})
	if err != nil {
		t.Fatal(err)
	}
	handlers, _ := serve(t, l, func() *echo { return &echo{} })
	nc, err := net.Dial("unix", file)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	e := <-handlers
	if got := e.conn.RemoteAddr().String(); got != file {
		t.Errorf("peer %q, want the socket, %q", got, file)
	}
	sent := bytes.Repeat([]byte("0123456789"), 200_000)
	for range 3 {
		if _, err := nc.Write(sent); err != nil { // nothing was read so far: reading does not wait for writing
			t.Fatal(err)
		}
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("changed, or %v", err)
		}
	}
	nc.Close()
	if err := <-e.closed; !errors.Is(err, io.EOF) {
		t.Errorf("Closed(%v), want EOF", err)
	}
}

// TestServeLater: an address that can be opened only after Serve has begun is served as any other.
func TestServeLater(t *testing.T) { both(t, serveLater) }

func serveLater(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan error, 10)
	l, err := Listen(Options{Address: taken.Addr().String(), Patient: func(err error) { said <- err }})
	if err != nil {
		t.Fatal(err)
	}
	handlers, _ := serve(t, l, func() *echo { return &echo{} })
	if err := <-said; err == nil {
		t.Fatal("opened an address that was in use")
	}
	taken.Close()
	for err := range said {
		if err == nil {
			break
		}
	}
	nc := dial(t, l)
	e := <-handlers
	nc.Write([]byte("x"))
	if _, err := io.ReadFull(nc, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if polled := e.conn.driver != nil; polled != (path.Base(t.Name()) == polling && runtime.GOOS == "linux") {
		t.Errorf("driven by a poller: %t", polled)
	}
	nc.Close()
	<-e.closed
}

package broker

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe returns the two ends of a connection in memory. Unlike net.Pipe each direction has a buffer, as TCP has, and unlike
// a socket it lives inside a synctest bubble.
func pipe(buffer int) (net.Conn, net.Conn) {
	a, b := newFlow(buffer), newFlow(buffer)
	return &end{in: a, out: b}, &end{in: b, out: a}
}

// flow is one direction.
type flow struct {
	mu      sync.Mutex
	buf     []byte
	limit   int
	closed  bool
	changed chan struct{} // closed and replaced at each change
}

func newFlow(limit int) *flow { return &flow{limit: limit, changed: make(chan struct{})} }

func (f *flow) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// wait waits for a change or the deadline. The caller holds mu.
func (f *flow) wait(deadline time.Time) error {
	ch := f.changed
	f.mu.Unlock()
	defer f.mu.Lock()
	if deadline.IsZero() {
		<-ch
		return nil
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case <-ch:
		return nil
	case <-t.C:
		return os.ErrDeadlineExceeded
	}
}

type end struct {
	in, out     *flow
	mu          sync.Mutex
	read, write time.Time
}

func (e *end) Read(b []byte) (int, error) {
	f := e.in
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.buf) == 0 {
		if f.closed {
			return 0, io.EOF
		}
		if err := f.wait(e.deadline(&e.read)); err != nil {
			return 0, err
		}
	}
	n := copy(b, f.buf)
	f.buf = append(f.buf[:0], f.buf[n:]...)
	f.change()
	return n, nil
}

func (e *end) Write(b []byte) (n int, err error) {
	f := e.out
	f.mu.Lock()
	defer f.mu.Unlock()
	for n < len(b) {
		if f.closed {
			return n, io.ErrClosedPipe
		}
		if room := min(f.limit-len(f.buf), len(b)-n); room > 0 {
			f.buf = append(f.buf, b[n:n+room]...)
			n += room
			f.change()
			continue
		}
		if err := f.wait(e.deadline(&e.write)); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (e *end) deadline(d *time.Time) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return *d
}

func (e *end) Close() error {
	for _, f := range []*flow{e.in, e.out} {
		f.mu.Lock()
		f.closed = true
		f.change()
		f.mu.Unlock()
	}
	return nil
}

func (e *end) SetDeadline(t time.Time) error {
	e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *end) SetReadDeadline(t time.Time) error { return e.set(&e.read, t, e.in) }

func (e *end) SetWriteDeadline(t time.Time) error { return e.set(&e.write, t, e.out) }

func (e *end) set(d *time.Time, t time.Time, f *flow) error {
	e.mu.Lock()
	*d = t
	e.mu.Unlock()
	f.mu.Lock()
	f.change() // who waits looks at the new deadline
	f.mu.Unlock()
	return nil
}

func (e *end) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (e *end) RemoteAddr() net.Addr { return e.LocalAddr() }

// memory is a transport.Listener of pipes.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (m *memory) Name() string   { return "memory" }
func (m *memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// dial connects; nil after Close.
func (m *memory) dial(buffer int) net.Conn {
	a, b := pipe(buffer)
	select {
	case m.conns <- a:
		return b
	case <-m.closed:
		return nil
	}
}

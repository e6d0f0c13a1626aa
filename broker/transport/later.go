package transport

import (
	"net"
	"strings"
	"sync"
	"time"
)

// Waits between attempts to open an address.
const (
	laterFirst = 100 * time.Millisecond
	laterMax   = 10 * time.Second
)

// later is a listener whose address could not be opened yet. Accept opens it.
type later struct {
	o       Options
	address net.Addr // where it is to be
	ended   chan struct{}
	end     sync.Once

	mu   sync.Mutex // guards the field below
	open net.Listener
}

// newLater begins with the error that the first attempt gave.
func newLater(o Options, first error) (*later, error) {
	l := &later{o: o, ended: make(chan struct{})}
	if path, unix := strings.CutPrefix(o.Address, "unix:"); unix {
		l.address = &net.UnixAddr{Name: path, Net: "unix"}
	} else {
		a, err := net.ResolveTCPAddr("tcp", o.Address)
		if err != nil {
			return nil, err
		}
		l.address = a
	}
	o.Patient(first)
	return l, nil
}

// Addr is where it listens, or is to.
func (l *later) Addr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil {
		return l.open.Addr()
	}
	return l.address
}

// Accept waits until the address can be opened, and then for a connection.
func (l *later) Accept() (net.Conn, error) {
	l.mu.Lock()
	open := l.open
	l.mu.Unlock()
	if open == nil {
		var err error
		if open, err = l.try(); err != nil {
			return nil, err
		}
	}
	return open.Accept()
}

// try opens the address, however long that takes. The error is that it was closed meanwhile.
func (l *later) try() (net.Listener, error) {
	said := ""
	for wait := laterFirst; ; wait = min(2*wait, laterMax) {
		open, err := l.o.open()
		if err == nil {
			return l.opened(open)
		}
		if text := err.Error(); said == "" {
			said = text // Patient has heard this one, or one like it
		} else if text != said {
			l.o.Patient(err)
			said = text
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-l.ended:
			t.Stop()
			return nil, net.ErrClosed
		}
	}
}

func (l *later) opened(open net.Listener) (net.Listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.ended:
		open.Close()
		return nil, net.ErrClosed
	default:
	}
	l.open = open
	l.o.Patient(nil)
	return open, nil
}

// Close ends Accept and every attempt.
func (l *later) Close() error {
	l.end.Do(func() { close(l.ended) })
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil {
		return l.open.Close()
	}
	return nil
}

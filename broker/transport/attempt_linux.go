package transport

import (
	"errors"
	"net"
	"syscall"
)

// attempt writes to a plain TCP or Unix socket without ever waiting for it. Not safe for concurrent use.
type attempt struct {
	raw  syscall.RawConn
	call func(fd uintptr) bool // bound once, so that a write allocates nothing
	buf  []byte
	n    int
	err  error
}

// newAttempt returns nil if the connection is not a plain socket.
func newAttempt(nc net.Conn) *attempt {
	var plain syscall.Conn
	switch nc := nc.(type) {
	case *net.TCPConn:
		plain = nc
	case *net.UnixConn:
		plain = nc
	default:
		return nil
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return nil
	}
	a := &attempt{raw: raw}
	a.call = func(fd uintptr) bool {
		a.n, a.err = syscall.Write(int(fd), a.buf)
		return true // whatever happened: do not wait for the socket
	}
	return a
}

// write writes what the socket takes at once. n < len(b) without an error: it is full.
func (a *attempt) write(b []byte) (n int, err error) {
	a.buf = b
	err = a.raw.Write(a.call)
	a.buf = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(a.err, syscall.EAGAIN) || errors.Is(a.err, syscall.EINTR):
		return 0, nil
	}
	return max(a.n, 0), a.err
}

package transport

import (
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// door lets a poller accept from a listening socket by itself. It is a second descriptor of the socket: the one in package
// net gives out connections only with a net.Conn around each, which is registered with the runtime's poller, just to be
// taken apart again. The zero value is shut.
type door struct {
	mu     sync.Mutex // guards the fields below
	file   *os.File
	closed bool
}

// open makes the descriptor, once the address is open. The error is net.ErrClosed after close. To be called once.
func (d *door) open(l net.Listener) (*acceptor, error) {
	if late, ok := l.(*later); ok {
		var err error
		if l, err = late.listener(); err != nil {
			return nil, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, net.ErrClosed
	}
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	d.file = file
	_, tcp := l.(*net.TCPListener)
	return &acceptor{raw: raw, tcp: tcp}, nil
}

// plain tells whether pollers can drive what a listener accepts.
func plain(l Listener) bool {
	s, ok := l.(*Socket)
	if !ok || s.tls != nil || s.webSocket != nil {
		return false
	}
	switch s.listener.(type) {
	case *net.TCPListener, *net.UnixListener, *later:
		return true
	}
	return false
}

// close closes the descriptor, also one that would be made later.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.file != nil {
		d.file.Close()
		d.file = nil
	}
}

// acceptor accepts through a door.
type acceptor struct {
	raw syscall.RawConn
	tcp bool
}

// accept waits for a connection. The error is net.ErrClosed when the door is.
func (a *acceptor) accept() (fd int, peer unix.Sockaddr, err error) {
	closed := a.raw.Read(func(listening uintptr) bool {
		for {
			fd, peer, err = unix.Accept4(int(listening), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			switch err {
			case unix.EAGAIN:
				return false
			case unix.EINTR, unix.ECONNABORTED: // accept(2): try again
			default:
				return true
			}
		}
	})
	switch {
	case closed != nil:
		return -1, nil, net.ErrClosed
	case err != nil:
		return -1, nil, os.NewSyscallError("accept4", err)
	}
	if a.tcp { // what package net does too
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	return fd, peer, nil
}

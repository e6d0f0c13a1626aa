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

// open makes the descriptor. The error is net.ErrClosed after close. To be called once.
func (d *door) open(l net.Listener) (*acceptor, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, net.ErrClosed
	}
	f, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, unix.EOPNOTSUPP
	}
	file, err := f.File()
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

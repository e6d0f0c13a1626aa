package client

import (
	"crypto/tls"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// queued is how many bytes the socket holds that the peer's system has not acknowledged.
func queued(nc net.Conn) (n int) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	socket, ok := nc.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	err = raw.Control(func(fd uintptr) {
		if n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err != nil {
			n = 0
		}
	})
	if err != nil { // the socket is closed
		return 0
	}
	return n
}

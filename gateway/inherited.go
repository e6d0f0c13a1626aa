package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"weir/gateway/config"
)

// Socket is a listening socket that was handed over to the process. It stays open for as long as the process lives, so
// that a gateway that is built anew finds it again.
type Socket struct {
	Name string // FileDescriptorName= of the socket unit: the name of a listener
	File *os.File
}

// Inherited takes the sockets that systemd hands to the process (sd_listen_fds(3)), if they are meant for it, out of its
// environment.
func Inherited() (all []Socket) {
	for _, f := range activation.Files(true) {
		all = append(all, Socket{Name: f.Name(), File: f})
	}
	return all
}

// strangeSockets logs which sockets belong to no listener: nobody will answer there.
func (g *Gateway) strangeSockets() {
	for _, s := range g.o.Sockets {
		if g.cfg.Listener[s.Name] == nil {
			g.log.Error("a socket was handed over that belongs to no listener, nobody answers there; FileDescriptorName= of its unit must be the name of one",
				"socket", s.Name)
		}
	}
}

// handedOver are the sockets for a listener. Each must be where the configuration says that the listener is, because who
// may use a listener without logging in depends on that.
func handedOver(sockets []Socket, c *config.Listener) (all []net.Listener, err error) {
	for _, s := range sockets {
		if s.Name != c.Name {
			continue
		}
		l, e := listenerOf(s.File)
		switch {
		case e != nil:
			err = fmt.Errorf("the socket handed over for it: %w", e)
		case !at(c.Address, l.Addr()):
			l.Close()
			err = fmt.Errorf("the socket handed over for it is at %s, and its address is %q: change ListenStream= of the unit, or the configuration", l.Addr(), c.Address)
		default:
			all = append(all, l)
			continue
		}
		for _, l := range all {
			l.Close()
		}
		return nil, err
	}
	return all, nil
}

// listenerOf makes a listener of a descriptor, which stays open.
func listenerOf(f *os.File) (net.Listener, error) {
	listens, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch {
	case err != nil:
		return nil, fmt.Errorf("not a socket: %w", err)
	case listens == 0:
		return nil, errors.New("it does not listen; want ListenStream= and Accept=no in the unit")
	}
	return net.FileListener(f)
}

// at tells whether a socket is at an address. Port 0 is any port.
func at(want config.Address, is net.Addr) bool {
	switch is := is.(type) {
	case *net.UnixAddr:
		return want.Path != "" && is.Name == want.Path
	case *net.TCPAddr:
		if want.Path != "" || want.Port != 0 && int(want.Port) != is.Port {
			return false
		}
		ip := is.AddrPort().Addr().Unmap()
		switch want.Host {
		case "":
			return ip.IsUnspecified()
		case "localhost":
			return ip.IsLoopback()
		}
		host, err := netip.ParseAddr(want.Host)
		return err == nil && (host.Unmap() == ip || host.IsUnspecified() && ip.IsUnspecified())
	}
	return false
}

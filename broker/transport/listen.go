package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// A Listener yields connections. Implementations must be safe for Close during Accept.
type Listener interface {
	Name() string // as configured, such as "lan"; identifies the listener in rules and logs
	Addr() net.Addr
	Accept() (net.Conn, error) // net.ErrClosed after Close
	Close() error
}

// Options of Listen.
type Options struct {
	Name    string // how rules and logs call the listener; empty: its address
	Address string // host:port; an empty host is every interface, port 0 any free one
}

// Listen opens a TCP listener. If the port is in use the error names the process that holds it, where that can be found
// out, and otherwise says how to find out. The caller closes it, or gives it to Serve, which does.
func Listen(o Options) (Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: false}} // the protocol has its own
	l, err := config.Listen(context.Background(), "tcp", o.Address)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("listen on %s: %w: %s", o.Address, err, holder(o.Address))
		}
		return nil, fmt.Errorf("listen on %s: %w", o.Address, err)
	}
	return &tcp{Listener: l, name: o.Name}, nil
}

type tcp struct {
	net.Listener
	name string
	door door
}

// Close lets nobody connect any more; connections stay.
func (t *tcp) Close() error {
	t.door.close()
	return t.Listener.Close()
}

func (t *tcp) Name() string {
	if t.name == "" {
		return t.Addr().String()
	}
	return t.name
}

// Loopback tells whether an address is one that only this machine can reach.
func Loopback(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// ask says how to find the holder of a port by hand.
func ask(port string) string {
	return fmt.Sprintf("another program has port %s; \"sudo ss -ltnp 'sport = :%s'\" shows which", port, port)
}

package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
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
	Name    string      // how rules and logs call the listener; empty: its address
	Address string      // host:port, an empty host is every interface, port 0 any free one; or "unix:" and a path
	Mode    fs.FileMode // of a Unix socket; 0: 0660

	// Socket is listening already, at an address that the caller has looked at; Address is not opened then. It is closed
	// with the listener.
	Socket net.Listener

	TLS       *TLS       // nil: none
	WebSocket *WebSocket // nil: MQTT packets directly on the connection

	// Patient makes Listen succeed though the address cannot be opened now, as one that the network has not given out yet.
	// Accept tries again until it can, and says so: Patient is told each error that is another one than before, and nil at
	// the end, by the goroutine of Listen or Accept. nil: an error is Listen's.
	Patient func(err error)
}

// Socket is a Listener on TCP or a Unix socket, with TLS and WebSocket on top as its options say. Safe for concurrent use.
type Socket struct {
	listener  net.Listener
	name      string
	tls       *TLS
	webSocket *WebSocket
	counts    tally
}

// Listen opens a listener. If the address is in use the error names the process that holds it, where that can be found
// out, and otherwise says how to find out. The caller closes it, or gives it to Serve, which does.
func Listen(o Options) (*Socket, error) {
	s := &Socket{listener: o.Socket, name: o.Name, tls: o.TLS, webSocket: o.WebSocket}
	if s.listener != nil {
		return s, nil
	}
	var err error
	s.listener, err = o.open()
	switch {
	case err == nil:
		return s, nil
	case o.Patient == nil:
		return nil, err
	}
	s.listener, err = newLater(o, err)
	return s, err
}

// open opens the address.
func (o Options) open() (l net.Listener, err error) {
	if path, unix := strings.CutPrefix(o.Address, "unix:"); unix {
		l, err = listenUnix(path, o.Mode)
	} else {
		l, err = listenTCP(o.Address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Address, err)
	}
	return l, nil
}

func listenTCP(address string) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: false}} // the protocol has its own
	l, err := config.Listen(context.Background(), "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: %s", err, holder(address))
	}
	return l, err
}

// Name is how rules and logs call the listener.
func (s *Socket) Name() string {
	if s.name == "" {
		return s.Addr().String()
	}
	return s.name
}

// Addr is where it listens.
func (s *Socket) Addr() net.Addr { return s.listener.Addr() }

// Close lets nobody connect any more; connections stay. A Unix socket that Listen has made is removed.
func (s *Socket) Close() error { return s.listener.Close() }

// Protocol says what is spoken: mqtt, mqtts, ws or wss.
func (s *Socket) Protocol() string {
	name := "mqtt"
	if s.webSocket != nil {
		name = "ws"
	}
	if s.tls != nil {
		name += "s"
	}
	return name
}

// TLS is what was given to Listen; nil: none.
func (s *Socket) TLS() *TLS { return s.tls }

// Accept waits for a connection. Handshakes come with its first Read, or when Serve runs it.
func (s *Socket) Accept() (net.Conn, error) {
	nc, err := s.listener.Accept()
	if err != nil {
		return nil, err
	}
	if t, ok := nc.(*net.TCPConn); ok {
		t.SetKeepAlive(false) // a socket that was handed over has Go's default
	}
	if s.tls != nil {
		nc = newSecure(nc, s.tls)
	}
	if s.webSocket != nil {
		nc = newWebSocket(nc, s.webSocket, Loopback(s.Addr()))
	}
	return nc, nil
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

//go:build !linux

package transport

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
)

// Pollers would drive plain connections without a goroutine for each; on this system every connection has one.
type Pollers struct{}

// NewPollers returns nil, which serves as Serve does.
func NewPollers() *Pollers { return nil }

// Serve is the function Serve.
func (*Pollers) Serve(ctx context.Context, l Listener, log *slog.Logger, open func(*Conn) Handler) error {
	return Serve(ctx, l, log, open)
}

// Close does nothing.
func (*Pollers) Close() {}

// polled stands for a connection that a poller drives. There is none.
type polled struct{}

func (*polled) remoteAddr() net.Addr { return nil }
func (*polled) remoteIP() netip.Addr { return netip.Addr{} }
func (*polled) shutdown()            {}
func (*polled) writeOut()            {}
func (*polled) failed()              {}
func (*polled) lastWritten()         {}
func (*polled) dead()                {}

package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"
)

// Connect resolves, dials and shakes hands within ConnectTimeout. The Conn must be closed. On failure the error is an
// *Error. The three steps are also to be had one by one.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	o, _, err := o.complete()
	if err != nil {
		return nil, fault(Settings, err, "%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
	defer cancel()
	addresses, err := Resolve(ctx, o)
	if err != nil {
		return nil, err
	}
	nc, err := Dial(ctx, o, addresses)
	if err != nil {
		return nil, err
	}
	return Start(ctx, nc, o)
}

// Resolve asks DNS, each time anew, for the addresses of the URL's host, as host:port. With Options.Dial it is the
// URL's own host and port.
func Resolve(ctx context.Context, o Options) ([]string, error) {
	o, t, err := o.complete()
	if err != nil {
		return nil, fault(Settings, err, "%v", err)
	}
	if o.Dial != nil {
		return []string{t.address}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.host)
	if err != nil {
		return nil, sortError("find "+t.host, err)
	}
	_, port, err := net.SplitHostPort(t.address)
	if err != nil {
		return nil, fault(Settings, err, "%v", err)
	}
	addresses := make([]string, len(found))
	for i, ip := range found {
		addresses[i] = net.JoinHostPort(ip.Unmap().String(), port)
	}
	return addresses, nil
}

// tryFor is how long an address is tried while there are others.
const tryFor = 5 * time.Second

// Dial connects to the first address that answers and, for mqtts, secures the connection. ctx bounds it.
func Dial(ctx context.Context, o Options, addresses []string) (net.Conn, error) {
	o, t, err := o.complete()
	if err != nil {
		return nil, fault(Settings, err, "%v", err)
	}
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	last := fault(NoSuchHost, nil, "connect to %s: no address", t.address)
	for i, address := range addresses {
		nc, err := dialOne(ctx, dial, address, i == len(addresses)-1)
		if err != nil {
			last = sortError("connect to "+address, err)
			continue
		}
		if !t.tls {
			return nc, nil
		}
		secure, err := o.TLS.secure(ctx, nc, t.host)
		if err != nil {
			nc.Close()
			return nil, err
		}
		return secure, nil
	}
	return nil, last
}

func dialOne(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), address string, only bool) (net.Conn, error) {
	if !only {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, tryFor)
		defer cancel()
	}
	return dial(ctx, "tcp", address)
}

// secure puts TLS on a connection.
func (t *TLS) secure(ctx context.Context, nc net.Conn, host string) (net.Conn, error) {
	config, err := t.config(host)
	if err != nil {
		return nil, fault(Settings, err, "%v", err)
	}
	c := tls.Client(nc, config)
	if err := c.HandshakeContext(ctx); err != nil {
		doing := "secure the connection to " + config.ServerName
		var invalid x509.CertificateInvalidError
		if t.Time != nil && errors.As(err, &invalid) {
			return nil, certificateError(doing, invalid, t.Time(), err)
		}
		return nil, sortError(doing, err)
	}
	return c, nil
}

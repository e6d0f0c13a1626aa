package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Waits between attempts to accept while the machine refuses them, for instance because no file descriptor is free.
const (
	acceptWaitFirst = 5 * time.Millisecond
	acceptWaitMax   = time.Second
)

// Serve accepts connections and runs each one with the handler that open makes for it, or closes it at once if that is nil, until ctx ends or the listener is
// closed or broken. It closes the listener, and returns when every connection has ended; ending them is up to the caller
// (Conn.Shutdown). An error of accepting that may pass, such as EMFILE, is waited out and logged once per change. The
// result is nil unless the listener broke by itself.
func Serve(ctx context.Context, l Listener, log *slog.Logger, open func(*Conn) Handler) error {
	s := &served{listener: l, counts: tallyOf(l)}
	defer s.running.Wait()
	return acceptAll(ctx, l, log, func() error {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		s.counts.accepted.Add(1)
		s.counts.open.Add(1)
		c := newConn(nc, s)
		if c.handler = open(c); c.handler == nil {
			s.counts.open.Add(-1)
			nc.Close()
			return nil
		}
		s.running.Go(func() {
			defer s.counts.open.Add(-1)
			c.run()
		})
		return nil
	})
}

// acceptAll calls accept, which accepts one connection and starts it, until ctx ends or the listener is closed or broken.
// It closes the listener.
func acceptAll(ctx context.Context, l Listener, log *slog.Logger, accept func() error) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	wait := time.Duration(0)
	for {
		err := accept()
		switch {
		case err == nil:
			if wait > 0 {
				log.Info("accepting connections again", "listener", l.Name())
			}
			wait = 0
		case ctx.Err() != nil:
			return nil
		case !passing(err):
			return fmt.Errorf("listener %s: accept: %w", l.Name(), err)
		default:
			if wait == 0 {
				log.Warn("cannot accept connections, trying again", "listener", l.Name(), "err", err)
			}
			wait = min(max(2*wait, acceptWaitFirst), acceptWaitMax)
			pause(ctx, wait)
		}
	}
}

// passing tells whether an error of Accept may be gone the next time.
func passing(err error) bool {
	var e net.Error
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	//lint:ignore SA1019 for accept errors it is still what the standard library's own servers ask
	return errors.As(err, &e) && e.Temporary() || outOfResources(err)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

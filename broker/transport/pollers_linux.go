package transport

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
)

// pollersMost is how many there are at most. Each is a thread when it has something to do.
const pollersMost = 4

// Pollers drive plain TCP and Unix connections without a goroutine for each. Make them with NewPollers, and close them when
// every Serve has returned. nil serves as the function Serve does.
type Pollers struct {
	running sync.WaitGroup

	mu   sync.Mutex // guards the fields below
	all  []*poller  // started with the first listener they can serve
	next int        // whose turn it is to get a connection
}

// NewPollers makes pollers. It starts nothing.
func NewPollers() *Pollers { return &Pollers{} }

// Close ends them and waits until they have.
func (ps *Pollers) Close() {
	if ps == nil {
		return
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.all {
		p.stop()
	}
	ps.running.Wait()
	for _, p := range ps.all {
		p.close()
	}
	ps.all = nil
}

// start starts the pollers, if they do not run yet.
func (ps *Pollers) start() error {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if len(ps.all) > 0 {
		return nil
	}
	for range min(runtime.GOMAXPROCS(0), pollersMost) {
		p, err := newPoller()
		if err != nil && len(ps.all) == 0 {
			return err
		}
		if err != nil {
			break // fewer do too
		}
		ps.all = append(ps.all, p)
		ps.running.Go(p.run)
	}
	return nil
}

// pick chooses the poller of the next connection.
func (ps *Pollers) pick() *poller {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.next++
	return ps.all[ps.next%len(ps.all)]
}

// Serve does what the function Serve does. A plain TCP or Unix socket is driven by pollers, any other listener as the
// function does it.
func (ps *Pollers) Serve(ctx context.Context, l Listener, log *slog.Logger, open func(*Conn) Handler) error {
	if ps == nil || !plain(l) {
		return Serve(ctx, l, log, open)
	}
	if err := ps.start(); err != nil {
		log.Warn("every connection gets a goroutine: polling is not possible", "listener", l.Name(), "err", err)
		return Serve(ctx, l, log, open)
	}
	s := &served{listener: l, counts: tallyOf(l)}
	defer s.running.Wait()
	socket := l.(*Socket)
	var a *acceptor
	return acceptAll(ctx, l, log, func() (err error) {
		if a == nil {
			if a, err = socket.door.open(socket.listener); err != nil {
				return err
			}
		}
		fd, peer, err := a.accept()
		if err != nil {
			return err
		}
		c := newPolled(fd, peer, s, ps.pick())
		if c.handler = open(&c.Conn); c.handler == nil {
			c.dead()
			return nil
		}
		c.poller.post(c, noteArrived)
		return nil
	})
}

package broker

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/transport"
)

// Broker is an MQTT server. Make one with New and start it with Run. Safe for concurrent use.
type Broker struct {
	config  atomic.Pointer[Config] // see cfg
	journal Journal
	stamp   func() message.Stamp
	log     *slog.Logger
	notice  chan struct{} // capacity 1: the journal says that something was settled or there is room

	tree        subscriptions
	readings    sync.Pool // of *reading
	groups      groups
	retained    retainedStore
	owing       owing
	pledges     pledges
	readers     readers
	wills       *Publisher
	count       counters
	quiet       quiet
	attempts    attempts
	exchanges   exchanges
	calm        calm
	began       time.Time
	token       atomic.Uint64           // the last reading's
	accessEpoch atomic.Uint64           // counts Reauthorize
	grantedLast atomic.Pointer[granted] // by grant
	serving     context.Context         // Run's; ends when it is to stop, and with it the logins that are being checked

	waitingBytes bounded // of all publishers, for room in the journal
	limits       limits
	expiring     expiries
	made         time.Duration // since boot, when it was
	sys          sys

	routesMu sync.Mutex // guards the field below
	routes   []*subscription

	mu         sync.Mutex // guards the fields below, and parts of sessions as said there
	sessions   map[string]*session
	strangers  map[*connection]struct{}      // connections that own no session
	sockets    int                           // connections of both kinds
	leaving    map[*connection]chan struct{} // those whose session somebody waits for; closed when they have let go of it
	listeners  map[string]*limit             // connections of each listener
	most       int                           // sessions there were at once
	calendar   calendar
	connecting connecting
	stopping   bool
}

// New makes a broker, with the sessions and retained messages that Config.Store holds. stamp says what time it is for
// messages and their expiry. It starts nothing.
func New(cfg Config, journal Journal, stamp func() message.Stamp, log *slog.Logger) *Broker {
	b := &Broker{
		journal: journal, stamp: stamp, log: slog.New(terse{log.Handler()}), began: time.Now(), made: stamp().Since,
		notice:    make(chan struct{}, 1),
		sessions:  map[string]*session{},
		strangers: map[*connection]struct{}{},
		leaving:   map[*connection]chan struct{}{},
		listeners: map[string]*limit{},
		calendar:  calendar{wake: make(chan struct{}, 1)},
		calm:      calm{wake: make(chan struct{}, 1)},
	}
	cfg = cfg.withDefaults()
	b.config.Store(&cfg)
	b.limits.set(b, &cfg)
	b.wills = b.NewPublisher("", nil)
	b.sys.began = time.Now()
	b.sys.at, b.sys.publisher = b.sys.began, b.NewPublisher("", nil)
	b.sys.publisher.unretained = true
	if b.cfg().Store != nil {
		b.restore()
	}
	return b
}

// cfg is the configuration that holds now. It does not change: SetLimits puts another one in its place.
func (b *Broker) cfg() *Config { return b.config.Load() }

// age is how long the broker exists: the monotonic clock of its connections, in one word.
func (b *Broker) age() time.Duration { return time.Since(b.began) }

// Run serves the listeners until ctx ends, then stops in order: no new connections, 5.0 clients are told (0x8B), wills
// are published, and every goroutine has ended when it returns. It closes the listeners. The error tells why a listener
// broke, which stops the others too. Run may be called once.
func (b *Broker) Run(ctx context.Context, listeners ...transport.Listener) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	working, stopWork := context.WithCancel(context.Background()) // until the last connection has ended
	defer stopWork()
	var work, serve sync.WaitGroup
	work.Go(func() { b.releaseOnNotice(working) })
	work.Go(func() { b.keepDates(working) })
	if b.cfg().Calm != nil {
		work.Go(func() { b.keepCalm(working) })
	}
	if b.cfg().Store != nil {
		work.Go(func() { b.keepRetained(working) })
	}
	b.serving = serving
	var pollers *transport.Pollers
	if !b.cfg().Goroutines {
		pollers = transport.NewPollers()
	}
	defer pollers.Close()
	errs := make([]error, len(listeners))
	for i, l := range listeners {
		serve.Go(func() {
			if errs[i] = pollers.Serve(serving, l, b.log, b.open); errs[i] != nil {
				stop()
			}
		})
	}
	<-serving.Done()
	b.disconnectAll()
	serve.Wait()
	stopWork()
	work.Wait()
	b.readers.stop()
	b.endAll()
	return errors.Join(errs...)
}

// disconnectAll ends every connection, and those that come from now on.
func (b *Broker) disconnectAll() {
	b.mu.Lock()
	b.stopping = true
	all := b.connections()
	b.mu.Unlock()
	for _, c := range all {
		c.kick(packet.ServerShuttingDown)
	}
}

// connections are all of this moment, with a session or without. The caller holds mu.
func (b *Broker) connections() []*connection {
	all := make([]*connection, 0, b.sockets)
	for c := range b.strangers {
		all = append(all, c)
	}
	for _, s := range b.sessions {
		if s.owner != nil {
			all = append(all, s.owner)
		}
	}
	return all
}

// endAll ends the sessions that live in memory only, and with them publishes the wills that still wait. What is stored stays.
func (b *Broker) endAll() {
	b.mu.Lock()
	all := b.sessions
	b.sessions = map[string]*session{}
	b.calendar.list = nil
	b.mu.Unlock()
	maps.DeleteFunc(all, func(_ string, s *session) bool { return s.out.durable != nil })
	for _, s := range all {
		w := s.will
		s.will = nil
		b.publishWill(s, w)
	}
	for _, s := range all {
		s.leave()
		s.end()
	}
}

// Notify is how the journal says that records were settled or that there is room again. Cheap, never blocks, may be
// called from anywhere, also from inside Journal.Append.
func (b *Broker) Notify() {
	select {
	case b.notice <- struct{}{}:
	default:
	}
}

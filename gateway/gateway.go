package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/broker"
	"weir/broker/message"
	"weir/gateway/clock"
	"weir/gateway/config"
	"weir/gateway/status"
	"weir/gateway/web"
	"weir/sensors"
	"weir/sensors/bus"
)

// Options are what a gateway takes besides its configuration. The zero value of each but Drivers and Log is usable.
type Options struct {
	Drivers []sensors.Driver
	Log     *slog.Logger
	Version string

	Root    string                                  // kernel files are looked for below it; "": /
	Buses   func() []int                            // I2C buses there are; nil: the machine's
	OpenI2C func(number int) (i2c.BusCloser, error) // nil: the machine's

	// Sockets were handed over to the process (see Inherited): listeners of their names use them.
	Sockets []Socket

	// Published is told of every reading the broker has taken, by the goroutine of its sensor. May be nil.
	Published func(batch []message.Message)
	// Reload is what the control socket does when it is asked for a reload; nil: it cannot.
	Reload func() (status.Config, error)
	// Drain bounds how long Run, when it stops, lets the bridges carry what waits; 0: not at all. It stays on disk.
	Drain time.Duration
	// Ready is told the addresses of the listeners once everything runs. May be nil.
	Ready func(addresses []string)

	time      clock.System  // nil: this machine's
	lookEvery time.Duration // how often home and remains look whether something has changed; 0: every other second
}

func (o *Options) looksEvery() time.Duration {
	if o.lookEvery == 0 {
		return 2 * time.Second
	}
	return o.lookEvery
}

// Gateway is one gateway, built and not yet running.
type Gateway struct {
	cfg     *config.Config // that it was built from
	o       Options
	log     *slog.Logger
	started time.Time

	store     *store
	clock     *clock.Clock
	machine   *bus.Machine
	broker    *broker.Broker
	listeners []*listener
	readings  *broker.Publisher
	links     []*link
	remains   *remains

	access      *access
	reloadables []reloadable
	reloading   sync.Mutex     // held by a Reload; guards the field below
	holds       *config.Config // the one that was taken last

	another chan struct{} // capacity 1: a sensor that was found sees another chip in its place

	mu         sync.Mutex // guards the fields below
	samplers   []*sampler // grows when sensors are found, shrinks when they are replaced
	sought     bool       // sensors were looked for once
	configured status.Config
}

// New opens the store and the listeners and builds everything else. Run must follow, or Close. Errors that callers
// tell apart: buffer.ErrInUse, buffer.ErrNewer, *ListenError.
func New(cfg *config.Config, o Options) (*Gateway, error) {
	g := &Gateway{cfg: cfg, holds: cfg, o: o, log: o.Log, started: time.Now(), another: make(chan struct{}, 1)}
	g.configured.Loaded = g.started
	if err := g.build(); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Gateway) build() error {
	var err error
	if g.store, err = openStore(g.cfg, g.log); err != nil {
		return err
	}
	trust, err := clock.ParseTrust(g.cfg.Gateway.Clock)
	if err != nil {
		return fmt.Errorf("gateway.clock: %w", err)
	}
	g.clock = g.store.clock(g.o.time, trust, g.log)
	if err := g.buildBroker(); err != nil {
		return err
	}
	if err := g.buildLinks(); err != nil {
		return err
	}
	g.machine = bus.New(g.busOptions())
	g.readings = g.broker.NewPublisher("", nil)
	g.remains = g.newRemains()
	return g.buildSamplers()
}

// busOptions are the buses of the configuration on this machine.
func (g *Gateway) busOptions() bus.Options {
	return bus.Options{Root: g.o.Root, Buses: g.o.Buses, OpenI2C: g.o.OpenI2C, Log: g.log, Lines: g.lines(), Behind: g.behind()}
}

func (g *Gateway) add(s *sampler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.samplers = append(g.samplers, s)
}

func (g *Gateway) all() []*sampler {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.samplers)
}

// ErrStoreBack ends Run when a data directory that could not be used at the start can be used now: build it anew.
var ErrStoreBack = errors.New("the data directory can be used again")

// ListenError says which listener cannot be used; it ends the start.
type ListenError struct {
	Listener string
	Err      error
}

func (e *ListenError) Error() string { return fmt.Sprintf("listener.%s: %v", e.Listener, e.Err) }
func (e *ListenError) Unwrap() error { return e.Err }

// Close gives back what New has opened. Not after Run.
func (g *Gateway) Close() error {
	var errs []error
	for _, l := range g.listeners {
		errs = append(errs, l.close())
	}
	if g.store != nil {
		errs = append(errs, g.store.close())
	}
	return errors.Join(errs...)
}

// Run runs the gateway until ctx ends or a part of it fails that nothing goes on without, then stops in the order in
// which data flows. It returns the first error, nil after an orderly stop.
func (g *Gateway) Run(ctx context.Context) error {
	stages := newStages()
	first := stages.start(g.store.run(g.broker.Notify))
	control := stages.start(g.control)
	locals := stages.start(func(ctx context.Context) error { return g.broker.Run(ctx, g.sockets()...) })
	var links []*stage
	for _, l := range g.links {
		links = append(links, stages.start(l.bridge.Run))
	}
	buses := stages.start(g.machine.Run)
	g.remains.look()
	var readers []*stage
	for _, s := range g.all() {
		readers = append(readers, stages.start(func(ctx context.Context) error { s.run(ctx); return nil }))
	}
	if g.cfg.Sensors.Auto {
		readers = append(readers, stages.start(g.seek))
	}
	telling, clearing := stages.start(g.tellHome), stages.start(g.clearRemains)
	g.ready()
	back := g.attend(ctx, stages.failed)
	g.notify("STOPPING=1")

	stages.stop(control)
	stages.stop(readers...)
	stages.stop(buses, telling, clearing)
	if err := g.store.journal.Commit(); err == nil { // so that clients hear of what is kept before they are told to go
		g.broker.Notify()
	}
	stages.stop(locals)
	g.drain(stages.failed)
	stages.stop(links...)
	stages.stop(first)
	if n := g.store.journal.Log().Stats().Unsettled; n > 0 && g.store.journal.Volatile() {
		g.log.Warn("messages that neither a disk nor an upstream has taken are given up; publishers send those again that were not acknowledged", "messages", n)
	}
	return errors.Join(back, stages.err(), g.store.close())
}

// control answers the commands of this machine. A gateway without its socket works all the same.
func (g *Gateway) control(ctx context.Context) error {
	if g.cfg.Gateway.DataDir == "" {
		return nil
	}
	if err := (web.Controls{Status: g.Status, Reload: g.o.Reload}).Serve(ctx, web.Path(g.cfg.Gateway.DataDir)); err != nil {
		g.log.Warn("weir reload and weir status cannot reach this gateway", "err", err)
	}
	return nil
}

func (g *Gateway) ready() {
	var addresses []string
	for _, s := range g.sockets() {
		addresses = append(addresses, s.Addr().String())
	}
	g.log.Info("running", "id", g.cfg.Gateway.ID, "version", g.o.Version, "listeners", addresses, "data", g.store.dir)
	if g.o.Ready != nil {
		g.o.Ready(addresses)
	}
	g.notify("READY=1")
}

// attend waits until ctx ends or a part has failed. Meanwhile it looks after the clock, systemd's watchdog and its
// status line, and after a data directory that could not be used; each look goes through every part, so a part that hangs stops the watchdog's feed.
func (g *Gateway) attend(ctx context.Context, failed <-chan struct{}) error {
	tick := time.NewTicker(watchInterval())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-failed:
			return nil
		case <-tick.C:
			if g.clock.Trusted() {
				g.lookAtCertificates(time.Now())
			}
			if g.store.journal.Volatile() && g.store.usable(g.cfg) {
				return ErrStoreBack
			}
			s := g.Status()
			g.notify("STATUS=" + s.Verdict() + "\nWATCHDOG=1")
		}
	}
}

func sum(counts [3]uint64) uint64 { return counts[0] + counts[1] + counts[2] }

// drain waits until nothing is left to carry, at most for the time that was set.
func (g *Gateway) drain(failed <-chan struct{}) {
	over := time.After(g.o.Drain)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for g.o.Drain > 0 {
		waiting := uint64(0)
		for _, l := range g.links {
			waiting += l.bridge.Status().Backlog.Records
		}
		if waiting == 0 {
			return
		}
		select {
		case <-over:
			return
		case <-failed:
			return
		case <-look.C:
		}
	}
}

// Status is the state of everything now. Safe for concurrent use.
func (g *Gateway) Status() status.Snapshot {
	b := g.broker.Stats()
	s := status.Snapshot{
		ID: g.cfg.Gateway.ID, Version: g.o.Version, Taken: time.Now(), Started: g.started,
		Clock:  status.Clock{Trusted: g.clock.Trusted(), Steps: g.clock.Steps()},
		Store:  g.store.status(),
		Broker: brokerStatus(&b),
	}
	for _, l := range g.listeners {
		s.Listeners = append(s.Listeners, l.status(s.Taken))
	}
	g.mu.Lock()
	s.Config = g.configuration()
	g.mu.Unlock()
	for _, sampler := range g.all() {
		s.Sensors = append(s.Sensors, sampler.snapshot())
	}
	for _, c := range g.machine.Counts() {
		s.Buses = append(s.Buses, status.Bus{Name: c.Name, Transfers: c.Transfers, Faults: faults(&c.Failed)})
	}
	for _, l := range g.links {
		s.Bridges = append(s.Bridges, l.status())
	}
	return s
}

// stages runs parts, each of which can be stopped alone.
type stages struct {
	mu     sync.Mutex // guards first
	first  error
	failed chan struct{} // closed at the first failure
}

// stage is one running part.
type stage struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func newStages() *stages { return &stages{failed: make(chan struct{})} }

// start runs a part. A part that ends with an error brings the others down.
func (s *stages) start(run func(context.Context) error) *stage {
	ctx, cancel := context.WithCancel(context.Background())
	st := &stage{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(st.done)
		if err := run(ctx); err != nil {
			s.fail(err)
		}
	}()
	return st
}

func (s *stages) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first = err
		close(s.failed)
	}
}

// stop ends parts together and waits for them.
func (s *stages) stop(parts ...*stage) {
	for _, p := range parts {
		p.cancel()
	}
	for _, p := range parts {
		<-p.done
	}
}

func (s *stages) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// buildBroker makes the broker with its users, their rights, and listeners.
func (g *Gateway) buildBroker() error {
	var err error
	if g.access, err = g.newAccess(); err != nil {
		return err
	}
	g.reloadables = append(g.reloadables, g.access.reloadable())
	c := limitsOf(g.cfg)
	c.InnerWildcard = g.cfg.Broker.InnerWildcard
	c.Users, c.Keys, c.Anonymous, c.Rights = g.access, g.access.keys, g.access.anonymous, g.access.rights
	c.Redirect = g.access.redirect
	c.Store, c.RetainFlush, c.SpillAfter = g.store.journal, g.cfg.Buffer.RetainFlush, g.cfg.Buffer.SpillAfter
	c.Calm = releaseMemory
	c.Version = "weir version " + g.o.Version
	g.reloadables = append(g.reloadables, g.reloadableLimits())
	g.broker = broker.New(c, g.store.journal, g.clock.Now, g.log)
	return g.listen()
}

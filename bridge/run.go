package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
)

// Bridge is the link to one upstream.
type Bridge struct {
	cfg    Config
	src    Source
	clock  Clock
	log    *slog.Logger
	topic  string // of the state
	intake *intake
	shaper *shaper
	count  counters

	settledWake chan struct{} // capacity 1: the sink settled something
	results     chan result   // capacity 1: of the step of connecting under way
	answers     chan answers  // of the subscriptions

	// Belong to the goroutine of Run.
	group     sync.WaitGroup
	link      link
	server    int            // of cfg.Servers, for the next attempt
	version   packet.Version // for the next attempt
	known     []bool         // by server: it has taken or refused 5.0 in words, so that closing without one is not about that
	will      willFlags
	greeted   *session // of the CONNECT under way
	session   *session // nil: not up
	opening   opening  // of the CONNECT under way, or of the session
	token     string   // the one that is kept
	exact     exactly
	trouble   trouble
	lanePause time.Duration // of a lane that is refused
	stall     bool          // a connection stalled, and nothing was acknowledged since
	lastErr   string
	told      told
	warned    bool

	mu     sync.Mutex // guards status
	status Status     // what Status returns, but for counters and backlog
}

type counters struct {
	sent, acked, refused, expired, connects, repeats atomic.Uint64
	rtt                                              atomic.Int64
}

// willFlags are what a server that refused our will has taught us.
type willFlags struct{ noRetain, qos0 bool }

// result is the outcome of one step of connecting.
type result struct {
	addresses []string
	nc        net.Conn
	conn      *client.Conn
	lost      bool // the session that the kept token names is lost, and no other has begun
	err       error
}

func (r *result) discard() {
	if r.conn != nil {
		r.conn.Close()
	} else if r.nc != nil {
		r.nc.Close()
	}
}

// answers are what the upstream said to the subscriptions of a session.
type answers struct {
	of  *session
	all []Subscription
	err error
}

// New fills defaults in and starts nothing. log should name the bridge.
func New(cfg Config, src Source, sink Sink, clock Clock, log *slog.Logger) *Bridge {
	cfg.complete()
	b := &Bridge{
		cfg: cfg, src: src, clock: clock, log: log, topic: StateTopic(cfg.Gateway, cfg.Name),
		settledWake: make(chan struct{}, 1), results: make(chan result, 1), answers: make(chan answers), version: cfg.Connect.Version,
		known:  make([]bool, len(cfg.Servers)),
		intake: &intake{rules: cfg.Receive, sink: sink, clock: clock, origin: []byte("bridge/" + cfg.Name), maxHops: cfg.MaxHops},
		shaper: &shaper{rules: cfg.Forward, clock: clock, maxHops: cfg.MaxHops},
	}
	b.intake.state = []byte(b.topic)
	if !cfg.NoState {
		b.shaper.state = []byte(b.topic)
	}
	b.link = link{
		timing: timing{cfg.MinWait, cfg.MaxWait, cfg.StableAfter, cfg.ClockDeadline}, random: rand.Float64,
	}
	if b.version == 0 {
		b.version = packet.V5
	}
	b.recall()
	b.status = Status{State: Offline, Link: idle.String(), Since: time.Now()}
	return b
}

// recall takes up what is kept of the session upstream.
func (b *Bridge) recall() {
	if b.exact.keeper = b.cfg.Keeper; b.exact.keeper == nil {
		b.cfg.Persist = false
		return
	}
	kept := b.cfg.Keeper.Session()
	b.token = kept.Token
	b.exact.restore(kept.Pairs)
	b.intake.receipts.restore(kept.Held)
	b.intake.receipts.keeper = b.cfg.Keeper
	if server, version, ok := b.cfg.recall(kept.Token); ok && b.cfg.Persist {
		b.server, b.version, b.known[server] = server, version, true
	}
}

// durable is signalled when the keeper's newest barrier was settled.
func (b *Bridge) durable() <-chan struct{} {
	if b.exact.keeper == nil {
		return nil
	}
	return b.exact.keeper.Durable()
}

// complete fills defaults in.
func (c *Config) complete() {
	if len(c.Servers) == 0 {
		c.Servers = []string{c.Connect.URL}
	}
	c.Window = orDefault(c.Window, 100)
	c.MaxHops = orDefault(c.MaxHops, 3)
	c.StallAfter = orDefault(c.StallAfter, 20*time.Second)
	c.MinWait = orDefault(c.MinWait, time.Second)
	c.MaxWait = max(orDefault(c.MaxWait, 120*time.Second), c.MinWait)
	c.StableAfter = orDefault(c.StableAfter, time.Minute)
	c.ClockDeadline = orDefault(c.ClockDeadline, 2*time.Minute)
	c.StateEvery = orDefault(c.StateEvery, 10*time.Second)
	c.Connect.SessionExpiry = orDefault(c.Connect.SessionExpiry, 7*24*time.Hour)
	c.Connect.ConnectTimeout = orDefault(c.Connect.ConnectTimeout, client.DefaultConnectTimeout)
}

func orDefault[T ~int | ~int64](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// Settled says that the next n messages given to the sink are kept. It never blocks and may be called from inside
// Sink.Publish.
func (b *Bridge) Settled(n int) {
	b.intake.newly.Add(int64(n))
	signal(b.settledWake)
}

// Run keeps the link up until ctx ends; then it tells the upstream that it goes, for at most two seconds, and returns
// nil. A source that cannot be read is tried again on a new connection, with the waits of a lost one; the status says why.
func (b *Bridge) Run(ctx context.Context) error {
	steps, cancel := context.WithCancel(context.Background())
	defer b.group.Wait()
	defer cancel()
	if b.cfg.Connect.TLS.InsecureSkipVerify {
		b.log.Warn("the certificate of the upstream is not verified: anyone on the way can read and change everything")
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	b.act(steps, started, none, result{})
	for {
		b.turn(steps)
		timer.Reset(b.nextDue(time.Now()))
		var mail, gone, ready <-chan struct{}
		if s := b.session; s != nil {
			mail, gone, ready = s.mail.wake, s.conn.Done(), b.src.Ready()
		}
		select {
		case <-ctx.Done():
			b.leave(cancel)
			return nil
		case r := <-b.results:
			b.stepDone(steps, r)
		case a := <-b.answers:
			b.subscribed(steps, a)
		case <-mail: // turn looks into it
		case <-ready:
		case <-b.durable():
			b.intake.wake()
		case <-b.settledWake:
			b.intake.wake()
		case <-gone:
			err := b.session.conn.Err()
			b.lose(steps, err, causeOf(err))
		case <-timer.C:
			if !b.intake.retryAt().IsZero() {
				b.intake.wake()
			}
			b.act(steps, due, none, result{})
		}
	}
}

// turn does what is to do after something has happened.
func (b *Bridge) turn(ctx context.Context) {
	now := time.Now()
	if s := b.session; s != nil {
		s.collect(now)
		if s.stalled(now, b.cfg.StallAfter) {
			b.stall = true
			b.lose(ctx, fmt.Errorf("no acknowledgement for %s with %d messages on the way", b.cfg.StallAfter, s.window.onWay), stalled)
		}
	}
	b.tell(now)
	if s := b.session; s != nil {
		if err := s.pump(now); err != nil && !errors.Is(err, client.ErrClosed) {
			b.lose(ctx, fmt.Errorf("the store cannot be read: %w", err), broken)
		}
	}
	b.note()
}

// nextDue is how long nothing is to do unless something happens.
func (b *Bridge) nextDue(now time.Time) time.Duration {
	next := now.Add(time.Minute)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if b.link.state == waiting {
		sooner(b.link.until)
	}
	if s := b.session; s != nil {
		if s.awaiting() {
			sooner(s.progress.Add(b.cfg.StallAfter))
			sooner(s.watched.Add(b.cfg.StallAfter / looks))
		}
		if s.window.onWay == 0 {
			sooner(s.quota.until)
		}
		sooner(s.looked.Add(b.cfg.StateEvery))
		sooner(b.exact.retry)
		sooner(b.intake.retryAt())
	}
	return max(next.Sub(now), 0)
}

// act gives an event to the link and does what it says. r is what the step before has brought.
func (b *Bridge) act(ctx context.Context, e event, why cause, r result) {
	before, asked := b.link.state, b.link.forClock
	b.link.needClock = b.needsClock()
	action := b.link.step(e, why, !b.link.needClock || b.clock.Trusted(), time.Now())
	if b.link.state != before {
		b.log.Debug("link", "was", before.String(), "is", b.link.state.String())
	}
	switch action {
	case resolve:
		b.resolve(ctx)
	case dial:
		b.dial(ctx, r.addresses)
	case connect:
		b.greet(ctx, r)
	case serve:
		b.serve(ctx, r.conn)
	case wait:
		if b.link.forClock && !asked {
			b.log.Info("TLS waits for a clock that can be trusted", "at most", b.cfg.ClockDeadline)
		}
	default:
		r.discard() // the link has moved on
	}
}

const farewell = 2 * time.Second

// leave ends everything.
func (b *Bridge) leave(cancel context.CancelFunc) {
	if s := b.session; s != nil {
		ctx, stop := context.WithTimeout(context.Background(), farewell)
		s.goodbye(ctx, b.report(Offline).append(nil))
		stop()
		b.drop()
	}
	connecting := b.link.state == resolving || b.link.state == dialling || b.link.state == connecting
	cancel()
	if connecting {
		r := <-b.results
		r.discard()
	}
	now := time.Now()
	b.link.step(stopped, none, true, now)
	b.stall = false
	b.tell(now)
	b.note()
}

// lose notes that the connection is gone or no longer wanted.
func (b *Bridge) lose(ctx context.Context, err error, why cause) {
	b.session.conn.Close()
	b.anew()
	b.session.collect(time.Now()) // what was acknowledged until then
	b.blame(b.session, err)
	b.drop()
	if time.Since(b.link.since) >= b.cfg.StableAfter {
		b.server = 0
	} else {
		b.nextServer()
	}
	b.failure("connection to the upstream lost", err)
	b.act(ctx, lost, why, result{})
}

// drop forgets the connection.
func (b *Bridge) drop() {
	b.session = nil
	b.exact.broken()
	b.intake.stop()
	b.src.Live(false)
}

func (b *Bridge) nextServer() { b.server = (b.server + 1) % len(b.cfg.Servers) }

// failure logs an error once, and again only when it changes.
func (b *Bridge) failure(what string, err error) {
	text := err.Error()
	level := slog.LevelWarn
	if text == b.lastErr {
		level = slog.LevelDebug
	}
	b.lastErr = text
	b.log.Log(context.Background(), level, what, "err", err)
}

// warnCapped says once that QoS 2 is not to be had.
func (b *Bridge) warnCapped() {
	if !b.warned {
		b.warned = true
		b.log.Warn("QoS 2 cannot be had from this upstream, or there is no store: it is sent at QoS 1, messages may repeat, none is lost")
	}
}

// roundTrip smooths the time of acknowledgements, an eighth of each new one.
func (b *Bridge) roundTrip(d time.Duration, qos byte) {
	if qos == 0 {
		return
	}
	old := b.count.rtt.Load()
	if old == 0 {
		old = int64(d)
	}
	b.count.rtt.Store(old + (int64(d)-old)/8)
}

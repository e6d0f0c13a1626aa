package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
)

// run does one step of connecting in a goroutine of its own; its result comes through b.results. One runs at a time.
func (b *Bridge) run(ctx context.Context, step func(ctx context.Context) result) {
	b.group.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, b.cfg.Connect.ConnectTimeout)
		defer cancel()
		b.results <- step(ctx)
	})
}

// resolve begins an attempt.
func (b *Bridge) resolve(ctx context.Context) {
	o := b.options()
	b.run(ctx, func(ctx context.Context) (r result) {
		r.addresses, r.err = client.Resolve(ctx, o)
		return r
	})
}

// dial is the second step.
func (b *Bridge) dial(ctx context.Context, addresses []string) {
	o := b.options()
	b.run(ctx, func(ctx context.Context) (r result) {
		r.nc, r.err = client.Dial(ctx, o, addresses)
		return r
	})
}

// greet is the third step. The session is made before it, for the connection's callbacks.
func (b *Bridge) greet(ctx context.Context, r result) {
	s := &session{b: b, mail: newMailbox(), shaper: b.shaper, fresh: true}
	b.greeted = s
	o := b.options()
	o.OnAcks = s.mail.put
	o.OnMessages = func(messages []packet.Publish) { b.intake.take(s, messages, time.Now()) }
	o.OnReleases = func(releases []client.Release) {
		ids := make([]uint16, len(releases))
		for i, r := range releases {
			ids[i] = r.ID
		}
		b.intake.released(s, ids, time.Now())
	}
	b.opening = b.open()
	b.opening.dress(&o, &b.cfg, b.exact.pairs(), b.intake.heldIDs())
	if b.opening.withdraw {
		b.token = ""
	}
	opening, keeper := b.opening, b.exact.keeper
	b.run(ctx, func(ctx context.Context) (out result) {
		out.conn, out.lost, out.err = meet(ctx, r.nc, o, opening, keeper)
		return out
	})
}

// open decides whose session this attempt is about.
func (b *Bridge) open() opening {
	if b.exact.keeper == nil {
		return opening{}
	}
	wanted := ""
	if b.cfg.Persist {
		wanted = b.cfg.tokenOf(b.server, b.version)
	}
	return open(b.token, wanted)
}

// maxExchanges bounds the window of a session that lasts, so that what is acknowledged out of order always fits the store's
// position of a consumer.
const maxExchanges = 2048

// dress writes into the options what is known of the session.
func (g opening) dress(o *client.Options, cfg *Config, pairs []Pair, held []uint16) {
	if g.token == "" {
		return
	}
	o.Resume, o.SessionExpiry, o.Handshakes = g.resume, cfg.Connect.SessionExpiry, true
	o.Window = min(o.Window, maxExchanges)
	if !g.resume {
		return
	}
	o.Held = held
	for _, p := range pairs {
		o.Unfinished = append(o.Unfinished, client.Unfinished{ID: p.ID, Ref: p.Number, Released: p.Released})
	}
}

// meet shakes hands. The token is durably withdrawn before CONNECT of a new session, and durably written after its CONNACK,
// before anything else is sent or read. lost: the server has a new session, and the token still names the one before.
func meet(ctx context.Context, nc net.Conn, o client.Options, g opening, keeper Keeper) (conn *client.Conn, lost bool, err error) {
	if g.withdraw {
		if err := keeper.Withdraw(); err != nil {
			nc.Close()
			return nil, false, fmt.Errorf("withdraw the token of the session before: %w", err)
		}
	}
	if g.token != "" && !g.resume && o.Version == packet.V311 {
		if nc, err = clear311(ctx, nc, o); err != nil {
			return nil, false, err
		}
		o.Resume = true
	}
	if conn, err = client.Greet(ctx, nc, o); err != nil {
		return nil, false, err
	}
	if present := conn.Info().SessionPresent; g.begins(present) {
		err := errOthers
		if !present {
			err = keeper.Begin(g.token)
		}
		if err != nil {
			conn.Close()
			return nil, !present, fmt.Errorf("begin a session: %w", err)
		}
	}
	return conn, false, nil
}

var errOthers = errors.New("the server has one under our client id that is not ours")

// clear311 has a server of 3.1.1 forget the session it may have, and dials once more. There a clean session ends with its
// connection (3.1.1, 3.1.2.4), so one that lasts can only be begun without one.
func clear311(ctx context.Context, nc net.Conn, o client.Options) (net.Conn, error) {
	first := o
	first.Resume, first.Will, first.OnAcks, first.OnMessages, first.OnReleases = false, nil, nil, nil, nil
	conn, err := client.Start(ctx, nc, first)
	if err != nil {
		return nil, err
	}
	if err := conn.Disconnect(ctx, packet.NormalDisconnection); err != nil {
		return nil, err
	}
	addresses, err := client.Resolve(ctx, o)
	if err != nil {
		return nil, err
	}
	return client.Dial(ctx, o, addresses)
}

// stepDone takes the result of a step and starts the next one.
func (b *Bridge) stepDone(ctx context.Context, r result) {
	if r.err != nil {
		if r.lost { // the session the server has now must not be taken for the one that the token names
			b.token = ""
		}
		b.learn(r.err)
		b.nextServer()
		b.failure("cannot connect to the upstream", r.err)
		b.act(ctx, failed, causeOf(r.err), result{})
		return
	}
	b.act(ctx, stepped, none, r)
}

// options are those of one attempt.
func (b *Bridge) options() client.Options {
	o := b.cfg.Connect
	o.URL, o.Version, o.Window, o.MaxSend = b.cfg.Servers[b.server], b.version, b.cfg.Window, b.cfg.MaxPacket
	o.Resume, o.SessionExpiry = false, 0
	if o.ReceiveMaximum == 0 {
		o.ReceiveMaximum = receiveMaximum
	}
	o.Lenient = true // see doc.go
	o.ManualAck, o.OnAcks, o.OnMessages, o.Will = true, nil, nil, nil
	if !b.cfg.NoState {
		o.Will = &client.Will{Topic: b.topic, Payload: lastWords(b.cfg.Program), QoS: 1, Retain: !b.will.noRetain}
		if b.will.qos0 {
			o.Will.QoS = 0
		}
	}
	return o
}

// receiveMaximum is how many messages the upstream may send before the first is settled here.
const receiveMaximum = 100

// needsClock reports whether the next attempt is to be secured.
func (b *Bridge) needsClock() bool {
	return client.Secure(b.cfg.Servers[b.server]) && !b.cfg.Connect.TLS.InsecureSkipVerify
}

// learn keeps what a failed attempt says about the server.
func (b *Bridge) learn(err error) {
	var e *client.Error
	if !errors.As(err, &e) {
		return
	}
	switch {
	case e.Kind == client.Rejected && e.Reason == packet.RetainNotSupported:
		b.will.noRetain = true
	case e.Kind == client.Rejected && e.Reason == packet.QoSNotSupported:
		b.will.qos0 = true
	case b.cfg.Connect.Version != 0:
	case e.Kind == client.Rejected && e.Reason == packet.UnsupportedProtocolVersion:
		b.known[b.server] = b.version == packet.V5
		b.version = packet.V5 + packet.V311 - b.version
	case e.Kind == client.PeerClosed && b.link.state == connecting && !b.known[b.server]: // how some answer a version they do not know
		b.version = packet.V5 + packet.V311 - b.version
	}
}

// anew has the next connection begin with 5.0 again, if 3.1.1 was tried only because something closed the connection:
// that may have been a relay whose server was away.
func (b *Bridge) anew() {
	if b.cfg.Connect.Version == 0 && !b.known[b.server] {
		b.version = packet.V5
	}
}

// causeOf sorts an error by when to try again.
func causeOf(err error) cause {
	var e *client.Error
	if !errors.As(err, &e) {
		return broken
	}
	switch e.Kind {
	case client.TLSFailed: // our certificate, most often
		return denied
	case client.Rejected, client.Disconnected:
		switch e.Reason {
		case packet.ClientIdentifierNotValid, packet.BadUserNameOrPassword, packet.NotAuthorized, packet.Banned,
			packet.BadAuthenticationMethod, packet.SessionTakenOver, packet.AdministrativeAction:
			return denied
		}
	}
	return broken
}

// serve begins the session of a connection that is up.
func (b *Bridge) serve(ctx context.Context, conn *client.Conn) {
	info, now := conn.Info(), time.Now()
	s := b.greeted
	b.greeted, b.session = nil, s
	if b.version == packet.V5 {
		b.known[b.server] = true
	}
	s.conn, s.size, s.progress = conn, conn.Window(), now
	s.records = make([]Record, min(s.size, 256))
	b.shaper.v5, b.shaper.maxQoS, b.shaper.retain = b.version == packet.V5, info.MaxQoS, info.RetainAvailable
	b.shaper.twos = b.opening.token != ""
	b.lastErr = ""
	b.count.connects.Add(1)
	b.log.Info("connected to the upstream", "server", b.cfg.Servers[b.server], "mqtt", b.version.String(), "window", s.size)
	b.limits(info)
	if b.trouble.refusing() {
		b.refuseLane(s, now)
	}
	b.src.Rewind()
	b.src.Live(true)
	fresh := b.own(info)
	b.intake.begin(s, b.version == packet.V311, b.token != "", fresh)
	conn.Begin()
	if len(b.cfg.Receive) > 0 {
		v5 := b.version == packet.V5
		b.group.Go(func() { b.subscribe(ctx, s, v5) })
	}
}

// own takes the session of a connection that is up for ours, or begins a new one (fresh).
func (b *Bridge) own(info client.Info) (fresh bool) {
	b.token = b.opening.token
	if b.token != "" && !b.opening.begins(info.SessionPresent) {
		return false
	}
	if b.token == "" && b.exact.keeper != nil {
		for _, p := range b.exact.pairs() {
			b.exact.keeper.Forget(p.ID)
		}
	}
	if n := b.exact.reset(); n > 0 {
		b.count.repeats.Add(uint64(n))
		b.log.Warn("the session upstream is lost: messages on their way are sent again and may arrive twice", "messages", n)
	}
	return true
}

// limits tells what the server does not do for us.
func (b *Bridge) limits(info client.Info) {
	if !info.RetainAvailable {
		b.log.Warn("the upstream keeps no retained messages: they are sent without the flag")
	}
	if b.token != "" && b.version == packet.V5 && info.SessionExpiry == 0 {
		b.log.Warn("the upstream keeps no sessions: messages at QoS 2 that are on their way when the connection breaks may arrive twice")
	}
	if info.MaxQoS == 0 {
		b.log.Warn("the upstream takes QoS 0 only: what is on the way when the connection breaks may be lost")
	}
}

// subscribe asks for the topics of the receive rules, a few at a time as some servers want it, and hands the answers to
// Run.
func (b *Bridge) subscribe(ctx context.Context, s *session, v5 bool) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Connect.ConnectTimeout)
	defer cancel()
	a := answers{of: s}
	for rest := b.cfg.Receive; len(rest) > 0 && a.err == nil; rest = rest[min(len(rest), filtersAtOnce):] {
		filters := make([]packet.Subscription, min(len(rest), filtersAtOnce))
		for i, r := range rest[:len(filters)] {
			filters[i] = packet.Subscription{Filter: []byte(r.Filter.String()), QoS: r.QoS}
			if v5 {
				_, shared := r.Filter.Shared()
				filters[i].NoLocal, filters[i].RetainAsPublished = !shared, true // v5 [MQTT-3.8.3-4]
			}
		}
		var reasons []packet.Reason
		reasons, a.err = s.conn.Subscribe(ctx, filters...)
		for i, r := range reasons {
			a.all = append(a.all, Subscription{Filter: string(filters[i].Filter), Reason: r})
		}
	}
	select {
	case b.answers <- a:
	case <-s.conn.Done():
	}
}

const filtersAtOnce = 8

// subscribed takes the answers.
func (b *Bridge) subscribed(ctx context.Context, a answers) {
	if a.of != b.session {
		return
	}
	if a.err != nil {
		b.lose(ctx, fmt.Errorf("subscribe: %w", a.err), causeOf(a.err))
		return
	}
	a.of.answers = a.all
	for _, r := range a.all {
		if r.Reason.Failed() {
			b.log.Warn("subscription refused by the upstream", "filter", r.Filter, "reason", r.Reason.String())
		}
	}
}

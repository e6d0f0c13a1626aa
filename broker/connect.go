package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/transport"
)

// connects are decoded CONNECTs, used again: they are large.
var connects = sync.Pool{New: func() any { return new(packet.Connect) }}

// grace is how long a client that connects is waited for: until its deadline. Most are not waited for at all, so the
// context is made when somebody asks for it.
type grace struct {
	c      *connection
	made   context.Context
	cancel context.CancelFunc
}

// context ends at the deadline of the connection, which has no session yet, and when the broker is to stop.
func (p *grace) context() context.Context {
	if p.made == nil {
		p.made, p.cancel = context.WithDeadline(p.c.b.serving, p.c.Deadline())
	}
	return p.made
}

func (p *grace) end() {
	if p.cancel != nil {
		p.cancel()
	}
}

// connect handles the first packet of a connection. It may block while the login is checked and while the connection that
// has the session now lets go of it.
func (c *connection) connect(f packet.Frame) error {
	if f.Type != packet.TypeConnect { // v5 [MQTT-3.1.0-1], 3.1.1 [MQTT-3.1.0-1]
		return packet.Errorf(packet.ProtocolError, "%s before CONNECT", f.Type)
	}
	c.told = c.b.cfg()
	p := connects.Get().(*packet.Connect)
	defer func() {
		*p = packet.Connect{} // slices into the read buffer
		connects.Put(p)
	}()
	err := p.Decode(f, 0)
	enhanced := err == nil && p.Props.Has(packet.PropAuthMethod)
	if !enhanced {
		c.began()
	}
	if err != nil {
		return c.badConnect(p, err)
	}
	c.version = p.Version
	c.heed(p)
	if to := c.redirect(); to != nil { // before it is asked for a password, which it need not have here
		return c.refuse(packet.Errorf(to.reason(), "clients of listener %s are to use %s", c.conn.Listener().Name(), to.To))
	}
	if enhanced {
		return c.enter(p, f)
	}
	if refusal := c.check(p); refusal != nil {
		return c.refuse(refusal)
	}
	l := login{epoch: c.b.accessEpoch.Load()}
	assigned := l.identify(p)
	wait := grace{c: c}
	defer wait.end()
	if refusal := c.login(&wait, p, &l); refusal != nil {
		return c.refuse(refusal)
	}
	if refusal := c.authorize(p, &l); refusal != nil {
		return c.refuse(refusal)
	}
	return c.begin(&wait, p, &l, assigned)
}

// identify finds the client id, on which rights may hang: the client's, or one that is made up, which is unlike any other
// by its 128 random bits. v5 [MQTT-3.1.3-6] [MQTT-3.2.2-16], 3.1.1 [MQTT-3.1.3-6]
func (l *login) identify(p *packet.Connect) (assigned bool) {
	l.id = string(p.ClientID) // any id is taken: v5 [MQTT-3.1.3-5], 3.1.1 [MQTT-3.1.3-5]
	if l.id == "" {
		l.id = "auto-" + strings.ToLower(rand.Text())
		return true
	}
	return false
}

// heed takes over what CONNECT says of the answers it wants.
func (c *connection) heed(p *packet.Connect) {
	c.maxPacket = p.Props.MaximumPacketSize
	c.problems = c.version == packet.V5 && (!p.Props.Has(packet.PropRequestProblemInfo) || p.Props.RequestProblemInfo) // v5 [MQTT-3.1.2-29]
	c.short = newShortener(int(p.Props.TopicAliasMaximum), c.told.TopicAliases)
}

// badConnect answers a CONNECT that could not be decoded, if it is known in which form.
func (c *connection) badConnect(p *packet.Connect, err error) error {
	var wrong *packet.Error
	if !errors.As(err, &wrong) {
		return err
	}
	switch {
	case p.Version == packet.V5:
		c.version = packet.V5
	case wrong.Reason == packet.UnsupportedProtocolVersion && p.Version > packet.V5 && p.Version < 0x80: // a later one
		c.version = packet.V5
	case wrong.Reason == packet.UnsupportedProtocolVersion: // 3.1.1 [MQTT-3.1.2-2]; also with the bit of a bridge, which then tries without it
	default: // 3.1.1 [MQTT-3.1.4-1]: without CONNACK
		return err
	}
	c.heed(p)
	c.connack(wrong) // v5 [MQTT-3.1.2-1] [MQTT-3.1.2-2] [MQTT-3.1.4-1]
	return err
}

// check judges what CONNECT asks for, before anybody is asked for a password.
func (c *connection) check(p *packet.Connect) *packet.Error {
	if refusal := c.capable(p); refusal != nil {
		return refusal
	}
	if len(p.ClientID) == 0 && p.Version == packet.V311 && !p.CleanStart { // 3.1.1 [MQTT-3.1.3-8] [MQTT-3.1.3-9]
		return packet.Errorf(packet.ClientIdentifierNotValid, "an empty client id needs a clean session")
	}
	if p.HasWill {
		return c.checkWill(p)
	}
	return nil
}

// login decides whether the client may connect. v5 [MQTT-3.1.4-2]
func (c *connection) login(wait *grace, p *packet.Connect, l *login) *packet.Error {
	cfg := c.b.cfg()
	if name := c.conn.Identity(); name != "" { // its certificate was checked; what CONNECT says besides is not looked at
		l.user = name
		return nil
	}
	if p.HasUsername && cfg.Users != nil {
		user := string(p.Username)
		if refusal := c.verify(wait, user, p.Password); refusal != nil {
			return refusal
		}
		l.user = user
		return nil
	}
	if !c.anonymousAllowed() {
		return packet.Errorf(packet.NotAuthorized, "listener %s wants a user name and password", c.conn.Listener().Name())
	}
	return nil
}

// verify checks user name and password, unless there were too many failed logins.
func (c *connection) verify(wait *grace, user string, password []byte) *packet.Error {
	b, listener := c.b, c.conn.Listener().Name()
	at, ok, first := c.attempt(user)
	if !ok && c.familiar(at, user, password) {
		return nil
	}
	if !ok {
		return c.tooMany(user, first)
	}
	c.checked, c.credential = true, b.cfg().Users.Credential(listener, user) // before, so that a change meanwhile is one
	good, err := b.cfg().Users.Verify(wait.context(), listener, user, password)
	c.attempted(at, user, !good && err == nil)
	switch {
	case err != nil:
		return packet.Errorf(packet.ServerUnavailable, "login of %q could not be checked: %s", user, err)
	case !good:
		b.count.loginsFailed.Add(1)
		return packet.Errorf(packet.BadUserNameOrPassword, "login of %q refused", user)
	}
	return nil
}

// anonymousAllowed tells whether clients that have not logged in may use the listener.
func (c *connection) anonymousAllowed() bool {
	l := c.conn.Listener()
	if c.b.cfg().Anonymous != nil {
		return c.b.cfg().Anonymous(l.Name())
	}
	return transport.Loopback(l.Addr())
}

// refuse answers CONNECT with a failure. v5 [MQTT-3.1.4-6] [MQTT-3.2.2-7], 3.1.1 [MQTT-3.1.4-5] [MQTT-3.2.2-5]
func (c *connection) refuse(why *packet.Error) error {
	c.ended = true
	c.b.count.refused.Add(1)
	c.b.quiet.warn(c.b.log, "client refused", "peer", c.peer(), "listener", c.conn.Listener().Name(), "err", why)
	c.connack(why)
	return errDone
}

// connack puts a CONNACK with a failure where Take finds it. v5 [MQTT-3.2.2-6] [MQTT-3.2.2-8], 3.1.1 [MQTT-3.2.2-4]
func (c *connection) connack(why *packet.Error) {
	a := packet.Connack{Reason: why.Reason}
	if !a.Reason.Fits(packet.TypeConnack) {
		a.Reason = packet.UnspecifiedError
	}
	switch a.Reason {
	case packet.MalformedPacket, packet.ProtocolError, packet.UnsupportedProtocolVersion, packet.ClientIdentifierNotValid,
		packet.BadAuthenticationMethod, packet.TopicNameInvalid: // why a login is refused is for the log only
		a.Props.SetReasonString([]byte(why.Text))
	}
	c.refer(a.Reason, &a.Props)
	b, err := a.Append(nil, c.version)
	if err != nil || c.tooLarge(len(b)) { // v5 [MQTT-3.2.2-19]
		a.Props.Reset()
		b, err = a.Append(nil, c.version)
	}
	if err == nil && !c.tooLarge(len(b)) { // 3.1.1 [MQTT-3.2.2-6]: none if no return code fits; v5 [MQTT-3.1.2-24]
		o := lastOut(c, b)
		o.others = 1
		c.out.Store(o)
	}
}

// expiry turns a session expiry interval into a time, within what is allowed.
func (b *Broker) expiry(seconds uint32) time.Duration {
	return min(time.Duration(seconds)*time.Second, b.cfg().MaxSessionExpiry)
}

// begin finds or makes the session, takes it over and answers with success.
func (c *connection) begin(wait *grace, p *packet.Connect, l *login, assigned bool) error {
	b := c.b
	lasts := b.expiry(p.Props.SessionExpiry) // v5 section 3.1.2.11.2
	if p.Version == packet.V311 {
		lasts = 0
		if !p.CleanStart { // 3.1.1 [MQTT-3.1.2-4]
			lasts = b.cfg().MaxSessionExpiry
		}
	}
	s, present, discarded, err := b.claim(wait, c, p, l)
	if full := (*packet.Error)(nil); errors.As(err, &full) {
		return c.refuse(full)
	}
	if err != nil {
		return c.refuse(packet.Errorf(packet.ServerUnavailable, "session: %s", err))
	}
	w := newWill(p, s)
	if !s.charge(s.base(w)) { // as it was; a new one ends with its connection
		c.session = s
		b.count.connected.Add(1)
		return c.refuse(errMemory)
	}
	s.lasts, s.will, s.version = lasts, w, c.version
	s.out.granted.Store(l.granted)
	switch {
	case s.out.durable != nil:
		s.out.durable.save(message.Stamp{})
	case b.cfg().Store != nil && lasts > 0 && !present:
		b.makeDurable(s)
	}
	if discarded || s.out.durable != nil && !present {
		kept, err := b.await(wait.context(), b.barrier())
		if err != nil { // what is not kept is not confirmed; the client comes again, to the session as it is then
			c.session, s.will = s, nil
			b.count.connected.Add(1)
			b.calm.moved()
			return c.refuse(packet.Errorf(packet.ServerUnavailable, "the session is not kept in time: %s", err))
		}
		if !kept {
			b.count.notKept.Add(1)
			b.quiet.warn(b.log, "the store fails: session lives in memory until it does not", "client", s.id())
		}
	}
	c.asked = p.Bridge || c.version == packet.V5 && p.Props.SessionExpiry == 0
	c.keepAlive = uint16(c.keptAlive(p) / time.Second)
	window := c.told.Inflight
	if p.Props.Has(packet.PropReceiveMaximum) { // v5 [MQTT-4.9.0-1]
		window = min(window, int(p.Props.ReceiveMaximum))
	}
	c.session = s
	b.count.connected.Add(1)
	b.calm.moved()
	a := c.welcome(p, l, s, present, assigned)
	var room [64]byte
	answer, err := a.Append(room[:0], c.version)
	if err != nil {
		return err
	}
	if c.tooLarge(len(answer)) { // v5 [MQTT-3.1.2-24]
		s.will = nil
		return c.refuse(packet.Errorf(packet.PacketTooLarge, "CONNACK of %d bytes, the client takes %d", len(answer), c.maxPacket))
	}
	c.heard = b.age()
	b.count.connects.Add(1)
	if b.log.Enabled(b.serving, slog.LevelDebug) {
		b.log.Debug("client connected", "client", s.id(), "version", c.version.String(), "peer", c.peer(), "session", present)
	}
	s.attach(c, answer, window)
	c.overtaken(s, l.epoch)
	c.conn.Flush()
	return nil
}

// welcome is the CONNACK with success. v5 [MQTT-3.1.4-5], 3.1.1 [MQTT-3.1.4-4]
func (c *connection) welcome(p *packet.Connect, l *login, s *session, present, assigned bool) (a packet.Connack) {
	cfg := c.told
	a.SessionPresent = present // v5 [MQTT-3.2.2-2] [MQTT-3.2.2-3], 3.1.1 [MQTT-3.2.2-1] to [MQTT-3.2.2-3]
	if p.Props.Has(packet.PropSessionExpiry) && time.Duration(p.Props.SessionExpiry)*time.Second != s.lasts {
		a.Props.SetSessionExpiry(uint32(s.lasts / time.Second)) // v5 section 3.2.2.3.2
	}
	if assigned { // v5 [MQTT-3.1.3-7]
		a.Props.SetAssignedClientID([]byte(s.id()))
	}
	if cfg.ReceiveMaximum < 65535 {
		a.Props.SetReceiveMaximum(uint16(cfg.ReceiveMaximum))
	}
	a.Props.SetMaximumPacketSize(uint32(cfg.MaxPacket))
	cfg.announce(&a, p)
	if l.proof != nil { // v5 [MQTT-4.12.0-5], and without a method in CONNECT none here: [MQTT-4.12.0-6]
		a.Props.SetAuthMethod(p.Props.AuthMethod)
		a.Props.SetAuthData(l.proof)
	}
	if cfg.TopicAliases > 0 {
		a.Props.SetTopicAliasMaximum(uint16(cfg.TopicAliases))
	}
	return a
}

// claim is what Clean Start, or Clean Session, decides: v5 [MQTT-3.1.4-4], 3.1.1 [MQTT-3.1.4-3]. It makes c the owner of the session of the client id: of the one there is, or of a new one. Whoever has it now is
// told and waited for. discarded: a session that was stored has ended.
func (b *Broker) claim(wait *grace, c *connection, p *packet.Connect, l *login) (s *session, present, discarded bool, err error) {
	id := l.id
	for {
		b.mu.Lock()
		if b.stopping {
			b.mu.Unlock()
			return nil, false, false, errors.New("the broker is stopping")
		}
		old := b.sessions[id]
		if old != nil && old.owner != nil { // v5 [MQTT-3.1.4-3], 3.1.1 [MQTT-3.1.4-2]
			owner := old.owner
			done := b.leaving[owner]
			if done == nil {
				done = make(chan struct{})
				b.leaving[owner] = done
			}
			b.mu.Unlock()
			b.count.takenOver.Add(1)
			owner.kick(packet.SessionTakenOver)
			select {
			case <-done:
				continue
			case <-wait.context().Done():
				return nil, false, false, errors.New("the connection before does not end")
			}
		}
		resumed := old != nil && !p.CleanStart && old.user() == l.user
		if refusal := b.admit(c, old, resumed); refusal != nil {
			b.mu.Unlock()
			return nil, false, false, refusal
		}
		if resumed { // v5 [MQTT-3.1.2-5], 3.1.1 [MQTT-3.1.2-4]
			old.owner = c
			delete(b.strangers, c)
			b.calendar.remove(old)
			b.mu.Unlock()
			return old, true, false, nil // its will is replaced: v5 [MQTT-3.1.3-9]
		}
		s = b.newSession(id, l.user) // v5 [MQTT-3.1.2-4] [MQTT-3.1.2-6], 3.1.1 [MQTT-3.1.2-6]
		s.owner, s.charged, s.placed = c, costSession, true
		delete(b.strangers, c)
		b.sessions[s.id()] = s
		b.most = max(b.most, len(b.sessions))
		if old != nil {
			b.calendar.remove(old)
		}
		b.mu.Unlock()
		if old != nil {
			b.bury(old)
			if old.user() != l.user && !p.CleanStart {
				b.quiet.warn(b.log, "session of another user ended, not given away", "client", id, "user", l.user, "owner", old.user())
			}
		}
		return s, false, old != nil && old.out.durable != nil, nil
	}
}

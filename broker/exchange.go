package broker

import (
	"bytes"
	"errors"
	"sync"
	"time"

	"weir/broker/auth"
	"weir/broker/packet"
)

// Enhanced authentication (v5 section 4.12), of which there is one method, SCRAM-SHA-256.
//
//	CONNECT ─▶ AUTH 0x18 ─▶ AUTH 0x18 ─▶ CONNACK               a connection has its place in connecting until then
//	AUTH 0x19 ─▶ AUTH 0x18 ─▶ AUTH 0x18 ─▶ AUTH 0x00           again, while everything else goes on

// stage is where a connection is in that. One that is in an exchange is in Broker.exchanges.
//
//	stageNone ── CONNECT with a method ──▶ stageEntering ── proof ──▶ stageProved ◀── AUTH 0x19, proof ──▶ stageAgain
type stage uint8

const (
	stageNone stage = iota
	stageEntering
	stageProved
	stageAgain
)

// exchanging tells whether an exchange is under way.
func (s stage) exchanging() bool { return s == stageEntering || s == stageAgain }

// exchange is one that is under way. It belongs to the reader of its connection.
type exchange struct {
	scram      *auth.Scram
	epoch      uint64 // of Broker.accessEpoch, when it began
	credential uint64 // what Users said of the user before the keys were looked up
	connect    []byte // the body of CONNECT; nil: the client has a session and authenticates again
	cost       int    // what limits.memory counts for it
}

// costExchange is about what one takes besides the texts in it.
const costExchange = 1 << 10

// exchanges are those under way, beside connections, since most connections have none.
type exchanges struct {
	mu sync.Mutex // guards the field below
	of map[*connection]*exchange
}

func (e *exchanges) put(c *connection, x *exchange) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = map[*connection]*exchange{}
	}
	e.of[c] = x
}

func (e *exchanges) take(c *connection) *exchange {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.of[c]
	if delete(e.of, c); len(e.of) == 0 {
		e.of = nil // a map does not shrink
	}
	return x
}

// keep remembers an exchange that waits for the client; false: there is no memory for it.
func (c *connection) keep(x *exchange, size int) bool {
	x.cost = costExchange + size
	if !c.b.limits.memory.take(c.b, x.cost) {
		return false
	}
	c.b.exchanges.put(c, x)
	c.stage++ // to entering or to again
	return true
}

// exchanged takes the exchange back, which goes on or is over.
func (c *connection) exchanged() *exchange {
	x := c.b.exchanges.take(c)
	c.stage-- // to none or to proved
	c.b.limits.memory.give(c.b, x.cost)
	return x
}

// enter answers a CONNECT with a method, and remembers it until the client has answered too.
func (c *connection) enter(p *packet.Connect, f packet.Frame) error {
	if refusal := c.check(p); refusal != nil {
		return c.refuse(refusal)
	}
	x, data, refusal := c.challenge(p.Props.AuthMethod, p.Props.AuthData)
	switch name := c.conn.Identity(); {
	case refusal != nil:
		return c.refuse(refusal)
	case p.HasUsername && string(p.Username) != x.scram.User:
		return c.refuse(packet.Errorf(packet.NotAuthorized, "CONNECT of user %q, who authenticates as %q", p.Username, x.scram.User))
	case name != "" && name != x.scram.User:
		return c.refuse(packet.Errorf(packet.NotAuthorized, "the certificate of %q, who authenticates as %q", name, x.scram.User))
	}
	answer, err := step(packet.ContinueAuthentication, data).Append(nil, c.version) // v5 [MQTT-4.12.0-2]
	if err != nil {
		return err
	}
	if c.tooLarge(len(answer)) { // v5 [MQTT-3.1.2-24]
		return c.refuse(packet.Errorf(packet.PacketTooLarge, "AUTH of %d bytes, the client takes %d", len(answer), c.maxPacket))
	}
	x.connect = bytes.Clone(f.Body)
	if !c.keep(x, len(f.Body)+len(data)) {
		return c.refuse(errMemory)
	}
	o := lastOut(c, answer)
	o.others = 1
	c.out.Store(o)
	c.conn.Flush()
	return nil
}

// proceed handles what follows such a CONNECT, and goes on with it when the client has proved who it is.
func (c *connection) proceed(f packet.Frame) error {
	switch f.Type {
	case packet.TypeAuth:
	case packet.TypeDisconnect:
		if err := new(packet.Disconnect).Decode(f, c.version); err != nil {
			return err
		}
		c.ended = true
		return errDone
	default: // v5 section 3.1.2.11.9
		return packet.Errorf(packet.ProtocolError, "%s before the authentication was over", f.Type)
	}
	var a packet.Auth
	if err := a.Decode(f, c.version); err != nil {
		return err
	}
	if a.Reason != packet.ContinueAuthentication || string(a.Props.AuthMethod) != auth.ScramMethod { // v5 [MQTT-4.12.0-5]
		return packet.Errorf(packet.ProtocolError, "AUTH %s with method %q within an authentication", a.Reason, clip(a.Props.AuthMethod))
	}
	x := c.exchanged()
	answer, refusal := c.prove(x, a.Props.AuthData)
	if refusal != nil { // v5 [MQTT-4.12.0-4]
		return c.refuse(refusal)
	}
	c.began()
	c.checked, c.credential, c.stage = true, x.credential, stageProved
	p := connects.Get().(*packet.Connect)
	defer func() {
		*p = packet.Connect{}
		connects.Put(p)
	}()
	if err := p.Decode(packet.Frame{Type: packet.TypeConnect, Body: x.connect}, 0); err != nil {
		return err
	}
	if refusal := c.check(p); refusal != nil { // again: it leaves a will out that is not for clients
		return c.refuse(refusal)
	}
	l := login{epoch: x.epoch, user: x.scram.User, proof: answer}
	assigned := l.identify(p)
	wait := grace{c: c}
	defer wait.end()
	if refusal := c.authorize(p, &l); refusal != nil {
		return c.refuse(refusal)
	}
	return c.begin(&wait, p, &l, assigned)
}

// authenticateAgain handles AUTH of a client that has a session. What fails ends the connection: v5 [MQTT-4.12.1-2]
func (c *connection) authenticateAgain(r *reading, f packet.Frame) error {
	if c.stage == stageNone { // v5 [MQTT-4.12.0-7]
		return packet.Errorf(packet.ProtocolError, "AUTH without an authentication method in CONNECT")
	}
	var a packet.Auth
	if err := a.Decode(f, c.version); err != nil {
		return err
	}
	switch again := a.Reason == packet.ReAuthenticate; {
	case string(a.Props.AuthMethod) != auth.ScramMethod: // v5 [MQTT-4.12.1-1] [MQTT-4.12.0-5]
		return packet.Errorf(packet.ProtocolError, "AUTH with method %q, CONNECT had %s", clip(a.Props.AuthMethod), auth.ScramMethod)
	case again && c.stage == stageProved:
		x, data, refusal := c.challenge(a.Props.AuthMethod, a.Props.AuthData)
		switch {
		case refusal != nil:
			return refusal
		case x.scram.User != c.session.user():
			return packet.Errorf(packet.NotAuthorized, "the client is user %q and authenticates as %q", c.session.user(), x.scram.User)
		case !c.keep(x, len(data)):
			return errMemory
		}
		return c.answer(r, step(packet.ContinueAuthentication, data))
	case a.Reason == packet.ContinueAuthentication && c.stage == stageAgain:
		data, refusal := c.prove(c.exchanged(), a.Props.AuthData)
		if refusal != nil {
			return refusal
		}
		return c.answer(r, step(packet.Success, data))
	}
	return packet.Errorf(packet.ProtocolError, "AUTH %s, within an authentication: %v", a.Reason, c.stage == stageAgain)
}

// step is one of the server's. Neither reason in words nor user properties are in it: v5 [MQTT-3.15.2-1] [MQTT-4.12.0-5]
func step(reason packet.Reason, data []byte) *packet.Auth {
	a := &packet.Auth{Reason: reason}
	a.Props.SetAuthMethod([]byte(auth.ScramMethod))
	a.Props.SetAuthData(data)
	return a
}

// challenge begins an exchange.
func (c *connection) challenge(method, first []byte) (x *exchange, answer []byte, refusal *packet.Error) {
	cfg, listener := c.b.cfg(), c.conn.Listener().Name()
	if string(method) != auth.ScramMethod || cfg.Users == nil || cfg.Keys == nil { // v5 [MQTT-4.12.0-1]
		return nil, nil, packet.Errorf(packet.BadAuthenticationMethod, "authentication method %q is not supported", clip(method))
	}
	s, err := auth.BeginScram(first)
	switch {
	case errors.Is(err, auth.ErrScramBinding):
		return nil, nil, packet.Errorf(packet.BadAuthenticationMethod, "%s: %s", auth.ScramMethod, err)
	case errors.Is(err, auth.ErrScramOnBehalf):
		return nil, nil, packet.Errorf(packet.NotAuthorized, "%s: %s", auth.ScramMethod, err)
	case err != nil:
		return nil, nil, packet.Errorf(packet.ProtocolError, "%s: %s", auth.ScramMethod, err)
	}
	x = &exchange{scram: s, epoch: c.b.accessEpoch.Load(), credential: cfg.Users.Credential(listener, s.User)} // before the keys, so that a change meanwhile is one
	keys, offered := cfg.Keys(listener, s.User)
	if !offered {
		return nil, nil, packet.Errorf(packet.BadAuthenticationMethod, "no user of listener %s has keys for %s", listener, auth.ScramMethod)
	}
	return x, s.Challenge(keys), nil
}

// prove checks the client's proof, unless there were too many failed logins. A user who is familiar at the address need not wait
// because of others: see familiar.go.
func (c *connection) prove(x *exchange, last []byte) (answer []byte, refusal *packet.Error) {
	user := x.scram.User
	at, ok, first := c.attempt(user)
	if !ok {
		if logins := c.b.cfg().Logins; c.b.attempts.glance(&logins, at, time.Now()) {
			if answer, err := x.scram.Finish(last); err == nil {
				c.b.attempts.welcome(at.user)
				return answer, nil
			}
		}
		return nil, c.tooMany(user, first)
	}
	answer, err := x.scram.Finish(last)
	c.attempted(at, user, errors.Is(err, auth.ErrScramProof))
	switch {
	case errors.Is(err, auth.ErrScramProof): // of somebody without keys too, who is not told from others
		c.b.count.loginsFailed.Add(1)
		return nil, packet.Errorf(packet.NotAuthorized, "login of %q refused: %s, or there are no keys of this user for %s", user, err, auth.ScramMethod)
	case err != nil:
		return nil, packet.Errorf(packet.ProtocolError, "%s: %s", auth.ScramMethod, err)
	}
	return answer, nil
}

// attempt asks whether a login may be checked now; attempted must follow then, and else tooMany.
func (c *connection) attempt(user string) (at attempt, ok, first bool) {
	logins := c.b.cfg().Logins
	return c.b.attempts.begin(&logins, from(c.conn.RemoteIP()), user, time.Now())
}

// tooMany refuses a login that is not looked at. 5.0 section 3.2.2.2; on 3.1.1 it becomes return code 3
func (c *connection) tooMany(user string, first bool) *packet.Error {
	c.b.count.loginsLimited.Add(1)
	if first {
		c.b.log.Warn("too many failed logins: further ones have to wait", "user", user, "peer", c.peer(), "listener", c.conn.Listener().Name())
	}
	return packet.Errorf(packet.ConnectionRateExceeded, "login of %q not looked at: too many failed, or too many at once", user)
}

// attempted notes what came of it.
func (c *connection) attempted(at attempt, user string, failed bool) {
	b := c.b
	logins := b.cfg().Logins
	if b.attempts.end(&logins, at, failed, time.Now()) {
		b.log.Info("login succeeded after too many that failed", "user", user, "peer", c.peer(), "listener", c.conn.Listener().Name())
	}
}

package upstream

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"weir/broker/packet"
	"weir/broker/topic"
)

const (
	greetTime = 20 * time.Second // for CONNECT to come
	maxIn     = 4 << 20          // largest packet read, where MaxPacket says nothing
)

// peer is one connection. Its reader goroutine takes packets, its writer goroutine writes the queue; both share the
// server's lock, which keeps this server simple: it is meant for tests and shows, not for speed.
type peer struct {
	s       *Server
	nc      net.Conn // with TLS, if any
	raw     net.Conn
	version packet.Version
	name    string // client id, or the address before CONNECT

	// Guarded by Server.mu.
	accepted bool
	gone     bool // the reader has ended
	dead     bool // was reset
	over     bool // another connection has its client id: nothing it says counts any more
	will     *Arrival
	queue    []queued
	*state
	resumed   bool            // the state is that of an earlier connection
	unacked   map[uint16]byte // QoS of each PUBLISH received on this connection and without PUBACK, failed PUBREC or PUBCOMP
	told      Behaviour       // as it was when CONNACK was sent
	published int

	// Towards the client.
	window  int
	limit   uint32 // largest packet the client takes; 0: any
	changed *sync.Cond
}

type queued struct {
	bytes []byte
	due   time.Time
	acks  uint16 // id that is free once this is written
	close bool
}

type subscribed struct {
	filter  topic.Filter
	qos     byte
	noLocal bool
	asIs    bool // retain as published
}

type delivery struct {
	a      Arrival
	qos    byte
	retain bool
}

func newPeer(s *Server, nc, raw net.Conn) *peer {
	return &peer{s: s, nc: nc, raw: raw, name: raw.RemoteAddr().String(), state: newState(), unacked: map[uint16]byte{},
		window: 65535, changed: sync.NewCond(&s.mu)}
}

// reset cuts the connection with a TCP reset. The caller holds Server.mu.
func (p *peer) reset() {
	p.dead = true
	if tcp, ok := p.raw.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	p.raw.Close()
}

// run serves the connection until it ends.
func (p *peer) run() {
	var writer sync.WaitGroup
	writer.Go(p.write)
	err := p.serve()
	p.s.mu.Lock()
	p.gone = true
	delete(p.s.peers, p)
	p.leave()
	var broken *packet.Error
	if errors.As(err, &broken) {
		p.s.violation(p.name, "%v", broken)
		if p.accepted && p.version == packet.V5 {
			p.say(&packet.Disconnect{Reason: broken.Reason})
		}
	}
	if p.will != nil {
		p.s.keep(*p.will)
		p.s.route(*p.will, p)
	}
	p.changed.Broadcast()
	p.s.changed.Broadcast()
	p.s.mu.Unlock()
	writer.Wait()
	p.raw.Close()
}

// serve reads packets until an error; io.EOF stands for DISCONNECT as well as for a closed connection.
func (p *peer) serve() error {
	buf := make([]byte, 0, 64<<10)
	for {
		used := 0
		for {
			f, n, err := packet.Next(buf[used:], p.readLimit())
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			used += n
			if err := p.take(f); err != nil {
				return err
			}
		}
		buf = buf[:copy(buf, buf[used:])]
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, len(buf))...)[:len(buf)]
		}
		n, err := p.read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if n == 0 && err != nil {
			return err
		}
	}
}

func (p *peer) readLimit() int {
	if p.told.MaxPacket > 0 {
		return int(p.told.MaxPacket)
	}
	return maxIn
}

// read waits while the server hangs, and for no longer than the client may be silent.
func (p *peer) read(b []byte) (int, error) {
	p.s.mu.Lock()
	for p.s.behaviour.Hang && !p.dead {
		p.s.changed.Wait()
	}
	allowed := greetTime
	if p.accepted {
		allowed = p.keepAlive()
	}
	p.s.mu.Unlock()
	deadline := time.Time{}
	if allowed > 0 {
		deadline = time.Now().Add(allowed)
	}
	if err := p.nc.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := p.nc.Read(b)
	if n == 0 && isTimeout(err) {
		return 0, packet.Errorf(packet.KeepAliveTimeout, "silent for %s", allowed) // v5 [MQTT-3.1.2-22], v3 [MQTT-3.1.2-24]
	}
	return n, err
}

// keepAlive is one and a half times the keep alive; 0: none.
func (p *peer) keepAlive() time.Duration {
	return time.Duration(p.told.KeepAlive) * time.Second * 3 / 2
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// take handles one packet.
func (p *peer) take(f packet.Frame) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.over {
		return io.EOF
	}
	if !p.accepted {
		if f.Type != packet.TypeConnect {
			return packet.Errorf(packet.ProtocolError, "%s before CONNECT", f.Type) // [MQTT-3.1.0-1]
		}
		return p.connect(f)
	}
	switch f.Type {
	case packet.TypePublish:
		return p.publish(f)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubcomp:
		return p.confirmed(f)
	case packet.TypePubrel:
		return p.release(f)
	case packet.TypeSubscribe:
		return p.subscribe(f)
	case packet.TypeUnsubscribe:
		return p.unsubscribe(f)
	case packet.TypePingreq:
		var ping packet.Pingreq
		if err := ping.Decode(f, p.version); err != nil {
			return err
		}
		if !p.s.behaviour.Mute {
			p.say(&packet.Pingresp{})
		}
		return nil
	case packet.TypeDisconnect:
		var d packet.Disconnect
		if err := d.Decode(f, p.version); err != nil {
			return err
		}
		if d.Reason != packet.DisconnectWithWill {
			p.will = nil // [MQTT-3.14.4-3]
		}
		return io.EOF
	}
	return packet.Errorf(packet.ProtocolError, "%s from a client", f.Type)
}

// connect answers CONNECT.
func (p *peer) connect(f packet.Frame) error {
	var c packet.Connect
	if err := c.Decode(f, 0); err != nil {
		return err
	}
	p.version = c.Version
	b := p.s.behaviour
	if b.Mute {
		return nil
	}
	reason := b.Refuse
	if b.Only != 0 && b.Only != c.Version {
		if b.CloseOther {
			return io.EOF
		}
		p.version = b.Only // as a server does that knows only this one
		reason = packet.UnsupportedProtocolVersion
	}
	if !reason.Failed() && b.Login != nil && !b.Login(string(c.Username), c.Password) {
		reason = packet.BadUserNameOrPassword
	}
	if reason.Failed() {
		p.say(&packet.Connack{Reason: reason})
		return io.EOF
	}
	p.greet(&c, b)
	if c.HasWill {
		p.will = &Arrival{Client: p.name, Topic: string(c.Will.Topic), Payload: append([]byte(nil), c.Will.Payload...), QoS: c.Will.QoS, Retain: c.Will.Retain}
	}
	return nil
}

// greet accepts the client and says so.
func (p *peer) greet(c *packet.Connect, b Behaviour) {
	if len(c.ClientID) > 0 {
		p.name = string(c.ClientID)
	}
	for other := range p.s.peers { // one connection per client id v5 [MQTT-3.1.4-3], v3 [MQTT-3.1.4-2]
		if other != p && other.accepted && other.name == p.name {
			if other.version == packet.V5 {
				other.say(&packet.Disconnect{Reason: packet.SessionTakenOver})
			}
			other.over = true
			other.queue = append(other.queue, queued{close: true})
			other.changed.Broadcast()
		}
	}
	p.join(c)
	ack := packet.Connack{SessionPresent: p.resumed}
	if p.version == packet.V5 {
		b.tell(&ack.Props)
		if len(c.ClientID) == 0 {
			ack.Props.SetAssignedClientID([]byte(p.name))
		}
		if c.Props.Has(packet.PropReceiveMaximum) && !b.Overrun {
			p.window = int(c.Props.ReceiveMaximum)
		}
		if c.Props.Has(packet.PropMaximumPacketSize) {
			p.limit = c.Props.MaximumPacketSize
		}
	} else {
		b.ReceiveMaximum, b.MaxPacket, b.MaxQoS, b.NoRetain, b.KeepAlive = 0, 0, nil, false, 0
	}
	if b.KeepAlive == 0 {
		b.KeepAlive = c.KeepAlive
	}
	p.told, p.accepted = b, true
	p.s.connects++
	p.say(&ack)
	p.again()
	p.s.changed.Broadcast()
}

// tell writes the limits into CONNACK.
func (b *Behaviour) tell(props *packet.Properties) {
	if b.ReceiveMaximum > 0 {
		props.SetReceiveMaximum(b.ReceiveMaximum)
	}
	if b.MaxPacket > 0 {
		props.SetMaximumPacketSize(b.MaxPacket)
	}
	if b.MaxQoS != nil {
		props.SetMaximumQoS(*b.MaxQoS)
	}
	if b.NoRetain {
		props.SetRetainAvailable(false)
	}
	if b.KeepAlive > 0 {
		props.SetServerKeepAlive(b.KeepAlive)
	}
}

package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"weir/broker/packet"
)

// Options of a server.
type Options struct {
	Address   string        // where to listen; empty: a free loopback port
	TLS       *tls.Config   // nil: plain TCP
	Behaviour Behaviour     // at the start; see Server.Behave
	Forget    bool          // do not keep arrivals, only count them and call OnArrival
	OnArrival func(Arrival) // called for each arrival, in order, with a lock held: be quick, call nothing of the server
}

// Behaviour is what the server does to its clients. The zero value is a kind server.
type Behaviour struct {
	Refuse          packet.Reason                       // answer to CONNECT, when it is a failure
	Login           func(user string, pass []byte) bool // nil: everyone
	Only            packet.Version                      // the one version spoken; 0: both
	CloseOther      bool                                // close at another version instead of answering
	Hang            bool                                // read nothing, answer nothing
	Mute            bool                                // read and record, answer nothing: neither CONNACK nor acknowledgements nor PINGRESP
	AckDelay        time.Duration                       // before each PUBACK and PUBREC
	ResetAfter      int                                 // reset each connection at its nth PUBLISH, which is recorded and not acknowledged; 0: never
	Verdict         func(a *Arrival) packet.Reason      // answer to a PUBLISH; with a failure it is not recorded
	Allergic        func(a *Arrival) bool               // reset the connection at such a PUBLISH, which is not recorded
	Unanswered      func(a *Arrival) bool               // PUBLISH that is recorded and never acknowledged
	Overrun         bool                                // send more than the client's Receive Maximum allows
	CutAtRelease    bool                                // reset the connection at a PUBREL, which is not taken
	SubscribeReason func(filter string) packet.Reason   // answer to a filter, when it is a failure

	// What CONNACK says to 5.0 clients; zero: nothing, and the standard's default holds.
	ReceiveMaximum uint16
	MaxPacket      uint32
	MaxQoS         *byte
	NoRetain       bool
	KeepAlive      uint16
}

// Arrival is one PUBLISH the server has accepted. A QoS 2 message arrives once, with its first PUBLISH.
type Arrival struct {
	Client  string
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Dup     bool
	User    [][2]string // 5.0 user properties
	At      time.Time
}

// Server listens until Close. All methods are safe for concurrent use.
type Server struct {
	o       Options
	address string
	group   sync.WaitGroup // accept loop and connections

	mu         sync.Mutex // guards the fields below and every peer's queue
	changed    *sync.Cond // behaviour, peers or arrivals changed
	behaviour  Behaviour
	listener   net.Listener // nil: down
	peers      map[*peer]bool
	sessions   map[string]*state // of clients that are not connected, by client id
	arrivals   []Arrival
	count      int
	retained   map[string]Arrival
	violations []string
	connects   int
	closed     bool
}

const maxViolations = 1000

// Listen starts a server. It must be closed.
func Listen(o Options) (*Server, error) {
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	s := &Server{o: o, behaviour: o.Behaviour, peers: map[*peer]bool{}, sessions: map[string]*state{}, retained: map[string]Arrival{}, address: o.Address}
	s.changed = sync.NewCond(&s.mu)
	if err := s.Up(); err != nil {
		return nil, err
	}
	return s, nil
}

// Address is host:port; URL is the same with mqtt:// or mqtts://. They stay the same through Down and Up.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// URL is what a client is given.
func (s *Server) URL() string {
	if s.o.TLS != nil {
		return "mqtts://" + s.Address()
	}
	return "mqtt://" + s.Address()
}

// Up listens again after Down. It does nothing while listening.
func (s *Server) Up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil || s.closed {
		return nil
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	s.listener, s.address = l, l.Addr().String()
	s.group.Go(func() { s.accept(l) })
	return nil
}

// Down stops listening and resets all connections. Sessions that last, retained messages and arrivals stay.
func (s *Server) Down() {
	s.mu.Lock()
	l := s.listener
	s.listener = nil
	s.mu.Unlock()
	if l != nil {
		l.Close()
	}
	s.Cut()
}

// Cut resets all connections and goes on listening.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.peers {
		p.reset()
	}
	s.changed.Broadcast()
}

// Close ends everything and waits for it.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Down()
	s.group.Wait()
	return nil
}

func (s *Server) accept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.listener != l { // taken down meanwhile
			s.mu.Unlock()
			nc.Close()
			return
		}
		raw := nc
		if s.o.TLS != nil {
			nc = tls.Server(nc, s.o.TLS)
		}
		p := newPeer(s, nc, raw)
		s.peers[p] = true
		s.group.Go(p.run)
		s.mu.Unlock()
	}
}

// Behave changes the behaviour from now on. What CONNACK says applies to new connections.
func (s *Server) Behave(change func(b *Behaviour)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.behaviour)
	s.changed.Broadcast()
}

// Publish sends a message to all subscribers; with retain it is also kept for later ones.
func (s *Server) Publish(topic string, payload []byte, qos byte, retain bool) {
	s.Send(Arrival{Topic: topic, Payload: slices.Clone(payload), QoS: qos, Retain: retain})
}

// Send is Publish with user properties. The payload must not be changed afterwards.
func (s *Server) Send(a Arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.At = time.Now()
	s.keep(a)
	s.route(a, nil)
}

// keep notes a retained message. The caller holds mu.
func (s *Server) keep(a Arrival) {
	switch {
	case !a.Retain:
	case len(a.Payload) == 0:
		delete(s.retained, a.Topic)
	default:
		s.retained[a.Topic] = a
	}
}

// route queues a message for everyone who has subscribed. The caller holds mu.
func (s *Server) route(a Arrival, from *peer) {
	for p := range s.peers {
		p.offer(a, from)
	}
	for _, away := range s.sessions {
		if d, ok := away.match(a, false); ok && d.qos > 0 {
			away.waiting = append(away.waiting, d)
		}
	}
}

// arrived records an accepted PUBLISH. The caller holds mu.
func (s *Server) arrived(a Arrival, from *peer) {
	s.count++
	if !s.o.Forget {
		s.arrivals = append(s.arrivals, a)
	}
	if s.o.OnArrival != nil {
		s.o.OnArrival(a)
	}
	s.keep(a)
	s.route(a, from)
	s.changed.Broadcast()
}

// violation notes an offence of a client. The caller holds mu.
func (s *Server) violation(client, format string, a ...any) {
	if len(s.violations) < maxViolations {
		s.violations = append(s.violations, client+": "+fmt.Sprintf(format, a...))
	}
}

// Arrivals are the messages so far, in order; none with Options.Forget.
func (s *Server) Arrivals() []Arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.arrivals)
}

// Count is the number of arrivals.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Wait blocks until ok, called with what has arrived so far (nothing with Options.Forget) after each change, is true.
func (s *Server) Wait(ctx context.Context, ok func(arrivals []Arrival) bool) error {
	return s.wait(ctx, func() bool { return ok(s.arrivals) })
}

// WaitCount blocks until there are at least n arrivals.
func (s *Server) WaitCount(ctx context.Context, n int) error {
	return s.wait(ctx, func() bool { return s.count >= n })
}

// WaitClients blocks until n connections are accepted and open.
func (s *Server) WaitClients(ctx context.Context, n int) error {
	return s.wait(ctx, func() bool { return s.clients() == n })
}

func (s *Server) wait(ctx context.Context, ok func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !ok() {
		if ctx.Err() != nil {
			return fmt.Errorf("upstream: gave up waiting with %d arrivals, %d clients: %w", s.count, s.clients(), ctx.Err())
		}
		s.changed.Wait()
	}
	return nil
}

// Retained is the retained message of a topic.
func (s *Server) Retained(topic string) (Arrival, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.retained[topic]
	return a, ok
}

// WaitRetained blocks until ok is true of the retained message of a topic; it is asked with none (a zero Arrival) too.
func (s *Server) WaitRetained(ctx context.Context, topic string, ok func(a Arrival) bool) error {
	return s.wait(ctx, func() bool { return ok(s.retained[topic]) })
}

// Violations are the offences against the protocol so far, one line each. A correct client leaves none.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Clients is the number of connections that are accepted and open.
func (s *Server) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients()
}

func (s *Server) clients() int {
	n := 0
	for p := range s.peers {
		if p.accepted {
			n++
		}
	}
	return n
}

// Unacknowledged is how many QoS 1 and 2 messages went to clients and have no PUBACK or PUBCOMP yet, or wait for room.
func (s *Server) Unacknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unacknowledged()
}

func (s *Server) unacknowledged() (n int) {
	for p := range s.peers {
		n += len(p.onWay) + len(p.waiting)
	}
	for _, away := range s.sessions {
		n += len(away.onWay) + len(away.waiting)
	}
	return n
}

// WaitUnacknowledged blocks until Unacknowledged is n.
func (s *Server) WaitUnacknowledged(ctx context.Context, n int) error {
	return s.wait(ctx, func() bool { return s.unacknowledged() == n })
}

// WaitSubscribed blocks until some client has subscribed to a filter.
func (s *Server) WaitSubscribed(ctx context.Context, filter string) error {
	return s.wait(ctx, func() bool {
		for p := range s.peers {
			for _, f := range p.filters {
				if f.filter.String() == filter {
					return true
				}
			}
		}
		return false
	})
}

// Connects is how often a CONNECT was accepted.
func (s *Server) Connects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connects
}

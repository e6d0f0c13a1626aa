package broker

import (
	"maps"
	"slices"
	"sync/atomic"

	"weir/broker/packet"
	"weir/broker/topic"
)

// limit counts what clients make the broker hold of one kind, and refuses what would be too much: the newest, whoever asks
// for it. That it is reached is logged once, and so is that there is room again. Safe for concurrent use.
//
//	      refused a first time                       n falls below 7/8 of most
//	room ──────────────────────▶ reached: one warning ─────────────────────────▶ room: one line, with how often it refused
type limit struct {
	name string       // as the configuration calls it
	most atomic.Int64 // 0: there is no limit, only a count

	n       atomic.Int64
	refused atomic.Uint64
	reached atomic.Bool

	// Of Broker.tellLimits:
	told bool   // the log says that it is reached
	seen uint64 // of refused, when it said last how it is
}

// take adds n, or refuses them. It takes no lock and writes nothing, so it may be called under any.
func (l *limit) take(b *Broker, n int) bool {
	for {
		now := l.n.Load()
		if most := l.most.Load(); now+int64(n) > most && most > 0 && n > 0 {
			l.refused.Add(1)
			if !l.reached.Swap(true) {
				b.calendar.look()
			}
			return false
		}
		if l.n.CompareAndSwap(now, now+int64(n)) {
			return true
		}
	}
}

// force adds n, also beyond the limit: for what is there already, such as stored sessions at a start.
func (l *limit) force(n int) { l.n.Add(int64(n)) }

// give takes n away again.
func (l *limit) give(b *Broker, n int) {
	if n == 0 {
		return
	}
	l.n.Add(int64(-n))
	l.relax(b)
}

// relax notes that there is room again, if there is.
func (l *limit) relax(b *Broker) {
	most := l.most.Load()
	if l.reached.Load() && (most == 0 || l.n.Load() < most-most/8) && l.reached.Swap(false) {
		b.calendar.look()
	}
}

// allow sets another limit. What is there already stays.
func (l *limit) allow(b *Broker, most int64) {
	l.most.Store(most)
	l.relax(b)
}

// tell logs what changed.
func (l *limit) tell(b *Broker) {
	refused := l.refused.Load()
	if !l.told && refused > l.seen {
		l.told = true
		b.log.Warn("limit reached: what is new is refused", "limit", l.name, "most", l.most.Load())
	}
	if l.told && !l.reached.Load() {
		l.told = false
		b.log.Info("below the limit again", "limit", l.name, "most", l.most.Load(), "refused", refused-l.seen)
		l.seen = refused
	}
}

// tellLimits logs which limits were reached, and which are no more. Called by keepDates.
func (b *Broker) tellLimits() {
	for _, l := range b.limits.all() {
		l.tell(b)
	}
	b.mu.Lock()
	own := slices.Collect(maps.Values(b.listeners))
	b.mu.Unlock()
	for _, l := range own {
		l.tell(b)
	}
}

// errMemory ends a connection that would make the broker hold more than it has memory for.
var errMemory = packet.Errorf(packet.QuotaExceeded, "the memory of the broker is used up")

// limits are all that are counted for the whole broker.
type limits struct {
	connections   limit
	sessions      limit
	subscriptions limit
	retained      limit
	retainedBytes limit
	queued        limit // messages that wait for sessions in memory
	memory        limit // bytes, about: see the costs below
	connecting    limit // connections that have not sent CONNECT
}

// set makes them those of a configuration.
func (l *limits) set(b *Broker, c *Config) {
	for i, x := range [...]struct {
		name string
		most int
	}{
		{"max_connections", c.MaxConnections}, {"max_sessions", c.MaxSessions}, {"max_subscriptions", c.MaxSubscriptions},
		{"max_retained", c.MaxRetained}, {"max_retained_bytes", c.MaxRetainedBytes}, {"queue_total", c.QueueTotal}, {"memory", c.Memory},
		{"max_connecting", c.MaxConnecting},
	} {
		limit := l.all()[i]
		limit.name = x.name
		limit.allow(b, int64(x.most))
	}
}

// SetLimits takes from a configuration how much clients may ask for: what has to do with how many, how large and how long there
// is in Config, MaxQoS and Logins too; everything else of it is left as it was. What is there already stays, also beyond a lower
// limit, until it goes by itself. What a client is told when it connects (largest packet, receive maximum, topic aliases, highest QoS,
// keep alive, session expiry) holds for it until it connects again.
func (b *Broker) SetLimits(c Config) {
	c = c.withDefaults()
	next := *b.cfg()
	next.MaxPacket, next.ConnectWait = c.MaxPacket, c.ConnectWait
	next.ReceiveMaximum, next.TopicAliases, next.Inflight = c.ReceiveMaximum, c.TopicAliases, c.Inflight
	next.QueueMessages, next.QueueBytes, next.QueueTotal = c.QueueMessages, c.QueueBytes, c.QueueTotal
	next.MaxSessionExpiry, next.MaxKeepAlive, next.MaxQoS = c.MaxSessionExpiry, c.MaxKeepAlive, c.MaxQoS
	next.MaxTopicLevels, next.MaxTopicLength = c.MaxTopicLevels, c.MaxTopicLength
	next.MaxConnections, next.ListenerConnections, next.MaxSessions = c.MaxConnections, c.ListenerConnections, c.MaxSessions
	next.MaxConnecting, next.AddressConnecting, next.Logins = c.MaxConnecting, c.AddressConnecting, c.Logins
	next.MaxSubscriptions, next.MaxClientSubscriptions = c.MaxSubscriptions, c.MaxClientSubscriptions
	next.MaxRetained, next.MaxRetainedBytes, next.Memory = c.MaxRetained, c.MaxRetainedBytes, c.Memory
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config.Store(&next)
	b.limits.set(b, &next)
	for name, l := range b.listeners {
		l.allow(b, next.ofListener(name))
	}
}

// Limit is the state of one limit of the whole broker.
type Limit struct {
	Name    string // as the configuration calls it
	Now     int64
	Most    int64
	Refused uint64 // since the broker was made
}

// all of them, in the order of set.
func (l *limits) all() [8]*limit {
	return [...]*limit{&l.connections, &l.sessions, &l.subscriptions, &l.retained, &l.retainedBytes, &l.queued, &l.memory, &l.connecting}
}

func (l *limits) stats() (all []Limit) {
	for _, x := range l.all() {
		all = append(all, Limit{Name: x.name, Now: x.n.Load(), Most: x.most.Load(), Refused: x.refused.Load()})
	}
	return all
}

// What things cost, for Config.Memory, in bytes. They are about what was measured, the garbage collector's share left out.
const (
	costConnection   = 8 << 10 // a goroutine, a read buffer and what is kept of a socket
	costPolled       = 2 << 10 // what is kept of a socket that pollers drive
	costSession      = 4 << 10 // of it freeOut for its output
	costSubscription = 400     // and its filter, twice
	freeOut          = 2 << 10 // so much of an output is part of the session
	stepOut          = 16 << 10
)

// cost of a connection.
func (c *connection) cost() int {
	if c.conn.Shares() {
		return costPolled
	}
	return costConnection
}

// cost of a subscription.
func cost(f topic.Filter) int { return costSubscription + 2*len(f.String()) }

// An output counts against the limit in steps, so that messages of a client that keeps up cost nothing. What it holds are
// messages that wait or are in flight, bytes for the socket, and bytes that are being written.

// holds is how many bytes that are.
func (o *out) holds() int { return o.bytes + o.replays + o.lentBytes + len(o.pending) + int(o.writing) }

// fits makes room for n more bytes; false: the memory of the broker is used up. The caller holds mu.
func (o *out) fits(b *Broker, n int) bool {
	more := steps(o.holds()+n-freeOut) - o.charged
	if more <= 0 {
		return true
	}
	if !b.limits.memory.take(b, int(more)*stepOut) {
		return false
	}
	o.charged += more
	return true
}

// steps is how many make n bytes.
func steps(n int) int32 { return int32((max(0, n) + stepOut - 1) / stepOut) }

// more tells whether another message may be moved from what waits to the socket's buffer. The first one always may, however
// little memory there is, or what waits could never leave. The caller holds mu.
func (o *out) more(b *Broker) bool {
	return len(o.pending) == 0 || len(o.pending) < fillBytes && o.fits(b, 0)
}

// settle counts what is held now, also beyond the limit, and gives back what is held no more. Last words of a connection do not
// count. The caller holds mu.
func (o *out) settle(b *Broker) {
	if o.last {
		return
	}
	if n := o.queued - o.queue.len(); n > 0 {
		b.limits.queued.give(b, n)
		o.queued -= n
	}
	need := steps(o.holds() - freeOut)
	switch {
	case need < o.charged:
		b.limits.memory.give(b, int(o.charged-need)*stepOut)
	case need > o.charged:
		b.limits.memory.force(int(need-o.charged) * stepOut)
	}
	o.charged = need
}

// mayWait takes the place of one more message in the queue. The caller holds mu.
func (o *out) mayWait(b *Broker) bool {
	if o.queue.len() < o.queued {
		return true
	}
	if !b.limits.queued.take(b, 1) {
		return false
	}
	o.queued++
	return true
}

// fits takes the place of a message of that size among those that wait for a group; false: there is none. The caller holds mu.
func (g *group) fits(size int) bool {
	l := &g.b.limits
	if !l.queued.take(g.b, 1) {
		return false
	}
	if !l.memory.take(g.b, size) {
		l.queued.give(g.b, 1)
		return false
	}
	g.queued++
	g.charged += size
	return true
}

// settle gives back what is held no more. The caller holds mu.
func (g *group) settle() {
	g.b.limits.memory.give(g.b, g.charged-g.held)
	g.b.limits.queued.give(g.b, g.queued-g.memory.len())
	g.charged, g.queued = g.held, g.memory.len()
}

// charge makes what the session is counted for n bytes; false: there is no room for more. Called by its owner, or under
// Broker.mu while it has none.
func (s *session) charge(n int) bool {
	more := n - int(s.charged)
	if more > 0 && !s.b.limits.memory.take(s.b, more) {
		return false
	}
	if more < 0 {
		s.b.limits.memory.give(s.b, -more)
	}
	s.charged = int32(n)
	return true
}

// base is what a session counts for besides its subscriptions and its output.
func (s *session) base(w *will) int {
	n := costSession + len(s.names)
	if w != nil {
		n += footprint(&w.message)
	}
	return n
}

// input counts the read buffer of a connection, which may hold a large packet that is still coming. rest is what was not
// consumed of it. An error means that the packet must not come.
func (c *connection) input(size, rest int) error {
	if size <= 4<<10 {
		size = 0 // part of what a connection costs
	}
	if rest > 4<<10 && rest == size {
		size *= 2 // it grows next
	}
	if size == int(c.inputs) {
		return nil
	}
	m := &c.b.limits.memory
	switch more := size - int(c.inputs); {
	case more < 0:
		m.give(c.b, -more)
	case rest <= 4<<10:
		m.force(more)
	case !m.take(c.b, more):
		return errMemory
	}
	c.inputs = int32(size)
	return nil
}

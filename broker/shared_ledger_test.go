package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/broker/packet"
)

// TestSharedLedger has members of a shared group come, go, end their sessions, take their time and be killed along with the broker, while
// messages are published. Of every message that was acknowledged: at QoS 1 at least one member got it; at QoS 2 exactly one did, or
// it is among those that were counted as dropped with a session. No message of QoS 2 comes twice.
func TestSharedLedger(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { newLedger(t, seed, seed%3 != 2).run(250) })
	}
}

// ledger is who got what.
type ledger struct {
	*lasting
	rnd     *rand.Rand
	kills   bool // the broker has a store that survives it
	members []*sharer
	n       int // messages so far

	mu    sync.Mutex // guards everything below
	acked map[string]bool
	got   map[string]int
	dead  *atomic.Bool // the broker is being killed: whatever comes now never came
	lost  uint64       // counted as dropped, by the brokers before
}

// sharer is a member that does what the standard wants of clients, while its session lasts.
type sharer struct {
	l     *ledger
	id    string
	clean bool
	fresh bool // it has no session, so it must not find one: v5 [MQTT-3.2.2-4]
	conn  net.Conn
	done  chan struct{}
	lazy  atomic.Bool
	held  map[uint16]bool // guarded by ledger.mu
}

func newLedger(t *testing.T, seed uint64, kills bool) *ledger {
	l := &ledger{rnd: rand.New(rand.NewPCG(seed, 5)), kills: kills, acked: map[string]bool{}, got: map[string]int{}, dead: &atomic.Bool{}}
	l.lasting = buildLasting(t, Config{})
	l.v.noQueue = !kills
	for i := range 5 {
		l.members = append(l.members, &sharer{l: l, id: fmt.Sprint("m", i), clean: i >= 3, held: map[uint16]bool{}})
	}
	return l
}

func (l *ledger) run(steps int) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	v := &atomic.Pointer[vault]{}
	v.Store(l.v)
	l.manual()
	work.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			v.Load().Commit()
		}
	})
	l.members[0].connect() // it is always a member, so that the group does not end
	for range steps {
		m := l.members[l.rnd.IntN(len(l.members))]
		switch k := l.rnd.IntN(20); {
		case k < 8:
			l.publish(1 + l.rnd.IntN(20))
		case k < 12:
			m.connect()
		case k < 14:
			m.cut()
		case k < 15 && m != l.members[0]:
			m.end()
		case k < 18:
			m.lazy.Store(!m.lazy.Load())
			if !m.lazy.Load() {
				m.cut() // what it did not answer comes again
			}
		case k == 18 && l.kills:
			l.kill()
			v.Store(l.v)
			l.members[0].connect()
		}
		if l.t.Failed() {
			return
		}
	}
	l.finish()
}

// publish publishes messages at QoS 1 and 2 and waits until they are acknowledged.
func (l *ledger) publish(n int) {
	c, _ := l.login(packet.V5, "")
	names := map[uint16]string{}
	for i := range n {
		q, id := byte(1+l.rnd.IntN(2)), uint16(i+1)
		names[id] = fmt.Sprintf("%d/%d", q, l.n)
		l.n++
		c.publish("x", names[id], q, id)
	}
	for len(names) > 0 {
		p, kind, err := c.next()
		if err != nil || kind != packet.TypePuback && kind != packet.TypePubrec {
			l.t.Fatalf("publisher got %s, %v", kind, err)
		}
		id := p.(*packet.Ack).ID
		l.mu.Lock()
		l.acked[names[id]] = true
		l.mu.Unlock()
		delete(names, id)
	}
	c.nc.Close()
}

// kill cuts the broker off at any moment of what it does.
func (l *ledger) kill() {
	l.dead.Store(true)
	before := l.b
	l.again(Config{})
	l.manual()
	for _, m := range l.members {
		m.gone()
		if m.clean {
			m.held = map[uint16]bool{}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost += before.Stats().DroppedShared
	l.dead = &atomic.Bool{}
}

// connect connects and subscribes, unless it is connected.
func (m *sharer) connect() {
	l := m.l
	if m.conn != nil {
		select {
		case <-m.done:
		default:
			return
		}
	}
	m.gone()
	if m.clean {
		l.mu.Lock()
		m.held = map[uint16]bool{}
		l.mu.Unlock()
	}
	conn, err := net.Dial("tcp", l.address)
	if err != nil {
		l.t.Fatal(err)
	}
	m.conn, m.done = conn, make(chan struct{})
	l.dialled = append(l.dialled, conn)
	c := packet.Connect{ClientID: []byte(m.id), CleanStart: m.clean || m.fresh}
	m.fresh = false
	if !m.clean {
		c.Props.SetSessionExpiry(3600)
	}
	c.Props.SetReceiveMaximum(uint16(1 + l.rnd.IntN(12)))
	b, _ := c.Append(nil, packet.V5)
	p := packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("$share/g/x"), QoS: 2}}}
	b, _ = p.Append(b, packet.V5)
	_, _ = conn.Write(b) // an error means that the broker is gone
	ready := make(chan struct{})
	go m.read(conn, m.done, l.dead, ready)
	select {
	case <-ready:
	case <-m.done:
	case <-time.After(patience):
		l.t.Error("no SUBACK")
	}
}

// gone closes the connection.
func (m *sharer) gone() {
	if m.conn != nil {
		m.conn.Close()
		<-m.done
		m.conn = nil
	}
}

func (m *sharer) cut() { m.gone() }

// end ends the session with the connection.
func (m *sharer) end() {
	if m.conn == nil {
		return
	}
	b, _ := (&packet.Disconnect{Props: expiring(0)}).Append(nil, packet.V5)
	_, _ = m.conn.Write(b) // an error means that the connection is gone already
	<-m.done
	m.gone()
	m.l.until(func() bool { return m.l.session(m.id) == nil })
	m.fresh = true
	m.l.mu.Lock()
	m.held = map[uint16]bool{}
	m.l.mu.Unlock()
}

func (m *sharer) read(conn net.Conn, done chan struct{}, dead *atomic.Bool, ready chan struct{}) {
	defer close(done)
	c := &client{t: m.l.t, nc: conn, v: packet.V5}
	for {
		p, kind, err := c.next()
		if err != nil || dead.Load() {
			return
		}
		var answer packet.Ack
		switch kind {
		case packet.TypeConnack:
			if !p.(*packet.Connack).SessionPresent {
				m.l.mu.Lock()
				m.held = map[uint16]bool{}
				m.l.mu.Unlock()
			}
		case packet.TypeSuback:
			close(ready)
		case packet.TypePublish:
			answer = m.take(p.(*packet.Publish))
		case packet.TypePubrel:
			answer = packet.Ack{Type: packet.TypePubcomp, ID: p.(*packet.Ack).ID}
			m.l.mu.Lock()
			delete(m.held, answer.ID)
			m.l.mu.Unlock()
		default:
			return
		}
		if answer.ID != 0 && !m.lazy.Load() {
			b, _ := answer.Append(nil, packet.V5)
			if _, err := conn.Write(b); err != nil {
				return
			}
		}
	}
}

// take notes a message; a repeat at QoS 2 is none.
func (m *sharer) take(p *packet.Publish) packet.Ack {
	l := m.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.QoS < 2 {
		l.got[string(p.Payload)]++
		return packet.Ack{Type: packet.TypePuback, ID: p.ID}
	}
	if !m.held[p.ID] {
		m.held[p.ID] = true
		if l.got[string(p.Payload)]++; l.got[string(p.Payload)] > 1 {
			l.t.Errorf("%s came %d times, now to %s", p.Payload, l.got[string(p.Payload)], m.id)
		}
	}
	return packet.Ack{Type: packet.TypePubrec, ID: p.ID}
}

// finish lets everybody take what is left, and looks at the books.
func (l *ledger) finish() {
	for _, m := range l.members {
		m.lazy.Store(false)
		m.cut()
	}
	for _, m := range l.members {
		m.connect()
	}
	var g *group
	l.b.groups.mu.Lock()
	for _, g = range l.b.groups.all {
	}
	l.b.groups.mu.Unlock()
	l.until(func() bool {
		g.mu.Lock()
		left := g.memory.len() + len(g.back)
		g.mu.Unlock()
		if g.queue != nil {
			n, _ := g.queue.Waiting()
			left += n
		}
		return left == 0 && g.lent.Load() == 0
	})
	for _, m := range l.members {
		m.gone()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	missing := uint64(0)
	for name := range l.acked {
		switch {
		case l.got[name] > 0:
		case name[0] == '1':
			l.t.Errorf("%s was acknowledged and nobody got it", name)
		default:
			missing++
		}
	}
	if lost := l.lost + l.b.Stats().DroppedShared; missing > lost {
		l.t.Errorf("%d messages of QoS 2 came to nobody, only %d are counted as dropped", missing, lost)
	}
	l.t.Logf("%d published, %d of QoS 2 missing, %d dropped", l.n, missing, l.lost+l.b.Stats().DroppedShared)
}

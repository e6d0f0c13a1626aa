package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/buffer/crashfs"
)

// TestPowerCutOfSessions cuts power at every operation of a life of persistent sessions, and looks at every disk that may be
// found then, with clients that go on as the standard says: whatever was acknowledged is delivered, QoS 2 once, in order;
// sessions, subscriptions and retained topics are as was answered.
func TestPowerCutOfSessions(t *testing.T) {
	cutEverywhere(t, 40, func(t *testing.T, disk *crashfs.Disk) trial {
		l := localLife(t, disk)
		return trial{l.want, func(t *testing.T, found *crashfs.Disk) error { return l.clone().check(t, found) }}
	})
}

// local is a broker over a journal on a disk of the tests.
type local struct {
	*rig
	broker *broker.Broker
	disk   *crashfs.Disk
	conns  chan net.Conn
	end    func()
}

// bubbleStart is when the clock of a synctest bubble begins, so that time goes on in the next process of a test.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func openLocal(t *testing.T, disk *crashfs.Disk) (*local, error) {
	r := &rig{t: t, told: make(chan struct{}, 1)}
	j, err := Open(crashConfig(disk))
	if err != nil {
		return nil, err
	}
	r.Journal = j
	l := &local{rig: r, disk: disk, conns: make(chan net.Conn)}
	b := broker.New(broker.Config{Store: j, RetainFlush: 10 * time.Second}, j, func() message.Stamp {
		return message.Stamp{Boot: 7, Since: time.Since(bubbleStart)}
	}, j.cfg.Log)
	l.broker = b
	listener := &pipes{conns: l.conns, closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	keep, stop := context.WithCancel(context.Background())
	var g, first sync.WaitGroup
	first.Go(func() { _ = j.Run(keep, b.Notify) })
	g.Go(func() { _ = b.Run(ctx, listener) })
	l.end = sync.OnceFunc(func() {
		cancel()
		g.Wait()
		stop()
		first.Wait()
	})
	return l, nil
}

// pipes is a listener in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Name() string   { return "pipes" }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return onLoopback{c}, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

type onLoopback struct{ net.Conn }

func (onLoopback) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// peer is a client with what it keeps: a strict publisher and subscriber. It lives on when the broker dies.
type peer struct {
	id string

	mu      sync.Mutex // guards everything below
	owns    bool       // CONNACK said that the session exists
	present bool       // of the last CONNACK
	granted bool       // SUBACK came
	dropped bool       // UNSUBACK came
	asked   bool       // UNSUBSCRIBE was sent
	sent    map[uint16]*packet.Publish
	order   []uint16        // ids of sent
	pubrel  map[uint16]bool // PUBREC came
	acked   map[string]bool // payloads that were acknowledged
	held    map[uint16]bool // QoS 2 ids received and not released
	got     []string        // payloads in the order they came, QoS 2 repeats left out as the standard says
	q2      map[string]int
	lazy    bool // it takes nothing
	values  map[string]string

	conn net.Conn
	dead func() bool
	done chan struct{}
}

func newPeer(id string) *peer {
	return &peer{id: id, sent: map[uint16]*packet.Publish{}, pubrel: map[uint16]bool{}, acked: map[string]bool{}, held: map[uint16]bool{},
		q2: map[string]int{}, values: map[string]string{}}
}

func (p *peer) clone() *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &peer{id: p.id, owns: p.owns, granted: p.granted, dropped: p.dropped, asked: p.asked, sent: maps.Clone(p.sent), order: slices.Clone(p.order),
		pubrel: maps.Clone(p.pubrel), acked: maps.Clone(p.acked), held: maps.Clone(p.held), got: slices.Clone(p.got),
		q2: maps.Clone(p.q2), values: map[string]string{}}
}

// connect connects with a session that lasts, sends again what is not finished, and reads from then on.
func (p *peer) connect(l *local, clean bool) {
	near, far := net.Pipe()
	l.conns <- far
	p.conn, p.dead, p.done = near, l.disk.Crashed, make(chan struct{})
	c := packet.Connect{ClientID: []byte(p.id), CleanStart: clean}
	c.Props.SetSessionExpiry(3600)
	go p.read(near, p.done)
	p.write(&c)
	synctest.Wait()
	time.Sleep(500 * time.Millisecond) // a new session waits for its commit
	p.mu.Lock()
	var again []interface {
		Append([]byte, packet.Version) ([]byte, error)
	}
	for _, id := range p.order {
		if p.pubrel[id] {
			again = append(again, &packet.Ack{Type: packet.TypePubrel, ID: id})
		} else {
			m := *p.sent[id]
			m.Dup = true
			again = append(again, &m)
		}
	}
	p.mu.Unlock()
	p.write(again...)
}

func (p *peer) write(all ...interface {
	Append([]byte, packet.Version) ([]byte, error)
}) {
	var b []byte
	for _, x := range all {
		b, _ = x.Append(b, packet.V5)
	}
	if len(b) > 0 {
		_, _ = p.conn.Write(b) // an error means that the connection is gone
	}
}

// publish sends a message and keeps it until it is finished.
func (p *peer) publish(name, payload string, q byte, retain bool) {
	p.mu.Lock()
	id := uint16(1)
	for p.sent[id] != nil {
		id++
	}
	m := &packet.Publish{QoS: q, ID: id, Topic: []byte(name), Payload: []byte(payload), Retain: retain}
	p.sent[m.ID] = m
	p.order = append(p.order, m.ID)
	p.mu.Unlock()
	p.write(m)
}

func (p *peer) close() {
	p.conn.Close()
	<-p.done
}

func (p *peer) read(conn net.Conn, done chan struct{}) {
	defer close(done)
	var buf []byte
	part := make([]byte, 4096)
	for {
		n, err := conn.Read(part)
		buf = append(buf, part[:n]...)
		for {
			f, size, bad := packet.Next(buf, 0)
			if bad != nil || size == 0 {
				break
			}
			if !p.dead() { // what comes after the power is gone never came
				p.take(f)
			}
			buf = buf[size:]
		}
		if err != nil {
			return
		}
	}
}

func (p *peer) take(f packet.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch f.Type {
	case packet.TypeConnack:
		var a packet.Connack
		_ = a.Decode(f, packet.V5)
		p.present = a.SessionPresent
		p.owns = a.Reason == packet.Success
		if !a.SessionPresent {
			clear(p.held)
		}
	case packet.TypeSuback:
		p.granted = true
	case packet.TypeUnsuback:
		p.dropped = true
	case packet.TypePublish:
		p.receive(f)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp:
		p.acknowledged(f)
	}
}

func (p *peer) receive(f packet.Frame) {
	var m packet.Publish
	_ = m.Decode(f, packet.V5)
	payload := string(m.Payload)
	if p.lazy { // as if it had not come
		return
	}
	if m.Retain {
		p.values[string(m.Topic)] = payload
	}
	switch {
	case m.QoS == 2 && p.held[m.ID]:
	case m.QoS == 2:
		p.held[m.ID] = true
		p.q2[payload]++
		p.got = append(p.got, payload)
	default:
		p.got = append(p.got, payload)
	}
	answer := packet.TypePuback
	if m.QoS == 2 {
		answer = packet.TypePubrec
	}
	if m.QoS > 0 {
		go p.write(&packet.Ack{Type: answer, ID: m.ID})
	}
}

func (p *peer) acknowledged(f packet.Frame) {
	var a packet.Ack
	_ = a.Decode(f, packet.V5)
	switch a.Type {
	case packet.TypePubrel:
		delete(p.held, a.ID)
		go p.write(&packet.Ack{Type: packet.TypePubcomp, ID: a.ID})
		return
	case packet.TypePubrec:
		p.pubrel[a.ID] = true
		go p.write(&packet.Ack{Type: packet.TypePubrel, ID: a.ID})
	default:
		p.order = slices.DeleteFunc(p.order, func(id uint16) bool { return id == a.ID })
		delete(p.pubrel, a.ID)
		defer delete(p.sent, a.ID) // the id is used again
	}
	if m := p.sent[a.ID]; m != nil {
		p.acked[string(m.Topic)+"="+string(m.Payload)] = true
	}
}

// story is what the clients know when the power is gone.
type story struct {
	pub, sub, other *peer
	n               int // numbered messages that were sent
}

func (s *story) clone() *story { return &story{s.pub.clone(), s.sub.clone(), s.other.clone(), s.n} }

// localLife does what clients do, until the disk is gone or it is over.
func localLife(t *testing.T, disk *crashfs.Disk) *story {
	s := &story{pub: newPeer("pub"), sub: newPeer("sub"), other: newPeer("other")}
	l, err := openLocal(t, disk)
	if err != nil {
		return s // power went while it was opened
	}
	defer func() {
		l.end()
		if err := l.Close(); err != nil && !disk.Crashed() {
			t.Errorf("close: %v", err)
		}
	}()
	s.sub.connect(l, false)
	defer func() { s.sub.close() }()
	s.sub.write(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("n/#"), QoS: 2}}})
	s.pub.connect(l, false)
	defer func() { s.pub.close() }()
	s.other.connect(l, false)
	defer func() { s.other.close() }()
	s.other.write(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("elsewhere"), QoS: 1}}})
	rest := func(d time.Duration) { synctest.Wait(); time.Sleep(d) }
	rest(300 * time.Millisecond)
	for i := 0; i < 30 && !disk.Crashed(); i++ {
		switch i {
		case 6:
			s.sub.mu.Lock()
			s.sub.lazy = true
			s.sub.mu.Unlock()
		case 10:
			s.sub.close()
		case 16:
			s.sub.mu.Lock()
			s.sub.lazy = false
			s.sub.mu.Unlock()
			s.sub.connect(l, false)
		case 20:
			s.pub.close()
			s.pub.connect(l, false)
		case 22:
			s.pub.publish("keep/a", "1", 1, true)
			s.pub.publish("keep/b", "1", 1, true)
		case 24:
			s.pub.publish("keep/b", "", 1, true)
			s.other.mu.Lock()
			s.other.asked = true
			s.other.mu.Unlock()
			s.other.write(&packet.Unsubscribe{ID: 2, Filters: [][]byte{[]byte("elsewhere")}})
		}
		s.pub.publish("n/x", strconv.Itoa(s.n), byte(1+i%3/2), false)
		s.n++
		rest(time.Duration(10+i%4*60) * time.Millisecond)
	}
	rest(300 * time.Millisecond)
	return s
}

// check lets the clients go on with a disk, and holds what comes against what was promised.
func (s *story) check(t *testing.T, disk *crashfs.Disk) error {
	l, err := openLocal(t, disk)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer l.end()
	for _, p := range []*peer{s.sub, s.pub, s.other} {
		owned := p.owns
		p.connect(l, false)
		if owned && !p.present {
			p.close()
			return fmt.Errorf("session of %s was answered and is gone", p.id)
		}
	}
	late := newPeer("late")
	late.connect(l, true)
	late.write(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("keep/#"), QoS: 0}}})
	s.pub.publish("elsewhere", "for other", 1, false)
	time.Sleep(3 * time.Second)
	synctest.Wait()
	for _, p := range []*peer{s.sub, s.pub, s.other, late} {
		p.close()
	}
	l.end()
	return errors.Join(s.judge(late.values), l.Close())
}

// judge is called when nothing moves any more.
func (s *story) judge(values map[string]string) error {
	if !s.sub.granted {
		return nil
	}
	if len(s.pub.order) > 0 {
		return fmt.Errorf("%d messages of the publisher are not finished", len(s.pub.order))
	}
	last, times := -1, map[int]int{}
	for _, payload := range s.sub.got {
		n, _ := strconv.Atoi(payload)
		if times[n]++; times[n] == 1 && n < last {
			return fmt.Errorf("message %d came after %d: %v", n, last, s.sub.got)
		}
		last = max(last, n)
	}
	for n := range s.n {
		if s.pub.acked[fmt.Sprintf("n/x=%d", n)] && times[n] == 0 {
			return fmt.Errorf("message %d was acknowledged and never came; there came %v", n, s.sub.got)
		}
	}
	for payload, times := range s.sub.q2 {
		if times > 1 {
			return fmt.Errorf("message %s of QoS 2 came %d times", payload, times)
		}
	}
	if s.pub.acked["keep/a=1"] && values["keep/a"] != "1" {
		return fmt.Errorf("retained message was acknowledged and is gone")
	}
	if s.pub.acked["keep/b="] && values["keep/b"] != "" {
		return fmt.Errorf("retained message came back over a delete")
	}
	switch got := slices.Contains(s.other.got, "for other"); {
	case s.other.granted && !s.other.asked && !got:
		return fmt.Errorf("subscription was answered and is gone")
	case s.other.dropped && got:
		return fmt.Errorf("subscription came back after UNSUBACK")
	}
	return nil
}

// want checks a life that nothing cut short.
func (s *story) want(t *testing.T, disk *crashfs.Disk) {
	disk.CrashAt(1 << 30)
	if err := s.check(t, disk); err != nil {
		t.Error(err)
	}
	if got := len(s.sub.got); got < s.n || len(s.sub.q2) == 0 || len(s.pub.acked) < s.n {
		t.Errorf("the whole life: %d of %d came, %d of QoS 2, %d acknowledged", got, s.n, len(s.sub.q2), len(s.pub.acked))
	}
}

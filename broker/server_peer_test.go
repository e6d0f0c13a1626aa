package broker

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"weir/broker/packet"
)

// peer is one connection of a storm: it sends what it is told to, and collects what comes while it reads. Its methods but
// those of its reader are for the storm's goroutine, and do nothing on nil.
type peer struct {
	s       *storm
	nc      net.Conn
	v       packet.Version // how it encodes, whatever CONNECT said
	referee referee
	paused  atomic.Bool
	wake    chan struct{} // capacity 1: reads again
	dozed   bool          // did not read for longer than the broker waits for last words to be read
	closed  bool          // from this side

	mu  sync.Mutex // guards the fields below
	got []byte     // not decoded yet
	eof bool
}

func (s *storm) dial() *peer {
	nc := s.memory.dial(8 << 10)
	p := &peer{s: s, nc: nc, v: versions[s.byte()%2], wake: make(chan struct{}, 1)}
	p.referee.keys = s.keys
	p.referee.outstanding, p.referee.asked = map[uint16]byte{}, map[uint32]int{}
	s.all = append(s.all, p)
	go p.read()
	return p
}

func (p *peer) read() {
	part := make([]byte, 4<<10)
	for {
		for p.paused.Load() {
			<-p.wake
		}
		n, err := p.nc.Read(part)
		p.mu.Lock()
		p.got = append(p.got, part[:n]...)
		p.eof = p.eof || err == io.EOF
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *peer) pause(on bool) {
	if p == nil || on && p.referee.over() {
		return
	}
	p.paused.Store(on)
	if !on {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

func (p *peer) close() {
	if p == nil || p.closed {
		return
	}
	p.look()
	p.closed = true
	p.nc.Close()
	p.pause(false)
}

func (p *peer) encode(a appender) []byte {
	if p == nil {
		return nil
	}
	b, err := a.Append(nil, p.v)
	if err != nil { // not possible in this version
		return nil
	}
	return b
}

func (p *peer) send(a appender) { p.write(p.encode(a)) }

// write gives the connection bytes, and the referee those that it took.
func (p *peer) write(b []byte) {
	if p == nil || p.closed || len(b) == 0 {
		return
	}
	p.nc.SetWriteDeadline(time.Now().Add(time.Millisecond))
	n, _ := p.nc.Write(b)
	p.referee.fromClient(b[:n])
	for id := range p.referee.lasting {
		p.s.lasting[id] = true
	}
	if p.referee.over() {
		p.pause(false)
	}
}

// answer acknowledges up to n messages that came, as a client must.
func (p *peer) answer(n int) {
	if p == nil {
		return
	}
	synctest.Wait()
	p.look()
	for ; n > 0 && len(p.referee.answers) > 0; n-- {
		a := p.referee.answers[0]
		p.referee.answers = p.referee.answers[1:]
		p.send(&a)
	}
}

// prove answers the last challenge, if there is one, with the right password or another one.
func (p *peer) prove(wrong bool) {
	if p == nil {
		return
	}
	synctest.Wait()
	p.look()
	challenge := p.referee.challenge
	if p.referee.challenge = nil; challenge == nil {
		return
	}
	user := scramAs(p.referee.proves, map[string]string{"pump": "secret", "valve": "tight"}[p.referee.proves])
	if wrong {
		user.password += "x"
	}
	p.send(authPacket(packet.ContinueAuthentication, user.last(challenge)))
}

// look has the referee judge what came.
func (p *peer) look() {
	p.mu.Lock()
	got, eof := p.got, p.eof
	p.mu.Unlock()
	if p.closed {
		return
	}
	if n := p.referee.fromServer(got); n > 0 {
		p.mu.Lock()
		p.got = p.got[n:]
		p.mu.Unlock()
	}
	r := &p.referee
	if r.fault == "" && eof && (r.connack || !p.s.tight) {
		r.closed(p.dozed)
	}
	if r.fault != "" {
		p.s.t.Errorf("%s, MQTT %s: %s", r.id, p.v, r.fault)
	}
}

// overdue complains of a connection that is still open and must not be.
func (p *peer) overdue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && !p.eof && p.referee.over() {
		p.s.t.Errorf("%s, MQTT %s: left open after %s", p.referee.id, p.v, p.referee.ends())
	}
}

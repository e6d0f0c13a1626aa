package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"weir/broker/packet"
)

// TestPromiseUnderStress has publishers with persistent sessions send at QoS 1 and 2 over connections that break at any
// moment, into a journal that settles at random and has room at random. Of every message: it is acknowledged only when a
// record of it is settled; in the journal first arrivals are in the order sent; at QoS 2 there is exactly one record.
func TestPromiseUnderStress(t *testing.T) {
	h := build(t, Config{AllowanceBytes: 8 << 10})
	h.route("up/#")
	ctx, cancel := context.WithCancel(context.Background())
	var moody sync.WaitGroup
	moody.Go(func() { mood(ctx, h.journal) })
	const publishers, messages = 4, 300
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			s := &strict{h: h, t: t, id: fmt.Sprint("p", p), v: versions[p%2], q: byte(1 + p/2), rnd: rand.New(rand.NewPCG(uint64(p), 1))}
			s.run(messages)
		})
	}
	all.Wait()
	cancel()
	moody.Wait()
	if t.Failed() {
		return
	}
	next := map[string]int{}
	for _, r := range h.journal.wait(t, publishers*messages) {
		origin := string(r.message.Origin)
		var n int
		fmt.Sscan(string(r.message.Payload), &n)
		switch {
		case n > next[origin]:
			t.Fatalf("%s: message %d came before message %d", origin, n, next[origin])
		case n == next[origin]:
			next[origin]++
		case r.message.QoS == 2:
			t.Fatalf("%s: message %d at QoS 2 has two records", origin, n)
		}
	}
	for origin, n := range next {
		if n != messages {
			t.Errorf("%s: %d messages have records, want %d", origin, n, messages)
		}
	}
	h.until(func() bool { s := h.b.Stats(); return s.Owed == 0 && s.WaitingBytes == 0 })
}

// mood settles and makes room at random until ctx ends; then it does both for everything.
func mood(ctx context.Context, j *journal) {
	rnd := rand.New(rand.NewPCG(9, 9))
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	var open []uint64
	seen := 0
	for ctx.Err() == nil {
		<-tick.C
		j.mu.Lock()
		for ; seen < len(j.records); seen++ {
			open = append(open, uint64(seen+1))
		}
		j.room = rnd.IntN(20)
		j.mu.Unlock()
		rnd.Shuffle(len(open), func(a, b int) { open[a], open[b] = open[b], open[a] })
		n := rnd.IntN(len(open) + 1)
		j.settle(open[:n]...)
		open = open[n:]
	}
	j.mu.Lock()
	for ; seen < len(j.records); seen++ {
		open = append(open, uint64(seen+1))
	}
	j.mu.Unlock()
	j.settle(open...)
}

// strict is a publisher that repeats what was not acknowledged, as the standard wants.
type strict struct {
	h   *house
	t   *testing.T
	id  string
	v   packet.Version
	q   byte
	rnd *rand.Rand
	c   *client

	sent, acked int          // messages [acked, sent) wait for PUBACK or PUBREC
	released    map[int]bool // PUBREC came, PUBCOMP did not
}

func (s *strict) packetID(n int) uint16 { return uint16(n%100 + 1) }

func (s *strict) message(n int, dup bool) *packet.Publish {
	m := message1("up/"+s.id, fmt.Sprint(n), s.q, s.packetID(n))
	m.Dup = dup
	return m
}

func (s *strict) run(messages int) {
	s.released = map[int]bool{}
	s.reconnect()
	for s.acked < messages || len(s.released) > 0 {
		for s.sent < messages && s.sent-s.acked < 8 && len(s.released) < 40 {
			if !s.try(s.message(s.sent, false)) {
				break
			}
			s.sent++
		}
		if s.rnd.IntN(25) == 0 {
			s.c.nc.Close()
		}
		if !s.answer() {
			s.reconnect()
		}
		if s.t.Failed() {
			return
		}
	}
	s.c.nc.Close()
}

func (s *strict) try(p appender) bool {
	b, _ := p.Append(nil, s.v)
	_, err := s.c.nc.Write(b)
	return err == nil
}

// reconnect connects anew and repeats, in order, what is not finished.
func (s *strict) reconnect() {
	for {
		s.c = s.h.dial(s.v)
		p := packet.Connect{ClientID: []byte(s.id)}
		p.Props.SetSessionExpiry(1000)
		ok := s.try(&p)
		if ok {
			_, kind, err := s.c.next()
			ok = err == nil && kind == packet.TypeConnack
		}
		for n := 0; ok && n < s.sent; n++ {
			switch {
			case s.released[n]:
				ok = s.try(&packet.Ack{Type: packet.TypePubrel, ID: s.packetID(n)})
			case n >= s.acked:
				ok = s.try(s.message(n, true))
			}
		}
		if ok {
			return
		}
		s.c.nc.Close()
	}
}

// answer reads one packet; false: the connection is gone.
func (s *strict) answer() bool {
	if s.acked == s.sent && len(s.released) == 0 {
		return true
	}
	p, kind, err := s.c.next()
	if err != nil || kind == packet.TypeDisconnect {
		return false
	}
	a := p.(*packet.Ack)
	if kind == packet.TypePubcomp {
		for n := range s.released {
			if s.packetID(n) == a.ID {
				delete(s.released, n)
			}
		}
		return true
	}
	n := s.acked
	if a.ID != s.packetID(n) {
		s.t.Errorf("%s: %s for id %d out of turn, want %d", s.id, kind, a.ID, s.packetID(n))
		return true
	}
	if !s.h.journal.keeps(s.id, fmt.Sprint(n)) {
		s.t.Errorf("%s: message %d acknowledged before it was settled", s.id, n)
	}
	s.acked++
	if s.q == 2 {
		s.released[n] = true
		return s.try(&packet.Ack{Type: packet.TypePubrel, ID: a.ID})
	}
	return true
}

// keeps tells whether a record of the message is settled.
func (j *journal) keeps(origin, payload string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, r := range j.records {
		if j.settled[uint64(i+1)] && string(r.message.Origin) == origin && string(r.message.Payload) == payload {
			return true
		}
	}
	return false
}

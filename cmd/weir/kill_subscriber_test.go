package main

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"weir/broker/packet"
)

// strictSubscriber is a subscriber whose session lasts. It keeps the ids of QoS 2 that were not released over all of its
// connections, as the standard wants, and answers everything.
type strictSubscriber struct {
	t                   *testing.T
	address, id, filter string
	conn                net.Conn
	done                chan struct{}
	news                chan struct{} // one place: something came

	mu      sync.Mutex // guards everything below
	granted bool
	held    map[uint16]bool
	seen    map[string]int
	high    map[string]int // the highest number of a publisher
	late    int            // first arrivals after a later one
}

func newStrictSubscriber(t *testing.T, address, id, filter string) *strictSubscriber {
	return &strictSubscriber{t: t, address: address, id: id, filter: filter, news: make(chan struct{}, 1),
		held: map[uint16]bool{}, seen: map[string]int{}, high: map[string]int{}}
}

// connect connects, and subscribes if that was not answered yet.
func (s *strictSubscriber) connect() {
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.conn, s.done = conn, make(chan struct{})
	c := packet.Connect{ClientID: []byte(s.id)}
	c.Props.SetSessionExpiry(3600)
	b, _ := c.Append(nil, packet.V5)
	s.mu.Lock()
	if !s.granted {
		p := packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte(s.filter), QoS: 2}}}
		b, _ = p.Append(b, packet.V5)
	}
	s.mu.Unlock()
	if _, err := conn.Write(b); err != nil {
		s.t.Fatal(err)
	}
	go s.read(conn, s.done)
}

func (s *strictSubscriber) disconnect() {
	if s.conn != nil {
		s.conn.Close()
		<-s.done
	}
	s.conn = nil
}

func (s *strictSubscriber) read(conn net.Conn, done chan struct{}) {
	defer close(done)
	var buf []byte
	part := make([]byte, 64<<10)
	for {
		n, err := conn.Read(part)
		buf = append(buf, part[:n]...)
		var answers []byte
		for {
			f, size, bad := packet.Next(buf, 0)
			if bad != nil || size == 0 {
				break
			}
			answers = s.take(answers, f)
			buf = buf[size:]
		}
		if _, bad := conn.Write(answers); err != nil || bad != nil {
			return
		}
	}
}

// take handles a packet and appends what it is answered with.
func (s *strictSubscriber) take(answers []byte, f packet.Frame) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		select {
		case s.news <- struct{}{}:
		default:
		}
	}()
	var reply packet.Ack
	switch f.Type {
	case packet.TypeConnack:
		var a packet.Connack
		if err := a.Decode(f, packet.V5); err != nil || s.granted && !a.SessionPresent {
			s.t.Errorf("CONNACK %+v, %v: want the session present", a, err)
		}
	case packet.TypeSuback:
		s.granted = true
	case packet.TypePublish:
		var m packet.Publish
		if err := m.Decode(f, packet.V5); err != nil {
			s.t.Error(err)
		}
		if !s.held[m.ID] || m.QoS < 2 {
			s.count(string(m.Payload))
		}
		reply = packet.Ack{Type: packet.TypePuback, ID: m.ID}
		if m.QoS == 2 {
			s.held[m.ID] = true
			reply.Type = packet.TypePubrec
		}
	case packet.TypePubrel:
		_ = reply.Decode(f, packet.V5)
		delete(s.held, reply.ID)
		reply = packet.Ack{Type: packet.TypePubcomp, ID: reply.ID}
	}
	if reply.ID != 0 {
		answers, _ = reply.Append(answers, packet.V5)
	}
	return answers
}

// count notes a message: QoS, round and number.
func (s *strictSubscriber) count(payload string) {
	s.seen[payload]++
	from, number, _ := strings.Cut(payload[min(2, len(payload)):], "/")
	from = payload[:min(2, len(payload))] + from
	n, err := strconv.Atoi(number)
	if err == nil && s.seen[payload] == 1 {
		if n < s.high[from] {
			s.late++
		}
		s.high[from] = max(s.high[from], n)
	}
}

// wait waits until ok, which is asked with everything guarded.
func (s *strictSubscriber) wait(ctx context.Context, what string, ok func() bool) {
	s.t.Helper()
	for {
		s.mu.Lock()
		there := ok()
		s.mu.Unlock()
		if there {
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("%s does not come; %d messages did", what, len(s.seen))
		case <-s.news:
		}
	}
}

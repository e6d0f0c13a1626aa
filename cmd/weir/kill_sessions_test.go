package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
)

// TestKillWithSessions kills weir with -9 in the middle of what persistent publishers send at QoS 1 and 2 and a persistent
// subscriber takes, or misses because it is away. It gets whatever was acknowledged, in order, QoS 2 once; the retained
// topic is there.
func TestKillWithSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("needs seconds of real time")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := newRoomyWeir(t)
	w.start()
	sub := newStrictSubscriber(t, w.address, "sub", "plant/#")
	sub.connect()
	sub.wait(ctx, "SUBACK", func() bool { return sub.granted })
	sub.disconnect()
	retainOne(ctx, t, w.address)

	const rounds, each = 6, 400
	acked := map[string]bool{}
	for round := range rounds {
		if round%2 == 1 {
			sub.connect()
		}
		feedAndKill(ctx, t, w, round, each, acked)
		sub.disconnect()
		w.start()
	}
	sub.connect()
	sub.wait(ctx, "what was acknowledged", func() bool {
		for key := range acked {
			if sub.seen[key] == 0 {
				return false
			}
		}
		return true
	})
	sub.disconnect()
	repeats := 0
	for key, n := range sub.seen {
		if key[0] == '2' && n > 1 {
			t.Errorf("%s came %d times", key, n)
		}
		repeats += n - 1
	}
	fmt.Printf("kill with sessions: %d acknowledged, %d came, %d repeats at QoS 1, %d out of order\n", len(acked), len(sub.seen), repeats, sub.late)
	if sub.late > 0 {
		t.Errorf("%d messages came for the first time after a later one of their publisher", sub.late)
	}
	if len(acked) < rounds*each/2 {
		t.Errorf("only %d acknowledged: the test tests little", len(acked))
	}
	watch := newStrictSubscriber(t, w.address, "watch", "keep")
	watch.connect()
	watch.wait(ctx, "the retained message", func() bool { return watch.seen["kept"] == 1 })
	watch.disconnect()
	w.stop()
	if t.Failed() {
		t.Log(w.said())
	}
}

// newRoomyWeir is a weir with one listener, whose queues have room for whatever a test of kills leaves in them.
func newRoomyWeir(t *testing.T) *weir {
	return newWeir(t, fmt.Sprintf("[gateway]\nid = \"killed\"\n[listener.test]\naddress = \"127.0.0.1:%d\"\n[sensors]\nauto = false\n[broker]\nqueue_messages = 100000\nqueue_bytes = \"64MiB\"\n", freePort(t)))
}

// feedAndKill has publishers send at QoS 1 and 2, kills weir with -9 when half of each is acknowledged, and notes what was.
func feedAndKill(ctx context.Context, t *testing.T, w *weir, round, each int, acked map[string]bool) {
	var feeds, halves sync.WaitGroup
	halves.Add(2)
	var mu sync.Mutex
	for _, q := range []byte{1, 2} {
		feeds.Go(func() {
			for _, key := range feed(ctx, t, w.address, round, q, each, halves.Done) {
				mu.Lock()
				acked[key] = true
				mu.Unlock()
			}
		})
	}
	halves.Wait()
	w.kill()
	feeds.Wait()
}

// feed publishes numbered messages from a session of its own until the connection is lost, and gives those that were
// acknowledged. half is called when half of them are.
func feed(ctx context.Context, t *testing.T, address string, round int, q byte, n int, half func()) (acked []string) {
	var mu sync.Mutex
	half = sync.OnceFunc(half)
	defer half()
	conn, err := client.Connect(ctx, client.Options{
		URL: address, Version: packet.V5, ClientID: fmt.Sprintf("pub%d/%d", q, round), Resume: true, SessionExpiry: time.Hour, Window: 100,
		OnAcks: func(acks []client.Ack) {
			mu.Lock()
			defer mu.Unlock()
			for _, a := range acks {
				if acked = append(acked, fmt.Sprintf("%d/%d/%d", q, round, a.Ref)); len(acked) == n/2 {
					half()
				}
			}
		}})
	if err != nil {
		t.Error(err)
		return nil
	}
	for i, alive := 0, true; i < n && alive; {
		payload := fmt.Appendf(nil, "%d/%d/%d", q, round, i)
		if err := conn.Send(&packet.Publish{Topic: []byte("plant/line"), Payload: payload, QoS: q}, uint64(i)); err == nil {
			i++
			continue
		}
		conn.Flush()
		select { // the window is full
		case <-conn.Done():
			alive = false
		case <-time.After(time.Millisecond):
		}
	}
	conn.Flush()
	select {
	case <-conn.Done(): // killed
	case <-ctx.Done():
		t.Error("acknowledgements do not come")
	}
	mu.Lock()
	defer mu.Unlock()
	return acked
}

func retainOne(ctx context.Context, t *testing.T, address string) {
	t.Helper()
	conn, err := client.Connect(ctx, client.Options{URL: address})
	if err == nil {
		defer conn.Close()
		err = conn.Publish(ctx, packet.Publish{Topic: []byte("keep"), Payload: []byte("kept"), QoS: 1, Retain: true})
	}
	if err != nil {
		t.Fatal(err)
	}
}

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
